/* test_text.c: tests which numbers, durations, times, names and ids are accepted and which are refused, and that
 * results are not changed on failure. Dates are compared with the C library's own calendar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "protocol/base/text.h"

#define DAY_MS (24 * 3600 * INT64_C(1000))

static void integers(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1x",
                                      "x",
                                      "--1",
                                      "1-",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999999"};
    int64_t v = 77;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(text_int(slice_str(bad[i]), &v));
    assert_int_equal(v, 77);
    assert_true(text_int(SLICE_LIT("0"), &v) && v == 0);
    assert_true(text_int(SLICE_LIT("-0"), &v) && v == 0);
    assert_true(text_int(SLICE_LIT("007"), &v) && v == 7);
    assert_true(text_int(SLICE_LIT("9223372036854775807"), &v) && v == INT64_MAX);
    assert_true(text_int(SLICE_LIT("-9223372036854775808"), &v) && v == INT64_MIN);
    assert_true(text_int(SLICE_LIT("-42"), &v) && v == -42);
    uint64_t u = 5;
    assert_false(text_uint(SLICE_LIT("-1"), &u));
    assert_false(text_uint(SLICE_LIT("18446744073709551616"), &u));
    assert_false(text_uint(SLICE_LIT("28446744073709551615"), &u));
    assert_false(text_uint(slice_of(NULL, 0), &u));
    assert_int_equal(u, 5);
    assert_true(text_uint(SLICE_LIT("18446744073709551615"), &u) && u == UINT64_MAX);
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"0", 0},           {"250", 250},
                {"250ms", 250},     {"10s", 10000},
                {"5m", 300000},     {"2h", 7200000},
                {"7d", 7 * DAY_MS}, {"366d", 366 * DAY_MS},
                {"0d", 0},          {"31622400000", 366 * DAY_MS}};
    static const char *const bad[] = {"",     "s",    "-1",          "1.5s",
                                      "10 s", "10S",  "1w",          "ms",
                                      "1m2s", "367d", "31622400001", "18446744073709551615d",
                                      "10sx", "1\0"};
    int64_t ms = -9;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(text_duration(slice_str(good[i].text), &ms));
        assert_int_equal(ms, good[i].ms);
    }
    ms = -9;
    for (size_t i = 0; i + 1 < sizeof bad / sizeof *bad; i++)
        assert_false(text_duration(slice_str(bad[i]), &ms));
    assert_false(text_duration(slice_of("1\0", 2), &ms));
    assert_int_equal(ms, -9);
}

static void times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"0", 0},
                {"1700000000123", INT64_C(1700000000123)},
                {"1970-01-01T00:00:00Z", 0},
                {"1970-01-01t00:00:00z", 0},
                {"1970-01-01 00:00:00Z", 0},
                {"1969-12-31T23:59:59.5Z", -500},
                {"2026-11-24T06:30:00Z", INT64_C(1795501800000)},
                {"2026-11-24T06:30:00.123456789Z", INT64_C(1795501800123)},
                {"2026-11-24T08:30:00+02:00", INT64_C(1795501800000)},
                {"2026-11-24T01:00:00.04-05:30", INT64_C(1795501800040)},
                {"2016-12-31T23:59:60Z", INT64_C(1483228800000)},
                {"0001-01-01T00:00:00Z", INT64_C(-62135596800000)},
                {"0000-01-01T00:00:00Z", INT64_C(-62167219200000)},
                {"0000-02-29T00:00:00Z", INT64_C(-62162121600000)},
                {"9999-12-31T23:59:59Z", INT64_C(253402300799000)}};
    static const char *const bad[] = {"",
                                      "-1",
                                      "now",
                                      "2026-11-24",
                                      "2026-11-24T06:30Z",
                                      "2026-11-24T06:30:00",
                                      "2026-11-24T06:30:00Zx",
                                      "2026-13-01T00:00:00Z",
                                      "2026-00-01T00:00:00Z",
                                      "2026-02-29T00:00:00Z",
                                      "1900-02-29T00:00:00Z",
                                      "2026-04-31T00:00:00Z",
                                      "2026-04-00T00:00:00Z",
                                      "2026-04-01T24:00:00Z",
                                      "2026-04-01T00:60:00Z",
                                      "2026-04-01T00:00:61Z",
                                      "2026-04-01T00:00:00.Z",
                                      "2026-04-01T00:00:00,5Z",
                                      "2026-04-01T00:00:00+24:00",
                                      "2026-04-01T00:00:00+02:60",
                                      "2026-04-01T00:00:00*02:00",
                                      "2026-04-01T00:00:00+0200",
                                      "2026-04-01X00:00:00Z",
                                      "2026/04/01T00:00:00Z",
                                      "26-04-01T00:00:00Z",
                                      "9223372036854775808"};
    int64_t ms = -9;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (!text_time(slice_str(good[i].text), &ms) || ms != good[i].ms)
            fail_msg("%s: %lld", good[i].text, (long long)ms);
    }
    ms = -9;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (text_time(slice_str(bad[i]), &ms))
            fail_msg("taken: %s", bad[i]);
    }
    assert_int_equal(ms, -9);
}

static void every_prefix_of_a_time_is_refused(void **state)
{
    (void)state;
    const char *text = "2026-11-24T06:30:00.123+02:00";
    int64_t ms = -9;
    for (size_t n = 5; n < strlen(text); n++) {
        char *exact = malloc(n); /* so that the address sanitizer finds a read past the end */
        assert_non_null(exact);
        memcpy(exact, text, n);
        assert_false(text_time(slice_of(exact, n), &ms));
        free(exact);
    }
    assert_int_equal(ms, -9);
}

