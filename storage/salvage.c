/* salvage.c: lets ids and offsets jump over what lost groups may have given out (salvage.h). */
#include "storage/salvage.h"

#include <stdio.h>

#include "storage/disk/batch/kv_batch.h"
#include "storage/model/tail.h"
#include "storage/state.h"

#define JUMP_MS INT64_C(86400000) /* ids hold a time. The lost ones are not later than the clock by more than this */
#define JUMP_REFS (UINT64_C(1) << 32)
#define TXID_TIME_SHIFT 22

void salvage_look(struct salvage *s, struct slice batch)
{
    struct key key = key_meta();
    struct slice value;
    struct meta_row m;
    if (!kv_batch_find(batch, key_slice(&key), &value) || meta_decode(value, &m) != ST_OK)
        return;
    s->groups++;
    s->index = m.index > s->index ? m.index : s->index;
    s->now_ms = m.now_ms > s->now_ms ? m.now_ms : s->now_ms;
    s->last_id = m.last_id > s->last_id ? m.last_id : s->last_id;
    s->next_ref = m.next_ref > s->next_ref ? m.next_ref : s->next_ref;
}

static uint64_t salvage_id_at(int64_t ms)
{
    return ms > TXID_EPOCH_MS ? (uint64_t)(ms - TXID_EPOCH_MS) << TXID_TIME_SHIFT : 0;
}

static void salvage_jump_ids(struct meta_row *m, const struct salvage *lost, int64_t now_ms)
{
    uint64_t at = salvage_id_at(now_ms);
    m->last_id = lost->last_id > m->last_id ? lost->last_id : m->last_id;
    m->last_id = at > m->last_id ? at : m->last_id;
    m->last_id += (uint64_t)JUMP_MS << TXID_TIME_SHIFT;
    m->next_ref = (lost->next_ref > m->next_ref ? lost->next_ref : m->next_ref) + JUMP_REFS;
}

static enum status salvage_topic(struct state *st, struct slice name, uint64_t jump)
{
    struct topic *t = NULL;
    enum status s = topic_get(st, name, &t);
    for (uint32_t q = 0; s == ST_OK && q < t->n_queues; q++) {
        struct message m;
        uint64_t offset = 0;
        message_clear(&m);
        m.fields = MSG_TTL;
        m.body = SLICE_LIT(SALVAGE_BODY);
        m.born_ms = m.expires_ms = st->now_ms;
        t->queues[q].end += jump;
        s = tail_append(st, st->now_ms, t, q, &m, &offset);
    }
    return s;
}

/* The names are copied, since a topic that is loaded moves the iterator's ground. */
static enum status salvage_topics(struct state *st, uint64_t jump)
{
    struct key prefix;
    key_begin(&prefix, 'T');
    struct key after = key_after(&prefix);
    struct kv_iter *it = kv_iter_new(st->kv, KV_STATE, NULL, key_slice(&prefix), key_slice(&after));
    if (!it)
        return ST_NOMEM;
    enum status s = ST_OK;
    kv_iter_first(it);
    for (; s == ST_OK && kv_iter_valid(it); kv_iter_next(it)) {
        struct slice key = kv_iter_key(it);
        s = salvage_topic(st, slice_of(key.data + 1, key.len - 1), jump);
    }
    if (s == ST_OK)
        s = kv_iter_status(it);
    kv_iter_free(it);
    return s;
}

enum status state_salvage(struct state *st, const struct salvage *lost, int64_t now_ms, uint64_t *ret_jump, char *err,
                          size_t err_size)
{
    uint64_t jump = lost->bytes / SALVAGE_MESSAGE_BYTES_MIN + 1;
    uint64_t last = st->last_index > lost->index ? st->last_index : lost->index;
    struct effects fx;
    now_ms = now_ms > lost->now_ms ? now_ms : lost->now_ms;
    st->now_ms = now_ms > st->now_ms ? now_ms : st->now_ms;
    st->last_index = st->group_index = last + 1;
    salvage_jump_ids(&st->meta, lost, st->now_ms);
    st->meta.first_offset += jump;
    st->meta_dirty = true;
    enum status s = salvage_topics(st, jump);
    if (s != ST_OK) {
        snprintf(err, err_size, "the store cannot go on without what its log has lost: the end of a queue cannot be read");
        return s;
    }
    *ret_jump = jump;
    return state_write(st, true, &fx, err, err_size);
}
