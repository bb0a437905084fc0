/*
 * test_resp_write.c: tests writing every kind of token in RESP2 and RESP3, and into a full buffer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "protocol/resp/resp.h"

static void expect_version(const struct buf *reply, int version, const char *expected)
{
    struct buf out;
    assert_false(reply->failed);
    buf_init(&out, 0);
    resp_write(&out, buf_slice(reply), version);
    buf_put_u8(&out, '\0');
    assert_false(out.failed);
    assert_string_equal((const char *)out.data, expected);
    buf_free(&out);
}

/* Checks both versions and empties the reply. */
static void expect(struct buf *reply, const char *resp2, const char *resp3)
{
    expect_version(reply, 2, resp2);
    expect_version(reply, 3, resp3);
    buf_reset(reply, 0);
}

static void test_simple_tokens(void **state)
{
    (void)state;
    struct buf r;
    buf_init(&r, 0);
    reply_ok(&r);
    expect(&r, "+OK\r\n", "+OK\r\n");
    reply_null(&r);
    expect(&r, "$-1\r\n", "_\r\n");
    reply_simple(&r, "PONG");
    expect(&r, "+PONG\r\n", "+PONG\r\n");
    reply_bulk(&r, SLICE_LIT("a\r\nb"));
    expect(&r, "$4\r\na\r\nb\r\n", "$4\r\na\r\nb\r\n");
    reply_bulk(&r, slice_of(NULL, 0));
    expect(&r, "$0\r\n\r\n", "$0\r\n\r\n");
    reply_text(&r, SLICE_LIT("hello"));
    expect(&r, "$5\r\nhello\r\n", "=9\r\ntxt:hello\r\n");
    reply_bool(&r, true);
    expect(&r, ":1\r\n", "#t\r\n");
    reply_bool(&r, false);
    expect(&r, ":0\r\n", "#f\r\n");
    reply_id(&r, SLICE_LIT("orders"), 3, 17);
    expect(&r, "$11\r\norders:3:17\r\n", "$11\r\norders:3:17\r\n");
    buf_free(&r);
}

static void test_integers(void **state)
{
    (void)state;
    struct buf r;
    buf_init(&r, 0);
    reply_int(&r, 0);
    expect(&r, ":0\r\n", ":0\r\n");
    reply_int(&r, -10);
    expect(&r, ":-10\r\n", ":-10\r\n");
    reply_int(&r, INT64_MAX);
    expect(&r, ":9223372036854775807\r\n", ":9223372036854775807\r\n");
    reply_int(&r, INT64_MIN);
    expect(&r, ":-9223372036854775808\r\n", ":-9223372036854775808\r\n");
    buf_free(&r);
}

static void test_doubles(void **state)
{
    (void)state;
    struct buf r;
    buf_init(&r, 0);
    reply_double(&r, 0.1);
    expect(&r, "$3\r\n0.1\r\n", ",0.1\r\n");
    reply_double(&r, -1.5e300);
    expect(&r, "$9\r\n-1.5e+300\r\n", ",-1.5e+300\r\n");
    reply_double(&r, 1.0 / 3);
    expect(&r, "$18\r\n0.3333333333333333\r\n", ",0.3333333333333333\r\n");
    reply_double(&r, HUGE_VAL);
    expect(&r, "$3\r\ninf\r\n", ",inf\r\n");
    reply_double(&r, -HUGE_VAL);
    expect(&r, "$4\r\n-inf\r\n", ",-inf\r\n");
    reply_double(&r, -nan(""));
    expect(&r, "$3\r\nnan\r\n", ",nan\r\n");
    buf_free(&r);
}

static void test_doubles_read_back(void **state)
{
    (void)state;
    const double values[] = {DBL_MAX, DBL_MIN, DBL_EPSILON, 1e-310, 123456789.123456789, 2.0 / 3};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct buf r, out;
        buf_init(&r, 0);
        buf_init(&out, 0);
        reply_double(&r, values[i]);
        resp_write(&out, buf_slice(&r), 3);
        buf_put_u8(&out, '\0');
        double back = strtod((const char *)out.data + 1, NULL);
        assert_memory_equal(&back, &values[i], sizeof back);
        buf_free(&r);
        buf_free(&out);
    }
}

static void test_containers(void **state)
{
    (void)state;
    struct buf r;
    buf_init(&r, 0);
    reply_array(&r, 0);
    expect(&r, "*0\r\n", "*0\r\n");
    reply_array(&r, 2);
    reply_int(&r, 1);
    reply_null(&r);
    expect(&r, "*2\r\n:1\r\n$-1\r\n", "*2\r\n:1\r\n_\r\n");
    reply_map(&r, 2);
    reply_bulk_str(&r, "a");
    reply_int(&r, 1);
    reply_bulk_str(&r, "b");
    reply_array(&r, 1);
    reply_ok(&r);
    expect(&r, "*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n*1\r\n+OK\r\n",
           "%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n*1\r\n+OK\r\n");
    reply_push(&r, 2);
    reply_bulk_str(&r, "message");
    reply_bulk_str(&r, "x");
    expect(&r, "*2\r\n$7\r\nmessage\r\n$1\r\nx\r\n", ">2\r\n$7\r\nmessage\r\n$1\r\nx\r\n");
    buf_free(&r);
}

static void test_messages(void **state)
{
    (void)state;
    struct buf r;
    buf_init(&r, 0);
    reply_message(&r);
    reply_receipt(&r, SLICE_LIT("T"), 0, 5, 1);
    reply_bulk_str(&r, "body");
    reply_map(&r, 1);
    reply_bulk_str(&r, "offset");
    reply_int(&r, 5);
    reply_map(&r, 0);
    expect(&r, "*4\r\n$7\r\nT:0:5#1\r\n$4\r\nbody\r\n*2\r\n$6\r\noffset\r\n:5\r\n*0\r\n",
           "*4\r\n$7\r\nT:0:5#1\r\n$4\r\nbody\r\n%1\r\n$6\r\noffset\r\n:5\r\n%0\r\n");
    buf_free(&r);
}

static void test_errors(void **state)
{
    (void)state;
    struct buf r;
    buf_init(&r, 0);
    reply_array(&r, 3);
    reply_error(&r, ST_NOTOPIC, "no topic '%s'\r\n:1", "x");
    expect(&r, "-NOTOPIC no topic 'x'  :1\r\n", "-NOTOPIC no topic 'x'  :1\r\n");
    reply_error(&r, ST_NOMEM, "no memory");
    expect(&r, "-BUSY no memory\r\n", "-BUSY no memory\r\n");
    buf_free(&r);
}

/* A full buffer is marked as failed at the end, and nothing was written past its cap. */
static void test_full_buffer(void **state)
{
    (void)state;
    struct buf r;
    buf_init(&r, 0);
    reply_map(&r, 4);
    for (int i = 0; i < 4; i++) {
        reply_bulk_str(&r, "a key of some length");
        reply_text(&r, SLICE_LIT("and a text of some length"));
    }
    for (size_t cap = 1; cap < 200; cap++) {
        struct buf out;
        buf_init(&out, cap);
        resp_write(&out, buf_slice(&r), 3);
        assert_true(out.failed);
        assert_true(out.len <= cap);
        buf_free(&out);
    }
    buf_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simple_tokens), cmocka_unit_test(test_integers),
        cmocka_unit_test(test_doubles),       cmocka_unit_test(test_doubles_read_back),
        cmocka_unit_test(test_containers),    cmocka_unit_test(test_messages),
        cmocka_unit_test(test_errors),        cmocka_unit_test(test_full_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
