/* test_reply.c: tests reply tokens: writes and reads each kind, errors, and damaged tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/base/reply.h"

/* Writes one token of each kind, ids included. */
static void put_all(struct buf *r)
{
    reply_null(r);
    reply_ok(r);
    reply_int(r, INT64_MIN);
    reply_bool(r, true);
    reply_bool(r, false);
    reply_double(r, -0.25);
    reply_simple(r, "PONG");
    reply_bulk(r, slice_of("\0\r\n", 3));
    reply_bulk_str(r, "text");
    reply_bulk_uint(r, UINT64_MAX);
    reply_bulk_uint(r, 0);
    reply_text(r, SLICE_LIT("for a person"));
    reply_array(r, 0);
    reply_map(r, 300);
    reply_push(r, 3);
    reply_message(r);
    reply_id(r, SLICE_LIT("orders"), 1023, 10);
    reply_receipt(r, SLICE_LIT("orders"), 0, UINT64_MAX, 16);
}

static struct token next(struct cursor *c, enum token_kind kind)
{
    struct token t;
    assert_true(reply_next(c, &t));
    assert_int_equal(t.kind, kind);
    return t;
}

/* A finished map can be extended by another function. */
static void a_map_gets_more(void **state)
{
    (void)state;
    struct buf r;
    buf_init(&r, 0);
    reply_map(&r, 1);
    reply_field_int(&r, "a", 1);
    reply_map_more(&r, 2);
    reply_field_int(&r, "b", 2);
    reply_field_int(&r, "c", 3);
    struct cursor c = cursor_of(buf_slice(&r));
    assert_int_equal(next(&c, TOK_MAP).n, 3);
    for (int i = 1; i <= 3; i++) {
        next(&c, TOK_BULK);
        assert_int_equal(next(&c, TOK_INT).n, i);
    }
    struct token t;
    assert_false(reply_next(&c, &t) || c.bad);
    buf_free(&r);
    /* Without memory the reply stays marked as failed. */
    buf_init(&r, 1);
    reply_map(&r, 1);
    assert_true(r.failed);
    reply_map_more(&r, 1);
    assert_true(r.failed);
    buf_free(&r);
}

static void expect_bytes(struct cursor *c, enum token_kind kind, struct slice bytes)
{
    assert_true(slice_equal(next(c, kind).bytes, bytes));
}

static void every_kind_comes_back(void **state)
{
    (void)state;
    struct buf r;
    struct token t;
    buf_init(&r, 0);
    put_all(&r);
    struct cursor c = cursor_of(buf_slice(&r));
    next(&c, TOK_NULL);
    next(&c, TOK_OK);
    assert_true(next(&c, TOK_INT).n == INT64_MIN);
    assert_true(next(&c, TOK_BOOL).n == 1);
    assert_true(next(&c, TOK_BOOL).n == 0);
    double d = next(&c, TOK_DOUBLE).d;
    assert_true(d > -0.26 && d < -0.24);
    expect_bytes(&c, TOK_SIMPLE, SLICE_LIT("PONG"));
    expect_bytes(&c, TOK_BULK, slice_of("\0\r\n", 3));
    expect_bytes(&c, TOK_BULK, SLICE_LIT("text"));
    expect_bytes(&c, TOK_BULK, SLICE_LIT("18446744073709551615"));
    expect_bytes(&c, TOK_BULK, SLICE_LIT("0"));
    expect_bytes(&c, TOK_TEXT, SLICE_LIT("for a person"));
    assert_int_equal(next(&c, TOK_ARRAY).n, 0);
    assert_int_equal(next(&c, TOK_MAP).n, 300);
    assert_int_equal(next(&c, TOK_PUSH).n, 3);
    next(&c, TOK_MESSAGE);
    expect_bytes(&c, TOK_BULK, SLICE_LIT("orders:1023:10"));
    expect_bytes(&c, TOK_BULK, SLICE_LIT("orders:0:18446744073709551615#16"));
    assert_false(reply_next(&c, &t));
    assert_false(c.bad);
    buf_free(&r);
}

