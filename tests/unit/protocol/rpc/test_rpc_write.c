/*
 * test_rpc_write.c: compares our MessagePack with the bytes that Python's msgpack makes of the same values.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "protocol/rpc/rpc.h"

/* Compares in hex, so that a failure is readable, and empties the buffer. */
static void expect(struct buf *b, const char *hex)
{
    assert_false(b->failed);
    char *got = malloc(2 * b->len + 1);
    assert_non_null(got);
    got[0] = '\0';
    for (size_t i = 0; i < b->len; i++)
        (void)snprintf(got + 2 * i, 3, "%02x", b->data[i]);
    assert_string_equal(got, hex);
    free(got);
    buf_reset(b, 0);
}

static void test_numbers(void **state)
{
    (void)state;
    const int64_t numbers[] = {
        0,  127, 128, 255,  256,  65535,  65536,  4294967295, 4294967296,      INT64_MAX,
        -1, -32, -33, -128, -129, -32768, -32769, INT32_MIN,  INT32_MIN - 1LL, INT64_MIN};
    struct buf b;
    buf_init(&b, 0);
    rpc_put_list(&b, 24);
    rpc_put_nil(&b);
    rpc_put_bool(&b, true);
    rpc_put_bool(&b, false);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        rpc_put_int(&b, numbers[i]);
    rpc_put_double(&b, 1.5);
    expect(&b, "dc0018c0c3c2007fcc80ccffcd0100cdffffce00010000ceffffffffcf0000000100000000cf7fff"
               "ffffffffffffffe0d0dfd080d1ff7fd18000d2ffff7fffd280000000d3ffffffff7fffffffd38000"
               "000000000000cb3ff8000000000000");
    rpc_put_uint(&b, UINT64_MAX);
    expect(&b, "cfffffffffffffffff");
    buf_free(&b);
}

/* Writes one value of n bytes and compares only its head and its first byte. */
static void expect_head(void (*put)(struct buf *, struct slice), size_t n, const char *hex)
{
    struct buf b;
    uint8_t *bytes = malloc(n + 1);
    assert_non_null(bytes);
    memset(bytes, 'a', n);
    buf_init(&b, 0);
    put(&b, slice_of(bytes, n));
    assert_true(b.len >= strlen(hex) / 2);
    b.len = strlen(hex) / 2;
    expect(&b, hex);
    buf_free(&b);
    free(bytes);
}

static void test_heads(void **state)
{
    (void)state;
    struct buf b;
    expect_head(rpc_put_str, 0, "a0");
    expect_head(rpc_put_str, 31, "bf6161");
    expect_head(rpc_put_str, 32, "d92061");
    expect_head(rpc_put_str, 256, "da010061");
    expect_head(rpc_put_str, 65536, "db0001000061");
    expect_head(rpc_put_bin, 0, "c400");
    expect_head(rpc_put_bin, 255, "c4ff61");
    expect_head(rpc_put_bin, 256, "c5010061");
    expect_head(rpc_put_bin, 65536, "c60001000061");
    buf_init(&b, 0);
    rpc_put_list(&b, 15);
    rpc_put_list(&b, 16);
    rpc_put_list(&b, 65536);
    expect(&b, "9fdc0010dd00010000");
    rpc_put_map(&b, 15);
    rpc_put_map(&b, 16);
    rpc_put_map(&b, 65536);
    expect(&b, "8fde0010df00010000");
    buf_free(&b);
}

static void test_frames(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    rpc_put_request(&b, 300, "pop");
    rpc_put_map(&b, 1);
    rpc_put_str(&b, SLICE_LIT("count"));
    rpc_put_int(&b, 1);
    expect(&b, "9400cd012ca3706f7081a5636f756e7401");
    rpc_put_notify(&b, "check");
    rpc_put_map(&b, 0);
    expect(&b, "9302a5636865636b80");
    rpc_put_result(&b, 300);
    rpc_put_bool(&b, true);
    expect(&b, "9401cd012cc0c3");
    rpc_put_error(&b, 300, "BUSY", SLICE_LIT("try again"));
    expect(&b, "9401cd012c92a442555359a974727920616761696ec0");
    buf_free(&b);
}

