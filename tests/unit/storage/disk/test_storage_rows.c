/* test_storage_rows.c: tests rows: golden bytes, round trips, every truncation, every flipped byte. Rows
 * are decoded from blocks of their exact size, so that the address sanitizer finds a read past the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/disk/rows.h"

static const struct meta_row meta = {0x0102030405060708, 300, 0x1112, 0x2122, 3, 4, 5, 6, 0x3132, 7, 8, 9, 10, 0, 0};
static const struct group_row group = {7, 8, 300, 30000, 16, 2, {1000, 5000}, 3, GROUP_PAUSED, 300, 200, 5, 6, FILTER_TAG, 7,
                                       {(const uint8_t *)"a||b", 4}};
static const struct pgroup_open_row open_row = {300, 2};
static const struct token_row token = {9, 300};
static const struct cgroup_row cgroup = {300, 9, 6, true, true};
static const struct dedup_half_row dedup_half = {300, 0x1112, 9};
static const struct attempts_row attempts = {300};
static const struct timer_row timer = {2, 300};
static const struct removed_row removed = {{[0] = 0x21, [15] = 0x8000000000000001}};
static const struct run_row run = {RUN_LEASED, 70, 3, 2, 300, 200, {0x8000000000000001, 0x21}};

static const struct class_row class = {300, 2};
static const struct class_cursor_row class_cursor = {2, {5, 200}};
static const struct skip_row skip = {{0x8000000000000001, 0, 0x21}};

static const struct topic_row *topic_row(void)
{
    static struct topic_row row = {7, TOPIC_HAS_TTL, COMPRESS_ZSTD, 2, 1, 1, 300, 7, 3, 300, 5, 300, 0x201, 0, {5, 200}};
    return &row;
}

static const struct cursor_row *cursor_row(void)
{
    static struct cursor_row row = {.timer_ms = 300,
                                    .attempt_top = 4,
                                    .purges = 4,
                                    .leased = 70,
                                    .leased_runs = 2,
                                    .waiting = 300,
                                    .waiting_runs = 9,
                                    .first = {7, 1, 200},
                                    .skipped = 70,
                                    .skipped_rows = 2,
                                    .rate_free_us = 300,
                                    .sought = true,
                                    .n_queues = 2,
                                    .next = {5, 200},
                                    .again = {0, 300},
                                    .again_base = {0, 3},
                                    .back = {0, 30},
                                    .skipped_back = {0, 200}};
    return &row;
}

static struct txn_row txn_row(void)
{
    return (struct txn_row){TXN_COMMITTED, false, SLICE_LIT("pg"), 1,  2, 3, 4, 5, 1, 9,
                            SLICE_LIT("\x05t:0:1"), SLICE_LIT("h"), false};
}

static struct pgroup_row pgroup_row(void)
{
    return (struct pgroup_row){PGROUP_CHECKURL | PGROUP_SECRET | PGROUP_CHECKMAX | PGROUP_TIMEOUT,
                               SLICE_LIT("url"), SLICE_LIT("s"), 0, 0, 1000, 3};
}

static struct half_row half_row(void)
{
    return (struct half_row){SLICE_LIT("t"), true, 2, 1000, 5, 0, 300, SLICE_LIT("mmm"), {NULL, 0}};
}

static struct dedup_row dedup_row(void)
{
    return (struct dedup_row){300, SLICE_LIT("t:0:1")};
}

/* A decoder whose result is not used. */
typedef enum status decode_fn(struct slice bytes);

#define DECODER(name)                                                                                \
    static enum status decode_##name(struct slice bytes)                                             \
    {                                                                                                \
        struct name##_row row;                                                                       \
        return name##_decode(bytes, &row);                                                           \
    }
DECODER(meta)
DECODER(topic)
DECODER(group)
DECODER(cgroup)
DECODER(cursor)
DECODER(run)
DECODER(skip)
DECODER(txn)
DECODER(half)
DECODER(dedup)
DECODER(token)
DECODER(attempts)
DECODER(dedup_half)
DECODER(timer)
DECODER(removed)
DECODER(class)
DECODER(class_cursor)
DECODER(pgroup)
DECODER(pgroup_open)

