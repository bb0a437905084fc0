/* test_record.c: tests messages and records: random round trips, the golden bytes of version 1, every truncation, every
 * kind of damage. Records are copied to blocks of their exact size, so that a sanitizer finds a read past the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/record/record.h"
#include "protocol/base/text.h"
#include "tests/lib/prng.h"

#define STORED INT64_C(1795501800000)
#define SAMPLE_MAX 200

static struct slice random_bytes(struct prng *p, struct buf *pool, size_t most)
{
    size_t n = prng_below(p, most + 1);
    uint8_t *room = buf_room(pool, n + 1);
    assert_non_null(room);
    for (size_t i = 0; i < n; i++)
        room[i] = (uint8_t)prng_below(p, 256);
    buf_added(pool, n);
    return slice_of(room, n);
}

/* Makes a random message. The pool has all its room from the start, so it never moves. */
static void random_message(struct prng *p, struct buf *pool, struct message *m)
{
    *m = (struct message){.fields = (uint32_t)prng_below(p, 2 * MSG_PROPS)};
    m->seq = prng_below(p, 100000);
    m->born_ms = STORED + (int64_t)prng_below(p, 100000) - 50000;
    if (m->fields & MSG_KEY)
        m->n_keys = 1 + (uint32_t)prng_below(p, KEYS_MAX);
    for (uint32_t i = 0; i < m->n_keys; i++)
        m->keys[i] = random_bytes(p, pool, 20);
    if (m->fields & MSG_TAG)
        m->tag = random_bytes(p, pool, 20);
    if (m->fields & MSG_ORDER)
        m->order = random_bytes(p, pool, 20);
    if (m->fields & MSG_PRIORITY)
        m->priority = (uint8_t)prng_below(p, 10);
    if (m->fields & MSG_TTL)
        m->expires_ms = STORED + (int64_t)prng_below(p, 1000000);
    if (m->fields & MSG_TXN)
        m->txid = TXID_MIN + prng_below(p, UINT32_MAX);
    if (m->fields & MSG_GROUP)
        m->group = random_bytes(p, pool, 20);
    if (m->fields & MSG_REASON)
        m->reason = random_bytes(p, pool, 200);
    if (m->fields & MSG_ORIGIN)
        m->origin = random_bytes(p, pool, 40);
    if (m->fields & MSG_ATTEMPTS)
        m->attempts = 1 + (uint32_t)prng_below(p, 1000);
    if (m->fields & MSG_PROPS) {
        m->n_props = 1 + (uint32_t)prng_below(p, 5);
        struct buf props;
        buf_init(&props, 0);
        for (uint32_t i = 0; i < 2 * m->n_props; i++)
            buf_put_sized(&props, random_bytes(p, pool, 20));
        uint8_t *room = buf_room(pool, props.len);
        assert_non_null(room);
        memcpy(room, props.data, props.len);
        buf_added(pool, props.len);
        m->props = slice_of(room, props.len);
        buf_free(&props);
    }
    m->body = random_bytes(p, pool, 300);
}

static void expect_same(const struct message *a, const struct message *b)
{
    assert_int_equal(a->fields, b->fields);
    assert_int_equal(a->seq, b->seq);
    assert_int_equal(a->born_ms, b->born_ms);
    assert_int_equal(a->expires_ms, b->expires_ms);
    assert_int_equal(a->txid, b->txid);
    assert_int_equal(a->attempts, b->attempts);
    assert_int_equal(a->priority, b->priority);
    assert_int_equal(a->n_keys, b->n_keys);
    for (uint32_t i = 0; i < a->n_keys; i++)
        assert_true(slice_equal(a->keys[i], b->keys[i]));
    assert_true(slice_equal(a->tag, b->tag) && slice_equal(a->order, b->order));
    assert_true(slice_equal(a->group, b->group) && slice_equal(a->reason, b->reason));
    assert_true(slice_equal(a->origin, b->origin) && slice_equal(a->body, b->body));
    assert_int_equal(a->n_props, b->n_props);
    assert_true(slice_equal(a->props, b->props));
}

