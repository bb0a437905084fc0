/* drop.c: TOPIC PURGE and TOPIC DELETE: deletes the rows and records of a topic (drop.h). */
#include "storage/model/drop.h"

#include "storage/disk/records.h"
#include "storage/model/keep.h"
#include "storage/model/queue.h"
#include "storage/model/tail.h"

/* Deletes all rows of a kind that belong to the topic's id. */
static void drop_rows(struct state *st, const struct topic *t, char kind)
{
    struct key from = key_of_id(kind, t->id), to = key_after(&from);
    kv_del_range(st->kv, KV_STATE, key_slice(&from), key_slice(&to));
}

static void drop_log(struct state *st, struct topic *t)
{
    struct key from = key_log(t->id, 0, 0), to = key_log(t->id + 1, 0, 0);
    kv_del_range(st->kv, records_family(t->compress), key_slice(&from), key_slice(&to));
    drop_rows(st, t, 'B');
    drop_rows(st, t, 'I');
    drop_rows(st, t, 'E');
    drop_rows(st, t, 'd'); /* one that the open group has put stays: its bits lie below the floor, and mean nothing */
    t->removed = 0;
    t->flags &= ~(uint32_t)TOPIC_HAS_REMOVED;
    if (t->classes)
        drop_rows(st, t, 'F');
}

void drop_messages(struct state *st, struct topic *t)
{
    /* Records of the open group go, too: they are put first, so that the deletion covers them. */
    tail_flush(st, t);
    for (uint32_t q = 0; q < t->n_queues; q++) {
        t->queues[q].floor = t->queues[q].end;
        t->queues[q].total = 0;
        t->queues[q].n_recent = t->queues[q].recent_at = 0;
    }
    drop_log(st, t);
    t->kept_known = false;
    queue_purge_classes(st, t);
    t->purges++;
    topic_save(st, t);
}

void drop_topic(struct state *st, struct topic *t)
{
    drop_messages(st, t);
    keep_disarm(st, t);
    topics_save(st); /* so that the list of touched topics does not name it any more */
    core_gone(st, t->name, slice_of(NULL, 0));
    drop_rows(st, t, 'D');
    drop_rows(st, t, 'L'); /* their rows N and W go when they fall due */
    assert(st->meta.delayed >= t->delayed);
    st->meta.delayed -= t->delayed;
    struct key key = key_topic(t->name);
    overlay_del(&st->overlay, &key);
    assert(st->meta.topics > 0);
    st->meta.topics--;
    st->meta_dirty = true;
    topic_forget(st, t);
}
