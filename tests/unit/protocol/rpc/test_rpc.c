/*
 * test_rpc.c: tests reading MessagePack-RPC frames: valid ones, every error, cut anywhere.
 *
 * Bytes are written in hex. Those of the foreign tests were made by Python's msgpack, so that the reader is compared
 * with another library and not only with our own writer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "protocol/rpc/rpc.h"
#include "protocol/rpc/rpc_scan.h"

#define MAX_FRAME 4096

static uint8_t nibble(char c) { return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10); }

static void put_hex(struct buf *b, const char *hex)
{
    for (; hex[0] && hex[1]; hex += 2)
        buf_put_u8(b, (uint8_t)(nibble(hex[0]) << 4 | nibble(hex[1])));
}

/* A reader and the bytes that it is given, each time in a block of their exact size. */
struct feed {
    struct rpc_reader *reader;
    uint8_t *block;
    struct rpc_frame frame;
    size_t used;
    char err[200];
};

static void feed_begin(struct feed *f)
{
    *f = (struct feed){.reader = rpc_reader_new(MAX_FRAME)};
    assert_non_null(f->reader);
}

static void feed_end(struct feed *f)
{
    rpc_reader_free(f->reader);
    free(f->block);
}

static enum status next(struct feed *f, struct slice in)
{
    free(f->block);
    f->block = malloc(in.len + 1);
    assert_non_null(f->block);
    memcpy(f->block, in.data, in.len);
    f->used = 0;
    f->err[0] = '\0';
    return rpc_reader_next(f->reader, slice_of(f->block, in.len), &f->frame, &f->used, f->err,
                           sizeof f->err);
}

/* Feeds byte by byte until there is a frame or an error. */
static enum status trickle(struct feed *f, struct slice in)
{
    enum status s = ST_MORE;
    for (size_t end = 1; end <= in.len && s == ST_MORE; end++)
        s = next(f, slice_of(in.data, end));
    return s;
}

static const struct {
    const char *hex;
    enum rpc_type type;
    uint64_t id;
    const char *method;
} foreign[] = {
    /* [0, 7, "send", [{"topic": "T", "body": b"\x00\xff", "key": ["a", "b"], "ttl": 5000,
     *                  "prop": {"n": 1, "t": True, "s": "x"}}]] */
    {"940007a473656e649185a5746f706963a154a4626f6479c40200ffa36b657992a161a162a374746ccd1388a4"
     "70726f7083a16e01a174c3a173a178",
     RPC_REQUEST, 7, "send"},
    /* [1, 7, None, {"id": "T:0:5", "body": b"\x00\xff"}] */
    {"940107c082a26964a5543a303a35a4626f6479c40200ff", RPC_RESPONSE, 7, ""},
    /* [2, "check", [{"txid": "4294967297"}]] */
    {"9302a5636865636b9181a474786964aa34323934393637323937", RPC_NOTIFY, 0, "check"},
};

static void check_foreign(const struct rpc_frame *f, size_t i)
{
    assert_int_equal(f->type, foreign[i].type);
    assert_int_equal(f->id, foreign[i].id);
    assert_true(slice_equal(f->method, slice_str(foreign[i].method)));
    if (f->type == RPC_RESPONSE) {
        assert_null(f->params);
        assert_null(f->error);
        assert_int_equal(rpc_kind(rpc_get(f->result, "body")), RPC_BYTES);
    } else {
        assert_int_equal(rpc_kind(f->params), RPC_MAP);
    }
}

static void test_foreign_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        struct feed f;
        struct buf b;
        feed_begin(&f);
        buf_init(&b, 0);
        put_hex(&b, foreign[i].hex);
        assert_int_equal(trickle(&f, buf_slice(&b)), ST_OK);
        assert_int_equal(f.used, b.len);
        check_foreign(&f.frame, i);
        buf_put_str(&b, "\x93 more");
        assert_int_equal(next(&f, buf_slice(&b)), ST_OK);
        assert_int_equal(f.used, b.len - 6);
        check_foreign(&f.frame, i);
        buf_free(&b);
        feed_end(&f);
    }
}

