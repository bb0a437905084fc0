/* core.c: puts rows, notes news and gives out ids, for all files of model/ and apply/ (core.h). */
#include "storage/model/core.h"

#define GROUP_COMMANDS_MAX 16384
#define TXID_MS_MAX ((INT64_C(1) << 41) - 1)

uint64_t core_next_ref(struct state *st)
{
    st->meta_dirty = true;
    return st->meta.next_ref++;
}

/* time (41 bits) │ node (10) │ sequence (12); a full sequence borrows the next millisecond. */
uint64_t core_next_id(struct state *st, const struct stamp *stamp)
{
    int64_t ms = stamp->now_ms - TXID_EPOCH_MS;
    ms = ms < 0 ? 0 : ms > TXID_MS_MAX ? TXID_MS_MAX : ms; /* a clock that is far off: ids still ascend */
    uint64_t node = (uint64_t)stamp->policy->node << 12;
    uint64_t id = (uint64_t)ms << 22 | node;
    if (id <= st->meta.last_id) {
        id = st->meta.last_id + 1;
        if ((id & 0xfff) == 0)
            id = ((st->meta.last_id >> 22) + 1) << 22 | node;
    }
    st->meta.last_id = id;
    st->meta_dirty = true;
    return id;
}

void core_news(struct state *st, struct news_slot *slot, uint32_t count)
{
    if (slot->group != st->group) {
        if (st->fx.n_keys == NEWS_MAX) {
            st->fx.overflow = true;
            return;
        }
        slot->group = st->group;
        slot->at = st->fx.n_keys++;
        st->fx.keys[slot->at] = slot->key;
        st->fx.counts[slot->at] = 0;
    }
    uint32_t *sum = &st->fx.counts[slot->at];
    *sum = count < NEWS_ALL - *sum ? *sum + count : NEWS_ALL;
}

void core_gone(struct state *st, struct slice a, struct slice b)
{
    struct news_slot slot = {.key = news_key(NEWS_GONE, a, b)};
    core_news(st, &slot, 1);
}

void core_put(struct state *st, const struct key *key, struct slice value)
{
    kv_put(st->kv, KV_STATE, key_slice(key), value);
}

void core_del(struct state *st, const struct key *key)
{
    kv_del(st->kv, KV_STATE, key_slice(key));
}

enum status core_bad_row(struct state *st, const struct key *key)
{
    return kv_damaged_row(st->kv, key_slice(key));
}

struct slice core_row(struct state *st)
{
    st->sick = st->sick || st->scratch2.failed;
    return buf_slice(&st->scratch2);
}

void core_fail(struct outcome *out, enum status s, const char *doing)
{
    assert(s != ST_OK);
    out->no_memory = out->no_memory || s == ST_NOMEM;
    if (s == ST_NOMEM)
        reply_error(&out->reply, ST_BUSY, "%s: no memory, try again", doing);
    else if (s == ST_BUSY)
        reply_error(&out->reply, ST_BUSY, "%s: it needs data that is still being written, try again", doing);
    else if (s == ST_LIMIT)
        reply_error(&out->reply, s, "%s: there are too many topics, at most %d: nothing was done", doing, TOPICS_MAX);
    else if (s == ST_DAMAGED)
        reply_error(&out->reply, s, "%s: a row of the store is damaged, nothing was done: see the broker's log", doing);
    else
        reply_error(&out->reply, ST_ERR, "%s: the store cannot be read now, nothing was done", doing);
}

size_t core_size(const struct state *st)
{
    return st->group_bytes + overlay_bytes(&st->overlay);
}

void core_work_begin(struct state *st, uint32_t rows_max, size_t bytes_max)
{
    st->work = (struct work){.rows_max = rows_max, .size_before = core_size(st), .bytes_max = bytes_max};
}

void core_worked(struct state *st, uint32_t rows, size_t read_bytes)
{
    st->work.rows += rows;
    st->work.read_bytes += read_bytes;
}

bool core_spent(const struct state *st)
{
    const struct work *w = &st->work;
    return w->rows >= w->rows_max || core_size(st) - w->size_before + w->read_bytes >= w->bytes_max;
}

bool core_full(const struct state *st)
{
    return core_size(st) >= st->group_bytes_max || st->group_commands >= GROUP_COMMANDS_MAX;
}
