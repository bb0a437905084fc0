/* test_storage_directory.c: tests the directory: golden bytes, any bytes, and that a record's place is the same whether
 * it comes from memory, from its row, or, where the row is damaged or missing, from the record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/model/log.h"
#include "storage/model/tail.h"
#include "tests/lib/batch.h"
#include "tests/lib/shell.h"

static const struct record_info sample = {.base = 2,
                                          .index = 300,
                                          .first_seq = 5,
                                          .last_seq = 7,
                                          .total = 30000,
                                          .stored_ms = 1000,
                                          .expires_least = 1100,
                                          .expires_most = 1300,
                                          .count = 3,
                                          .bytes = 200,
                                          .flags = RECORD_TTL};

/* Field by field, as there are bytes between them. */
static void assert_same(const struct record_info *a, const struct record_info *b)
{
    assert_int_equal(a->base, b->base);
    assert_int_equal(a->index, b->index);
    assert_int_equal(a->first_seq, b->first_seq);
    assert_int_equal(a->last_seq, b->last_seq);
    assert_int_equal(a->total, b->total);
    assert_int_equal(a->stored_ms, b->stored_ms);
    assert_int_equal(a->expires_least, b->expires_least);
    assert_int_equal(a->expires_most, b->expires_most);
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->bytes, b->bytes);
    assert_int_equal(a->flags, b->flags);
}

static void golden(void **state)
{
    (void)state;
    static const uint8_t want[] = {1,    1,    3, 0xac, 2,    0xe8, 7, 5, 2,    0xc8, 1,
                                   0xb0, 0xea, 1, 1,    3,    100,  0xc9, 1};
    uint8_t row[DIRECTORY_ROW_MAX];
    assert_int_equal(directory_encode(&sample, row), sizeof(want));
    assert_memory_equal(row, want, sizeof(want));
    struct record_info plain = sample, back;
    assert_int_equal(directory_decode(2, slice_of(want, sizeof(want)), &back), ST_OK);
    assert_same(&back, &sample);
    plain.flags = 0;
    plain.expires_least = plain.expires_most = INT64_MAX;
    assert_int_equal(directory_encode(&plain, row), sizeof(want) - 5);
    assert_int_equal(directory_decode(2, slice_of(row, sizeof(want) - 5), &back), ST_OK);
    assert_same(&back, &plain);
}

/* A reader skips a column that it does not know. */
static void columns_of_later_versions(void **state)
{
    (void)state;
    uint8_t row[DIRECTORY_ROW_MAX];
    size_t len = directory_encode(&sample, row);
    struct record_info back;
    memcpy(row + len, "\x63\x02xx", 4);
    assert_int_equal(directory_decode(2, slice_of(row, len + 4), &back), ST_OK);
    assert_same(&back, &sample);
    assert_int_equal(directory_decode(2, slice_of(row, len + 3), &back), ST_BAD);
    assert_int_equal(directory_decode(2, slice_of(row, len + 1), &back), ST_BAD);
}

static void any_bytes(void **state)
{
    (void)state;
    uint8_t row[DIRECTORY_ROW_MAX];
    size_t len = directory_encode(&sample, row);
    struct record_info back;
    for (size_t at = 0; at < len; at++) {
        uint8_t *copy = malloc(at ? at : 1); /* of the exact size, so that a sanitizer sees a read past the end */
        assert_non_null(copy);
        memcpy(copy, row, at);
        assert_int_equal(directory_decode(2, slice_of(copy, at), &back), ST_BAD);
        free(copy);
        for (int with = 1; with < 256; with++) {
            row[at] ^= (uint8_t)with;
            enum status s = directory_decode(UINT64_MAX - 100, slice_of(row, len), &back);
            assert_true(s == ST_BAD || (s == ST_OK && back.count > 0 && back.base + back.count > back.base));
            row[at] ^= (uint8_t)with;
        }
    }
}

/* ---- the same place, wherever it comes from ---- */

static struct topic *topic_named(struct shell *s, const char *name)
{
    struct topic *t = NULL;
    assert_int_equal(topic_get(s->st, slice_str(name), &t), ST_OK);
    return t;
}

static void produce(struct shell *s, int64_t ttl_ms)
{
    struct batch b;
    batch_init(&b);
    batch_add_body(&b, "plain");
    batch_add(&b, (struct message){.body = SLICE_LIT("expires"), .fields = MSG_TTL, .expires_ms = ttl_ms});
    const struct slice words[] = {SLICE_LIT("PRODUCE"), SLICE_LIT("t"), batch_end(&b), SLICE_LIT("QUEUE"),
                                  SLICE_LIT("0")};
    shell_add_words(s, words, 5);
    batch_free(&b);
}

/* Fills topic t with records of all kinds; the last group stays open. */
static void fill(struct shell *s)
{
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    shell_do(s, "MSEND t a b c d e");
    shell_do(s, "SEND t f TTL 5s QUEUE 0");
    shell_add(s, "SEND t g TTL 5s QUEUE 0");
    shell_add(s, "SEND t other QUEUE 1");
    shell_add(s, "SEND t h TTL 9s QUEUE 0");
    assert_true(shell_write(s));
    s->now_ms += 3;
    shell_add(s, "SEND t i QUEUE 0");
    shell_add(s, "SEND t j TTL 1s QUEUE 0");
    assert_true(shell_write(s));
    shell_add(s, "SEND t k QUEUE 0");
    shell_add(s, "SEND u k");
    shell_add(s, "SEND t k TTL 7s QUEUE 0");
}

