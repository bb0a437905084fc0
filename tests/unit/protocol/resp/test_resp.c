/*
 * test_resp.c: tests reading requests: arrays, inline lines, every error, skipped requests.
 *
 * `expect` feeds bytes to a reader and writes the result as one line of text: [a][bc] is a request of two words,
 * <...> an error, "closed" the end. Each input is fed at once, byte by byte, and in pieces of seven bytes; the
 * results must be equal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "protocol/resp/resp.h"

#define MAX_BULK 32

struct run {
    struct resp_reader reader;
    struct buf log;
    size_t held_max; /* the most bytes that the caller had to keep at a time */
    bool closed;
};

static void note(struct run *run, enum status s, const struct slice *words, size_t n,
                 const char *err)
{
    if (s == ST_OK) {
        for (size_t i = 0; i < n; i++) {
            buf_put_u8(&run->log, '[');
            buf_put_slice(&run->log, words[i]);
            buf_put_u8(&run->log, ']');
        }
        buf_put_u8(&run->log, ' ');
    } else if (s == ST_TOOBIG || s == ST_BAD) {
        buf_printf(&run->log, "<%s%s> ", s == ST_TOOBIG ? "TOOBIG " : "", err);
    }
}

/* Reads all requests from the bytes. Returns how many bytes were consumed. */
static size_t drain(struct run *run, struct slice in)
{
    uint8_t *block = malloc(in.len + 1); /* a block of its own, so that a read past the end is found */
    assert_non_null(block);
    memcpy(block, in.data, in.len);
    size_t done = 0;
    for (;;) {
        struct slice *words = NULL;
        size_t n = 0, used = 0;
        char err[200] = "";
        enum status s = resp_reader_next(&run->reader, slice_of(block + done, in.len - done),
                                         &words, &n, &used, err, sizeof err);
        assert_true(s == ST_OK || s == ST_MORE || s == ST_TOOBIG || s == ST_BAD);
        assert_true(used <= in.len - done);
        note(run, s, words, n, err);
        done += used;
        run->closed = s == ST_BAD;
        if (s == ST_MORE || s == ST_BAD)
            break;
    }
    free(block);
    return done;
}

static void run_begin(struct run *run, size_t max_bulk)
{
    *run = (struct run){.closed = false};
    resp_reader_init(&run->reader, max_bulk);
    buf_init(&run->log, 0);
}

static void run_end(struct run *run)
{
    resp_reader_free(&run->reader);
    buf_free(&run->log);
}

static void run_feed(struct run *run, struct slice in, size_t step)
{
    size_t start = 0, end = 0;
    while (end < in.len && !run->closed) {
        end = in.len - end < step ? in.len : end + step;
        if (end - start > run->held_max)
            run->held_max = end - start;
        start += drain(run, slice_of(in.data + start, end - start));
    }
}

static void expect_bytes(struct slice in, const char *expected)
{
    const size_t steps[] = {in.len ? in.len : 1, 1, 7};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct run run;
        run_begin(&run, MAX_BULK);
        run_feed(&run, in, steps[i]);
        if (run.closed)
            buf_put_str(&run.log, "closed");
        buf_put_u8(&run.log, '\0');
        assert_false(run.log.failed);
        assert_string_equal((const char *)run.log.data, expected);
        run_end(&run);
    }
}

#define expect(in, expected) expect_bytes(SLICE_LIT(in), expected)

static void test_arrays(void **state)
{
    (void)state;
    expect("*1\r\n$4\r\nPING\r\n", "[PING] ");
    expect("*3\r\n$4\r\nSEND\r\n$1\r\nT\r\n$5\r\na\r\n\tb\r\n", "[SEND][T][a\r\n\tb] ");
    expect("*2\r\n$0\r\n\r\n$0\r\n\r\n*1\r\n$1\r\nx\r\n", "[][] [x] ");
    expect("*2\r\n$4\r\nECHO\r\n$03\r\nabc\r\n", "[ECHO][abc] ");
    expect("*2\r\n$4\r\nECHO\r\n$3\r\nab", "");
    expect("", "");
}

static void test_what_is_ignored(void **state)
{
    (void)state;
    expect("\r\n\n  \t \r\n*0\r\n*-1\r\n*-0\r\nPING\r\n", "[PING] ");
    expect("\r\n*0\r\n", "");
}

static void test_inline(void **state)
{
    (void)state;
    expect("PING\r\n", "[PING] ");
    expect("PING\n", "[PING] ");
    expect("  SEND\t T  body  \n", "[SEND][T][body] ");
    expect("A b\nC d\r\n", "[A][b] [C][d] ");
    expect("SEND T a\\nb\n", "[SEND][T][a\\nb] ");
    expect("$4\r\n", "[$4] ");
    expect("no end of line", "");
}