struct sample {
    struct buf pool, record, starts;
    struct record_header h;
    uint32_t n;
    struct message m[SAMPLE_MAX];
};

static struct sample *sample_new(struct prng *p, uint32_t n)
{
    struct sample *s = calloc(1, sizeof *s);
    assert_non_null(s);
    buf_init(&s->pool, 0);
    buf_init(&s->record, 0);
    buf_init(&s->starts, 0);
    assert_non_null(buf_room(&s->pool, (size_t)n * 4096));
    s->n = n;
    s->h = (struct record_header){.flags = RECORD_TTL | RECORD_TXN,
                                  .count = n,
                                  .base = prng_below(p, UINT32_MAX),
                                  .index = prng_below(p, UINT32_MAX),
                                  .stored_ms = STORED};
    record_begin(&s->record);
    for (uint32_t i = 0; i < n; i++) {
        random_message(p, &s->pool, &s->m[i]);
        record_add(&s->record, &s->starts, &s->m[i], STORED);
    }
    record_end(&s->record, &s->starts, &s->h);
    assert_false(s->record.failed);
    return s;
}

static void sample_free(struct sample *s)
{
    buf_free(&s->pool);
    buf_free(&s->record);
    buf_free(&s->starts);
    free(s);
}

static void random_records_come_back(void **state)
{
    (void)state;
    struct prng p = prng_start();
    for (int round = 0; round < 300; round++) {
        struct sample *s = sample_new(&p, 1 + (uint32_t)prng_below(&p, 50));
        struct record_header h;
        assert_int_equal(record_verify(buf_slice(&s->record), &h), ST_OK);
        assert_true(h.version == RECORD_VERSION && h.flags == s->h.flags &&
                    h.checksum == s->h.checksum);
        assert_true(h.count == s->n && h.bytes == s->h.bytes && h.base == s->h.base);
        assert_true(h.index == s->h.index && h.stored_ms == STORED);
        assert_int_equal(record_header_read(buf_slice(&s->record), &h), ST_OK);
        for (uint32_t i = 0; i < s->n; i++) {
            struct message m;
            assert_int_equal(record_message(buf_slice(&s->record), &h, i, &m), ST_OK);
            expect_same(&s->m[i], &m);
        }
        sample_free(s);
    }
}

static void lone_messages_move_with_their_base(void **state)
{
    (void)state;
    struct prng p = prng_from(7);
    struct buf pool, b;
    struct message in, out;
    buf_init(&pool, 0);
    buf_init(&b, 0);
    for (int round = 0; round < 2000; round++) {
        buf_reset(&pool, 1 << 20);
        assert_non_null(buf_room(&pool, 1 << 16));
        random_message(&p, &pool, &in);
        buf_reset(&b, 1 << 20);
        message_encode(&b, &in, STORED);
        assert_int_equal(message_decode(buf_slice(&b), STORED, &out), ST_OK);
        expect_same(&in, &out);
        /* As if the transaction was committed a minute later: the base time moves, the differences stay. */
        assert_int_equal(message_decode(buf_slice(&b), STORED + 60000, &out), ST_OK);
        assert_int_equal(out.born_ms, in.born_ms + 60000);
    }
    buf_free(&pool);
    buf_free(&b);
}

