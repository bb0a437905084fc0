/*
 * test_bench_wire.c: tests that the broker's own parsers read the requests of the load tester, and that the load tester
 * finds replies however they are cut into pieces.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/wire/dialect_redis.h"
#include "bench/wire/dialect_resp.h"
#include "bench/wire/dialect_rpc.h"
#include "bench/wire/speech.h"
#include "protocol/command/command.h"
#include "protocol/record/record.h"
#include "protocol/resp/resp.h"
#include "protocol/rpc/rpc.h"
#include "tests/lib/prng.h"

static const struct slice bodies[] = {
    {(const uint8_t *)"one", 3}, {(const uint8_t *)"", 0}, {(const uint8_t *)"\r\n", 2}};
static const struct slice receipts[] = {{(const uint8_t *)"t:0:1#1", 7},
                                        {(const uint8_t *)"t:3:99#2", 8}};

/* Makes a record of one message for PRODUCE. */
static struct slice batch_of_one(void)
{
    static struct buf record;
    struct buf starts;
    struct message m = {.body = SLICE_LIT("x")};
    struct record_header h = {.count = 1};
    buf_free(&record);
    buf_init(&record, 0);
    buf_init(&starts, 0);
    record_begin(&record);
    record_add(&record, &starts, &m, 0);
    record_end(&record, &starts, &h);
    buf_free(&starts);
    return buf_slice(&record);
}

static struct wire_ask ask_of(enum ask_kind kind)
{
    return (struct wire_ask){.kind = kind,
                        .tag = 77,
                        .topic = slice_str("t"),
                        .group = slice_str("g"),
                        .order = slice_str("k1"),
                        .dedup = slice_str("d-1"),
                        .has_queue = true,
                        .queue = 2,
                        .txid = slice_str("5000000000"),
                        .bodies = bodies,
                        .n_bodies = 3,
                        .body = bodies[0],
                        .receipts = receipts,
                        .n_receipts = 2,
                        .count = 100,
                        .wait_ms = 500,
                        .lease_ms = 30000,
                        .checkin_ms = 1000};
}

/* Checks which command the broker's parser makes of the request. */
static void check_rpc(enum ask_kind kind, enum command_id id)
{
    struct speech s;
    struct buf out;
    struct wire_ask a = ask_of(kind);
    if (kind == ASK_PRODUCE)
        a.batch = batch_of_one();
    struct rpc_frame frame;
    struct command cmd;
    struct command_space space;
    char err[256];
    size_t used;
    struct rpc_reader *r = rpc_reader_new(1 << 20);
    assert_true(speech_init(&s, &dialect_rpc, 8));
    buf_init(&out, 0);
    command_space_init(&space);
    speech_put(&s, &out, &a);
    assert_int_equal(rpc_reader_next(r, buf_slice(&out), &frame, &used, err, sizeof err), ST_OK);
    assert_int_equal(used, out.len);
    assert_int_equal(frame.id, 77);
    assert_int_equal(rpc_command(&space, &frame, &cmd, err, sizeof err), ST_OK);
    assert_int_equal(cmd.info->id, id);
    if (kind == ASK_PRODUCE) {
        assert_int_equal(command_number(&cmd, OPT_ID_QUEUE, -1), 2);
        assert_true(slice_equal(command_option(&cmd, OPT_ID_DEDUP)->v, SLICE_LIT("d-1")));
    }
    command_space_free(&space);
    buf_free(&out);
    speech_fini(&s);
    rpc_reader_free(r);
}

static void check_resp(enum ask_kind kind, enum command_id id)
{
    struct speech s;
    struct buf out;
    struct wire_ask a = ask_of(kind);
    struct command cmd;
    struct command_space space;
    struct resp_reader r;
    struct slice *words;
    char err[256];
    size_t used, n;
    assert_true(speech_init(&s, &dialect_resp, 8));
    resp_reader_init(&r, 1 << 20);
    buf_init(&out, 0);
    command_space_init(&space);
    speech_put(&s, &out, &a);
    assert_int_equal(resp_reader_next(&r, buf_slice(&out), &words, &n, &used, err, sizeof err),
                     ST_OK);
    assert_int_equal(used, out.len);
    assert_int_equal(command_from_words(&space, words, n, &cmd, err, sizeof err), ST_OK);
    assert_int_equal(cmd.info->id, id);
    command_space_free(&space);
    resp_reader_free(&r);
    buf_free(&out);
    speech_fini(&s);
}

