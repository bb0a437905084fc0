/*
 * rows.c: values of the STATE family. Numbers are varints unless their size never varies; times are
 * varints too, they are never negative. A decoder reads all fields, then asks the cursor once whether
 * all of them were there, then checks that the fields agree with each other.
 */
#include "storage/disk/rows.h"

#define ROW_VERSION 1

static struct cursor row_open_version(struct slice bytes, uint8_t version)
{
    struct cursor c = cursor_of(bytes);
    if (cursor_u8(&c) != version)
        c.bad = true;
    return c;
}

static struct cursor row_open(struct slice bytes)
{
    return row_open_version(bytes, ROW_VERSION);
}

static enum status row_close(const struct cursor *c)
{
    return c->bad || cursor_left(c) != 0 ? ST_BAD : ST_OK;
}

static void rows_put_time(struct buf *b, int64_t ms)
{
    assert(ms >= 0);
    buf_put_varint(b, (uint64_t)ms);
}

static uint8_t *rows_write_time(uint8_t *at, int64_t ms)
{
    assert(ms >= 0);
    return write_varint(at, (uint64_t)ms);
}

static int64_t rows_get_time(struct cursor *c)
{
    uint64_t v = cursor_varint(c);
    if (v > INT64_MAX)
        c->bad = true;
    return c->bad ? 0 : (int64_t)v;
}

static uint32_t rows_get_u32(struct cursor *c, uint32_t max)
{
    uint64_t v = cursor_varint(c);
    if (v > max)
        c->bad = true;
    return c->bad ? 0 : (uint32_t)v;
}

void meta_encode(struct buf *b, const struct meta_row *r)
{
    buf_put_u8(b, META_VERSION);
    buf_put_u64(b, r->index);
    rows_put_time(b, r->now_ms);
    buf_put_u64(b, r->last_id);
    buf_put_u64(b, r->next_ref);
    buf_put_varint(b, r->pending);
    buf_put_varint(b, r->parked);
    buf_put_varint(b, r->topics);
    buf_put_varint(b, r->groups);
    buf_put_u64(b, r->young);
    buf_put_varint(b, r->delayed);
    buf_put_varint(b, r->pgroups);
    buf_put_varint(b, r->first_offset);
    buf_put_varint(b, r->holders);
    if (r->hidden_to) {
        buf_put_u64(b, r->hidden_from);
        buf_put_u64(b, r->hidden_to);
    }
}

enum status meta_decode(struct slice bytes, struct meta_row *ret_r)
{
    struct cursor c = row_open_version(bytes, META_VERSION);
    struct meta_row r = {.index = cursor_u64(&c)};
    r.now_ms = rows_get_time(&c);
    r.last_id = cursor_u64(&c);
    r.next_ref = cursor_u64(&c);
    r.pending = cursor_varint(&c);
    r.parked = cursor_varint(&c);
    r.topics = cursor_varint(&c);
    r.groups = cursor_varint(&c);
    r.young = cursor_u64(&c);
    r.delayed = cursor_varint(&c);
    r.pgroups = cursor_varint(&c);
    r.first_offset = cursor_varint(&c);
    r.holders = cursor_varint(&c);
    if (cursor_left(&c) > 0) {
        r.hidden_from = cursor_u64(&c);
        r.hidden_to = cursor_u64(&c);
    }
    if (row_close(&c) != ST_OK)
        return ST_BAD;
    *ret_r = r;
    return ST_OK;
}

bool meta_hides(const struct meta_row *r, uint64_t txid)
{
    return txid >= r->hidden_from && txid <= r->hidden_to;
}

bool meta_young_counts(const struct meta_row *r, uint64_t txid)
{
    return txid >= r->young || meta_hides(r, txid);
}

/* The compression is part of a topic's flags, so that rows that are older than compression mean none. */
#define COMPRESS_SHIFT 1
#define COMPRESS_MASK (UINT32_C(3) << COMPRESS_SHIFT)