static void test_quotes(void **state)
{
    (void)state;
    expect("ECHO \"two words\"\n", "[ECHO][two words] ");
    expect("ECHO \"\" ''\n", "[ECHO][][] ");
    expect("ECHO \"\\n\\r\\t\\a\\b\\\\\\\"\"\n", "[ECHO][\n\r\t\a\b\\\"] ");
    expect("ECHO \"\\x41\\x6a\\x6A\\q\"\n", "[ECHO][Ajjq] ");
    expect("ECHO \"\\x4\" \"\\xg1\" \"\\x\"\n", "[ECHO][x4][xg1][x] ");
    expect("ECHO 'it\\'s' '\\n\\x41\"'\n", "[ECHO][it's][\\n\\x41\"] ");
    expect("ECHO a\"b c\" x'y z'\n", "[ECHO][ab c][xy z] ");
    expect("ECHO \"a\"\t'b'\r\n", "[ECHO][a][b] ");
}

static void test_quotes_hold_any_byte(void **state)
{
    (void)state;
    struct run run;
    run_begin(&run, MAX_BULK);
    run_feed(&run, SLICE_LIT("\"\\x00\\xff\\x0a\"\n"), 1);
    assert_int_equal(run.log.len, 6);
    assert_memory_equal(run.log.data, "[\x00\xff\n] ", 6);
    run_end(&run);
}

#define UNBALANCED "<Protocol error: unbalanced quotes in request> closed"

static void test_unbalanced_quotes(void **state)
{
    (void)state;
    expect("ECHO \"abc\n", UNBALANCED);
    expect("ECHO 'abc\r\nPING\r\n", UNBALANCED);
    expect("ECHO \"abc\"d\n", UNBALANCED);
    expect("ECHO 'abc''d'\n", UNBALANCED);
    expect("ECHO \"abc\\\"\n", UNBALANCED);
    expect("ECHO \"abc\\\n", UNBALANCED);
    expect("ECHO \"\n", UNBALANCED);
}

#define HTTP_ERROR "<Protocol error: this is not the HTTP port: HTTP is spoken on the port of the setting http_port " \
                   "(default 4280)> closed"