static void requests_are_commands(void **state)
{
    (void)state;
    static const struct {
        enum ask_kind ask;
        enum command_id rpc, resp;
    } all[] = {{ASK_SEND, CMD_SEND, CMD_SEND},
               {ASK_MSEND, CMD_MSEND, CMD_MSEND},
               {ASK_POP, CMD_POP, CMD_POP},
               {ASK_ACK, CMD_ACK, CMD_ACK},
               {ASK_HALF, CMD_HALF, CMD_HALF},
               {ASK_COMMIT, CMD_COMMIT, CMD_COMMIT},
               {ASK_ROLLBACK, CMD_ROLLBACK, CMD_ROLLBACK},
               {ASK_CHECKS, CMD_CHECKS_SERVE, CMD_CHECKS}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        check_rpc(all[i].ask, all[i].rpc);
        check_resp(all[i].ask, all[i].resp);
    }
}

/* Streams, which exist in MessagePack-RPC only. */
static void streams_are_commands(void **state)
{
    (void)state;
    check_rpc(ASK_PRODUCE, CMD_PRODUCE);
    check_rpc(ASK_STREAM, CMD_STREAM_GROUP);
    check_rpc(ASK_CLOSE, CMD_STREAM_CLOSE);
    assert_null(dialect_resp.put[ASK_STREAM]);
    struct speech s;
    struct buf out;
    struct wire_ask a = ask_of(ASK_CREDIT);
    struct rpc_frame frame;
    char err[256];
    size_t used;
    struct rpc_reader *r = rpc_reader_new(1 << 20);
    assert_true(speech_init(&s, &dialect_rpc, 8));
    buf_init(&out, 0);
    speech_put(&s, &out, &a);
    assert_int_equal(rpc_reader_next(r, buf_slice(&out), &frame, &used, err, sizeof err), ST_OK);
    assert_int_equal(frame.type, RPC_NOTIFY);
    assert_true(slice_equal(frame.method, SLICE_LIT("stream_credit")));
    buf_free(&out);
    speech_fini(&s);
    rpc_reader_free(r);
}

struct got {
    unsigned n;
    char text[256];
};

static void note(void *arg, const struct taken *m)
{
    struct got *g = arg;
    size_t len = strlen(g->text);
    g->n++;
    snprintf(g->text + len, sizeof g->text - len, "%.*s=%.*s;", (int)m->receipt.len,
             (const char *)m->receipt.data, (int)m->body.len, (const char *)m->body.data);
}

/* Feeds the reply byte by byte: nothing may be found before the last byte is there. */
static void find_in_pieces(const struct wire_dialect *d, struct slice bytes, struct answer *ret_answer)
{
    static struct speech s;
    size_t used = 0;
    speech_fini(&s);
    assert_true(speech_init(&s, d, 4));
    if (d->ordered) {
        struct buf out;
        struct wire_ask a = ask_of(ASK_POP);
        buf_init(&out, 0);
        speech_put(&s, &out, &a);
        buf_free(&out);
    }
    for (size_t n = 1; n < bytes.len; n++)
        assert_int_equal(speech_next(&s, slice_of(bytes.data, n), ret_answer, &used), ST_MORE);
    assert_int_equal(speech_next(&s, bytes, ret_answer, &used), ST_OK);
    assert_int_equal(used, bytes.len);
    assert_int_equal(ret_answer->tag, 77);
}

/* Makes a reply with two messages that have all kinds of attributes. */
static void put_reply(struct buf *tokens)
{
    reply_array(tokens, 2);
    for (unsigned i = 0; i < 2; i++) {
        reply_message(tokens);
        reply_receipt(tokens, SLICE_LIT("t"), i, 7, 1);
        reply_bulk_str(tokens, i ? "two" : "one");
        reply_map(tokens, 4);
        reply_field_bytes(tokens, "topic", SLICE_LIT("t"));
        reply_field_int(tokens, "stored", INT64_C(1795501800000));
        reply_bulk_str(tokens, "key");
        reply_array(tokens, 1);
        reply_bulk_str(tokens, "k");
        reply_field_int(tokens, "negative", -70000);
        reply_map(tokens, 1);
        reply_field_bytes(tokens, "p", SLICE_LIT("\xff\x00"));
    }
}

