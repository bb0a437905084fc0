/*
 * check_topic.c: topic after topic, queue after queue: rows B in a row, a record for each; its messages; what belongs to these.
 *
 *   rows B     base 0, count 3 │ base 3, count 1 │ base 4 ...        no gap, `total` adds up, ages do not go down
 *   records    the same places, the same counts and times             and none beside
 *   messages   each is decoded; KEYs have rows I, TTLs rows E; then these rows are counted: there are no others
 *
 * A gap is none behind a salvage: that leaves offsets out, and says so in the next message (storage/salvage.h).
 */
#include "storage/check/check_topic.h"

#include "protocol/base/text.h"
#include "storage/check/check_message.h"
#include "storage/check/check_timer.h"

/* The messages first..last of the queue are not there, or not sound. */
static void check_topic_lost(struct check_queue *q, uint64_t first, uint64_t last, const char *why)
{
    char name[CHECK_QUOTED];
    q->hurt = true;
    check_say(q->c, "messages %s:%u:%llu-%llu %s", check_quote(q->name, name), q->queue, (unsigned long long)first,
              (unsigned long long)last, why);
}

/* Does the record begin with the message that a salvage leaves? */
static bool check_topic_is_salvage(struct slice record, const struct record_header *h)
{
    struct message m;
    static const char words[] = "salvaged: ";
    return record_message(record, h, 0, &m) == ST_OK && m.body.len > sizeof words &&
           memcmp(m.body.data, words, sizeof words - 1) == 0;
}

/* The row of the directory against the one before it. record: NULL where it cannot be read. */
static void check_topic_chain(struct check_queue *q, const struct record_info *info, struct slice record,
                        const struct record_header *h)
{
    uint64_t end = info->base + info->count;
    bool salvage = h && check_topic_is_salvage(record, h);
    if (q->end > info->base) {
        check_topic_lost(q, info->base, end - 1, "overlap those before them");
    } else if (q->end < info->base && !salvage && (q->seen || q->end >= q->floor)) {
        uint64_t from = q->end > q->floor ? q->end : q->floor;
        if (from < info->base)
            check_topic_lost(q, from, info->base - 1, "are missing");
    } else if (q->seen && q->total_known && info->total && q->total + info->bytes != info->total) {
        check_topic_lost(q, info->base, end - 1, "have a row of the directory whose sum of bytes does not go on");
    }
    if (q->seen && (info->index < q->index || info->stored_ms < q->stored_ms))
        check_topic_lost(q, info->base, end - 1, "are older than those before them");
    q->total_known = info->total != 0;
    q->total = info->total;
    q->index = info->index;
    q->stored_ms = info->stored_ms;
    q->seen = true;
    q->end = end;
}

/* What the directory says of a record against what it is. */
static bool check_topic_same(const struct record_info *a, const struct record_info *b)
{
    return a->base == b->base && a->count == b->count && a->index == b->index && a->stored_ms == b->stored_ms &&
           a->bytes == b->bytes && a->flags == b->flags && a->expires_least == b->expires_least &&
           a->expires_most == b->expires_most;
}

static void check_topic_record(struct check_queue *q, const struct record_info *info, struct slice row, struct slice record)
{
    struct record_header h;
    struct record_info own;
    uint64_t last = info->base + info->count - 1;
    q->c->sums.records++;
    check_read(q->c, record.len);
    if (record_verify(record, &h) != ST_OK || directory_of_record(record, &own) != ST_OK) {
        check_topic_lost(q, info->base, last, "are damaged: their checksum does not match");
        check_topic_chain(q, info, record, NULL);
        return;
    }
    check_topic_chain(q, info, record, &h);
    if (!check_topic_same(info, &own))
        check_topic_lost(q, info->base, last, "are not what the directory says of them");
    else
        check_messages(q, info, row, record, &h);
}