void topic_encode(struct buf *b, const struct topic_row *r)
{
    buf_put_u8(b, ROW_VERSION);
    buf_put_u64(b, r->id);
    buf_put_varint(b, r->flags | (uint32_t)r->compress << COMPRESS_SHIFT);
    buf_put_varint(b, r->n_queues);
    buf_put_varint(b, r->order_queues);
    buf_put_varint(b, r->turn);
    rows_put_time(b, r->created_ms);
    buf_put_varint(b, r->delayed);
    buf_put_varint(b, r->purges);
    rows_put_time(b, r->retention_ms);
    buf_put_varint(b, r->max_bytes);
    rows_put_time(b, r->cut_ms);
    buf_put_varint(b, r->classes);
    if (r->flags & TOPIC_HAS_REMOVED)
        buf_put_varint(b, r->removed);
    for (uint32_t q = 0; q < r->n_queues; q++)
        buf_put_varint(b, r->floor[q]);
}

enum status topic_decode(struct slice bytes, struct topic_row *ret_r)
{
    struct cursor c = row_open(bytes);
    ret_r->id = cursor_u64(&c);
    uint32_t flags = rows_get_u32(&c, UINT32_MAX), compress = (flags & COMPRESS_MASK) >> COMPRESS_SHIFT;
    ret_r->flags = flags & ~COMPRESS_MASK;
    ret_r->compress = (enum compress)compress;
    ret_r->n_queues = rows_get_u32(&c, QUEUES_MAX);
    ret_r->order_queues = rows_get_u32(&c, QUEUES_MAX);
    ret_r->turn = rows_get_u32(&c, QUEUES_MAX);
    ret_r->created_ms = rows_get_time(&c);
    ret_r->delayed = cursor_varint(&c);
    ret_r->purges = cursor_varint(&c);
    ret_r->retention_ms = rows_get_time(&c);
    ret_r->max_bytes = cursor_varint(&c);
    ret_r->cut_ms = rows_get_time(&c);
    ret_r->classes = (uint16_t)rows_get_u32(&c, UINT16_MAX);
    ret_r->removed = ret_r->flags & TOPIC_HAS_REMOVED ? cursor_varint(&c) : 0;
    for (uint32_t q = 0; q < ret_r->n_queues; q++)
        ret_r->floor[q] = cursor_varint(&c);
    if (ret_r->order_queues > ret_r->n_queues || ret_r->order_queues == 0 ||
        ret_r->turn >= ret_r->n_queues || compress > COMPRESS_ZSTD)
        return ST_BAD;
    return row_close(&c);
}

void group_encode(struct buf *b, const struct group_row *r)
{
    buf_put_u8(b, ROW_VERSION);
    buf_put_u64(b, r->id);
    buf_put_u64(b, r->topic_id);
    rows_put_time(b, r->created_ms);
    rows_put_time(b, r->lease_ms);
    buf_put_varint(b, r->attempts);
    buf_put_varint(b, r->n_backoff);
    for (uint32_t i = 0; i < r->n_backoff; i++)
        rows_put_time(b, r->backoff_ms[i]);
    buf_put_varint(b, r->attempt_base);
    buf_put_varint(b, r->flags);
    buf_put_varint(b, r->rate);
    rows_put_time(b, r->rate_ms);
    buf_put_varint(b, r->inflight);
    buf_put_varint(b, r->pause_ref);
    buf_put_varint(b, r->filter_kind);
    buf_put_varint(b, r->filter_ref);
    if (r->filter_kind != FILTER_NONE)
        buf_put_sized(b, r->filter);
}