#define PLACES_MAX 64

/* Asks for the place of each message of queue 0. Returns how many there are. */
static uint64_t places(struct shell *s, struct record_info *out, bool total)
{
    struct topic *t = topic_named(s, "t");
    uint64_t end = t->queues[0].end;
    assert_true(end <= PLACES_MAX);
    for (uint64_t i = 0; i < end; i++) {
        assert_int_equal(log_locate(s->st, t, 0, i, &out[i]), ST_OK);
        if (!total)
            out[i].total = 0;
    }
    return end;
}

static void each_row(struct shell *s, void (*change)(struct kv *kv, struct slice key, struct slice value))
{
    struct kv_iter *it = kv_iter_new(s->st->kv, KV_STATE, NULL, SLICE_LIT("B"), SLICE_LIT("C"));
    assert_non_null(it);
    for (kv_iter_first(it); kv_iter_valid(it); kv_iter_next(it))
        change(s->st->kv, kv_iter_key(it), kv_iter_value(it));
    kv_iter_free(it);
    assert_int_equal(kv_write(s->st->kv, true, s->err, sizeof(s->err)), ST_OK);
}

static void remove_row(struct kv *kv, struct slice key, struct slice value)
{
    (void)value;
    kv_del(kv, KV_STATE, key);
}

static void spoil_row(struct kv *kv, struct slice key, struct slice value)
{
    (void)value;
    kv_put(kv, KV_STATE, key, SLICE_LIT("x"));
}

static void assert_places(struct shell *s, const struct record_info *want, uint64_t n, bool total)
{
    struct record_info got[PLACES_MAX];
    assert_int_equal(places(s, got, total), n);
    for (uint64_t i = 0; i < n; i++)
        assert_same(&got[i], &want[i]);
}

static void the_same_place_everywhere(void **state)
{
    struct shell *s = *state;
    struct record_info want[PLACES_MAX];
    fill(s);
    uint64_t open = places(s, want, true); /* the last two are in the tail */
    assert_true(shell_write(s));
    assert_places(s, want, open, true); /* remembered */
    shell_reopen(s);
    assert_places(s, want, open, true); /* the directory's rows */
    produce(s, 6000);
    assert_true(shell_write(s));
    uint64_t n = places(s, want, true);
    assert_int_equal(n, open + 2);
    assert_true(want[open].count == 2 && want[open].expires_least == s->now_ms + 6000);
    assert_true(want[open].expires_most == INT64_MAX);
    shell_reload(s);
    assert_places(s, want, n, true);
    for (uint64_t i = 0; i < n; i++)
        want[i].total = 0;
    each_row(s, spoil_row);
    shell_reload(s);
    assert_places(s, want, n, false); /* the records */
    each_row(s, remove_row);
    shell_reload(s);
    topic_named(s, "t")->queues[0].end = n; /* without any row the queue seems to be empty */
    assert_places(s, want, n, false);
}

/* A damaged row loses no message and no offset. */
static void a_damaged_row(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "MSEND t a b");
    shell_do(s, "SEND t c");
    each_row(s, spoil_row);
    shell_reopen(s);
    shell_expect(s, "t:0:3", "SEND t d");
    shell_expect(s, "[t:0:0#1=a t:0:1#1=b t:0:2#1=c t:0:3#1=d]", "POP g t COUNT 10");
    shell_expect(s, "OK", "TOPIC PURGE t");
    assert_int_equal(shell_rows(s, 'B'), 0);
}

/* Rows go with their records. */
static void rows_go_with_records(void **state)
{
    struct shell *s = *state;
    for (int i = 0; i < 4; i++)
        shell_do(s, "SEND t a");
    shell_do(s, "SEND u a");
    assert_int_equal(shell_rows(s, 'B'), 5);
    shell_do(s, "TOPIC PURGE u");
    assert_int_equal(shell_rows(s, 'B'), 4);
    shell_add(s, "SEND t more");
    shell_add(s, "TOPIC DELETE t");
    assert_true(shell_write(s));
    assert_int_equal(shell_rows(s, 'B'), 0);
}

/* A store whose records have no directory is refused. */
static void earlier_stores(void **state)
{
    struct shell *s = *state;
    struct buf row;
    buf_init(&row, 0);
    shell_do(s, "SEND t a");
    assert_int_equal(kv_get(s->st->kv, KV_STATE, NULL, SLICE_LIT("M"), &row), ST_OK);
    row.data[0] = 1;
    kv_put(s->st->kv, KV_STATE, SLICE_LIT("M"), buf_slice(&row));
    assert_int_equal(kv_write(s->st->kv, true, s->err, sizeof(s->err)), ST_OK);
    buf_free(&row);
    shell_close(s);
    assert_false(shell_open(s));
    assert_non_null(strstr(s->err, "written by an earlier version"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),
        cmocka_unit_test(columns_of_later_versions),
        cmocka_unit_test(any_bytes),
        SHELL_TEST(the_same_place_everywhere),
        SHELL_TEST(a_damaged_row),
        SHELL_TEST(rows_go_with_records),
        SHELL_TEST(earlier_stores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