static void odd_times_are_not_undefined(void **state)
{
    (void)state;
    static const int64_t times[] = {INT64_MIN, INT64_MIN + 1, -1,       0, 1,
                                    STORED,    INT64_MAX - 1, INT64_MAX};
    const size_t n = sizeof times / sizeof *times;
    struct buf b;
    buf_init(&b, 0);
    for (size_t i = 0; i < n * n; i++) {
        struct message m = {.fields = MSG_TTL, .born_ms = times[i / n], .expires_ms = times[i / n]},
                       out;
        buf_reset(&b, 4096);
        message_encode(&b, &m, times[i % n]);
        if (message_decode(buf_slice(&b), times[i % n], &out) == ST_OK)
            assert_int_equal(out.born_ms, m.born_ms);
    }
    struct message late = {.fields = MSG_TTL, .born_ms = 5, .expires_ms = 10}, out;
    buf_reset(&b, 4096);
    message_encode(&b, &late, 100);
    assert_int_equal(message_decode(buf_slice(&b), 100, &out), ST_OK);
    assert_int_equal(out.expires_ms, 100);
    buf_free(&b);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct prng p = prng_from(3);
    struct sample *s = sample_new(&p, 5);
    for (size_t cut = 0; cut < s->record.len; cut++) {
        struct record_header h = {.count = 77};
        uint8_t *exact = malloc(cut ? cut : 1);
        assert_non_null(exact);
        memcpy(exact, s->record.data, cut);
        assert_int_equal(record_header_read(slice_of(exact, cut), &h), ST_BAD);
        assert_int_equal(record_verify(slice_of(exact, cut), &h), ST_BAD);
        assert_int_equal(h.count, 77);
        free(exact);
    }
    buf_put_u8(&s->record, 0);
    struct record_header h;
    assert_int_equal(record_verify(buf_slice(&s->record), &h), ST_BAD);
    sample_free(s);
}

static void every_truncated_message_is_refused(void **state)
{
    (void)state;
    struct buf b;
    struct message m = {.fields = MSG_KEY | MSG_TAG | MSG_ORDER | MSG_PRIORITY | MSG_TTL | MSG_TXN |
                                  MSG_GROUP | MSG_REASON | MSG_ORIGIN | MSG_ATTEMPTS | MSG_PROPS,
                        .seq = 300,
                        .born_ms = STORED - 1000,
                        .expires_ms = STORED + 1000,
                        .txid = TXID_MIN,
                        .attempts = 16,
                        .priority = 9,
                        .n_keys = 2,
                        .n_props = 1,
                        .keys = {SLICE_LIT("k1"), SLICE_LIT("k2")},
                        .tag = SLICE_LIT("tag"),
                        .order = SLICE_LIT("order"),
                        .group = SLICE_LIT("group"),
                        .reason = SLICE_LIT("why"),
                        .origin = SLICE_LIT("t:0:1"),
                        .props = SLICE_LIT("\001n\001v"),
                        .body = SLICE_LIT("body")};
    buf_init(&b, 0);
    message_encode(&b, &m, STORED);
    struct message out;
    assert_int_equal(message_decode(buf_slice(&b), STORED, &out), ST_OK);
    expect_same(&m, &out);
    struct message untouched = {.seq = 4711};
    for (size_t cut = 0; cut < b.len; cut++) {
        uint8_t *exact = malloc(cut ? cut : 1);
        assert_non_null(exact);
        memcpy(exact, b.data, cut);
        assert_int_equal(message_decode(slice_of(exact, cut), STORED, &untouched), ST_BAD);
        free(exact);
    }
    buf_put_u8(&b, 0);
    assert_int_equal(message_decode(buf_slice(&b), STORED, &untouched), ST_BAD);
    assert_int_equal(untouched.seq, 4711);
    buf_free(&b);
}

/* Decodes a message of `fields`, seq 0, born 0 and the given bytes. */
static enum status decode_field(uint32_t fields, const void *bytes, size_t n)
{
    struct buf b;
    struct message m;
    buf_init(&b, 0);
    buf_put_varint(&b, fields);
    buf_put_u16(&b, 0);
    buf_put(&b, bytes, n);
    enum status s = message_decode(buf_slice(&b), STORED, &m);
    buf_free(&b);
    return s;
}