static void dates_agree_with_the_library(void **state)
{
    (void)state;
    for (int64_t day = -719162 - 366; day < 2932896; day += 17) {
        time_t at = (time_t)(day * 86400 + day % 86400 + (day < 0 ? 86399 : 0));
        struct tm tm;
        char text[64];
        int64_t ms;
        assert_non_null(gmtime_r(&at, &tm));
        snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        if (!text_time(slice_str(text), &ms) || ms != (int64_t)at * 1000)
            fail_msg("%s", text);
    }
}

static void names(void **state)
{
    (void)state;
    uint8_t longest[NAME_BYTES_MAX + 1];
    memset(longest, 'a', sizeof longest);
    assert_true(text_name_ok(slice_of(longest, NAME_BYTES_MAX), true));
    assert_false(text_name_ok(slice_of(longest, NAME_BYTES_MAX + 1), true));
    assert_false(text_name_ok(slice_of(longest, NAME_BYTES_MAX + 1), false));
    /* The dead letter topic of a group with the longest name has a longer name. */
    uint8_t dead[NAME_BYTES_MAX + 6] = "%DLQ%";
    memset(dead + 5, 'g', sizeof dead - 5);
    assert_true(text_name_ok(slice_of(dead, NAME_BYTES_MAX + 5), false));
    assert_false(text_name_ok(slice_of(dead, NAME_BYTES_MAX + 5), true));
    assert_false(text_name_ok(slice_of(dead, NAME_BYTES_MAX + 6), false));
    assert_false(text_name_ok(slice_of(NULL, 0), false));
    assert_true(text_name_ok(SLICE_LIT("aZ09._-"), true));
    assert_false(text_name_ok(SLICE_LIT("%DLQ%g"), true));
    assert_true(text_name_ok(SLICE_LIT("%DLQ%g"), false));
    for (int b = 0; b < 256; b++) {
        uint8_t one = (uint8_t)b;
        bool letter = (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') ||
                      b == '.' || b == '_' || b == '-';
        assert_true(text_name_ok(slice_of(&one, 1), true) == letter);
        assert_true(text_name_ok(slice_of(&one, 1), false) == (letter || b == '%'));
    }
}

static void ranges(void **state)
{
    (void)state;
    struct message_id id;
    uint64_t last = 0;
    static const char *const bad[] = {
        "a-b:0:5-4#1",  "a-b:0:-4#1",   "a-b:0:4-#1", "a-b:0:04-5#1",   "a-b:0:4-05#1",
        "a-b:0:4-5#0",  "a-b:0:4-5#01", "a-b:0:4-5",  "a-b:0-1:4#1",    "a-b:0:0-1000#1",
        "a-b:0:4-5-6#1", "a-b:0:4 -5#1", ":0:4-5#1",  "a-b:0:4-9223372036854775808#1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (text_receipt_range(slice_str(bad[i]), &id, &last))
            fail_msg("taken: %s", bad[i]);
    assert_true(text_receipt_range(SLICE_LIT("a-b:7:0-999#3"), &id, &last));
    assert_true(id.queue == 7 && id.offset == 0 && last == 999 && id.attempt == 3);
    assert_true(slice_equal(id.topic, SLICE_LIT("a-b")));
    assert_true(text_receipt_range(SLICE_LIT("a-b:7:5#3"), &id, &last) && id.offset == 5 && last == 5);
    assert_true(text_receipt_range(SLICE_LIT("a-b:7:5-5#3"), &id, &last) && last == 5);
    assert_false(text_receipt(SLICE_LIT("a-b:7:5-5#3"), &id));
    assert_false(text_receipt(SLICE_LIT("a-b:7:5-6#3"), &id));
    assert_true(text_receipt(SLICE_LIT("a-b:7:5#3"), &id));
    assert_true(text_id_range(SLICE_LIT("a-b:7:5-1000000"), &id, &last) && last == 1000000);
    assert_false(text_id(SLICE_LIT("a-b:7:5-5"), &id));
    struct buf b;
    buf_init(&b, 0);
    text_put_receipt_range(&b, SLICE_LIT("t"), 3, 41, 50, 2);
    assert_true(slice_equal(buf_slice(&b), SLICE_LIT("t:3:41-50#2")));
    buf_free(&b);
}

static void ids_and_receipts(void **state)
{
    (void)state;
    static const char *const bad_ids[] = {"",
                                          "t",
                                          "t:1",
                                          "t:1:",
                                          ":1:2",
                                          "t::2",
                                          "t:01:2",
                                          "t:1:02",
                                          "t:1:2#1",
                                          "t:1:2:3",
                                          "t:x:2",
                                          "t:1:-2",
                                          "t:-1:2",
                                          "a b:1:2",
                                          "t:4294967296:0",
                                          "t:0:9223372036854775808"};
    static const char *const bad_receipts[] = {
        "",         "t:1:2", "t:1:2#", "t:1:2#0", "t:1:2#01", "t:1:2#1#1", "t:1:2#4294967296",
        "t:1:2#-1", "t:1#1", "#1"};
    struct message_id id = {.queue = 99};
    for (size_t i = 0; i < sizeof bad_ids / sizeof *bad_ids; i++) {
        if (text_id(slice_str(bad_ids[i]), &id))
            fail_msg("taken: %s", bad_ids[i]);
    }
    for (size_t i = 0; i < sizeof bad_receipts / sizeof *bad_receipts; i++) {
        if (text_receipt(slice_str(bad_receipts[i]), &id))
            fail_msg("taken: %s", bad_receipts[i]);
    }
    assert_int_equal(id.queue, 99);
    assert_true(text_id(SLICE_LIT("%DLQ%g:0:9223372036854775807"), &id));
    assert_true(slice_equal(id.topic, SLICE_LIT("%DLQ%g")));
    assert_true(id.queue == 0 && id.offset == INT64_MAX && id.attempt == 0);
    assert_true(text_receipt(SLICE_LIT("orders:1023:7#4294967295"), &id));
    assert_true(id.queue == 1023 && id.offset == 7 && id.attempt == UINT32_MAX);
}

static void ids_print_and_come_back(void **state)
{
    (void)state;
    struct buf b;
    struct message_id id;
    buf_init(&b, 0);
    text_put_id(&b, SLICE_LIT("t"), 3, 41);
    assert_true(slice_equal(buf_slice(&b), SLICE_LIT("t:3:41")));
    assert_true(text_id(buf_slice(&b), &id) && id.queue == 3 && id.offset == 41);
    buf_reset(&b, 1024);
    text_put_receipt(&b, SLICE_LIT("t"), 3, 41, 2);
    assert_true(slice_equal(buf_slice(&b), SLICE_LIT("t:3:41#2")));
    assert_true(text_receipt(buf_slice(&b), &id) && id.attempt == 2);
    buf_free(&b);
}

static void txids_and_tokens(void **state)
{
    (void)state;
    uint64_t v = 3;
    assert_false(text_txid(SLICE_LIT("4294967295"), &v));
    assert_false(text_txid(SLICE_LIT("9223372036854775808"), &v));
    assert_false(text_txid(SLICE_LIT("04294967296"), &v));
    assert_false(text_txid(SLICE_LIT("@4294967296"), &v));
    assert_false(text_token(SLICE_LIT("4294967296"), &v));
    assert_false(text_token(SLICE_LIT("@"), &v));
    assert_false(text_token(SLICE_LIT("@1"), &v));
    assert_int_equal(v, 3);
    assert_true(text_txid(SLICE_LIT("4294967296"), &v) && v == TXID_MIN);
    assert_true(text_txid(SLICE_LIT("9223372036854775807"), &v) && v == TXID_MAX);
    assert_true(text_token(SLICE_LIT("@4294967297"), &v) && v == TXID_MIN + 1);
}

/* Tests every code point, and all byte sequences that look like one and are not valid. */
static void utf8(void **state)
{
    (void)state;
    for (uint32_t p = 0; p < 0x110000; p += p < 0x10000 ? 1 : 97) {
        uint8_t raw[4];
        size_t n = p < 0x80 ? 1 : p < 0x800 ? 2 : p < 0x10000 ? 3 : 4;
        uint32_t left = p;
        for (size_t i = n; i > 1; i--) {
            raw[i - 1] = (uint8_t)(0x80 | (left & 0x3f));
            left >>= 6;
        }
        raw[0] = (uint8_t)(n == 1 ? left : (0xf00U >> n & 0xff) | left);
        bool surrogate = p >= 0xd800 && p <= 0xdfff;
        assert_true(text_utf8_ok(slice_of(raw, n)) == !surrogate);
        for (size_t cut = 1; cut < n; cut++)
            assert_false(text_utf8_ok(slice_of(raw, cut)));
    }
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x80\x80",
                                      "\xe0\x9f\xbf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xc3(",
                                      "\xe2\x82(",
                                      "\xe2(\x82",
                                      "plain text\xc3",
                                      "12345678\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(text_utf8_ok(slice_str(bad[i])));
    assert_true(text_utf8_ok(slice_of(NULL, 0)));
    assert_true(text_utf8_ok(SLICE_LIT("plain ascii that is longer than eight bytes")));
    assert_true(text_utf8_ok(SLICE_LIT("gr\xc3\xbc\xc3\x9f"
                                       "e 12345678 \xe2\x82\xac")));
}

static void quoting(void **state)
{
    (void)state;
    char out[64];
    text_quote(SLICE_LIT("plain"), 20, out, sizeof out);
    assert_string_equal(out, "plain");
    text_quote(slice_of("a\r\n\0\x7f\xff\\", 7), 20, out, sizeof out);
    assert_string_equal(out, "a\\x0D\\x0A\\x00\\x7F\\xFF\\x5C");
    text_quote(SLICE_LIT("abcdefgh"), 3, out, sizeof out);
    assert_string_equal(out, "abc...");
    text_quote(slice_of(NULL, 0), 3, out, sizeof out);
    assert_string_equal(out, "");
    for (size_t size = 1; size < 20; size++) {
        char *small = malloc(size);
        assert_non_null(small);
        text_quote(slice_of("\xff\xfe"
                            "abcdefgh",
                            10),
                   10, small, size);
        assert_true(strlen(small) < size);
        free(small);
    }
}

static void hashes_are_fixed(void **state)
{
    (void)state;
    /* The published XXH3 hash of an empty input with seed 0. */
    assert_true(text_hash(slice_of(NULL, 0)) == UINT64_C(0x2d06800538d394c2));
    assert_true(text_checksum(slice_of(NULL, 0)) == 0x38d394c2);
    assert_true(text_hash(SLICE_LIT("a")) != text_hash(SLICE_LIT("b")));
    assert_true(text_checksum(SLICE_LIT("a")) == (uint32_t)text_hash(SLICE_LIT("a")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),
        cmocka_unit_test(durations),
        cmocka_unit_test(times),
        cmocka_unit_test(every_prefix_of_a_time_is_refused),
        cmocka_unit_test(dates_agree_with_the_library),
        cmocka_unit_test(names),
        cmocka_unit_test(ids_and_receipts), cmocka_unit_test(ranges),
        cmocka_unit_test(ids_print_and_come_back),
        cmocka_unit_test(txids_and_tokens),
        cmocka_unit_test(utf8),
        cmocka_unit_test(quoting),
        cmocka_unit_test(hashes_are_fixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