enum status group_decode(struct slice bytes, struct group_row *ret_r)
{
    struct cursor c = row_open(bytes);
    ret_r->id = cursor_u64(&c);
    ret_r->topic_id = cursor_u64(&c);
    ret_r->created_ms = rows_get_time(&c);
    ret_r->lease_ms = rows_get_time(&c);
    ret_r->attempts = rows_get_u32(&c, ATTEMPTS_MAX);
    ret_r->n_backoff = rows_get_u32(&c, BACKOFF_STEPS_MAX);
    for (uint32_t i = 0; i < ret_r->n_backoff; i++)
        ret_r->backoff_ms[i] = rows_get_time(&c);
    ret_r->attempt_base = rows_get_u32(&c, UINT32_MAX);
    ret_r->flags = rows_get_u32(&c, GROUP_FLAGS);
    ret_r->rate = rows_get_u32(&c, UINT32_MAX);
    ret_r->rate_ms = rows_get_time(&c);
    ret_r->inflight = rows_get_u32(&c, UINT32_MAX);
    ret_r->pause_ref = cursor_varint(&c);
    ret_r->filter_kind = (enum filter_kind)rows_get_u32(&c, FILTER_WHERE);
    ret_r->filter_ref = cursor_varint(&c);
    ret_r->filter = ret_r->filter_kind == FILTER_NONE ? slice_of(NULL, 0) : cursor_sized(&c);
    if (ret_r->filter.len > FILTER_BYTES_MAX)
        return ST_BAD;
    return row_close(&c);
}

enum { CGROUP_PAUSED = 1, CGROUP_HAS_RETRY = 2 };

void cgroup_encode(struct buf *b, const struct cgroup_row *r)
{
    buf_put_u8(b, ROW_VERSION);
    buf_put_varint(b, r->topics);
    buf_put_varint(b, r->below);
    buf_put_varint(b, r->pause_ref);
    buf_put_u8(b, (uint8_t)((r->paused ? CGROUP_PAUSED : 0) | (r->has_retry ? CGROUP_HAS_RETRY : 0)));
}

enum status cgroup_decode(struct slice bytes, struct cgroup_row *ret_r)
{
    struct cursor c = row_open(bytes);
    ret_r->topics = cursor_varint(&c);
    ret_r->below = cursor_varint(&c);
    ret_r->pause_ref = cursor_varint(&c);
    uint8_t flags = cursor_u8(&c);
    ret_r->paused = flags & CGROUP_PAUSED;
    ret_r->has_retry = flags & CGROUP_HAS_RETRY;
    c.bad = c.bad || flags > (CGROUP_PAUSED | CGROUP_HAS_RETRY);
    return row_close(&c);
}

void cursor_encode(struct buf *b, const struct cursor_row *r)
{
    buf_put_u8(b, ROW_VERSION);
    rows_put_time(b, r->timer_ms);
    buf_put_varint(b, r->attempt_top);
    buf_put_varint(b, r->purges);
    buf_put_varint(b, r->leased);
    buf_put_varint(b, r->leased_runs);
    buf_put_varint(b, r->waiting);
    buf_put_varint(b, r->waiting_runs);
    if (r->waiting_runs) {
        rows_put_time(b, r->first.due_ms);
        buf_put_varint(b, r->first.queue);
        buf_put_varint(b, r->first.base);
    }
    buf_put_varint(b, r->skipped);
    if (r->skipped)
        buf_put_varint(b, r->skipped_rows);
    rows_put_time(b, r->rate_free_us);
    buf_put_u8(b, r->sought);
    buf_put_varint(b, r->n_queues);
    for (uint32_t q = 0; q < r->n_queues; q++) {
        buf_put_varint(b, r->next[q]);
        if (r->leased_runs)
            buf_put_varint(b, r->back[q]);
        if (r->skipped)
            buf_put_varint(b, r->skipped_back[q]);
        if (r->sought) {
            buf_put_varint(b, r->again[q]);
            buf_put_varint(b, r->again_base[q]);
        }
    }
}