struct sample {
    const char *name;
    decode_fn *decode;
    struct buf bytes;
};

#define SAMPLES 19

static void samples_make(struct sample *s)
{
    static const char *const names[SAMPLES] = {"meta", "topic", "group", "cursor",
                                               "run",  "txn",   "half",  "dedup",
                                               "token", "pgroup", "pgroup_open", "attempts", "dedup_half",
                                               "cgroup", "timer", "removed", "skip", "class", "class_cursor"};
    decode_fn *const decoders[SAMPLES] = {decode_meta, decode_topic, decode_group, decode_cursor,
                                          decode_run,  decode_txn,   decode_half,  decode_dedup,
                                          decode_token, decode_pgroup, decode_pgroup_open, decode_attempts, decode_dedup_half,
                                          decode_cgroup, decode_timer, decode_removed, decode_skip, decode_class, decode_class_cursor};
    for (int i = 0; i < SAMPLES; i++) {
        s[i].name = names[i];
        s[i].decode = decoders[i];
        buf_init(&s[i].bytes, 0);
    }
    struct txn_row txn = txn_row();
    struct pgroup_row pgroup = pgroup_row();
    struct half_row half = half_row();
    struct dedup_row dedup = dedup_row();
    meta_encode(&s[0].bytes, &meta);
    topic_encode(&s[1].bytes, topic_row());
    group_encode(&s[2].bytes, &group);
    cursor_encode(&s[3].bytes, cursor_row());
    run_encode(&s[4].bytes, &run);
    txn_encode(&s[5].bytes, &txn);
    half_encode(&s[6].bytes, &half);
    dedup_encode(&s[7].bytes, &dedup);
    token_encode(&s[8].bytes, &token);
    pgroup_encode(&s[9].bytes, &pgroup);
    pgroup_open_encode(&s[10].bytes, &open_row);
    attempts_encode(&s[11].bytes, &attempts);
    dedup_half_encode(&s[12].bytes, &dedup_half);
    cgroup_encode(&s[13].bytes, &cgroup);
    timer_encode(&s[14].bytes, &timer);
    removed_encode(&s[15].bytes, &removed);
    skip_encode(&s[16].bytes, &skip);
    class_encode(&s[17].bytes, &class);
    class_cursor_encode(&s[18].bytes, &class_cursor);
}

static void samples_free(struct sample *s)
{
    for (int i = 0; i < SAMPLES; i++)
        buf_free(&s[i].bytes);
}

#define ROW_IS(i, ...)                                                                               \
    do {                                                                                             \
        static const uint8_t want_[] = {__VA_ARGS__};                                                \
        assert_int_equal(s[i].bytes.len, sizeof(want_));                                             \
        assert_memory_equal(s[i].bytes.data, want_, sizeof(want_));                                  \
    } while (0)