static void test_replies(void **state)
{
    (void)state;
    struct buf r, b;
    buf_init(&r, 0);
    buf_init(&b, 0);
    reply_null(&r);
    rpc_write_response(&b, 1, buf_slice(&r));
    expect(&b, "940101c0c0");
    reply_error(&r, ST_BUSY, "try again");
    rpc_write_response(&b, 300, buf_slice(&r));
    expect(&b, "9401cd012c92a442555359a974727920616761696ec0");
    rpc_write_value(&b, buf_slice(&r));
    expect(&b, "92a442555359a974727920616761696e");
    buf_free(&r);
    buf_free(&b);
}

/* [1, 9, None, ["OK", None, -5, True, 0.25, "PONG", "text", {"a": 1}, b"\xff"]] */
static void test_tokens(void **state)
{
    (void)state;
    struct buf r, b;
    buf_init(&r, 0);
    buf_init(&b, 0);
    reply_push(&r, 9);
    reply_ok(&r);
    reply_null(&r);
    reply_int(&r, -5);
    reply_bool(&r, true);
    reply_double(&r, 0.25);
    reply_simple(&r, "PONG");
    reply_text(&r, SLICE_LIT("text"));
    reply_map(&r, 1);
    reply_bulk_str(&r, "a");
    reply_int(&r, 1);
    reply_bulk(&r, SLICE_LIT("\xff"));
    rpc_write_response(&b, 9, buf_slice(&r));
    expect(&b, "940109c099a24f4bc0fbc3cb3fd0000000000000a4504f4e47a47465787481a16101c401ff");
    buf_free(&r);
    buf_free(&b);
}

/* [1, 9, None, [{"id": "T:0:5#1", "body": b"hi", "attributes": {"topic": "T", "key": ["k",
 * b"\xff"], "offset": 5}, "properties": {"a": "b"}}]] */
static void test_message(void **state)
{
    (void)state;
    struct buf r, b;
    buf_init(&r, 0);
    buf_init(&b, 0);
    reply_array(&r, 1);
    reply_message(&r);
    reply_receipt(&r, SLICE_LIT("T"), 0, 5, 1);
    reply_bulk_str(&r, "hi");
    reply_map(&r, 3);
    reply_bulk_str(&r, "topic");
    reply_bulk_str(&r, "T");
    reply_bulk_str(&r, "key");
    reply_array(&r, 2);
    reply_bulk_str(&r, "k");
    reply_bulk(&r, SLICE_LIT("\xff"));
    reply_bulk_str(&r, "offset");
    reply_int(&r, 5);
    reply_map(&r, 1);
    reply_bulk_str(&r, "a");
    reply_bulk_str(&r, "b");
    rpc_write_response(&b, 9, buf_slice(&r));
    expect(&b,
           "940109c09184a26964a7543a303a352331a4626f6479c4026869aa6174747269627574657383a5746f70"
           "6963a154a36b657992a16bc401ffa66f666673657405aa70726f7065727469657381a161a162");
    buf_free(&r);
    buf_free(&b);
}

static void test_full_buffer(void **state)
{
    (void)state;
    for (size_t cap = 1; cap < 30; cap++) {
        struct buf b;
        buf_init(&b, cap);
        rpc_put_error(&b, 300, "BUSY", SLICE_LIT("try again please"));
        assert_true(b.failed == (cap < 29));
        assert_true(b.len <= cap);
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),     cmocka_unit_test(test_heads),
        cmocka_unit_test(test_frames),      cmocka_unit_test(test_replies),
        cmocka_unit_test(test_tokens),      cmocka_unit_test(test_message),
        cmocka_unit_test(test_full_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