/* Reads the record of a row; those before it that no row names are damage. */
static void check_topic_row_of(struct check_queue *q, struct kv_iter *records, struct slice key, struct slice row)
{
    struct record_info info;
    struct record_header h = {0};
    uint64_t base = key_read_u64(key.data + DIRECTORY_KEY_BYTES - 8);
    if (directory_decode(base, row, &info) != ST_OK) { /* the first pass has told it */
        q->hurt = true;
        return;
    }
    struct key at = key_log(q->topic->id, q->queue, q->end > q->floor ? q->end : 0);
    if (!q->seen)
        kv_iter_seek(records, key_slice(&at));
    enum status s = records_header(records, &h);
    while (s == ST_OK && h.base < info.base) {
        check_topic_lost(q, h.base, h.base + h.count - 1, "have no row in the directory");
        kv_iter_next(records);
        s = records_header(records, &h);
    }
    if (s == ST_OK && h.base == info.base) {
        check_topic_record(q, &info, row, kv_iter_value(records));
        kv_iter_next(records);
        return;
    }
    if (s == ST_IO || s == ST_NOMEM) {
        q->c->failed = s;
        return;
    }
    check_topic_lost(q, info.base, info.base + info.count - 1,
               s == ST_DAMAGED ? "are damaged: they cannot be read" : "are missing: the directory has a row of them");
    check_topic_chain(q, &info, slice_of(NULL, 0), NULL);
    at = key_log(q->topic->id, q->queue, info.base + info.count);
    if (s == ST_DAMAGED)
        kv_iter_seek(records, key_slice(&at)); /* nobody goes on by itself behind what cannot be read */
}

static void check_topic_one_queue(struct check_queue *q)
{
    struct slice key, value;
    struct key prefix = key_of_id('B', q->topic->id);
    key_u32(&prefix, q->queue);
    struct kv_iter *rows = check_rows(q->c, &prefix);
    struct kv_iter *records = records_iter(q->c->kv, NULL, q->topic->compress, q->topic->id, q->queue);
    if (!records) {
        q->c->failed = ST_NOMEM;
        kv_iter_free(rows);
        return;
    }
    for (; check_row(q->c, rows, &key, &value); kv_iter_next(rows))
        check_topic_row_of(q, records, key, value);
    q->hurt = !check_rows_end(q->c, rows) || q->hurt;
    struct record_header h;
    if (!q->seen) {
        struct key at = key_log(q->topic->id, q->queue, 0);
        kv_iter_seek(records, key_slice(&at));
    }
    for (enum status s = records_header(records, &h); !q->hurt && s == ST_OK; s = records_header(records, &h)) {
        check_topic_lost(q, h.base, h.base + h.count - 1, "have no row in the directory");
        kv_iter_next(records);
    }
    kv_iter_free(records);
    if (q->end < q->floor)
        q->end = q->floor;
}

/* ---- the rows of a topic ---- */

/* Rows E: as many as messages with a TTL have been seen. */
static void check_topic_expiries(struct check_topic *t)
{
    struct slice key, value;
    struct key prefix = key_of_id('E', t->row->id);
    uint64_t n = 0;
    struct kv_iter *it = check_rows(t->c, &prefix);
    for (; check_row(t->c, it, &key, &value); kv_iter_next(it))
        n += key.len == 21 && check_topic_keeps(t, key_read_u32(key.data + 9), key_read_u64(key.data + 13));
    bool read = check_rows_end(t->c, it);
    if (read && !t->hurt && n != t->expiries)
        check_say(t->c, "topic %s has %llu rows of expiries and %llu messages with a TTL", t->quoted, (unsigned long long)n,
                  (unsigned long long)t->expiries);
}

static void check_topic_keys(struct check_topic *t)
{
    struct slice key, value;
    struct key prefix = key_of_id('I', t->row->id);
    uint64_t n = 0;
    struct kv_iter *it = check_rows(t->c, &prefix);
    for (; check_row(t->c, it, &key, &value); kv_iter_next(it))
        n += key.len == 37 && check_topic_keeps(t, key_read_u32(key.data + 25), key_read_u64(key.data + 29));
    bool read = check_rows_end(t->c, it);
    if (read && !t->hurt && n != t->keys)
        check_say(t->c, "topic %s has %llu rows of its index of keys and %llu messages with a KEY that it stands for", t->quoted,
                  (unsigned long long)n, (unsigned long long)t->keys);
}

static void check_topic_removed(struct check_topic *t)
{
    struct slice key, value;
    struct removed_row row;
    struct key prefix = key_of_id('d', t->row->id);
    uint64_t n = 0;
    struct kv_iter *it = check_rows(t->c, &prefix);
    for (; check_row(t->c, it, &key, &value); kv_iter_next(it)) {
        if (key.len != 21 || removed_decode(value, &row) != ST_OK)
            continue;
        uint32_t queue = key_read_u32(key.data + 9);
        uint64_t base = key_read_u64(key.data + 13) * REMOVED_BITS;
        for (uint32_t i = 0; queue < t->row->n_queues && i < REMOVED_BITS; i++)
            n += (row.bits[i / 64] >> (i % 64) & 1) && base + i >= t->row->floor[queue];
    }
    if (check_rows_end(t->c, it) && t->row->flags & TOPIC_HAS_REMOVED && n != t->row->removed)
        check_say(t->c, "topic %s counts %llu removed messages, and has %llu", t->quoted,
                  (unsigned long long)t->row->removed, (unsigned long long)n);
}

