/*
 * log.c: the records of a topic: appending to the tail, finding and reading messages (topic.h).
 *
 *   recent   ring of the last records' places, so that a group that keeps up never makes the writer read:
 *            it learns from the ring how old the head of each queue is. It grows so as to hold at least
 *            what the open group has closed: that is in the batch, and the store does not have it yet
 *   cold     otherwise the record is looked up once and its place kept with the group's cursor
 */
#include <stdlib.h>

#include "storage/model/log.h"
#include "storage/model/topic.h"

#define TAIL_KEEP_BYTES KIB(256)
#define SPARE_TAILS_MAX 64

static struct tail *tail_new(struct state *st)
{
    struct tail *tail = st->spare_tails;
    if (tail) {
        st->spare_tails = tail->next;
        st->n_spare_tails--;
        return tail;
    }
    tail = calloc(1, sizeof(*tail));
    if (!tail)
        return NULL;
    buf_init(&tail->record, REQUEST_BYTES_MAX + RECORD_BYTES_MAX);
    buf_init(&tail->starts, (RECORD_COUNT_MAX + 1) * sizeof(uint32_t));
    return tail;
}

/* Kept for the next group; a few are enough, each may hold on to much memory. */
static void tail_spare(struct state *st, struct tail *tail)
{
    if (st->n_spare_tails == SPARE_TAILS_MAX) {
        buf_free(&tail->record);
        buf_free(&tail->starts);
        free(tail);
        return;
    }
    buf_reset(&tail->record, TAIL_KEEP_BYTES);
    buf_reset(&tail->starts, TAIL_KEEP_BYTES);
    tail->next = st->spare_tails;
    st->spare_tails = tail;
    st->n_spare_tails++;
}

/* What is appended from here on came in this group. */
static void queue_freshen(const struct state *st, struct queue *q)
{
    if (q->fresh_group == st->group)
        return;
    q->fresh_group = st->group;
    q->fresh_base = q->end;
}

static struct tail *tail_open(struct state *st, struct topic *t, uint32_t queue)
{
    struct tail *tail = tail_new(st);
    if (!tail)
        return NULL;
    tail->topic = t;
    tail->queue = queue;
    tail->base = t->queues[queue].end;
    tail->first_seq = st->seq;
    tail->count = 0;
    tail->flags = 0;
    tail->next = NULL;
    struct queue *q = &t->queues[queue];
    queue_freshen(st, q);
    record_begin(&tail->record);
    *st->open_tails_end = tail;
    st->open_tails_end = &tail->next;
    q->tail = tail;
    return tail;
}

/* A ring twice as long, the oldest place first. Without memory for it all stays as it is. */
static void recent_grow(struct queue *q)
{
    uint32_t size = q->recent_size ? 2 * q->recent_size : RECENT_RECORDS;
    struct record_info *recent = malloc(size * sizeof(*recent));
    if (!recent)
        return;
    uint32_t first = q->n_recent < q->recent_size ? 0 : q->recent_at;
    for (uint32_t i = 0; i < q->n_recent; i++)
        recent[i] = q->recent[(first + i) % q->recent_size];
    free(q->recent);
    q->recent = recent;
    q->recent_at = q->n_recent;
    q->recent_size = size;
}

static void queue_remember(const struct state *st, struct queue *q, const struct record_info *info)
{
    bool full = q->n_recent == q->recent_size;
    bool needed = full && q->recent_size < RECENT_RECORDS_MAX &&
                  (!q->recent || q->recent[q->recent_at].index == st->group_index);
    if (needed)
        recent_grow(q);
    if (!q->recent)
        return; /* only slower: the place will be read from the store */
    q->recent[q->recent_at] = *info;
    q->recent_at = (q->recent_at + 1) % q->recent_size;
    if (q->n_recent < q->recent_size)
        q->n_recent++;
}

static struct record_info tail_info(const struct state *st, const struct tail *tail)
{
    return (struct record_info){.base = tail->base,
                                .index = st->group_index,
                                .first_seq = tail->first_seq,
                                .last_seq = tail->last_seq,
                                .count = tail->count,
                                .bytes = (uint32_t)tail->record.len};
}

/* A tail becomes a record. Without memory for it the state is sick: its messages have been answered. */
static void tail_close(struct state *st, struct tail *tail)
{
    struct record_header h = {.flags = tail->flags,
                              .count = tail->count,
                              .base = tail->base,
                              .index = st->group_index,
                              .stored_ms = st->now_ms};
    struct queue *q = &tail->topic->queues[tail->queue];
    struct record_info info = tail_info(st, tail);
    record_end(&tail->record, &tail->starts, &h);
    if (tail->record.failed || tail->starts.failed)
        st->sick = true;
    if (!st->sick) {
        struct key key = key_log(tail->topic->id, tail->queue, tail->base);
        kv_put(st->kv, log_family(tail->topic->compress), key_slice(&key), buf_slice(&tail->record));
        queue_remember(st, q, &info);
    }
    q->tail = NULL;
}

