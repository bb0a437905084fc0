/*
 * tail.c: appends to queues (tail.h). The first message of a group to a queue opens a tail; the tail becomes a
 * record when it is full, or when the group is written.
 */
#include "storage/model/tail.h"

#include <stdlib.h>

#include "storage/disk/batch/kv_parts.h"
#include "storage/disk/records.h"
#include "storage/model/log_columns.h"
#include "storage/model/keep.h"
#include "storage/model/queue.h"

#define SPARE_TAILS_MAX 64
#define COPIED_LEAST 256 /* bytes of a body: to say where a smaller one is takes nearly as many */
#define TAIL_INDEXED (MSG_KEY | MSG_TTL | MSG_TAG | MSG_ORDER | MSG_PRIORITY) /* what makes rows, or columns */
#define TAIL_APART_BYTES RECORD_BYTES_MAX /* bodies from here on are not copied, but for the batch */

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
    buf_init(&tail->copied, (RECORD_COUNT_MAX + 1) * sizeof(struct kv_copied));
    columns_maker_init(&tail->columns);
    return tail;
}

static void tail_free(struct tail *tail)
{
    buf_free(&tail->record);
    buf_free(&tail->starts);
    buf_free(&tail->copied);
    columns_maker_free(&tail->columns);
    free(tail);
}

/* Keeps the tail for the next group. Only a few are kept, because each may own much memory. */
static void tail_spare(struct state *st, struct tail *tail)
{
    if (st->n_spare_tails == SPARE_TAILS_MAX) {
        tail_free(tail);
        return;
    }
    buf_reset(&tail->record, TAIL_KEEP_BYTES);
    buf_reset(&tail->starts, TAIL_KEEP_BYTES);
    buf_reset(&tail->copied, TAIL_KEEP_BYTES);
    columns_maker_reset(&tail->columns, TAIL_KEEP_BYTES);
    tail->next = st->spare_tails;
    st->spare_tails = tail;
    st->n_spare_tails++;
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
    tail->apart = slice_of(NULL, 0);
    tail->flags = 0;
    tail->expires_least = INT64_MAX;
    tail->expires_most = INT64_MIN;
    tail->next = NULL;
    struct queue *q = &t->queues[queue];
    queue_freshen(st, q);
    record_begin(&tail->record);
    *st->open_tails_end = tail;
    st->open_tails_end = &tail->next;
    q->tail = tail;
    return tail;
}

struct record_info tail_info(const struct state *st, const struct tail *tail)
{
    uint32_t bytes = (uint32_t)(tail->record.len + tail->apart.len + tail->count * sizeof(uint32_t));
    return (struct record_info){.base = tail->base,
                                .index = st->group_index,
                                .first_seq = tail->first_seq,
                                .last_seq = tail->last_seq,
                                .total = tail->topic->queues[tail->queue].total + bytes,
                                .stored_ms = st->now_ms,
                                .expires_least = tail->expires_least,
                                .expires_most = tail->expires_most,
                                .count = tail->count,
                                .bytes = bytes,
                                .flags = tail->flags,
                                .columns = tail->columns.columns,
                                .classes = columns_made_classes(&tail->columns, tail->count)};
}

/* The row of a record with its columns. It is good until columns are asked for. */
static struct slice tail_whole_row(struct state *st, struct slice head, uint32_t count, struct columns_maker *columns)
{
    struct buf *row = &st->columns.apart.row;
    st->columns.apart.count = 0;
    buf_reset(row, TAIL_KEEP_BYTES);
    buf_put_slice(row, head);
    columns_encode(columns, count, row);
    st->sick = st->sick || row->failed;
    return buf_slice(row);
}

/* Puts the row of a record that was put, and remembers its place, and its columns: POP may ask for them before the group is
 * written. */