static void out_of_bounds_fields_are_refused(void **state)
{
    (void)state;
    assert_int_equal(decode_field(0, "\0", 1), ST_OK);
    assert_int_equal(decode_field(MSG_PROPS << 1, "\0", 1), ST_BAD);
    assert_int_equal(decode_field(MSG_KEY, "\0\0", 2), ST_BAD);
    assert_int_equal(decode_field(MSG_KEY, "\x11\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 19), ST_BAD);
    assert_int_equal(decode_field(MSG_PRIORITY, "\x09\0", 2), ST_OK);
    assert_int_equal(decode_field(MSG_PRIORITY, "\x0a\0", 2), ST_BAD);
    assert_int_equal(decode_field(MSG_ATTEMPTS, "\0\0", 2), ST_BAD);
    assert_int_equal(decode_field(MSG_ATTEMPTS, "\xff\xff\xff\xff\x1f\0", 6), ST_BAD);
    assert_int_equal(decode_field(MSG_TTL, "\xff\xff\xff\xff\xff\xff\xff\xff\x7f\0", 10), ST_BAD);
    assert_int_equal(decode_field(MSG_PROPS, "\0\0", 2), ST_BAD);
    assert_int_equal(decode_field(MSG_PROPS, "\x81\x02\0", 3), ST_BAD);
    assert_int_equal(decode_field(MSG_PROPS, "\x01\x01n\0\0", 5), ST_OK);
}

/* Flips bytes. Readers must accept or refuse the record without reading outside it. The messages are read even if the
 * checksum is wrong, as if the damage had also made it right. */
static void damage_never_leads_out_of_the_record(void **state)
{
    (void)state;
    struct prng p = prng_from(99);
    struct sample *s = sample_new(&p, 8);
    size_t refused = 0, rounds = 30000;
    for (size_t round = 0; round < rounds; round++) {
        uint8_t *copy = malloc(s->record.len);
        assert_non_null(copy);
        memcpy(copy, s->record.data, s->record.len);
        for (uint64_t flips = 1 + prng_below(&p, 4); flips > 0; flips--)
            copy[prng_below(&p, s->record.len)] ^= (uint8_t)(1 + prng_below(&p, 255));
        struct slice record = slice_of(copy, s->record.len);
        struct record_header h;
        refused += record_verify(record, &h) != ST_OK;
        if (record_header_read(record, &h) == ST_OK) {
            for (uint32_t i = 0; i < h.count; i++) {
                struct message m;
                if (record_message(record, &h, i, &m) == ST_OK)
                    (void)text_hash(m.body);
            }
        }
        free(copy);
    }
    assert_true(refused > rounds - 10); /* a flip may be undone by a later one */
    sample_free(s);
}

static void set_checksum(struct buf *record)
{
    uint32_t sum = text_checksum(slice_of(record->data + 8, record->len - 8));
    for (unsigned i = 0; i < 4; i++)
        record->data[4 + i] = (uint8_t)(sum >> (8 * i));
}

static void headers_are_checked_field_by_field(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
    } bad[] = {{0, 0}, {0, 2},  {1, 4},     {2, 1},     {3, 1},  {8, 0},
               {9, 1}, {12, 0}, {15, 0xff}, {23, 0x80}};
    struct prng p = prng_from(5);
    struct sample *s = sample_new(&p, 1);
    struct record_header h;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t was = s->record.data[bad[i].at];
        s->record.data[bad[i].at] = bad[i].value;
        set_checksum(&s->record);
        assert_int_equal(record_header_read(buf_slice(&s->record), &h), ST_BAD);
        assert_int_equal(record_verify(buf_slice(&s->record), &h), ST_BAD);
        s->record.data[bad[i].at] = was;
    }
    set_checksum(&s->record);
    assert_int_equal(record_verify(buf_slice(&s->record), &h), ST_OK);
    sample_free(s);
}

/* The seq of the header is added to that of each message. */
static void the_headers_seq_is_added(void **state)
{
    (void)state;
    struct prng p = prng_from(8);
    struct sample *s = sample_new(&p, 3);
    struct record_header h;
    s->record.data[41] = 2;
    set_checksum(&s->record);
    assert_int_equal(record_verify(buf_slice(&s->record), &h), ST_OK);
    assert_int_equal(h.seq, 512);
    for (uint32_t i = 0; i < s->n; i++) {
        struct message m;
        assert_int_equal(record_message(buf_slice(&s->record), &h, i, &m), ST_OK);
        assert_int_equal(m.seq, s->m[i].seq + 512);
    }
    sample_free(s);
}