static const int64_t numbers[] = {
    0,  127, 128, 255,  256,  65535,  65536,  4294967295, 4294967296,      INT64_MAX,
    -1, -32, -33, -128, -129, -32768, -32769, INT32_MIN,  INT32_MIN - 1LL, INT64_MIN};

/* [1, 1, None, [None, True, False, the numbers above, 1.5]] */
static const char foreign_numbers[] =
    "940101c0dc0018c0c3c2007fcc80ccffcd0100cdffffce00010000ceffffffffcf00000001000000"
    "00cf7fffffffffffffffffe0d0dfd080d1ff7fd18000d2ffff7fffd280000000d3ffffffff7fffff"
    "ffd38000000000000000cb3ff8000000000000";

static void test_foreign_numbers(void **state)
{
    (void)state;
    struct feed f;
    struct buf b;
    feed_begin(&f);
    buf_init(&b, 0);
    put_hex(&b, foreign_numbers);
    assert_int_equal(trickle(&f, buf_slice(&b)), ST_OK);
    const struct rpc_value *list = f.frame.result;
    bool flag = false;
    int64_t n = 0;
    assert_int_equal(rpc_len(list), 24);
    assert_int_equal(rpc_kind(rpc_at(list, 0)), RPC_NIL);
    assert_true(rpc_bool(rpc_at(list, 1), &flag) && flag);
    assert_true(rpc_bool(rpc_at(list, 2), &flag) && !flag);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        assert_true(rpc_int(rpc_at(list, 3 + i), &n));
        assert_true(n == numbers[i]);
    }
    assert_int_equal(rpc_kind(rpc_at(list, 23)), RPC_DOUBLE);
    assert_null(rpc_at(list, 24));
    buf_free(&b);
    feed_end(&f);
}

/* [1, 1, None, [2**64-1, 1.5, ExtType(3, b"ab"), "s", b"b", [], {}]] */
static void test_foreign_kinds(void **state)
{
    (void)state;
    const enum rpc_kind kinds[] = {RPC_INT,   RPC_DOUBLE, RPC_OTHER, RPC_BYTES,
                                   RPC_BYTES, RPC_LIST,   RPC_MAP};
    struct feed f;
    struct buf b;
    int64_t n;
    bool flag;
    struct slice s;
    feed_begin(&f);
    buf_init(&b, 0);
    put_hex(&b, "940101c097cfffffffffffffffffcb3ff8000000000000d5036162a173c401629080");
    assert_int_equal(trickle(&f, buf_slice(&b)), ST_OK);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(rpc_kind(rpc_at(f.frame.result, i)), kinds[i]);
    assert_false(rpc_int(rpc_at(f.frame.result, 0), &n)); /* too large */
    assert_false(rpc_bool(rpc_at(f.frame.result, 0), &flag));
    assert_false(rpc_bytes(rpc_at(f.frame.result, 2), &s));
    assert_true(rpc_bytes(rpc_at(f.frame.result, 4), &s) && slice_equal(s, SLICE_LIT("b")));
    assert_null(rpc_key(rpc_at(f.frame.result, 5), 0));
    assert_null(rpc_get(f.frame.result, "s"));
    assert_int_equal(rpc_len(NULL), 0);
    buf_free(&b);
    feed_end(&f);
}

static void expect_bad(struct slice in, const char *why)
{
    struct feed f;
    char expected[200];
    snprintf(expected, sizeof expected, "Protocol error: %s", why);
    feed_begin(&f);
    assert_int_equal(next(&f, in), ST_BAD);
    assert_string_equal(f.err, expected);
    feed_end(&f);
    feed_begin(&f);
    assert_int_equal(trickle(&f, in), ST_BAD);
    assert_string_equal(f.err, expected);
    feed_end(&f);
}

#define SHAPE "expected [0, id, method, params], [1, id, error, result] or [2, method, params]"