enum status cursor_decode(struct slice bytes, struct cursor_row *ret_r)
{
    struct cursor c = row_open(bytes);
    ret_r->timer_ms = rows_get_time(&c);
    ret_r->attempt_top = rows_get_u32(&c, UINT32_MAX);
    ret_r->purges = cursor_varint(&c);
    ret_r->leased = cursor_varint(&c);
    ret_r->leased_runs = cursor_varint(&c);
    ret_r->waiting = cursor_varint(&c);
    ret_r->waiting_runs = cursor_varint(&c);
    ret_r->first = (struct wait_place){0};
    if (ret_r->waiting_runs) {
        ret_r->first.due_ms = rows_get_time(&c);
        ret_r->first.queue = rows_get_u32(&c, QUEUES_MAX);
        ret_r->first.base = cursor_varint(&c);
    }
    ret_r->skipped = cursor_varint(&c);
    ret_r->skipped_rows = ret_r->skipped ? cursor_varint(&c) : 0;
    ret_r->rate_free_us = rows_get_time(&c);
    uint8_t sought = cursor_u8(&c);
    ret_r->sought = sought;
    c.bad = c.bad || sought > 1;
    ret_r->n_queues = rows_get_u32(&c, QUEUES_MAX);
    for (uint32_t q = 0; q < ret_r->n_queues; q++) {
        ret_r->next[q] = cursor_varint(&c);
        ret_r->back[q] = ret_r->leased_runs ? cursor_varint(&c) : 0;
        ret_r->skipped_back[q] = ret_r->skipped ? cursor_varint(&c) : 0;
        ret_r->again[q] = sought ? cursor_varint(&c) : 0;
        ret_r->again_base[q] = sought ? rows_get_u32(&c, UINT32_MAX) : 0;
        c.bad = c.bad || (ret_r->back[q] && ret_r->back[q] - 1 > ret_r->next[q]) ||
                (ret_r->skipped_back[q] && ret_r->skipped_back[q] - 1 > ret_r->next[q]);
    }
    if (ret_r->leased < ret_r->leased_runs || ret_r->waiting < ret_r->waiting_runs ||
        ret_r->skipped < ret_r->skipped_rows)
        return ST_BAD;
    return row_close(&c);
}

static uint32_t rows_run_words(uint32_t count)
{
    return (count + 63) / 64;
}

void run_encode(struct buf *b, const struct run_row *r)
{
    buf_put_u8(b, ROW_VERSION);
    buf_put_u8(b, (uint8_t)r->state);
    buf_put_varint(b, r->count);
    buf_put_varint(b, r->attempt);
    buf_put_varint(b, r->delivered);
    rows_put_time(b, r->due_ms);
    if (r->state == RUN_LEASED)
        buf_put_varint(b, r->holder);
    for (uint32_t i = 0; i < rows_run_words(r->count); i++)
        buf_put_u64(b, r->bits[i]);
}

enum status run_decode(struct slice bytes, struct run_row *ret_r)
{
    struct cursor c = row_open(bytes);
    uint8_t state = cursor_u8(&c);
    ret_r->count = rows_get_u32(&c, COUNT_MAX);
    ret_r->attempt = rows_get_u32(&c, UINT32_MAX);
    ret_r->delivered = rows_get_u32(&c, ret_r->attempt);
    ret_r->due_ms = rows_get_time(&c);
    ret_r->holder = state == RUN_LEASED ? cursor_varint(&c) : 0;
    for (uint32_t i = 0; i < rows_run_words(ret_r->count); i++)
        ret_r->bits[i] = cursor_u64(&c);
    if (ret_r->count == 0 || (state != RUN_LEASED && state != RUN_WAITING))
        return ST_BAD;
    ret_r->state = (enum run_state)state;
    return row_close(&c);
}

bool run_row_empty(const struct run_row *r)
{
    uint64_t any = 0;
    for (uint32_t i = 0; i < rows_run_words(r->count); i++) {
        bool last = i + 1 == rows_run_words(r->count);
        any |= last && r->count % 64 ? r->bits[i] & ((UINT64_C(1) << r->count % 64) - 1) : r->bits[i];
    }
    return any == 0;
}