/* Each part is a complete record with the same messages at the same offsets. */
static void records_are_cut_between_messages(void **state)
{
    (void)state;
    struct prng p = prng_start();
    struct buf out;
    buf_init(&out, 0);
    for (int round = 0; round < 300; round++) {
        struct sample *s = sample_new(&p, 1 + (uint32_t)prng_below(&p, 50));
        uint32_t from = (uint32_t)prng_below(&p, s->n), n = 1 + (uint32_t)prng_below(&p, s->n - from);
        buf_reset(&out, 1 << 20);
        buf_put_str(&out, "before");
        assert_int_equal(record_cut(buf_slice(&s->record), &s->h, from, n, &out), ST_OK);
        struct slice cut = slice_of(out.data + 6, out.len - 6);
        assert_int_equal(cut.len, record_cut_size(buf_slice(&s->record), &s->h, from, n));
        struct record_header h;
        assert_int_equal(record_verify(cut, &h), ST_OK);
        assert_true(h.base == s->h.base + from && h.count == n && h.index == s->h.index);
        assert_true(h.flags == s->h.flags && h.stored_ms == s->h.stored_ms && h.seq == s->h.seq);
        if (n == s->n)
            assert_true(slice_equal(cut, buf_slice(&s->record)));
        for (uint32_t i = 0; i < n; i++) {
            struct message m;
            assert_int_equal(record_message(cut, &h, i, &m), ST_OK);
            expect_same(&s->m[from + i], &m);
        }
        sample_free(s);
    }
    buf_free(&out);
}

/* As a part; but in the places of those that were not asked for are empty messages. */
static void records_are_cut_with_holes(void **state)
{
    (void)state;
    struct prng p = prng_from(7);
    struct buf out;
    buf_init(&out, 0);
    for (int round = 0; round < 300; round++) {
        struct sample *s = sample_new(&p, 1 + (uint32_t)prng_below(&p, 200));
        uint32_t from = (uint32_t)prng_below(&p, s->n), n = 1 + (uint32_t)prng_below(&p, s->n - from);
        uint32_t many = 1 + (uint32_t)prng_below(&p, 20);
        uint64_t bits[4] = {0};
        bits[n / 2 / 64] = UINT64_C(1) << (n / 2 % 64);
        for (uint32_t i = 0; i < n; i++)
            bits[i / 64] |= (uint64_t)(prng_below(&p, many) == 0) << (i % 64);
        buf_reset(&out, 1 << 20);
        buf_put_str(&out, "before");
        assert_int_equal(record_cut_some(buf_slice(&s->record), &s->h, from, n, bits, &out), ST_OK);
        struct slice cut = slice_of(out.data + 6, out.len - 6);
        assert_int_equal(cut.len, record_cut_some_size(buf_slice(&s->record), &s->h, from, n, bits));
        assert_true(cut.len <= record_cut_size(buf_slice(&s->record), &s->h, from, n));
        struct record_header h;
        assert_int_equal(record_verify(cut, &h), ST_OK);
        assert_true(h.base == s->h.base + from && h.count == n && h.index == s->h.index);
        assert_true(h.flags == s->h.flags && h.stored_ms == s->h.stored_ms && h.seq == s->h.seq);
        for (uint32_t i = 0; i < n; i++) {
            struct message m;
            assert_int_equal(record_message(cut, &h, i, &m), ST_OK);
            if ((bits[i / 64] >> (i % 64)) & 1)
                expect_same(&s->m[from + i], &m);
            else
                assert_true(m.fields == 0 && m.body.len == 0 && record_bytes(cut, &h, i).len == RECORD_EMPTY_BYTES);
        }
        sample_free(s);
    }
    buf_free(&out);
}

