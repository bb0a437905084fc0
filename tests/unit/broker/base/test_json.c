/* test_json.c: tests that replies are written as JSON: compares the bytes, and reads them with a JSON library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "broker/base/json.h"
#include "protocol/base/reply.h"

static void check(const struct buf *reply, const char *expected)
{
    struct buf out;
    buf_init(&out, 0);
    assert_true(json_from_reply(buf_slice(reply), &out));
    buf_put_u8(&out, 0);
    assert_string_equal((const char *)out.data, expected);
    cJSON *parsed = cJSON_Parse((const char *)out.data);
    assert_non_null(parsed);
    cJSON_Delete(parsed);
    buf_free(&out);
}

static void plain_values(void **state)
{
    struct buf r;
    (void)state;
    buf_init(&r, 0);
    reply_array(&r, 9);
    reply_null(&r);
    reply_ok(&r);
    reply_int(&r, INT64_MAX);
    reply_int(&r, INT64_MIN);
    reply_bool(&r, true);
    reply_double(&r, 0.5);
    reply_simple(&r, "PONG");
    reply_bulk_str(&r, "");
    reply_text(&r, SLICE_LIT("a\nb"));
    check(&r, "[null,\"OK\",9223372036854775807,-9223372036854775808,true,0.5,\"PONG\",\"\",\"a\\nb\"]");
    buf_free(&r);
}

static void a_double_that_is_no_number_is_null(void **state)
{
    struct buf r;
    (void)state;
    buf_init(&r, 0);
    reply_double(&r, 1e308 * 10);
    check(&r, "null");
    buf_free(&r);
}

static void strings_are_escaped(void **state)
{
    struct buf r;
    (void)state;
    buf_init(&r, 0);
    reply_bulk(&r, SLICE_LIT("\"\\/\b\t\x01 \xc3\xa9 \xf0\x9f\x98\x80"));
    check(&r, "\"\\\"\\\\/\\b\\t\\u0001 \xc3\xa9 \xf0\x9f\x98\x80\"");
    buf_reset(&r, 0);
    reply_bulk(&r, SLICE_LIT("\0a\0\0b\0"));
    check(&r, "\"\\u0000a\\u0000\\u0000b\\u0000\"");
    buf_free(&r);
}

static void bytes_that_are_not_utf8_are_replaced(void **state)
{
    struct buf r;
    (void)state;
    buf_init(&r, 0);
    reply_bulk(&r, SLICE_LIT("a\xff" "b\xc3"));
    check(&r, "\"a\xef\xbf\xbd" "b\xef\xbf\xbd\"");
    buf_reset(&r, 0);
    reply_bulk(&r, SLICE_LIT("\xed\xa0\x80\0\xc3\xa9"));
    check(&r, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\\u0000\xc3\xa9\"");
    buf_free(&r);
}

static void body_of(struct slice body, const char *expected)
{
    struct buf r;
    buf_init(&r, 0);
    reply_map(&r, 1);
    reply_bulk_str(&r, "body");
    reply_bulk(&r, body);
    check(&r, expected);
    buf_free(&r);
}

static void a_body_that_is_not_text_is_base64(void **state)
{
    (void)state;
    body_of(SLICE_LIT("hello"), "{\"body\":\"hello\"}");
    body_of(SLICE_LIT(""), "{\"body\":\"\"}");
    body_of(SLICE_LIT("\xff"), "{\"body_base64\":\"/w==\"}");
    body_of(SLICE_LIT("\xff\xfe"), "{\"body_base64\":\"//4=\"}");
    body_of(SLICE_LIT("\xff\xfe\xfd"), "{\"body_base64\":\"//79\"}");
    body_of(SLICE_LIT("\x80\0\x01z"), "{\"body_base64\":\"gAABeg==\"}");
}

/* Longer than the pieces that libcrypto encodes at a time: there must be padding only at the end. */
static void a_long_body_is_one_base64(void **state)
{
    enum { BYTES = (3 << 20) + 2, DIGITS = (BYTES + 2) / 3 * 4 };
    static const char head[] = "{\"body_base64\":\"", tail[] = "8=\"}";
    const size_t before = sizeof head - 1;
    uint8_t *bytes = malloc(BYTES);
    char *expected = malloc(before + DIGITS + sizeof tail);
    (void)state;
    assert_non_null(bytes);
    assert_non_null(expected);
    memset(bytes, 0xff, BYTES);
    memcpy(expected, head, before);
    memset(expected + before, '/', DIGITS - 2);
    memcpy(expected + before + DIGITS - 2, tail, sizeof tail);
    body_of(slice_of(bytes, BYTES), expected);
    free(bytes);
    free(expected);
}