/* Only the words that are not zero: where one key is held for long, its messages are far apart. */
void skip_encode(struct buf *b, const struct skip_row *r)
{
    uint32_t there = 0;
    for (uint32_t i = 0; i < SKIP_WORDS; i++)
        there |= (uint32_t)(r->bits[i] != 0) << i;
    buf_put_u8(b, ROW_VERSION);
    buf_put_varint(b, there);
    for (uint32_t i = 0; i < SKIP_WORDS; i++)
        if (r->bits[i])
            buf_put_u64(b, r->bits[i]);
}

enum status skip_decode(struct slice bytes, struct skip_row *ret_r)
{
    struct cursor c = row_open(bytes);
    uint32_t there = rows_get_u32(&c, (UINT32_C(1) << SKIP_WORDS) - 1);
    for (uint32_t i = 0; i < SKIP_WORDS; i++) {
        ret_r->bits[i] = (there >> i) & 1 ? cursor_u64(&c) : 0;
        c.bad = c.bad || ((there >> i) & 1 && ret_r->bits[i] == 0);
    }
    bool beyond = ret_r->bits[SKIP_WORDS - 1] >> (SKIP_SPAN % 64);
    return there == 0 || beyond ? ST_BAD : row_close(&c);
}

#define TXN_YOUNG 5       /* a state of the row: pending and young */
#define TXN_ANSWERED 0x80 /* with the state, in one byte */

#define TXN_FIXED (2 + 10 * VARINT_BYTES_MAX)

/* Most rows that are encoded are the two of a transaction, so room is made once for the whole row. */
void txn_encode(struct buf *b, const struct txn_row *r)
{
    assert(!r->young || r->state == TXN_PENDING);
    uint8_t state = r->young ? TXN_YOUNG : (uint8_t)r->state;
    uint8_t *begin = buf_room(b, TXN_FIXED + r->pgroup.len + r->outcome.len + r->first.len), *at = begin;
    if (!begin)
        return;
    *at++ = ROW_VERSION;
    *at++ = (uint8_t)(state | (r->answered ? TXN_ANSWERED : 0));
    at = write_sized(at, r->pgroup);
    at = rows_write_time(at, r->created_ms);
    at = rows_write_time(at, r->decided_ms);
    at = rows_write_time(at, r->next_check_ms);
    at = rows_write_time(at, r->timeout_ms);
    at = write_varint(at, r->checks);
    at = write_varint(at, r->n_messages);
    at = write_varint(at, r->bytes);
    at = write_sized(at, r->outcome);
    at = write_sized(at, r->first);
    buf_added(b, (size_t)(at - begin));
}

/* True where the outcome of a committed transaction is one id a message, and nothing else. */
static bool rows_txn_outcome_ok(const struct txn_row *r)
{
    struct cursor c = cursor_of(r->outcome);
    for (uint32_t i = 0; i < r->n_messages; i++)
        (void)cursor_sized(&c);
    return !c.bad && cursor_left(&c) == 0;
}

enum status txn_decode(struct slice bytes, struct txn_row *ret_r)
{
    struct cursor c = row_open(bytes);
    uint8_t state = cursor_u8(&c);
    ret_r->answered = state & TXN_ANSWERED;
    state &= (uint8_t)~TXN_ANSWERED;
    ret_r->pgroup = cursor_sized(&c);
    ret_r->created_ms = rows_get_time(&c);
    ret_r->decided_ms = rows_get_time(&c);
    ret_r->next_check_ms = rows_get_time(&c);
    ret_r->timeout_ms = rows_get_time(&c);
    ret_r->checks = rows_get_u32(&c, UINT32_MAX);
    ret_r->n_messages = rows_get_u32(&c, TXN_MESSAGES_MAX);
    ret_r->bytes = cursor_varint(&c);
    ret_r->outcome = cursor_sized(&c);
    ret_r->first = cursor_sized(&c);
    if (state < TXN_PENDING || state > TXN_YOUNG || ret_r->pgroup.len > NAME_BYTES_MAX)
        return ST_BAD;
    ret_r->young = state == TXN_YOUNG;
    ret_r->state = ret_r->young ? TXN_PENDING : (enum txn_state)state;
    if (ret_r->state == TXN_COMMITTED && !rows_txn_outcome_ok(ret_r))
        return ST_BAD;
    return row_close(&c);
}