static void damaged_starts_are_not_cut(void **state)
{
    (void)state;
    struct prng p = prng_from(8);
    struct sample *s = sample_new(&p, 5);
    uint8_t *starts = s->record.data + RECORD_HEADER_BYTES + s->h.bytes;
    const uint64_t bits = 0x15; /* 0, 2 and 4 */
    struct buf out;
    buf_init(&out, 0);
    for (int i = 0; i < 3; i++) {
        uint8_t was[4];
        uint8_t *at = starts + (size_t)(i == 2 ? 4 : i + 1) * 4;
        memcpy(was, at, 4);
        le_write(at, i == 1 ? 0 : s->h.bytes + 1, 4);
        assert_int_equal(record_cut_some(buf_slice(&s->record), &s->h, 0, 5, &bits, &out), ST_BAD);
        assert_int_equal(out.len, 0);
        memcpy(at, was, 4);
    }
    assert_int_equal(record_cut_some(buf_slice(&s->record), &s->h, 0, 5, &bits, &out), ST_OK);
    buf_free(&out);
    sample_free(s);
}

static void starts_must_ascend_from_zero(void **state)
{
    (void)state;
    struct prng p = prng_from(6);
    struct sample *s = sample_new(&p, 3);
    uint8_t *starts = s->record.data + RECORD_HEADER_BYTES + s->h.bytes;
    struct record_header h;
    struct message m;
    uint8_t was[12];
    memcpy(was, starts, sizeof was);
    starts[0] = 1;
    set_checksum(&s->record);
    assert_int_equal(record_verify(buf_slice(&s->record), &h), ST_BAD);
    memcpy(starts, was, sizeof was);
    memcpy(starts + 4, starts + 8, 4);
    set_checksum(&s->record);
    assert_int_equal(record_verify(buf_slice(&s->record), &h), ST_BAD);
    assert_int_equal(record_header_read(buf_slice(&s->record), &h), ST_OK);
    assert_int_equal(record_message(buf_slice(&s->record), &h, 1, &m), ST_BAD);
    memcpy(starts, was, sizeof was);
    starts[11] = 0xff;
    set_checksum(&s->record);
    assert_int_equal(record_verify(buf_slice(&s->record), &h), ST_BAD);
    assert_int_equal(record_message(buf_slice(&s->record), &h, 1, &m), ST_BAD);
    assert_int_equal(record_message(buf_slice(&s->record), &h, 2, &m), ST_BAD);
    sample_free(s);
}

static void a_full_buffer_fails_the_record(void **state)
{
    (void)state;
    const size_t whole = RECORD_HEADER_BYTES + 14 + 4;
    struct message m = {.born_ms = STORED, .body = SLICE_LIT("0123456789")};
    for (size_t cap = 1; cap < 70; cap++) {
        struct buf b, starts;
        struct record_header h = {.count = 1};
        buf_init(&b, cap);
        buf_init(&starts, 0);
        record_begin(&b);
        record_add(&b, &starts, &m, STORED);
        record_end(&b, &starts, &h);
        assert_true(b.failed == (cap < whole));
        assert_true(b.failed || b.len == whole);
        buf_free(&b);
        buf_free(&starts);
    }
}