static void test_wrong_shapes(void **state)
{
    (void)state;
    expect_bad(SLICE_LIT("\xa4ping"), SHAPE);
    expect_bad(SLICE_LIT("\x81\x00\x00"), SHAPE);
    expect_bad(SLICE_LIT("PING"), SHAPE);
    expect_bad(SLICE_LIT("\x93\x00\x01\xa4ping"), SHAPE);
    expect_bad(SLICE_LIT("\x95\x00\x01\xa4ping\x80\x80"), SHAPE);
    expect_bad(SLICE_LIT("\x94\x02\xa4ping\x80\x80"), SHAPE);
    expect_bad(SLICE_LIT("\x90"), "the first value of a frame is 0, 1 or 2");
    expect_bad(SLICE_LIT("\x94\x03\x01\xa4ping\x80"), "the first value of a frame is 0, 1 or 2");
    expect_bad(SLICE_LIT("\x94\xff\x01\xa4ping\x80"), "the first value of a frame is 0, 1 or 2");
    expect_bad(SLICE_LIT("\x94\xa1x\x01\xa4ping\x80"), "the first value of a frame is 0, 1 or 2");
    expect_bad(SLICE_LIT("\x94\x00\x01\x05\x80"), "a method is a string");
    expect_bad(SLICE_LIT("\x93\x02\x90\x80"), "a method is a string");
}

static void test_wrong_ids(void **state)
{
    (void)state;
    const char *why = "an id is a whole number from 0 to 4294967295";
    expect_bad(SLICE_LIT("\x94\x00\xff\xa4ping\x80"), why);
    expect_bad(SLICE_LIT("\x94\x00\xa1"
                         "1\xa4ping\x80"),
               why);
    expect_bad(SLICE_LIT("\x94\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x00\xa4ping\x80"), why);
    expect_bad(SLICE_LIT("\x94\x01\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xc0\xc0"), why);
}

/* A length over a limit is refused when its header arrives: none of these bytes follow. */
static void test_promises_refused_at_the_header(void **state)
{
    (void)state;
    expect_bad(SLICE_LIT("\x94\x00\x01\xa4ping\xc6\xff\xff\xff\xff"), "the frame is too large");
    expect_bad(SLICE_LIT("\x94\x00\x01\xdb\x00\x00\x10\x00"), "the frame is too large");
    expect_bad(SLICE_LIT("\x94\x00\x01\xa4ping\xc9\x00\x01\x00\x00"), "the frame is too large");
    expect_bad(SLICE_LIT("\x94\x00\x01\xa4ping\xdc\x0f\xff"), "the frame is too large");
    expect_bad(SLICE_LIT("\x94\x00\x01\xa4ping\xde\x07\xff"), "the frame is too large");
    expect_bad(SLICE_LIT("\x94\x00\x01\xa4ping\xdd\xff\xff\xff\xff"),
               "a list or map has too many elements");
    expect_bad(SLICE_LIT("\x94\x00\x01\xa4ping\xdf\x00\x01\x00\x01"),
               "a list or map has too many elements");
    expect_bad(SLICE_LIT("\x94\x00\x01\xc1"), "0xc1 is not MessagePack");
}

static void test_largest_frame(void **state)
{
    (void)state;
    struct feed f;
    struct buf b;
    buf_init(&b, 0);
    rpc_put_request(&b, 1, "ping");
    rpc_put_map(&b, 1);
    rpc_put_str(&b, SLICE_LIT("text"));
    put_hex(&b, "c5");
    size_t body = MAX_FRAME - b.len - 2;
    buf_put_u8(&b, (uint8_t)(body >> 8));
    buf_put_u8(&b, (uint8_t)body);
    while (b.len < MAX_FRAME)
        buf_put_u8(&b, 'x');
    feed_begin(&f);
    assert_int_equal(trickle(&f, buf_slice(&b)), ST_OK);
    assert_int_equal(f.used, MAX_FRAME);
    feed_end(&f);
    b.data[MAX_FRAME - body - 1]++;
    expect_bad(slice_of(b.data, MAX_FRAME - body), "the frame is too large");
    buf_free(&b);
}

static void put_nested(struct buf *b, unsigned lists)
{
    buf_reset(b, 0);
    rpc_put_request(b, 1, "ping");
    for (unsigned i = 0; i < lists; i++)
        rpc_put_list(b, i + 1 < lists ? 1 : 0);
}