static void tail_put_place(struct state *st, struct topic *t, uint32_t queue, const struct record_info *info,
                           struct columns_maker *columns)
{
    struct queue *q = &t->queues[queue];
    uint8_t head[DIRECTORY_ROW_MAX];
    struct slice row = slice_of(head, directory_encode(info, head));
    struct key key = key_directory(t->id, queue, info->base);
    if (info->classes)
        queue_put_classes(st, t, queue, info, columns->ranked);
    if (info->columns) {
        row = tail_whole_row(st, row, info->count, columns);
        log_columns_put(st, &key, row);
    }
    core_put(st, &key, row);
    q->total = info->total;
    queue_remember(st, q, info);
    keep_appended(st, t, info);
}

/* The message that was just added has a body that the log may have already (kv_parts.h). Where this is not remembered, the
 * log gets it once more. */
static void tail_note_copied(struct state *st, struct tail *tail, struct slice body)
{
    const struct kv_copied copied = {.at = tail->record.len - body.len, .bytes = body};
    if (body.len >= COPIED_LEAST && kv_parts(st->kv)->n && !tail->record.failed)
        buf_put(&tail->copied, &copied, sizeof copied);
}

static void tail_put_record(struct state *st, struct tail *tail)
{
    struct key key = key_log(tail->topic->id, tail->queue, tail->base);
    const struct slice parts[] = {buf_slice(&tail->record), tail->apart, buf_slice(&tail->starts)};
    enum kv_family family = records_family(tail->topic->compress);
    const struct kv_copied *copied = (const struct kv_copied *)(const void *)tail->copied.data;
    if (tail->apart.len && st->source)
        kv_put_stored(st->kv, family, key_slice(&key), parts, st->source);
    else
        kv_put_parts(st->kv, family, key_slice(&key), parts, tail->apart.len ? 3 : 1);
    if (tail->copied.len && !tail->copied.failed)
        kv_parts_copied(kv_parts(st->kv), tail->record.len, copied, tail->copied.len / sizeof *copied);
}

/* Turns a tail into a record. If memory runs out the state is sick, because its messages have been answered already. */
static void tail_close(struct state *st, struct tail *tail)
{
    struct record_header h = {.flags = tail->flags,
                              .count = tail->count,
                              .base = tail->base,
                              .index = st->group_index,
                              .stored_ms = st->now_ms};
    struct queue *q = &tail->topic->queues[tail->queue];
    struct record_info info = tail_info(st, tail);
    if (tail->apart.len)
        record_end_apart(&tail->record, &tail->starts, tail->apart, &h);
    else
        record_end(&tail->record, &tail->starts, &h);
    if (tail->record.failed || tail->starts.failed || !columns_whole(&tail->columns))
        st->sick = true;
    if (!st->sick) {
        tail_put_record(st, tail);
        tail_put_place(st, tail->topic, tail->queue, &info, &tail->columns);
    }
    q->tail = NULL;
}

/* Closes the tails of the topic, or all of them (t NULL); or, where `only` is given, that one. */
static void tail_close_some(struct state *st, const struct topic *t, const struct tail *only)
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

void tail_flush(struct state *st, const struct topic *t)
{
    tail_close_some(st, t, NULL);
}

/* The tail to append to. A full one is closed before the group's end, and a large message gets one of its own. NULL: no
 * memory. */
static struct tail *tail_for(struct state *st, struct topic *t, uint32_t queue, bool apart)
{
    struct tail *tail = t->queues[queue].tail;
    if (tail && (apart || tail->record.len >= RECORD_BYTES_MAX || tail->count >= RECORD_COUNT_MAX)) {
        tail_close_some(st, t, tail);
        tail = NULL;
    }
    if (st->sick)
        return NULL;
    return tail ? tail : tail_open(st, t, queue);
}