/* Makes the record that FORMAT.md explains byte by byte. */
static void golden_record(struct buf *record)
{
    struct buf starts;
    struct record_header h = {.flags = RECORD_TTL | RECORD_TXN,
                              .count = 2,
                              .base = 41,
                              .index = 1000,
                              .stored_ms = STORED};
    struct message plain = {.seq = 0, .born_ms = STORED - 2, .body = SLICE_LIT("hello")};
    struct message rich = {.fields = MSG_KEY | MSG_TAG | MSG_ORDER | MSG_PRIORITY | MSG_TTL |
                                     MSG_TXN | MSG_GROUP | MSG_REASON | MSG_ORIGIN | MSG_ATTEMPTS |
                                     MSG_PROPS,
                           .seq = 1,
                           .born_ms = STORED - 150,
                           .expires_ms = STORED + 60000,
                           .txid = TXID_MIN + 5,
                           .attempts = 16,
                           .priority = 9,
                           .n_keys = 2,
                           .n_props = 1,
                           .keys = {SLICE_LIT("k1"), SLICE_LIT("k2")},
                           .tag = SLICE_LIT("eu"),
                           .order = SLICE_LIT("c7"),
                           .group = SLICE_LIT("mail"),
                           .reason = SLICE_LIT("full"),
                           .origin = SLICE_LIT("t:0:8"),
                           .props = SLICE_LIT("\001n\001v"),
                           .body = SLICE_LIT("order 7")};
    buf_init(&starts, 0);
    record_begin(record);
    record_add(record, &starts, &plain, STORED);
    record_add(record, &starts, &rich, STORED);
    record_end(record, &starts, &h);
    assert_false(record->failed);
    buf_free(&starts);
}

static void golden_bytes_of_version_1(void **state)
{
    (void)state;
    const char *root = getenv("SOURCE");
    char path[4096], hex[4096] = "";
    size_t len = 0;
    snprintf(path, sizeof path, "%s/tests/golden/record_v1.hex", root ? root : ".");
    FILE *f = fopen(path, "r");
    if (!f)
        fail_msg("cannot open %s", path);
    for (int c = fgetc(f); c != EOF && len + 1 < sizeof hex; c = fgetc(f)) {
        if (c > ' ')
            hex[len++] = (char)c;
    }
    fclose(f);
    hex[len] = '\0';
    struct buf record, printed;
    struct record_header h;
    buf_init(&record, 0);
    buf_init(&printed, 0);
    golden_record(&record);
    for (size_t i = 0; i < record.len; i++)
        buf_printf(&printed, "%02x", record.data[i]);
    buf_put_u8(&printed, 0);
    assert_string_equal((const char *)printed.data, hex);
    assert_int_equal(record_verify(buf_slice(&record), &h), ST_OK);
    buf_free(&record);
    buf_free(&printed);
}

static void properties_are_walked(void **state)
{
    (void)state;
    struct slice name, value;
    struct cursor c = cursor_of(SLICE_LIT("\001a\000\002bb\001x"));
    assert_true(message_prop(&c, &name, &value));
    assert_true(slice_equal(name, SLICE_LIT("a")) && value.len == 0);
    assert_true(message_prop(&c, &name, &value));
    assert_true(slice_equal(name, SLICE_LIT("bb")) && slice_equal(value, SLICE_LIT("x")));
    assert_false(message_prop(&c, &name, &value));
    assert_false(c.bad);
    c = cursor_of(SLICE_LIT("\001a\005x"));
    assert_false(message_prop(&c, &name, &value));
    assert_false(message_prop(&c, &name, &value));
    assert_true(slice_equal(name, SLICE_LIT("bb")));
    c = cursor_of(slice_of(NULL, 0));
    assert_false(message_prop(&c, &name, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_records_come_back),
        cmocka_unit_test(lone_messages_move_with_their_base),
        cmocka_unit_test(odd_times_are_not_undefined),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_truncated_message_is_refused),
        cmocka_unit_test(out_of_bounds_fields_are_refused),
        cmocka_unit_test(damage_never_leads_out_of_the_record),
        cmocka_unit_test(headers_are_checked_field_by_field),
        cmocka_unit_test(the_headers_seq_is_added),
        cmocka_unit_test(records_are_cut_between_messages),
        cmocka_unit_test(records_are_cut_with_holes),
        cmocka_unit_test(damaged_starts_are_not_cut),
        cmocka_unit_test(starts_must_ascend_from_zero),
        cmocka_unit_test(a_full_buffer_fails_the_record),
        cmocka_unit_test(golden_bytes_of_version_1),
        cmocka_unit_test(properties_are_walked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