static void test_http_closes(void **state)
{
    (void)state;
    expect("POST / HTTP/1.1\r\nHost: h\r\n\r\nTOPIC DELETE t\r\n", HTTP_ERROR);
    expect("GET /metrics HTTP/1.1\r\n\r\nSHUTDOWN\r\n", HTTP_ERROR);
    expect("GET /a b \"c HTTP/1.0\nSHUTDOWN\n", HTTP_ERROR);
    expect("PUT /\"x HTTP/1.1\nSHUTDOWN\n", HTTP_ERROR);
    expect("options * HTTP/1.1\nSHUTDOWN\n", HTTP_ERROR);
    expect("  DELETE\tx\nSHUTDOWN\n", HTTP_ERROR);
    expect("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTP_ERROR);
    expect("PING\nFOO / HTTP/1.1\nhost: \"h\nSHUTDOWN\n", "[PING] [FOO][/][HTTP/1.1] " HTTP_ERROR);
    expect("*1\r\n$4\r\nPING\r\nHOST:\nSHUTDOWN\n", "[PING] " HTTP_ERROR);
}

static void test_what_is_not_http(void **state)
{
    (void)state;
    expect("GET t:0:1\nget t:0:1 t:0:2\nGET\nPOST\n", "[GET][t:0:1] [get][t:0:1][t:0:2] [GET] [POST] ");
    expect("SEND T HTTP/1.1\nECHO Host:\nSEND POST x\nPOSTX y\n",
           "[SEND][T][HTTP/1.1] [ECHO][Host:] [SEND][POST][x] [POSTX][y] ");
    expect("*3\r\n$4\r\nPOST\r\n$1\r\n/\r\n$8\r\nHTTP/1.1\r\n", "[POST][/][HTTP/1.1] ");
}

static void test_bad_array_headers(void **state)
{
    (void)state;
    const char *bad = "<Protocol error: invalid multibulk length> closed";
    expect("*65537\r\n", bad);
    expect("*x\r\n", bad);
    expect("*1x\r\n", bad);
    expect("*\r\n", bad);
    expect("*-\r\n", bad);
    expect("*+1\r\n", bad);
    expect("* 1\r\n", bad);
    expect("*1\n", bad);
    expect("*1\rx", bad);
    expect("*99999999999999999999999\r\n", bad);
    expect("*18446744073709551617\r\n", bad);
    expect("*00000000000000000000000000000000000", bad);
}

static void test_bad_bulk_headers(void **state)
{
    (void)state;
    const char *bad = "<Protocol error: invalid bulk length> closed";
    expect("*1\r\n$-1\r\n", bad);
    expect("*1\r\n$x\r\n", bad);
    expect("*1\r\n$\r\n", bad);
    expect("*1\r\n$4x\r\n", bad);
    expect("*1\r\n$536870913\r\n", bad);
    expect("*1\r\n$99999999999999999999999\r\n", bad);
    expect("*1\r\n$000000000000000000000000000000000", bad);
}

static void test_no_dollar(void **state)
{
    (void)state;
    expect("*2\r\n$4\r\nPING\r\n+OK\r\n", "<Protocol error: expected '$', got '+'> closed");
    expect("*1\r\nPING\r\n", "<Protocol error: expected '$', got 'P'> closed");
    expect("*1\r\n\r\n", "<Protocol error: expected '$', got '\\x0D'> closed");
}

static void test_bulk_without_end(void **state)
{
    (void)state;
    const char *bad = "<Protocol error: expected CRLF after a bulk of 4 bytes> closed";
    expect("*1\r\n$4\r\nPINGPING\r\n", bad);
    expect("*1\r\n$4\r\nPING\n\n", bad);
    expect("*1\r\n$4\r\nPING\r\r", bad);
}

static const char too_big[] =
    "<TOOBIG a word of 33 bytes is over the limit of 32 bytes: send less, or "
    "raise max_message_bytes> ";

static void test_too_big_is_swallowed(void **state)
{
    (void)state;
    char expected[200];
    snprintf(expected, sizeof expected, "%s[PING] ", too_big);
    expect("*4\r\n$4\r\nSEND\r\n$33\r\n012345678901234567890123456789012\r\n$3\r\nKEY\r\n$0\r\n\r\n"
           "*1\r\n$4\r\nPING\r\n",
           expected);
    expect("*2\r\n$4\r\nSEND\r\n$33\r\n012345678901234567890123456789012\r\nPING\n", expected);
    expect("*2\r\n$33\r\n012345678901234567890123456789012\r\n$40\r\n"
           "0123456789012345678901234567890123456789\r\nPING\r\n",
           expected);
    expect("*1\r\n$32\r\n01234567890123456789012345678901\r\n",
           "[01234567890123456789012345678901] ");
}

static void test_too_big_is_told_at_the_header(void **state)
{
    (void)state;
    expect("*3\r\n$4\r\nSEND\r\n$1\r\nT\r\n$33\r\n", too_big);
    expect("*1\r\n$536870912\r\n",
           "<TOOBIG a word of 536870912 bytes is over the limit of 32 bytes: send less, or raise "
           "max_message_bytes> ");
}

static void test_broken_behind_too_big(void **state)
{
    (void)state;
    char expected[200];
    snprintf(expected, sizeof expected, "%s<Protocol error: expected CRLF after a bulk> closed",
             too_big);
    expect("*2\r\n$33\r\n012345678901234567890123456789012xx", expected);
    snprintf(expected, sizeof expected, "%s<Protocol error: expected '$', got ':'> closed",
             too_big);
    expect("*2\r\n$33\r\n012345678901234567890123456789012\r\n:5\r\n", expected);
    snprintf(expected, sizeof expected, "%s<Protocol error: invalid bulk length> closed", too_big);
    expect("*2\r\n$33\r\n012345678901234567890123456789012\r\n$-5\r\n", expected);
}

/* A skipped body is consumed as it arrives: the caller never keeps more than one piece of it. */
static void test_skipping_keeps_nothing(void **state)
{
    (void)state;
    struct run run;
    struct buf in;
    run_begin(&run, MAX_BULK);
    buf_init(&in, 0);
    buf_put_str(&in, "*2\r\n$100000\r\n");
    for (int i = 0; i < 100000; i++)
        buf_put_u8(&in, 'x');
    buf_put_str(&in, "\r\n$2\r\nab\r\nPING\n");
    run_feed(&run, buf_slice(&in), 64);
    assert_true(run.held_max < 128);
    assert_int_equal(memcmp(run.log.data + run.log.len - 7, "[PING] ", 7), 0);
    buf_free(&in);
    run_end(&run);
}

/* Each word is within its limit, but all together are not. */
static void test_request_too_big(void **state)
{
    (void)state;
    struct run run;
    struct buf in;
    size_t half = (size_t)REQUEST_BYTES_MAX / 2 - 16;
    run_begin(&run, (size_t)REQUEST_BYTES_MAX);
    buf_init(&in, (size_t)REQUEST_BYTES_MAX * 2);
    buf_printf(&in, "*3\r\n");
    for (int i = 0; i < 2; i++) {
        buf_printf(&in, "$%zu\r\n", half);
        assert_non_null(buf_room(&in, half));
        memset(in.data + in.len, 'x', half);
        buf_added(&in, half);
        buf_put_str(&in, "\r\n");
    }
    size_t before = in.len;
    buf_put_str(&in, "$100\r\n");
    run_feed(&run, buf_slice(&in), in.len);
    assert_false(run.closed);
    char expected[200];
    snprintf(
        expected, sizeof expected,
        "<TOOBIG a request of at least %zu bytes is over the limit of %ld bytes: split it up> ",
        before + 6 + 102, REQUEST_BYTES_MAX);
    assert_int_equal(run.log.len, strlen(expected));
    assert_memory_equal(run.log.data, expected, run.log.len);
    buf_free(&in);
    run_end(&run);
}

static void put_line(struct buf *b, size_t n, const char *end)
{
    buf_init(b, 0);
    for (size_t i = 0; i < n; i++)
        buf_put_u8(b, 'x');
    buf_put_str(b, end);
}

static void test_longest_line(void **state)
{
    (void)state;
    const size_t steps[] = {97, 4096, 1000000};
    for (size_t i = 0; i < 3; i++) {
        struct run run;
        struct buf in;
        run_begin(&run, MAX_BULK);
        put_line(&in, INLINE_BYTES_MAX, "\n");
        run_feed(&run, buf_slice(&in), steps[i]);
        assert_false(run.closed);
        assert_int_equal(run.log.len, INLINE_BYTES_MAX + 3);
        buf_free(&in);
        run_end(&run);
    }
}

static void test_line_too_long(void **state)
{
    (void)state;
    const char *ends[] = {"", "\n", "\r\n"};
    const char *expected = "<Protocol error: too big inline request> ";
    for (size_t i = 0; i < 3; i++) {
        struct run run;
        struct buf in;
        run_begin(&run, MAX_BULK);
        put_line(&in, INLINE_BYTES_MAX + 1, ends[i]);
        run_feed(&run, buf_slice(&in), 1000);
        assert_true(run.closed);
        assert_int_equal(run.log.len, strlen(expected));
        assert_memory_equal(run.log.data, expected, run.log.len);
        buf_free(&in);
        run_end(&run);
    }
}

/* Feeds the largest number of words byte by byte: quadratic work would take minutes here. */
static void test_most_words(void **state)
{
    (void)state;
    struct run run;
    struct buf in;
    run_begin(&run, MAX_BULK);
    buf_init(&in, 0);
    buf_printf(&in, "*%d\r\n", REQUEST_WORDS_MAX);
    for (int i = 0; i < REQUEST_WORDS_MAX; i++)
        buf_put_str(&in, "$1\r\nx\r\n");
    struct slice *words = NULL;
    size_t n = 0, used = 0;
    char err[200];
    for (size_t end = 1; end < in.len; end++) {
        struct slice so_far = slice_of(in.data, end);
        assert_int_equal(resp_reader_next(&run.reader, so_far, &words, &n, &used, err, sizeof err),
                         ST_MORE);
        assert_int_equal(used, 0);
    }
    assert_int_equal(
        resp_reader_next(&run.reader, buf_slice(&in), &words, &n, &used, err, sizeof err), ST_OK);
    assert_int_equal(n, REQUEST_WORDS_MAX);
    assert_int_equal(used, in.len);
    assert_ptr_equal(words[n - 1].data, in.data + in.len - 3);
    run_feed(&run, SLICE_LIT("PING\n"), 5);
    assert_true(run.reader.words_size < REQUEST_WORDS_MAX); /* its memory was freed */
    buf_free(&in);
    run_end(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_what_is_ignored),
        cmocka_unit_test(test_inline),
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_quotes_hold_any_byte),
        cmocka_unit_test(test_unbalanced_quotes),
        cmocka_unit_test(test_http_closes),
        cmocka_unit_test(test_what_is_not_http),
        cmocka_unit_test(test_bad_array_headers),
        cmocka_unit_test(test_bad_bulk_headers),
        cmocka_unit_test(test_no_dollar),
        cmocka_unit_test(test_bulk_without_end),
        cmocka_unit_test(test_too_big_is_swallowed),
        cmocka_unit_test(test_too_big_is_told_at_the_header),
        cmocka_unit_test(test_broken_behind_too_big),
        cmocka_unit_test(test_skipping_keeps_nothing),
        cmocka_unit_test(test_request_too_big),
        cmocka_unit_test(test_longest_line),
        cmocka_unit_test(test_line_too_long),
        cmocka_unit_test(test_most_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