static void test_depth(void **state)
{
    (void)state;
    struct feed f;
    struct buf b;
    buf_init(&b, 0);
    feed_begin(&f);
    put_nested(&b, RPC_DEPTH_MAX - 1);
    assert_int_equal(trickle(&f, buf_slice(&b)), ST_OK);
    feed_end(&f);
    put_nested(&b, RPC_DEPTH_MAX);
    expect_bad(buf_slice(&b), "the frame is nested too deeply");
    buf_free(&b);
}

/* Too many values, in lists that are each within their limit. */
static void test_too_many_values(void **state)
{
    (void)state;
    struct rpc_scan scan;
    struct buf b;
    char err[100];
    size_t bytes = 0;
    enum status s = ST_MORE;
    rpc_scan_begin(&scan, (size_t)REQUEST_BYTES_MAX);
    buf_init(&b, 0);
    rpc_put_list(&b, 1000);
    for (int i = 0; i < 1000 && s == ST_MORE; i++) {
        rpc_put_list(&b, 2000);
        for (int j = 0; j < 2000; j++)
            rpc_put_nil(&b);
        s = rpc_scan(&scan, buf_slice(&b), &bytes, err, sizeof err);
    }
    assert_int_equal(s, ST_BAD);
    assert_string_equal(err, "the frame has too many values");
    assert_true(b.len < (size_t)RPC_VALUES_MAX + 4096);
    buf_free(&b);
}

/* Feeds a large frame byte by byte: quadratic work would take minutes here. */
static void test_large_frame_in_small_pieces(void **state)
{
    (void)state;
    struct rpc_reader *r = rpc_reader_new((size_t)MIB(1));
    struct rpc_frame frame;
    struct buf b;
    char err[100];
    size_t used = 0;
    assert_non_null(r);
    buf_init(&b, 0);
    rpc_put_request(&b, 1, "msend");
    rpc_put_map(&b, 1);
    rpc_put_str(&b, SLICE_LIT("body"));
    rpc_put_list(&b, REQUEST_WORDS_MAX);
    for (int i = 0; i < REQUEST_WORDS_MAX; i++)
        rpc_put_str(&b, SLICE_LIT("abc"));
    for (size_t end = 0; end < b.len; end++)
        assert_int_equal(rpc_reader_next(r, slice_of(b.data, end), &frame, &used, err, sizeof err),
                         ST_MORE);
    assert_int_equal(rpc_reader_next(r, buf_slice(&b), &frame, &used, err, sizeof err), ST_OK);
    assert_int_equal(used, b.len);
    assert_int_equal(rpc_len(rpc_get(frame.params, "body")), REQUEST_WORDS_MAX);
    buf_free(&b);
    rpc_reader_free(r);
}

static void test_params_forms(void **state)
{
    (void)state;
    const struct {
        struct slice params;
        int kind; /* -1: none */
    } forms[] = {
        {SLICE_LIT("\x90"), -1},          {SLICE_LIT("\xc0"), -1},
        {SLICE_LIT("\x91\xc0"), -1},      {SLICE_LIT("\x80"), RPC_MAP},
        {SLICE_LIT("\x91\x80"), RPC_MAP}, {SLICE_LIT("\x92\x80\x80"), RPC_LIST},
        {SLICE_LIT("\x05"), RPC_INT},     {SLICE_LIT("\x91\xa1x"), RPC_BYTES},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct feed f;
        struct buf b;
        feed_begin(&f);
        buf_init(&b, 0);
        rpc_put_request(&b, 1, "ping");
        buf_put_slice(&b, forms[i].params);
        assert_int_equal(trickle(&f, buf_slice(&b)), ST_OK);
        assert_int_equal(f.frame.params ? (int)rpc_kind(f.frame.params) : -1, forms[i].kind);
        buf_free(&b);
        feed_end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_foreign_frames),
        cmocka_unit_test(test_foreign_numbers),
        cmocka_unit_test(test_foreign_kinds),
        cmocka_unit_test(test_wrong_shapes),
        cmocka_unit_test(test_wrong_ids),
        cmocka_unit_test(test_promises_refused_at_the_header),
        cmocka_unit_test(test_largest_frame),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_too_many_values),
        cmocka_unit_test(test_large_frame_in_small_pieces),
        cmocka_unit_test(test_params_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