void pgroup_encode(struct buf *b, const struct pgroup_row *r)
{
    buf_put_u8(b, ROW_VERSION);
    buf_put_varint(b, r->set);
    buf_put_sized(b, r->checkurl);
    buf_put_sized(b, r->secret);
    rows_put_time(b, r->checkin_ms);
    rows_put_time(b, r->check_every_ms);
    buf_put_varint(b, r->check_max);
    rows_put_time(b, r->timeout_ms);
}

enum status pgroup_decode(struct slice bytes, struct pgroup_row *ret_r)
{
    struct cursor c = row_open(bytes);
    ret_r->set = rows_get_u32(&c, 2 * PGROUP_TIMEOUT - 1);
    ret_r->checkurl = cursor_sized(&c);
    ret_r->secret = cursor_sized(&c);
    ret_r->checkin_ms = rows_get_time(&c);
    ret_r->check_every_ms = rows_get_time(&c);
    ret_r->check_max = rows_get_u32(&c, ATTEMPTS_MAX);
    ret_r->timeout_ms = rows_get_time(&c);
    if (ret_r->checkurl.len > URL_BYTES_MAX || ret_r->secret.len > SECRET_BYTES_MAX)
        return ST_BAD;
    return row_close(&c);
}

void pgroup_open_encode(struct buf *b, const struct pgroup_open_row *r)
{
    buf_put_u8(b, ROW_VERSION);
    buf_put_varint(b, r->pending);
    buf_put_varint(b, r->parked);
}

enum status pgroup_open_decode(struct slice bytes, struct pgroup_open_row *ret_r)
{
    struct cursor c = row_open(bytes);
    ret_r->pending = cursor_varint(&c);
    ret_r->parked = cursor_varint(&c);
    return row_close(&c);
}

#define HALF_FIXED (1 + 7 * VARINT_BYTES_MAX)

void half_encode(struct buf *b, const struct half_row *r)
{
    uint8_t *begin = buf_room(b, HALF_FIXED + r->topic.len + r->message.len), *at = begin;
    if (!begin)
        return;
    *at++ = ROW_VERSION;
    at = write_sized(at, r->topic);
    at = write_varint(at, r->has_queue ? (uint64_t)r->queue + 1 : 0);
    at = write_varint(at, r->ttl_ms >= 0 ? (uint64_t)r->ttl_ms + 1 : 0);
    at = rows_write_time(at, r->delay_ms);
    at = rows_write_time(at, r->at_ms);
    at = rows_write_time(at, r->base_ms);
    at = write_varint(at, r->message.len + r->body.len);
    if (r->message.len)
        memcpy(at, r->message.data, r->message.len);
    buf_added(b, (size_t)(at - begin) + r->message.len);
}

enum status half_decode(struct slice bytes, struct half_row *ret_r)
{
    struct cursor c = row_open(bytes);
    ret_r->topic = cursor_sized(&c);
    uint32_t queue = rows_get_u32(&c, QUEUES_MAX);
    int64_t ttl = rows_get_time(&c);
    ret_r->has_queue = queue > 0;
    ret_r->queue = queue ? queue - 1 : 0;
    ret_r->ttl_ms = ttl - 1;
    ret_r->delay_ms = rows_get_time(&c);
    ret_r->at_ms = rows_get_time(&c);
    ret_r->base_ms = rows_get_time(&c);
    ret_r->message = cursor_sized(&c);
    ret_r->body = slice_of(NULL, 0);
    if (ret_r->topic.len > NAME_BYTES_MAX)
        return ST_BAD;
    return row_close(&c);
}

void token_encode(struct buf *b, const struct token_row *r)
{
    buf_put_u8(b, ROW_VERSION);
    buf_put_u64(b, r->topic_id);
    rows_put_time(b, r->due_ms);
}