static void tail_index(struct state *st, int64_t now_ms, struct topic *t, uint32_t queue,
                       const struct message *m, uint64_t offset)
{
    for (uint32_t i = 0; i < m->n_keys; i++) {
        struct key key = key_index(t->id, text_hash(m->keys[i]), now_ms, queue, offset);
        core_put(st, &key, slice_of(NULL, 0));
    }
    if (!(m->fields & MSG_TTL))
        return;
    uint8_t ms[8];
    for (unsigned i = 0; i < 8; i++)
        ms[i] = (uint8_t)((uint64_t)m->expires_ms >> (8 * i));
    struct key key = key_expiry(t->id, queue, offset);
    struct slice value = slice_of(ms, sizeof(ms));
    /* An expiry that has passed already is looked up within this group, so it goes into the overlay. */
    if (m->expires_ms <= now_ms)
        overlay_put(&st->overlay, &key, value);
    else
        core_put(st, &key, value);
}

/* Marks the topic when its first message with a TTL comes, so that expiries of other topics are never looked up. */
static void tail_mark_ttl(struct state *st, struct topic *t)
{
    if (t->flags & TOPIC_HAS_TTL)
        return;
    t->flags |= TOPIC_HAS_TTL;
    topic_save(st, t);
}

/* The topic has messages of these classes from now on (bit c: PRIORITY c). */
static void tail_mark_classes(struct state *st, struct topic *t, uint16_t classes)
{
    classes &= (uint16_t)~CLASS_DEFAULT_BIT;
    if ((t->classes & classes) == classes)
        return;
    t->classes |= classes;
    topic_save(st, t);
}

/* Takes a message into the times at which those of a record expire: the first one, and the last one (INT64_MAX: some
 * never do). */
static void tail_expires(const struct message *m, int64_t now_ms, int64_t *least, int64_t *most)
{
    int64_t expires = INT64_MAX;
    if (m->fields & MSG_TTL)
        expires = m->expires_ms > now_ms ? m->expires_ms : now_ms;
    *least = expires < *least ? expires : *least;
    *most = expires > *most ? expires : *most;
}

enum status tail_append(struct state *st, int64_t now_ms, struct topic *t, uint32_t queue,
                        struct message *m, uint64_t *ret_offset)
{
    bool apart = m->body.len >= (size_t)TAIL_APART_BYTES;
    struct tail *tail = tail_for(st, t, queue, apart);
    if (!tail)
        return ST_NOMEM;
    m->seq = st->seq++;
    tail->last_seq = m->seq;
    tail->apart = apart ? m->body : tail->apart;
    if (apart) {
        record_add_apart(&tail->record, &tail->starts, m, now_ms);
    } else {
        record_add(&tail->record, &tail->starts, m, now_ms);
        tail_note_copied(st, tail, m->body);
    }
    if (tail->record.failed || tail->starts.failed) {
        st->sick = true;
        return ST_NOMEM;
    }
    columns_add(&tail->columns, tail->count, m);
    if (m->fields & MSG_PRIORITY)
        tail_mark_classes(st, t, (uint16_t)(1U << m->priority));
    tail->count++;
    uint64_t offset = t->queues[queue].end++;
    tail_expires(m, now_ms, &tail->expires_least, &tail->expires_most);
    if (m->fields & MSG_TTL) {
        tail->flags |= RECORD_TTL;
        tail_mark_ttl(st, t);
    }
    if (m->fields & MSG_TXN)
        tail->flags |= RECORD_TXN;
    if (m->n_keys || (m->fields & MSG_TTL))
        tail_index(st, now_ms, t, queue, m, offset);
    st->group_bytes += m->body.len + 64;
    st->tally.messages_in++;
    st->tally.bytes_in += m->body.len;
    core_news(st, &t->news, 1);
    *ret_offset = offset;
    if (apart)
        tail_close_some(st, t, tail); /* while its body is where it is */
    return st->sick ? ST_NOMEM : ST_OK;
}