/* Those of the topic, or all (t NULL); but only that one, where it is named. */
static void tails_close(struct state *st, const struct topic *t, const struct tail *only)
{
    struct tail **link = &st->open_tails;
    while (*link) {
        struct tail *tail = *link;
        if ((t && tail->topic != t) || (only && tail != only)) {
            link = &tail->next;
            continue;
        }
        *link = tail->next;
        tail_close(st, tail);
        if (tail->topic->rr != tail->topic->rr_saved)
            topic_save(st, tail->topic);
        tail_spare(st, tail);
    }
    st->open_tails_end = link;
}

void topic_flush(struct state *st, const struct topic *t)
{
    tails_close(st, t, NULL);
}

/* A full tail is closed ahead of the group's end. NULL: no memory. */
static struct tail *tail_for(struct state *st, struct topic *t, uint32_t queue)
{
    struct tail *tail = t->queues[queue].tail;
    if (tail && (tail->record.len >= RECORD_BYTES_MAX || tail->count >= RECORD_COUNT_MAX)) {
        tails_close(st, t, tail);
        tail = NULL;
    }
    if (st->sick)
        return NULL;
    return tail ? tail : tail_open(st, t, queue);
}

static void append_index(struct state *st, int64_t now_ms, struct topic *t, uint32_t queue,
                         const struct message *m, uint64_t offset)
{
    for (uint32_t i = 0; i < m->n_keys; i++) {
        struct key key = key_index(t->id, text_hash(m->keys[i]), now_ms, queue, offset);
        state_put(st, &key, slice_of(NULL, 0));
    }
    if (!(m->fields & MSG_TTL))
        return;
    uint8_t ms[8];
    for (unsigned i = 0; i < 8; i++)
        ms[i] = (uint8_t)((uint64_t)m->expires_ms >> (8 * i));
    struct key key = key_expiry(t->id, queue, offset);
    struct slice value = slice_of(ms, sizeof(ms));
    /* What is over at once is looked up within this very group. */
    if (m->expires_ms <= now_ms)
        overlay_put(&st->overlay, &key, value);
    else
        state_put(st, &key, value);
}

/* The first message with a TTL marks the topic, so that groups on other topics never look. */
static void topic_mark_ttl(struct state *st, struct topic *t)
{
    if (t->flags & TOPIC_HAS_TTL)
        return;
    t->flags |= TOPIC_HAS_TTL;
    topic_save(st, t);
}

enum status topic_append(struct state *st, int64_t now_ms, struct topic *t, uint32_t queue,
                         struct message *m, uint64_t *ret_offset)
{
    struct tail *tail = tail_for(st, t, queue);
    if (!tail)
        return ST_NOMEM;
    m->seq = st->seq++;
    tail->last_seq = m->seq;
    record_add(&tail->record, &tail->starts, m, now_ms);
    if (tail->record.failed || tail->starts.failed) {
        st->sick = true;
        return ST_NOMEM;
    }
    tail->count++;
    uint64_t offset = t->queues[queue].end++;
    if (m->fields & MSG_TTL) {
        tail->flags |= RECORD_TTL;
        topic_mark_ttl(st, t);
    }
    if (m->fields & MSG_TXN)
        tail->flags |= RECORD_TXN;
    if (m->n_keys || (m->fields & MSG_TTL))
        append_index(st, now_ms, t, queue, m, offset);
    st->group_bytes += m->body.len + 64;
    st->tally.messages_in++;
    st->tally.bytes_in += m->body.len;
    state_news(st, &t->news, 1);
    *ret_offset = offset;
    return ST_OK;
}

/* Attributes that leave rows. */
static enum status batch_index(struct state *st, int64_t now_ms, struct topic *t, uint32_t queue,
                               struct slice batch, uint64_t base)
{
    struct record_header h;
    enum status s = record_header_read(batch, &h);
    for (uint32_t i = 0; i < h.count && s == ST_OK; i++) {
        struct message m;
        s = message_decode(record_bytes(batch, &h, i), now_ms, &m);
        if (s == ST_OK)
            append_index(st, now_ms, t, queue, &m, base + i);
    }
    return s;
}