static void messages_are_found(void **state)
{
    (void)state;
    struct buf tokens, bytes;
    struct answer a;
    struct got g;
    buf_init(&tokens, 0);
    buf_init(&bytes, 0);
    put_reply(&tokens);
    rpc_write_response(&bytes, 77, buf_slice(&tokens));
    g = (struct got){0};
    find_in_pieces(&dialect_rpc, buf_slice(&bytes), &a);
    assert_true(a.kind == ANSWER_DONE && dialect_rpc.messages(a.result, note, &g));
    assert_string_equal(g.text, "t:0:7#1=one;t:1:7#1=two;");
    buf_reset(&bytes, 1 << 20);
    resp_write(&bytes, buf_slice(&tokens), 2);
    g = (struct got){0};
    find_in_pieces(&dialect_resp, buf_slice(&bytes), &a);
    assert_true(a.kind == ANSWER_DONE && dialect_resp.messages(a.result, note, &g));
    assert_string_equal(g.text, "t:0:7#1=one;t:1:7#1=two;");
    buf_free(&tokens);
    buf_free(&bytes);
}

/* Finds the place of a batch in the reply; unknown names are skipped, and an incomplete reply is not accepted. */
static void places_are_found(void **state)
{
    (void)state;
    struct buf tokens, bytes;
    struct answer a;
    struct wire_place p;
    buf_init(&tokens, 0);
    buf_init(&bytes, 0);
    reply_map(&tokens, 4);
    reply_field_int(&tokens, "queue", 3);
    reply_field_bytes(&tokens, "later", SLICE_LIT("version"));
    reply_field_int(&tokens, "offset", INT64_C(5000000000));
    reply_field_int(&tokens, "count", 1000);
    rpc_write_response(&bytes, 77, buf_slice(&tokens));
    find_in_pieces(&dialect_rpc, buf_slice(&bytes), &a);
    assert_true(a.kind == ANSWER_DONE && dialect_rpc.place(a.result, &p));
    assert_int_equal(p.queue, 3);
    assert_true(p.offset == UINT64_C(5000000000));
    assert_int_equal(p.count, 1000);
    buf_reset(&tokens, 4096);
    buf_reset(&bytes, 4096);
    reply_map(&tokens, 2);
    reply_field_int(&tokens, "queue", 3);
    reply_field_int(&tokens, "offset", 7);
    rpc_write_response(&bytes, 77, buf_slice(&tokens));
    find_in_pieces(&dialect_rpc, buf_slice(&bytes), &a);
    assert_false(dialect_rpc.place(a.result, &p));
    assert_null(dialect_resp.place);
    buf_free(&tokens);
    buf_free(&bytes);
}

static void refusals_are_understood(void **state)
{
    (void)state;
    struct buf tokens, bytes;
    struct answer a;
    buf_init(&tokens, 0);
    buf_init(&bytes, 0);
    reply_error(&tokens, ST_BUSY, "too much at once");
    rpc_write_response(&bytes, 77, buf_slice(&tokens));
    find_in_pieces(&dialect_rpc, buf_slice(&bytes), &a);
    assert_true(a.kind == ANSWER_REFUSED && a.busy);
    assert_true(slice_equal(a.text, SLICE_LIT("BUSY too much at once")));
    buf_reset(&bytes, 1 << 20);
    reply_error(&tokens, ST_NOTOPIC, "no topic t");
    resp_write(&bytes, buf_slice(&tokens), 2);
    find_in_pieces(&dialect_resp, buf_slice(&bytes), &a);
    assert_true(a.kind == ANSWER_REFUSED && !a.busy);
    assert_true(slice_equal(a.text, SLICE_LIT("NOTOPIC no topic t")));
    buf_free(&tokens);
    buf_free(&bytes);
}

static void put_pushed(struct buf *bytes, const char *method, bool with_bits)
{
    rpc_put_notify(bytes, method);
    rpc_put_map(bytes, with_bits ? 6 : 5);
    rpc_put_str(bytes, SLICE_LIT("stream"));
    rpc_put_int(bytes, 1);
    rpc_put_str(bytes, SLICE_LIT("topic"));
    rpc_put_str(bytes, SLICE_LIT("t"));
    rpc_put_str(bytes, SLICE_LIT("queue"));
    rpc_put_int(bytes, 3);
    rpc_put_str(bytes, SLICE_LIT("record"));
    rpc_put_bin(bytes, SLICE_LIT("RECORD"));
    rpc_put_str(bytes, SLICE_LIT("attempt"));
    rpc_put_int(bytes, 2);
    if (with_bits) {
        rpc_put_str(bytes, SLICE_LIT("bits"));
        rpc_put_bin(bytes, SLICE_LIT("12345678"));
    }
}