static void the_longest_ids_fit(void **state)
{
    (void)state;
    struct buf r;
    uint8_t topic[127];
    memset(topic, 't', sizeof topic);
    buf_init(&r, 0);
    reply_receipt(&r, slice_of(topic, sizeof topic), UINT32_MAX, UINT64_MAX, UINT32_MAX);
    struct cursor c = cursor_of(buf_slice(&r));
    assert_int_equal(next(&c, TOK_BULK).bytes.len, 127 + 1 + 10 + 1 + 20 + 1 + 10);
    assert_int_equal(cursor_left(&c), 0);
    buf_free(&r);
}

static void truncation_is_seen_and_never_passed(void **state)
{
    (void)state;
    struct buf r;
    struct token t;
    buf_init(&r, 0);
    put_all(&r);
    for (size_t cut = 0; cut < r.len; cut++) {
        uint8_t *exact = malloc(cut ? cut : 1);
        assert_non_null(exact);
        memcpy(exact, r.data, cut);
        struct cursor c = cursor_of(slice_of(exact, cut));
        size_t n = 0;
        while (reply_next(&c, &t))
            n++;
        assert_true(n < 18);
        assert_true(c.bad || cursor_left(&c) == 0);
        free(exact);
    }
    buf_free(&r);
}

static void damage_is_refused(void **state)
{
    (void)state;
    struct token t = {.n = 77};
    uint8_t kind[] = {TOK_COUNT};
    struct cursor c = cursor_of(slice_of(kind, 1));
    assert_false(reply_next(&c, &t));
    assert_true(c.bad);
    assert_false(reply_next(&c, &t));
    uint8_t status[] = {TOK_ERROR, ST_IO + 1, 0};
    c = cursor_of(slice_of(status, sizeof status));
    assert_false(reply_next(&c, &t));
    uint8_t count[] = {TOK_ARRAY, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    c = cursor_of(slice_of(count, sizeof count));
    assert_false(reply_next(&c, &t));
    assert_true(c.bad);
    assert_int_equal(t.n, 77);
}

static void errors_replace_what_was_there(void **state)
{
    (void)state;
    struct buf r;
    enum status s = ST_OK;
    buf_init(&r, 4096);
    reply_array(&r, 3);
    assert_false(reply_is_error(buf_slice(&r), &s));
    assert_false(reply_is_error(slice_of(NULL, 0), &s));
    reply_error(&r, ST_NOTOPIC, "no topic '%s'\r\n-OK\x7f", "a\nb");
    assert_true(reply_is_error(buf_slice(&r), &s));
    assert_true(reply_is_error(buf_slice(&r), NULL));
    assert_int_equal(s, ST_NOTOPIC);
    struct cursor c = cursor_of(buf_slice(&r));
    struct token t = next(&c, TOK_ERROR);
    assert_int_equal(t.status, ST_NOTOPIC);
    assert_true(slice_equal(t.bytes, SLICE_LIT("no topic 'a b'  -OK ")));
    assert_int_equal(cursor_left(&c), 0);
    reply_error(&r, ST_BUSY, NULL);
    c = cursor_of(buf_slice(&r));
    assert_true(slice_equal(next(&c, TOK_ERROR).bytes,
                            slice_str("a limit is reached for now, nothing was done: try again")));
    reply_error(&r, ST_ERR, "%2000d", 1);
    c = cursor_of(buf_slice(&r));
    assert_int_equal(next(&c, TOK_ERROR).bytes.len, 1023);
    buf_put_str(&r, "x");
    while (!r.failed)
        buf_put_str(&r, "0123456789");
    reply_error(&r, ST_NOMEM, NULL);
    assert_false(r.failed);
    assert_true(reply_is_error(buf_slice(&r), &s));
    assert_int_equal(s, ST_NOMEM);
    buf_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back),
        cmocka_unit_test(a_map_gets_more),
        cmocka_unit_test(the_longest_ids_fit),
        cmocka_unit_test(truncation_is_seen_and_never_passed),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(errors_replace_what_was_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