/* The batch becomes a record: its bytes behind a header of ours. */
static void batch_put(struct state *st, int64_t now_ms, struct topic *t, uint32_t queue,
                      struct slice batch, const struct batch_facts *facts)
{
    struct queue *q = &t->queues[queue];
    struct slice behind =
        slice_of(batch.data + RECORD_HEADER_BYTES, batch.len - RECORD_HEADER_BYTES);
    struct record_header h = {.flags = facts->fields & MSG_TTL ? RECORD_TTL : 0,
                              .count = facts->count,
                              .bytes = (uint32_t)(behind.len - facts->count * 4UL),
                              .base = q->end,
                              .index = st->group_index,
                              .stored_ms = now_ms,
                              .seq = st->seq};
    uint8_t head[RECORD_HEADER_BYTES];
    record_head(&h, behind, head);
    struct key key = key_log(t->id, queue, q->end);
    kv_put2(st->kv, log_family(t->compress), key_slice(&key), slice_of(head, sizeof(head)), behind);
    struct record_info info = {.base = h.base,
                               .index = h.index,
                               .first_seq = st->seq,
                               .last_seq = st->seq + h.count - 1,
                               .count = h.count,
                               .bytes = (uint32_t)batch.len};
    queue_remember(st, q, &info);
}

enum status topic_append_batch(struct state *st, int64_t now_ms, struct topic *t, uint32_t queue,
                               struct slice batch, const struct batch_facts *facts,
                               uint64_t *ret_base)
{
    struct queue *q = &t->queues[queue];
    if (q->tail)
        tails_close(st, t, q->tail);
    if (st->sick)
        return ST_NOMEM;
    queue_freshen(st, q);
    uint64_t base = q->end;
    if (facts->fields & (MSG_KEY | MSG_TTL) &&
        batch_index(st, now_ms, t, queue, batch, base) != ST_OK) {
        st->sick = true; /* it was checked, so this cannot be */
        return ST_NOMEM;
    }
    batch_put(st, now_ms, t, queue, batch, facts);
    q->end += facts->count;
    st->seq += facts->count;
    if (facts->fields & MSG_TTL)
        topic_mark_ttl(st, t);
    if (t->rr != t->rr_saved)
        topic_save(st, t);
    st->group_bytes += batch.len;
    st->tally.messages_in += facts->count;
    st->tally.bytes_in += facts->body_bytes;
    state_news(st, &t->news, facts->count);
    *ret_base = base;
    return ST_OK;
}

static bool info_covers(const struct record_info *info, uint64_t offset)
{
    return offset >= info->base && offset - info->base < info->count;
}

enum kv_family log_family(enum compress compress)
{
    static const enum kv_family families[] = {
        [COMPRESS_NONE] = KV_LOG, [COMPRESS_LZ4] = KV_LOG_LZ4, [COMPRESS_ZSTD] = KV_LOG_ZSTD};
    return families[compress];
}

enum status log_seek(struct kv_iter *it, uint64_t topic, uint32_t queue, uint64_t offset,
                     struct record_header *ret_h)
{
    struct key key = key_log(topic, queue, offset);
    kv_iter_floor(it, key_slice(&key));
    struct record_header h = {0};
    bool found = kv_iter_valid(it) && record_header_read(kv_iter_value(it), &h) == ST_OK &&
                 offset < h.base + h.count;
    if (!found) {
        kv_iter_seek(it, key_slice(&key));
        if (!kv_iter_valid(it))
            return kv_iter_status(it) == ST_OK ? ST_GONE : ST_IO;
        if (record_header_read(kv_iter_value(it), &h) != ST_OK)
            return ST_IO;
    }
    *ret_h = h;
    return ST_OK;
}

static struct kv_iter *log_iter(struct state *st, const struct topic *t, uint32_t queue)
{
    struct key from = key_log(t->id, queue, 0), to = key_log(t->id, queue + 1, 0);
    return kv_iter_new(st->kv, log_family(t->compress), NULL, key_slice(&from), key_slice(&to));
}

static enum status log_locate(struct state *st, struct topic *t, uint32_t queue, uint64_t offset,
                              struct record_info *ret_info)
{
    struct kv_iter *it = log_iter(st, t, queue);
    if (!it)
        return ST_NOMEM;
    struct record_header h;
    enum status s = log_seek(it, t->id, queue, offset, &h);
    struct message first, last;
    if (s == ST_OK && (record_message(kv_iter_value(it), &h, 0, &first) != ST_OK ||
                       record_message(kv_iter_value(it), &h, h.count - 1, &last) != ST_OK))
        s = ST_IO;
    if (s == ST_OK)
        *ret_info = (struct record_info){h.base, h.index, first.seq, last.seq, h.count, h.bytes};
    kv_iter_free(it);
    return s;
}

/* True where offset came in this very group: not in the store yet. */
static bool queue_unwritten(const struct state *st, const struct queue *q, uint64_t offset)
{
    return q->fresh_group == st->group && offset >= q->fresh_base;
}