static void what_is_pushed_is_understood(void **state)
{
    (void)state;
    for (int bits = 0; bits < 2; bits++) {
        struct buf bytes;
        struct answer a;
        struct speech s;
        size_t used;
        buf_init(&bytes, 0);
        put_pushed(&bytes, "records", bits);
        assert_true(speech_init(&s, &dialect_rpc, 4));
        for (size_t n = 1; n < bytes.len; n++)
            assert_int_equal(speech_next(&s, slice_of(bytes.data, n), &a, &used), ST_MORE);
        assert_int_equal(speech_next(&s, buf_slice(&bytes), &a, &used), ST_OK);
        assert_int_equal(used, bytes.len);
        assert_int_equal(a.kind, ANSWER_RECORDS);
        assert_true(slice_equal(a.pushed.record, SLICE_LIT("RECORD")));
        assert_int_equal(a.pushed.queue, 3);
        assert_int_equal(a.pushed.attempt, 2);
        assert_int_equal(a.pushed.bits.len, bits ? 8 : 0);
        buf_reset(&bytes, 4096);
        put_pushed(&bytes, "stream_end", false);
        assert_int_equal(speech_next(&s, buf_slice(&bytes), &a, &used), ST_OK);
        assert_int_equal(a.kind, ANSWER_ENDED);
        speech_fini(&s);
        buf_free(&bytes);
    }
}

static void questions_are_understood(void **state)
{
    (void)state;
    struct buf bytes;
    struct answer a;
    for (int in_list = 0; in_list < 2; in_list++) {
        buf_init(&bytes, 0);
        rpc_put_request(&bytes, 77, "check");
        if (in_list)
            rpc_put_list(&bytes, 1);
        rpc_put_map(&bytes, 3);
        rpc_put_str(&bytes, SLICE_LIT("messages"));
        rpc_put_list(&bytes, 1);
        rpc_put_map(&bytes, 1);
        rpc_put_str(&bytes, SLICE_LIT("body"));
        rpc_put_bin(&bytes, SLICE_LIT("x"));
        rpc_put_str(&bytes, SLICE_LIT("txid"));
        rpc_put_str(&bytes, SLICE_LIT("7421873465091072"));
        rpc_put_str(&bytes, SLICE_LIT("attempt"));
        rpc_put_int(&bytes, 1);
        find_in_pieces(&dialect_rpc, buf_slice(&bytes), &a);
        assert_int_equal(a.kind, ANSWER_CHECK);
        assert_true(slice_equal(a.text, SLICE_LIT("7421873465091072")));
        buf_free(&bytes);
    }
}

static void redis_answers(void **state)
{
    (void)state;
    struct got g = {0};
    struct answer a;
    find_in_pieces(
        &dialect_redis,
        SLICE_LIT("*1\r\n*2\r\n$1\r\nt\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nb\r\n$2\r\nhi\r\n"),
        &a);
    assert_true(dialect_redis.messages(a.result, note, &g));
    assert_string_equal(g.text, "1-0=hi;");
    find_in_pieces(&dialect_redis, SLICE_LIT("*-1\r\n"), &a);
    assert_true(dialect_redis.messages(a.result, note, &g));
    assert_int_equal(g.n, 1);
}

/* Any bytes are a reply, an incomplete one or an error. Nothing is read past their end, which the sanitizers check. */
static void noise_is_survived(void **state)
{
    (void)state;
    static const struct wire_dialect *const all[] = {&dialect_rpc, &dialect_resp, &dialect_redis};
    struct prng p = prng_start();
    for (int round = 0; round < 20000; round++) {
        const struct wire_dialect *d = all[round % 3];
        struct speech s;
        struct answer a;
        size_t len = 1 + prng_below(&p, 40), used;
        uint8_t *bytes = malloc(len);
        assert_non_null(bytes);
        prng_fill(&p, bytes, len);
        bytes[0] =
            round % 3 ? (uint8_t) "*$+-:"[prng_below(&p, 5)] : (uint8_t)(0x90 + prng_below(&p, 16));
        assert_true(speech_init(&s, d, 1));
        enum status st = speech_next(&s, slice_of(bytes, len), &a, &used);
        assert_true(st == ST_OK || st == ST_MORE || st == ST_BAD);
        speech_fini(&s);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_are_commands),    cmocka_unit_test(what_is_pushed_is_understood),
        cmocka_unit_test(requests_are_commands),   cmocka_unit_test(messages_are_found),
        cmocka_unit_test(places_are_found),
        cmocka_unit_test(refusals_are_understood), cmocka_unit_test(questions_are_understood),
        cmocka_unit_test(redis_answers),           cmocka_unit_test(noise_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
