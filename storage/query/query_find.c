/*
 * query_find.c: FIND: messages by KEY. The rows of the index say where they may be; a row has a hash of the key, so each
 * message is looked at.
 */
#include "storage/query/handlers.h"
#include "storage/query/base/steps.h"

#define INDEX_KEY_BYTES 37
#define FIND_COST 16 /* of a record that is looked up, in rows that are walked over */

struct find {
    bool begun;
    struct gather g;
    struct slice topic, key;
    struct place p; /* of the message that is looked at; its topic is empty where none is */
    /* The record that was read last, while a step lasts: the messages of many rows may be in one. */
    struct kv_iter *it; /* NULL: there is none */
    struct record_header h; /* count 0: it stands on none */
    uint32_t queue;
};

static bool find_has_key(const struct message *m, struct slice key)
{
    for (uint32_t i = 0; i < m->n_keys; i++)
        if (slice_equal(m->keys[i], key))
            return true;
    return false;
}

static void find_close(struct find *f)
{
    kv_iter_free(f->it);
    f->it = NULL;
}

/* Puts the iterator on the record of a message. ST_GONE: there is none; ST_DAMAGED. */
static enum status find_record(struct view *v, struct find *f)
{
    uint32_t queue = f->p.queue;
    uint64_t offset = f->p.offset;
    if (queue >= v->topic.n_queues || offset < v->topic.floor[queue])
        return ST_GONE;
    if (!f->it || f->queue != queue) {
        find_close(f);
        f->it = view_log(v, queue);
        f->queue = queue;
        f->h.count = 0;
    }
    if (!f->it)
        return ST_NOMEM;
    if (f->h.count && offset >= f->h.base && offset - f->h.base < f->h.count)
        return ST_OK;
    enum status s = records_seek_on(f->it, v->topic.id, queue, offset, &f->h);
    if (s == ST_OK)
        view_spend(v, FIND_COST * STEP_ROW_BYTES + kv_iter_value(f->it).len);
    else
        f->h.count = 0;
    return s == ST_OK && offset < f->h.base ? ST_DAMAGED : s;
}

/* Adds the message of an index row ('I' topic u64, hash u64, stored u64, queue u32, offset u64), if it still exists. */
static enum status find_row(struct view *v, void *arg, const struct kv_iter *it, struct gather *g)
{
    struct find *f = arg;
    struct slice row = kv_iter_key(it);
    if (row.len != INDEX_KEY_BYTES)
        return kv_damaged_row(v->kv, row);
    f->p.topic = f->topic;
    f->p.queue = key_read_u32(row.data + 25);
    f->p.offset = key_read_u64(row.data + 29);
    f->p.stored_ms = (int64_t)key_read_u64(row.data + 17);
    struct message m;
    enum status s = find_record(v, f);
    if (s == ST_OK &&
        record_message(kv_iter_value(f->it), &f->h, (uint32_t)(f->p.offset - f->h.base), &m) != ST_OK)
        s = ST_DAMAGED;
    if (s == ST_OK && find_has_key(&m, f->key))
        gather_add(g, &f->p, &m);
    if (s != ST_OK && s != ST_GONE)
        return s;
    f->p.topic = slice_of(NULL, 0);
    return ST_OK;
}

static enum status find_rows(struct view *v, const struct command *cmd, struct find *f)
{
    int64_t from_ms = command_number(cmd, OPT_ID_FROM, 0), to_ms = command_number(cmd, OPT_ID_TO, INT64_MAX);
    uint64_t hash = text_hash(f->key);
    if (to_ms < 0) /* before 1970, when nothing was stored */
        return ST_OK;
    struct key from = key_index(v->topic.id, hash, from_ms < 0 ? 0 : from_ms, 0, 0);
    struct key to = key_index(v->topic.id, hash, to_ms == INT64_MAX ? to_ms : to_ms + 1, 0, 0);
    struct kv_iter *it = kv_iter_new(v->kv, KV_STATE, v->snap, key_slice(&from), key_slice(&to));
    return steps_gather(v, it, find_row, f, &f->g);
}

/* A reply without a message that is damaged would say that there is none, so FIND says what is damaged, and from which
 * time on it can go on. */
static void find_refuse(struct view *v, const struct place *p, struct buf *reply)
{
    uint64_t first = 0, last = 0;
    if (!p->topic.len || view_find_lost(v, p->topic, p->queue, p->offset, &first, &last) != ST_DAMAGED) {
        view_refuse(reply, ST_DAMAGED, "store", slice_of(NULL, 0));
        return;
    }
    char name[160];
    text_quote(p->topic, 135, name, sizeof(name));
    reply_error(reply, ST_DAMAGED, "%s:%u:%llu-%llu cannot be read: FIND with TO %lld, or with FROM %lld, has the others",
                name, p->queue, (unsigned long long)first, (unsigned long long)last, (long long)p->stored_ms - 1,
                (long long)p->stored_ms + 1);
}

static enum status find_begin(struct view *v, const struct command *cmd, struct find *f)
{
    f->begun = true;
    f->topic = cmd->pos[0];
    f->key = command_option(cmd, OPT_ID_KEY)->v;
    gather_begin(&f->g, &v->steps->items, (uint32_t)command_number(cmd, OPT_ID_COUNT, LIST_COUNT_DEFAULT), v->reply_most);
    return view_topic(v, f->topic);
}

void query_find(struct view *v, const struct command *cmd, struct buf *reply, struct query_hint *hint)
{
    if (!command_option(cmd, OPT_ID_KEY)) {
        reply_error(reply, ST_ERR, "FIND needs KEY k: which messages to look for");
        return;
    }
    struct find *f = steps_own(v, sizeof(*f));
    enum status s = f ? ST_OK : ST_NOMEM;
    if (s == ST_OK && !f->begun)
        s = find_begin(v, cmd, f);
    if (s == ST_OK && v->steps->phase == STEPS_LOOK) {
        s = find_rows(v, cmd, f);
        find_close(f);
        if (s == ST_DAMAGED) {
            find_refuse(v, &f->p, reply);
            return;
        }
    }
    hint->cut = f && gather_is_cut(&f->g);
    if (s == ST_OK)
        s = steps_put(v, f->g.n, reply);
    steps_end(v, s, reply, s == ST_GONE ? "topic" : "store", cmd->pos[0]);
}