enum status topic_locate(struct state *st, struct topic *t, uint32_t queue, uint64_t offset,
                         struct record_info *ret_info)
{
    struct queue *q = &t->queues[queue];
    if (offset >= q->end)
        return ST_GONE;
    if (q->tail && offset >= q->tail->base) {
        *ret_info = tail_info(st, q->tail);
        return ST_OK;
    }
    for (uint32_t i = 0; i < q->n_recent; i++) {
        if (info_covers(&q->recent[i], offset)) {
            *ret_info = q->recent[i];
            return ST_OK;
        }
    }
    /* Its place was not kept for want of memory, and the store would show another record. */
    return queue_unwritten(st, q, offset) ? ST_BUSY : log_locate(st, t, queue, offset, ret_info);
}

static enum status tail_read(const struct tail *tail, uint64_t offset, int64_t now_ms, struct buf *hold,
                             struct message *ret_m)
{
    uint32_t i = (uint32_t)(offset - tail->base);
    struct cursor c = cursor_of(slice_of(tail->starts.data + i * 4UL, 4));
    size_t at = RECORD_HEADER_BYTES + cursor_u32(&c), to = tail->record.len;
    if (i + 1 < tail->count) {
        c = cursor_of(slice_of(tail->starts.data + (i + 1) * 4UL, 4));
        to = RECORD_HEADER_BYTES + cursor_u32(&c);
    }
    buf_reset(hold, TAIL_KEEP_BYTES);
    buf_put(hold, tail->record.data + at, to - at);
    return hold->failed ? ST_NOMEM : message_decode(buf_slice(hold), now_ms, ret_m);
}

enum status topic_read(struct state *st, struct topic *t, uint32_t queue, uint64_t offset,
                       struct buf *hold, struct message *ret_m)
{
    struct queue *q = &t->queues[queue];
    if (offset < q->floor || offset >= q->end)
        return ST_GONE;
    if (q->tail && offset >= q->tail->base)
        return tail_read(q->tail, offset, st->now_ms, hold, ret_m);
    if (queue_unwritten(st, q, offset))
        return ST_BUSY;
    struct kv_iter *it = log_iter(st, t, queue);
    if (!it)
        return ST_NOMEM;
    struct record_header h;
    enum status s = log_seek(it, t->id, queue, offset, &h);
    if (s == ST_OK && offset < h.base)
        s = ST_GONE;
    struct message m;
    if (s == ST_OK)
        s = record_message(kv_iter_value(it), &h, (uint32_t)(offset - h.base), &m);
    if (s == ST_OK) { /* the one message out of a record that may be large */
        buf_reset(hold, TAIL_KEEP_BYTES);
        message_encode(hold, &m, h.stored_ms);
        s = hold->failed ? ST_NOMEM : message_decode(buf_slice(hold), h.stored_ms, ret_m);
    }
    kv_iter_free(it);
    return s == ST_BAD ? ST_IO : s;
}

enum status topic_offset_at(struct state *st, struct topic *t, uint32_t queue, int64_t time_ms,
                            uint64_t *ret_offset)
{
    struct queue *q = &t->queues[queue];
    if (time_ms > st->now_ms) {
        *ret_offset = q->end;
        return ST_OK;
    }
    struct kv_iter *it = log_iter(st, t, queue);
    if (!it)
        return ST_NOMEM;
    uint64_t low = q->floor, high = q->tail ? q->tail->base : q->end;
    enum status s = ST_OK;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        struct record_header h;
        s = log_seek(it, t->id, queue, middle, &h);
        if (s == ST_GONE)
            s = ST_OK, h = (struct record_header){.base = high, .stored_ms = INT64_MAX};
        if (s != ST_OK)
            break;
        if (h.stored_ms >= time_ms)
            high = h.base <= middle ? (h.base > low ? h.base : low) : middle;
        else
            low = h.base + h.count;
    }
    kv_iter_free(it);
    if (s == ST_OK)
        *ret_offset = low;
    return s;
}

enum status topic_expiry(struct state *st, const struct topic *t, uint32_t queue, uint64_t offset,
                         int64_t *ret_ms)
{
    *ret_ms = INT64_MAX;
    if (!(t->flags & TOPIC_HAS_TTL))
        return ST_OK;
    const struct tail *tail = t->queues[queue].tail;
    if (tail && offset >= tail->base) { /* its row is not in the store yet */
        struct message m;
        enum status read = tail_read(tail, offset, st->now_ms, &st->props, &m);
        if (read == ST_OK && (m.fields & MSG_TTL))
            *ret_ms = m.expires_ms;
        return read;
    }
    struct key key = key_expiry(t->id, queue, offset);
    struct buf value;
    buf_init(&value, 64);
    enum status s = overlay_get(&st->overlay, &key, &value);
    if (s == ST_OK) {
        struct cursor c = cursor_of(buf_slice(&value));
        *ret_ms = (int64_t)cursor_u64(&c);
    }
    buf_free(&value);
    return s == ST_GONE ? ST_OK : s;
}