enum status token_decode(struct slice bytes, struct token_row *ret_r)
{
    struct cursor c = row_open(bytes);
    ret_r->topic_id = cursor_u64(&c);
    ret_r->due_ms = rows_get_time(&c);
    return row_close(&c);
}

void attempts_encode(struct buf *b, const struct attempts_row *r)
{
    buf_put_u8(b, ROW_VERSION);
    buf_put_varint(b, r->top);
}

enum status attempts_decode(struct slice bytes, struct attempts_row *ret_r)
{
    struct cursor c = row_open(bytes);
    ret_r->top = rows_get_u32(&c, UINT32_MAX);
    return row_close(&c);
}

void removed_encode(struct buf *b, const struct removed_row *r)
{
    buf_put_u8(b, ROW_VERSION);
    for (uint32_t i = 0; i < REMOVED_WORDS; i++)
        buf_put_u64(b, r->bits[i]);
}

enum status removed_decode(struct slice bytes, struct removed_row *ret_r)
{
    struct cursor c = row_open(bytes);
    for (uint32_t i = 0; i < REMOVED_WORDS; i++)
        ret_r->bits[i] = cursor_u64(&c);
    return row_close(&c);
}

void class_encode(struct buf *b, const struct class_row *r)
{
    buf_put_u8(b, ROW_VERSION);
    buf_put_varint(b, r->before);
    buf_put_varint(b, r->count);
}

enum status class_decode(struct slice bytes, struct class_row *ret_r)
{
    struct cursor c = row_open(bytes);
    ret_r->before = cursor_varint(&c);
    ret_r->count = rows_get_u32(&c, UINT16_MAX);
    return ret_r->count ? row_close(&c) : ST_BAD;
}

void class_cursor_encode(struct buf *b, const struct class_cursor_row *r)
{
    buf_put_u8(b, ROW_VERSION);
    buf_put_varint(b, r->n_queues);
    for (uint32_t q = 0; q < r->n_queues; q++)
        buf_put_varint(b, r->next[q]);
}

enum status class_cursor_decode(struct slice bytes, struct class_cursor_row *ret_r)
{
    struct cursor c = row_open(bytes);
    ret_r->n_queues = rows_get_u32(&c, QUEUES_MAX);
    for (uint32_t q = 0; q < ret_r->n_queues; q++)
        ret_r->next[q] = cursor_varint(&c);
    return row_close(&c);
}

void timer_encode(struct buf *b, const struct timer_row *r)
{
    buf_put_u8(b, ROW_VERSION);
    buf_put_varint(b, r->postponed);
    rows_put_time(b, r->first_ms);
}

enum status timer_decode(struct slice bytes, struct timer_row *ret_r)
{
    struct cursor c = row_open(bytes);
    ret_r->postponed = rows_get_u32(&c, UINT32_MAX);
    ret_r->first_ms = rows_get_time(&c);
    return row_close(&c);
}

void dedup_encode(struct buf *b, const struct dedup_row *r)
{
    buf_put_u8(b, ROW_VERSION);
    rows_put_time(b, r->expires_ms);
    buf_put_sized(b, r->answer);
}

enum status dedup_decode(struct slice bytes, struct dedup_row *ret_r)
{
    struct cursor c = row_open(bytes);
    ret_r->expires_ms = rows_get_time(&c);
    ret_r->answer = cursor_sized(&c);
    return row_close(&c);
}

void dedup_half_encode(struct buf *b, const struct dedup_half_row *r)
{
    buf_put_u8(b, ROW_VERSION);
    rows_put_time(b, r->expires_ms);
    buf_put_u64(b, r->txid);
    buf_put_u64(b, r->topic_id);
}

enum status dedup_half_decode(struct slice bytes, struct dedup_half_row *ret_r)
{
    struct cursor c = row_open(bytes);
    ret_r->expires_ms = rows_get_time(&c);
    ret_r->txid = cursor_u64(&c);
    ret_r->topic_id = cursor_u64(&c);
    return row_close(&c);
}