static void golden(void **state)
{
    (void)state;
    struct sample s[SAMPLES];
    samples_make(s);
    ROW_IS(0, 3, 8, 7, 6, 5, 4, 3, 2, 1, 0xac, 2, 0x12, 0x11, 0, 0, 0, 0, 0, 0, 0x22, 0x21, 0, 0, 0, 0,
           0, 0, 3, 4, 5, 6, 0x32, 0x31, 0, 0, 0, 0, 0, 0, 7, 8, 9, 10);
    ROW_IS(1, 1, 7, 0, 0, 0, 0, 0, 0, 0, 5, 2, 1, 1, 0xac, 2, 7, 3, 0xac, 2, 5, 0xac, 2, 0x81, 4, 5, 0xc8, 1);
    ROW_IS(2, 1, 7, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0xac, 2, 0xb0, 0xea, 1, 16, 2, 0xe8, 7,
           0x88, 0x27, 3, 2, 0xac, 2, 0xc8, 1, 5, 6, 1, 7, 4, 'a', '|', '|', 'b');
    ROW_IS(3, 1, 0xac, 2, 4, 4, 70, 2, 0xac, 2, 9, 7, 1, 0xc8, 1, 70, 2, 0xac, 2, 1, 2, 5, 0, 0, 0, 0, 0xc8, 1, 30,
           0xc8, 1, 0xac, 2, 3);
    ROW_IS(4, 1, 1, 70, 3, 2, 0xac, 2, 0xc8, 1, 1, 0, 0, 0, 0, 0, 0, 0x80, 0x21, 0, 0, 0, 0, 0, 0, 0);
    ROW_IS(5, 1, 2, 2, 'p', 'g', 1, 2, 3, 4, 5, 1, 9, 6, 5, 't', ':', '0', ':', '1', 1, 'h');
    ROW_IS(6, 1, 1, 't', 3, 0xe9, 7, 5, 0, 0xac, 2, 3, 'm', 'm', 'm');
    ROW_IS(7, 1, 0xac, 2, 5, 't', ':', '0', ':', '1');
    ROW_IS(11, 1, 0xac, 2);
    ROW_IS(12, 1, 0xac, 2, 0x12, 0x11, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0);
    ROW_IS(8, 1, 9, 0, 0, 0, 0, 0, 0, 0, 0xac, 2);
    ROW_IS(9, 1, 0x33, 3, 'u', 'r', 'l', 1, 's', 0, 0, 3, 0xe8, 7);
    ROW_IS(10, 1, 0xac, 2, 2);
    ROW_IS(13, 1, 0xac, 2, 9, 6, 3);
    ROW_IS(14, 1, 2, 0xac, 2);
    assert_int_equal(s[15].bytes.len, 129);
    s[15].bytes.len = 17;
    ROW_IS(15, 1, 0x21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    ROW_IS(16, 1, 5, 1, 0, 0, 0, 0, 0, 0, 0x80, 0x21, 0, 0, 0, 0, 0, 0, 0);
    ROW_IS(17, 1, 0xac, 2, 2);
    ROW_IS(18, 1, 2, 5, 0xc8, 1);
    samples_free(s);
}

/* What damage may hide stands behind the rest of row M, where there is any. */
static void hidden_by_damage(void **state)
{
    (void)state;
    struct meta_row row = meta, got;
    struct buf b;
    buf_init(&b, 0);
    meta_encode(&b, &row);
    size_t len = b.len;
    row.hidden_from = 0x41, row.hidden_to = 0x51;
    buf_reset(&b, 0);
    meta_encode(&b, &row);
    static const uint8_t more[] = {0x41, 0, 0, 0, 0, 0, 0, 0, 0x51, 0, 0, 0, 0, 0, 0, 0};
    assert_int_equal(b.len, len + sizeof(more));
    assert_memory_equal(b.data + len, more, sizeof(more));
    assert_int_equal(meta_decode(buf_slice(&b), &got), ST_OK);
    assert_memory_equal(&got, &row, sizeof(row));
    for (size_t n = len + 1; n < b.len; n++)
        assert_int_equal(meta_decode(slice_of(b.data, n), &got), ST_BAD);
    assert_true(meta_hides(&row, 0x41) && meta_hides(&row, 0x51) && !meta_hides(&row, 0x40) && !meta_hides(&row, 0x52));
    assert_true(!meta_hides(&meta, 1) && meta_young_counts(&row, 0x42) && meta_young_counts(&meta, meta.young));
    buf_free(&b);
}

static void round_trip(void **state)
{
    (void)state;
    struct sample s[SAMPLES];
    samples_make(s);
    struct meta_row m;
    assert_int_equal(meta_decode(buf_slice(&s[0].bytes), &m), ST_OK);
    assert_memory_equal(&m, &meta, sizeof(m));
    static struct topic_row t;
    assert_int_equal(topic_decode(buf_slice(&s[1].bytes), &t), ST_OK);
    assert_memory_equal(&t, topic_row(), sizeof(t));
    struct run_row r = {0};
    assert_int_equal(run_decode(buf_slice(&s[4].bytes), &r), ST_OK);
    assert_memory_equal(r.bits, run.bits, sizeof(r.bits));
    assert_true(r.count == 70 && r.attempt == 3 && r.delivered == 2 && r.due_ms == 300 && r.holder == 200 && r.state == RUN_LEASED);
    struct skip_row z;
    assert_int_equal(skip_decode(buf_slice(&s[16].bytes), &z), ST_OK);
    assert_memory_equal(&z, &skip, sizeof(z));
    struct txn_row x;
    assert_int_equal(txn_decode(buf_slice(&s[5].bytes), &x), ST_OK);
    assert_true(x.state == TXN_COMMITTED && slice_equal(x.pgroup, SLICE_LIT("pg")) && x.checks == 5);
    assert_true(slice_equal(x.outcome, SLICE_LIT("\x05t:0:1")) && x.bytes == 9);
    struct half_row h;
    assert_int_equal(half_decode(buf_slice(&s[6].bytes), &h), ST_OK);
    assert_true(h.has_queue && h.queue == 2 && h.ttl_ms == 1000 && h.base_ms == 300);
    assert_true(h.delay_ms == 5 && h.at_ms == 0);
    struct pgroup_row pg;
    assert_int_equal(pgroup_decode(buf_slice(&s[9].bytes), &pg), ST_OK);
    assert_true(pg.set == 0x33 && slice_equal(pg.checkurl, SLICE_LIT("url")) && pg.timeout_ms == 1000);
    assert_true(slice_equal(pg.secret, SLICE_LIT("s")) && pg.check_max == 3);
    struct token_row where;
    assert_int_equal(token_decode(buf_slice(&s[8].bytes), &where), ST_OK);
    assert_true(where.topic_id == 9 && where.due_ms == 300);
    struct timer_row later;
    assert_int_equal(timer_decode(buf_slice(&s[14].bytes), &later), ST_OK);
    assert_true(later.postponed == 2 && later.first_ms == 300);
    samples_free(s);
}

static void absent_options(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    struct half_row h = {.topic = SLICE_LIT("t"), .ttl_ms = -1, .message = SLICE_LIT("m")}, back;
    half_encode(&b, &h);
    assert_int_equal(half_decode(buf_slice(&b), &back), ST_OK);
    assert_false(back.has_queue);
    assert_int_equal(back.ttl_ms, -1);
    buf_reset(&b, 0);
    h.ttl_ms = 0;
    half_encode(&b, &h);
    assert_int_equal(half_decode(buf_slice(&b), &back), ST_OK);
    assert_int_equal(back.ttl_ms, 0);
    buf_reset(&b, 0);
    h.body = SLICE_LIT("body"); /* of which only the length is written */
    half_encode(&b, &h);
    assert_int_equal(half_decode(buf_slice(&b), &back), ST_BAD);
    buf_put_slice(&b, h.body);
    assert_int_equal(half_decode(buf_slice(&b), &back), ST_OK);
    assert_true(slice_equal(back.message, SLICE_LIT("mbody")) && back.body.len == 0);
    buf_free(&b);
}

/* The two compression bits in a topic's flags. */
static void topic_compressions(void **state)
{
    (void)state;
    uint8_t bytes[] = {1, 7, 0, 0, 0, 0, 0, 0, 0, 1, 2, 1, 1, 0xac, 2, 7, 3, 0, 0, 0, 0, 5, 0xc8, 1};
    static const enum compress want[] = {COMPRESS_NONE, COMPRESS_LZ4, COMPRESS_ZSTD};
    static struct topic_row t;
    for (uint8_t i = 0; i < 4; i++) {
        bytes[9] = (uint8_t)(TOPIC_HAS_TTL | i << 1);
        assert_int_equal(topic_decode(slice_of(bytes, sizeof(bytes)), &t), i < 3 ? ST_OK : ST_BAD);
        if (i == 3)
            break;
        assert_int_equal(t.compress, want[i]);
        assert_int_equal(t.flags, TOPIC_HAS_TTL);
    }
}

/* How many messages were removed one by one stands there only where there are any. */
static void topic_with_removed(void **state)
{
    (void)state;
    static struct topic_row row, t;
    static const uint8_t want[] = {1, 7, 0, 0, 0, 0, 0, 0, 0, 13, 2, 1, 1, 0xac, 2, 7, 3, 0xac, 2, 5, 0xac, 2, 0x81, 4,
                                   0xac, 2, 5, 0xc8, 1};
    struct buf b;
    buf_init(&b, 0);
    row = *topic_row();
    row.flags |= TOPIC_HAS_REMOVED;
    row.removed = 300;
    topic_encode(&b, &row);
    assert_int_equal(b.len, sizeof(want));
    assert_memory_equal(b.data, want, sizeof(want));
    assert_int_equal(topic_decode(buf_slice(&b), &t), ST_OK);
    assert_memory_equal(&t, &row, sizeof(t));
    for (size_t n = 0; n < b.len; n++)
        assert_int_equal(topic_decode(slice_of(b.data, n), &t), ST_BAD);
    buf_free(&b);
}

static enum status decode_copy(const struct sample *s, size_t len, size_t flip, uint8_t with)
{
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    if (len)
        memcpy(copy, s->bytes.data, len);
    if (flip < len)
        copy[flip] ^= with;
    enum status st = s->decode(slice_of(copy, len));
    free(copy);
    return st;
}

static void truncated(void **state)
{
    (void)state;
    struct sample s[SAMPLES];
    samples_make(s);
    for (int i = 0; i < SAMPLES; i++)
        for (size_t len = 0; len < s[i].bytes.len; len++)
            assert_int_equal(decode_copy(&s[i], len, SIZE_MAX, 0), ST_BAD);
    samples_free(s);
}

static void longer(void **state)
{
    (void)state;
    struct sample s[SAMPLES];
    samples_make(s);
    for (int i = 0; i < SAMPLES; i++) {
        buf_put_u8(&s[i].bytes, 0);
        assert_int_equal(decode_copy(&s[i], s[i].bytes.len, SIZE_MAX, 0), ST_BAD);
    }
    samples_free(s);
}

static void flipped(void **state)
{
    (void)state;
    struct sample s[SAMPLES];
    samples_make(s);
    for (int i = 0; i < SAMPLES; i++) {
        for (size_t at = 0; at < s[i].bytes.len; at++)
            for (int with = 1; with < 256; with++) {
                enum status st = decode_copy(&s[i], s[i].bytes.len, at, (uint8_t)with);
                assert_true(st == ST_OK || st == ST_BAD);
                assert_true(at > 0 || st == ST_BAD); /* another version */
            }
    }
    samples_free(s);
}

/* The outcome of a committed transaction must have as many ids as messages, because repeated COMMITs rely on it. */
static void outcome_is_checked(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    struct txn_row x = txn_row(), back;
    x.n_messages = 2;
    txn_encode(&b, &x);
    assert_int_equal(txn_decode(buf_slice(&b), &back), ST_BAD);
    buf_reset(&b, 0);
    x.n_messages = 0;
    txn_encode(&b, &x);
    assert_int_equal(txn_decode(buf_slice(&b), &back), ST_BAD);
    buf_free(&b);
}

static void an_answered_ask_is_a_bit(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    struct txn_row x = txn_row(), back;
    x.state = TXN_PENDING;
    x.answered = true;
    txn_encode(&b, &x);
    assert_int_equal(b.data[1], 0x81);
    assert_int_equal(txn_decode(buf_slice(&b), &back), ST_OK);
    assert_true(back.answered && back.state == TXN_PENDING);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),    cmocka_unit_test(hidden_by_damage), cmocka_unit_test(round_trip), cmocka_unit_test(absent_options),
        cmocka_unit_test(truncated), cmocka_unit_test(longer),     cmocka_unit_test(flipped),
        cmocka_unit_test(outcome_is_checked),
        cmocka_unit_test(an_answered_ask_is_a_bit), cmocka_unit_test(topic_compressions), cmocka_unit_test(topic_with_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