/* Longer than the pieces that are printed at a time: no sequence may be cut, wherever it begins. */
static void a_long_string_is_one(void **state)
{
    enum { BYTES = 300000 };
    static const char *const parts[] = {"x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    char *body = malloc(BYTES + 8), *expected = malloc(BYTES + 32);
    (void)state;
    assert_non_null(body);
    assert_non_null(expected);
    for (size_t kind = 0; kind < 4; kind++) {
        for (size_t before = 0; before < 4; before++) {
            size_t n = before;
            memset(body, 'x', before);
            for (; n < BYTES; n += strlen(parts[kind]))
                memcpy(body + n, parts[kind], strlen(parts[kind]));
            (void)snprintf(expected, BYTES + 32, "{\"body\":\"%.*s\"}", (int)n, body);
            body_of(slice_of(body, n), expected);
        }
    }
    free(body);
    free(expected);
}

/* The object of a check-back, as PROTOCOL.md describes it. */
static void a_check_keeps_its_order(void **state)
{
    struct buf r;
    (void)state;
    buf_init(&r, 0);
    reply_map(&r, 3);
    reply_bulk_str(&r, "txid");
    reply_bulk_uint(&r, UINT64_C(9007199254740993));
    reply_bulk_str(&r, "created");
    reply_int(&r, INT64_C(9007199254740993));
    reply_bulk_str(&r, "messages");
    reply_array(&r, 1);
    reply_map(&r, 4);
    reply_bulk_str(&r, "topic");
    reply_bulk_str(&r, "orders");
    reply_bulk_str(&r, "key");
    reply_array(&r, 0);
    reply_bulk_str(&r, "body");
    reply_bulk(&r, SLICE_LIT("\xff"));
    reply_bulk_str(&r, "properties");
    reply_map(&r, 2);
    reply_bulk_str(&r, "body");
    reply_bulk(&r, SLICE_LIT("\xff"));
    reply_bulk_str(&r, "z");
    reply_bulk_str(&r, "1");
    check(&r, "{\"txid\":\"9007199254740993\",\"created\":9007199254740993,\"messages\":[{\"topic\":"
              "\"orders\",\"key\":[],\"body_base64\":\"/w==\",\"properties\":{\"body\":\"\xef\xbf\xbd\","
              "\"z\":\"1\"}}]}");
    buf_free(&r);
}

static void a_message_is_an_object(void **state)
{
    struct buf r;
    (void)state;
    buf_init(&r, 0);
    reply_message(&r);
    reply_id(&r, SLICE_LIT("t"), 1, 2);
    reply_bulk(&r, SLICE_LIT("x"));
    reply_map(&r, 1);
    reply_bulk_str(&r, "queue");
    reply_int(&r, 1);
    reply_map(&r, 0);
    check(&r, "{\"id\":\"t:1:2\",\"body\":\"x\",\"attributes\":{\"queue\":1},\"properties\":{}}");
    buf_free(&r);
}

static void an_error_is_an_object(void **state)
{
    struct buf r;
    (void)state;
    buf_init(&r, 0);
    reply_error(&r, ST_NOTOPIC, "no topic %s", "x");
    check(&r, "{\"error\":\"NOTOPIC\",\"text\":\"no topic x\"}");
    buf_free(&r);
}

static void refused(const struct buf *reply)
{
    struct buf out;
    buf_init(&out, 0);
    assert_false(json_from_reply(buf_slice(reply), &out));
    buf_free(&out);
}

static void damage_is_refused(void **state)
{
    struct buf r;
    (void)state;
    buf_init(&r, 0);
    refused(&r);
    reply_array(&r, 2);
    reply_ok(&r);
    refused(&r);
    buf_reset(&r, 0);
    reply_map(&r, 1);
    reply_int(&r, 1);
    reply_int(&r, 1);
    refused(&r);
    buf_reset(&r, 0);
    for (unsigned i = 0; i < 100000; i++)
        buf_put_u8(&r, TOK_MESSAGE);
    refused(&r);
    buf_reset(&r, 0);
    for (unsigned i = 0; i < 17; i++)
        reply_array(&r, 1);
    reply_ok(&r);
    refused(&r);
    buf_reset(&r, 0);
    reply_array(&r, (size_t)1 << 62);
    refused(&r);
    buf_free(&r);
}

static void a_full_output_is_reported(void **state)
{
    struct buf r, out;
    (void)state;
    buf_init(&r, 0);
    buf_init(&out, 10);
    reply_bulk_str(&r, "far more than ten bytes");
    assert_false(json_from_reply(buf_slice(&r), &out));
    buf_free(&out);
    buf_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_values),
        cmocka_unit_test(a_double_that_is_no_number_is_null),
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(bytes_that_are_not_utf8_are_replaced),
        cmocka_unit_test(a_body_that_is_not_text_is_base64),
        cmocka_unit_test(a_long_body_is_one_base64),
        cmocka_unit_test(a_long_string_is_one),
        cmocka_unit_test(a_check_keeps_its_order),
        cmocka_unit_test(a_message_is_an_object),
        cmocka_unit_test(an_error_is_an_object),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(a_full_output_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