/* Puts the rows of KEYs and expiries of a batch. Fills in when its messages expire, and what they have in columns. */
static enum status tail_index_batch(struct state *st, int64_t now_ms, struct topic *t, uint32_t queue,
                                    struct slice batch, struct record_info *info)
{
    struct columns_maker *columns = log_columns_maker(st);
    info->expires_most = INT64_MIN;
    struct record_header h;
    enum status s = record_header_read(batch, &h);
    for (uint32_t i = 0; i < h.count && s == ST_OK; i++) {
        struct message m;
        s = message_decode(record_bytes(batch, &h, i), now_ms, &m);
        if (s != ST_OK)
            break;
        tail_index(st, now_ms, t, queue, &m, info->base + i);
        tail_expires(&m, now_ms, &info->expires_least, &info->expires_most);
        columns_add(columns, i, &m);
    }
    info->columns = columns->columns;
    info->classes = columns_made_classes(columns, info->count);
    return columns_whole(columns) ? s : ST_NOMEM;
}

/* Stores the batch as a record: a header of ours, and its bytes behind it. */
static void tail_put_batch(struct state *st, struct topic *t, uint32_t queue, struct slice batch,
                           const struct record_info *info)
{
    struct slice behind =
        slice_of(batch.data + RECORD_HEADER_BYTES, batch.len - RECORD_HEADER_BYTES);
    struct record_header h = {.flags = info->flags,
                              .count = info->count,
                              .bytes = (uint32_t)(behind.len - info->count * 4UL),
                              .base = info->base,
                              .index = info->index,
                              .stored_ms = info->stored_ms,
                              .seq = info->first_seq};
    uint8_t head[RECORD_HEADER_BYTES];
    record_head(&h, behind, head);
    struct key key = key_log(t->id, queue, info->base);
    const struct slice parts[] = {slice_of(head, sizeof(head)), behind};
    kv_put_parts(st->kv, records_family(t->compress), key_slice(&key), parts, 2);
    tail_put_place(st, t, queue, info, &st->columns.maker);
}

enum status tail_append_batch(struct state *st, int64_t now_ms, struct topic *t, uint32_t queue,
                              struct slice batch, const struct batch_facts *facts,
                              uint64_t *ret_base)
{
    struct queue *q = &t->queues[queue];
    if (q->tail)
        tail_close_some(st, t, q->tail);
    if (st->sick)
        return ST_NOMEM;
    queue_freshen(st, q);
    struct record_info info = {.base = q->end,
                               .index = st->group_index,
                               .first_seq = st->seq,
                               .last_seq = st->seq + facts->count - 1,
                               .total = q->total + batch.len,
                               .stored_ms = now_ms,
                               .expires_least = INT64_MAX,
                               .expires_most = INT64_MAX,
                               .count = facts->count,
                               .bytes = (uint32_t)batch.len,
                               .flags = facts->fields & MSG_TTL ? RECORD_TTL : 0};
    if (facts->fields & TAIL_INDEXED && tail_index_batch(st, now_ms, t, queue, batch, &info) != ST_OK) {
        st->sick = true; /* no memory: command parsing has checked the batch */
        return ST_NOMEM;
    }
    tail_mark_classes(st, t, info.classes);
    tail_put_batch(st, t, queue, batch, &info);
    q->end += facts->count;
    st->seq += facts->count;
    if (facts->fields & MSG_TTL)
        tail_mark_ttl(st, t);
    if (t->rr != t->rr_saved)
        topic_save(st, t);
    st->group_bytes += batch.len;
    st->tally.messages_in += facts->count;
    st->tally.bytes_in += facts->body_bytes;
    core_news(st, &t->news, facts->count);
    *ret_base = info.base;
    return ST_OK;
}

enum status tail_read(const struct tail *tail, uint64_t offset, int64_t now_ms, struct buf *hold,
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

void tail_free_all(struct tail *tail)
{
    while (tail) {
        struct tail *next = tail->next;
        tail_free(tail);
        tail = next;
    }
}