static bool check_topic_reminds(struct check_topic *t, int64_t due_ms, uint64_t token)
{
    struct key what = {.len = 0};
    key_u64(&what, t->row->id);
    key_u64(&what, token);
    return check_timer_has(t->c, TIMER_DELAY, due_ms, key_slice(&what));
}

/* A delayed message has its row L, a row N that leads there, and a timer. */
static void check_topic_delayed(struct check_topic *t)
{
    struct slice key, value;
    struct token_row row;
    struct key prefix = key_of_id('L', t->row->id);
    uint64_t n = 0;
    struct kv_iter *it = check_rows(t->c, &prefix);
    for (; check_row(t->c, it, &key, &value); kv_iter_next(it)) {
        uint64_t token = key.len == 25 ? key_read_u64(key.data + 17) : 0;
        struct key at = key_token(token);
        n++;
        if (!check_has(t->c, &at) || (token_decode(buf_slice(&t->c->value), &row) == ST_OK &&
                                      (row.topic_id != t->row->id || (uint64_t)row.due_ms != key_read_u64(key.data + 9))))
            check_say(t->c, "topic %s: the delayed message @%llu has no row that leads to it", t->quoted,
                      (unsigned long long)token);
        if (key.len == 25 && !check_topic_reminds(t, (int64_t)key_read_u64(key.data + 9), token))
            check_say(t->c, "topic %s: the delayed message @%llu has no timer", t->quoted, (unsigned long long)token);
    }
    t->c->sums.delayed += n;
    if (check_rows_end(t->c, it) && n != t->row->delayed)
        check_say(t->c, "topic %s counts %llu delayed messages, and has %llu", t->quoted, (unsigned long long)t->row->delayed,
                  (unsigned long long)n);
}

/* When its oldest messages are to be deleted, a timer says so. */
static void check_topic_cut(struct check_topic *t)
{
    struct key what = {.len = 0};
    key_u64(&what, t->row->id);
    key_bytes(&what, t->name);
    bool keeps = false;
    for (uint32_t q = 0; q < t->row->n_queues; q++)
        keeps = keeps || t->end[q] > t->row->floor[q];
    if (t->row->cut_ms && !check_timer_has(t->c, TIMER_CUT, t->row->cut_ms, key_slice(&what)))
        check_say(t->c, "topic %s has no timer for when its oldest messages are deleted", t->quoted);
    else if (t->row->retention_ms && keeps && !t->hurt && !t->row->cut_ms)
        check_say(t->c, "topic %s has a RETENTION, and does not know when its oldest messages are deleted", t->quoted);
}

/* Each row H names a group that is there, or left over. */
static void check_topic_members(struct check_topic *t)
{
    struct slice key, value;
    struct key prefix = key_of_id('H', t->row->id);
    struct kv_iter *it = check_rows(t->c, &prefix);
    for (; check_row(t->c, it, &key, &value); kv_iter_next(it)) {
        char quoted[CHECK_QUOTED];
        struct slice group = slice_of(key.data + 9, key.len > 9 ? key.len - 9 : 0);
        struct key at = key_group(group, t->name);
        if (!check_has(t->c, &at))
            check_say(t->c, "topic %s lists group %s, which is not there", t->quoted, check_quote(group, quoted));
    }
    (void)check_rows_end(t->c, it);
}

static void check_topic_one_topic(struct checking *c, struct slice name, const struct topic_row *row)
{
    struct check_topic t = {.c = c, .name = name, .row = row};
    check_quote(name, t.quoted);
    for (uint32_t i = 0; i < row->n_queues && c->failed == ST_OK; i++) {
        struct check_queue q = {.c = c, .name = name, .topic = row, .of = &t, .queue = i, .floor = row->floor[i]};
        check_topic_one_queue(&q);
        t.hurt = t.hurt || q.hurt;
        t.end[i] = q.end;
    }
    check_topic_expiries(&t);
    check_topic_keys(&t);
    check_topic_removed(&t);
    check_topic_delayed(&t);
    check_topic_cut(&t);
    check_topic_members(&t);
}

void check_topic_all(struct checking *c)
{
    struct key prefix;
    struct slice key, value;
    struct topic_row row;
    key_begin(&prefix, 'T');
    struct kv_iter *it = check_rows(c, &prefix);
    for (; check_row(c, it, &key, &value); kv_iter_next(it)) {
        if (topic_decode(value, &row) == ST_OK)
            check_topic_one_topic(c, slice_of(key.data + 1, key.len - 1), &row);
    }
    (void)check_rows_end(c, it);
}
