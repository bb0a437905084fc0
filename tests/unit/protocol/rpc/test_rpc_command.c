/*
 * test_rpc_command.c: tests parsing the map of a frame as a command, and every error in such a map.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "protocol/rpc/rpc.h"

struct world {
    struct buf bytes; /* the request; tests put its params */
    struct rpc_reader *reader;
    struct command_space space;
    struct command cmd;
    char err[600];
};

static void begin(struct world *w, const char *method)
{
    *w = (struct world){.reader = rpc_reader_new(1 << 20)};
    assert_non_null(w->reader);
    buf_init(&w->bytes, 0);
    command_space_init(&w->space);
    rpc_put_request(&w->bytes, 7, method);
}

static void end(struct world *w)
{
    rpc_reader_free(w->reader);
    command_space_free(&w->space);
    buf_free(&w->bytes);
}

static enum status command(struct world *w)
{
    struct rpc_frame f;
    size_t used = 0;
    assert_false(w->bytes.failed);
    assert_int_equal(
        rpc_reader_next(w->reader, buf_slice(&w->bytes), &f, &used, w->err, sizeof w->err), ST_OK);
    assert_int_equal(f.id, 7);
    return rpc_command(&w->space, &f, &w->cmd, w->err, sizeof w->err);
}

static void put_str(struct world *w, const char *text) { rpc_put_str(&w->bytes, slice_str(text)); }

static void put_pair(struct world *w, const char *key, const char *value)
{
    put_str(w, key);
    put_str(w, value);
}

#define assert_slice(got, expected) assert_true(slice_equal(got, slice_str(expected)))

/* [0, 7, "send", [{"topic": "T", "body": b"\x00\xff", "key": ["a", "b"], "ttl": 5000,
 *                  "prop": {"n": 1, "t": True, "s": "x"}}]] as Python's msgpack writes it. */
static const uint8_t foreign_send[] = {
    0x94, 0x00, 0x07, 0xa4, 's',  'e', 'n',  'd',  0x91, 0x85, 0xa5, 't',  'o',  'p',  'i',
    'c',  0xa1, 'T',  0xa4, 'b',  'o', 'd',  'y',  0xc4, 0x02, 0x00, 0xff, 0xa3, 'k',  'e',
    'y',  0x92, 0xa1, 'a',  0xa1, 'b', 0xa3, 't',  't',  'l',  0xcd, 0x13, 0x88, 0xa4, 'p',
    'r',  'o',  'p',  0x83, 0xa1, 'n', 0x01, 0xa1, 't',  0xc3, 0xa1, 's',  0xa1, 'x'};

static void test_foreign_send(void **state)
{
    (void)state;
    struct world w;
    begin(&w, "");
    buf_reset(&w.bytes, 0);
    buf_put(&w.bytes, foreign_send, sizeof foreign_send);
    assert_int_equal(command(&w), ST_OK);
    assert_int_equal(w.cmd.info->id, CMD_SEND);
    assert_int_equal(w.cmd.n_pos, 2);
    assert_slice(w.cmd.pos[0], "T");
    assert_true(slice_equal(w.cmd.pos[1], SLICE_LIT("\x00\xff")));
    assert_int_equal(command_number(&w.cmd, OPT_ID_TTL, 0), 5000);
    assert_int_equal(w.cmd.n_opt, 6);
    assert_slice(w.cmd.opt[0].v, "a");
    assert_slice(w.cmd.opt[1].v, "b");
    assert_slice(w.cmd.opt[3].v, "n");
    assert_slice(w.cmd.opt[3].v2, "1");
    assert_slice(w.cmd.opt[4].v2, "1");
    assert_slice(w.cmd.opt[5].v, "s");
    assert_slice(w.cmd.opt[5].v2, "x");
    end(&w);
}

/* So many numbers that their text would move in memory if the room for it were not reserved first. */
static void test_many_numbers(void **state)
{
    (void)state;
    struct world w;
    begin(&w, "msend");
    rpc_put_map(&w.bytes, 2);
    put_pair(&w, "topic", "T");
    put_str(&w, "body");
    rpc_put_list(&w.bytes, 2000);
    for (int i = 0; i < 2000; i++)
        rpc_put_int(&w.bytes, INT64_MIN + i % 10);
    assert_int_equal(command(&w), ST_OK);
    assert_int_equal(w.cmd.n_rest, 2000);
    assert_slice(w.cmd.rest[0], "-9223372036854775808");
    assert_slice(w.cmd.rest[1999], "-9223372036854775799");
    end(&w);
}

static void test_lists_and_nil(void **state)
{
    (void)state;
    struct world w;
    begin(&w, "pop");
    rpc_put_list(&w.bytes, 1);
    rpc_put_map(&w.bytes, 5);
    put_pair(&w, "group", "g");
    put_str(&w, "topic");
    rpc_put_list(&w.bytes, 2);
    put_str(&w, "T");
    put_str(&w, "U");
    put_str(&w, "wait");
    rpc_put_nil(&w.bytes);
    put_pair(&w, "lease", "5s");
    put_str(&w, "count");
    rpc_put_int(&w.bytes, 10);
    assert_int_equal(command(&w), ST_OK);
    assert_int_equal(w.cmd.n_rest, 2);
    assert_slice(w.cmd.rest[1], "U");
    assert_false(command_has(&w.cmd, OPT(WAIT)));
    assert_int_equal(command_number(&w.cmd, OPT_ID_LEASE, 0), 5000);
    assert_int_equal(command_number(&w.cmd, OPT_ID_COUNT, 0), 10);
    end(&w);
}

static void test_commit_with_ack(void **state)
{
    (void)state;
    struct world w;
    begin(&w, "commit");
    rpc_put_map(&w.bytes, 3);
    put_str(&w, "txid");
    rpc_put_uint(&w.bytes, 4294967297);
    put_pair(&w, "group", "g");
    put_str(&w, "receipt");
    rpc_put_list(&w.bytes, 1);
    put_str(&w, "T:0:5#1");
    assert_int_equal(command(&w), ST_OK);
    assert_slice(w.cmd.pos[0], "4294967297");
    assert_slice(command_option(&w.cmd, OPT_ID_ACK)->v, "g");
    assert_slice(w.cmd.rest[0], "T:0:5#1");
    end(&w);
}

static void test_no_params(void **state)
{
    (void)state;
    const struct slice params[] = {SLICE_LIT("\x90"), SLICE_LIT("\x80"), SLICE_LIT("\xc0"),
                                   SLICE_LIT("\x91\x80")};
    for (size_t i = 0; i < 4; i++) {
        struct world w;
        begin(&w, "topic_list");
        buf_put_slice(&w.bytes, params[i]);
        assert_int_equal(command(&w), ST_OK);
        assert_int_equal(w.cmd.info->id, CMD_TOPIC_LIST);
        end(&w);
    }
}

static void expect_error(const char *method, struct slice params, const char *text)
{
    struct world w;
    begin(&w, method);
    buf_put_slice(&w.bytes, params);
    assert_int_equal(command(&w), ST_ERR);
    assert_string_equal(w.err, text);
    end(&w);
}

static void test_unknown_methods(void **state)
{
    (void)state;
    expect_error("sned", SLICE_LIT("\x80"), "unknown method 'sned': HELP lists the commands");
    expect_error("a\nb", SLICE_LIT("\x80"), "unknown method 'a\\x0Ab': HELP lists the commands");
    expect_error("", SLICE_LIT("\x80"), "unknown method '': HELP lists the commands");
    expect_error("SEND", SLICE_LIT("\x80"), "unknown method 'SEND': HELP lists the commands");
}

static void test_wrong_params(void **state)
{
    (void)state;
    expect_error("ping", SLICE_LIT("\x92\x80\x80"),
                 "params are a list of 2 values: expected one map of names and values");
    expect_error("ping", SLICE_LIT("\x91\x05"),
                 "params are an integer: expected a map of names and values");
    expect_error("ping", SLICE_LIT("\xa1x"),
                 "params are a string: expected a map of names and values");
    expect_error("ping", SLICE_LIT("\x81\x05\x05"),
                 "a key of params is an integer: expected a string");
}

static void test_wrong_values(void **state)
{
    (void)state;
    expect_error("ping", SLICE_LIT("\x81\xa4text\xcb\x3f\xf8\0\0\0\0\0\0"),
                 "'text' holds a float: send bytes, an integer or a boolean");
    expect_error("ping", SLICE_LIT("\x81\xa4text\xd4\x05x"),
                 "'text' holds an extension: send bytes, an integer or a boolean");
    expect_error("ping", SLICE_LIT("\x81\xa4text\x80"),
                 "'text' holds a map: send bytes, an integer or a boolean");
    expect_error("ping", SLICE_LIT("\x81\xa4text\x91\x90"),
                 "'text' holds a list: send bytes, an integer or a boolean");
    expect_error("ping", SLICE_LIT("\x81\xa4text\x91\xc0"),
                 "'text' holds nil: send bytes, an integer or a boolean");
    expect_error("ping", SLICE_LIT("\x81\xa4text\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
                 "'text' holds too large a number: at most 9223372036854775807");
}

static void test_wrong_prop(void **state)
{
    (void)state;
    expect_error("send", SLICE_LIT("\x81\xa4prop\xa1x"),
                 "'prop' holds a string: send a map of names and values");
    expect_error("send", SLICE_LIT("\x81\xa4prop\x90"),
                 "'prop' holds a list: send a map of names and values");
    expect_error("send", SLICE_LIT("\x81\xa4prop\x81\x05\x05"),
                 "'prop' holds an integer: names in its map are strings");
    expect_error("send", SLICE_LIT("\x81\xa4prop\x81\xa1n\x90"),
                 "'prop.n' holds a list: send bytes, an integer or a boolean");
}

/* A filter is a map with one pair, or the word none. */
static void test_filter(void **state)
{
    (void)state;
    struct world w;
    begin(&w, "group_create");
    rpc_put_map(&w.bytes, 3);
    put_pair(&w, "group", "g");
    put_pair(&w, "topic", "t");
    put_str(&w, "filter");
    rpc_put_map(&w.bytes, 1);
    put_pair(&w, "where", "n > 1");
    assert_int_equal(command(&w), ST_OK);
    const struct option *o = command_option(&w.cmd, OPT_ID_FILTER);
    assert_slice(o->v, "where");
    assert_slice(o->v2, "n > 1");
    end(&w);
    begin(&w, "group_create");
    rpc_put_map(&w.bytes, 3);
    put_pair(&w, "group", "g");
    put_pair(&w, "topic", "t");
    put_pair(&w, "filter", "none");
    assert_int_equal(command(&w), ST_OK);
    assert_int_equal(command_option(&w.cmd, OPT_ID_FILTER)->v2.len, 0);
    end(&w);
    expect_error("group_create", SLICE_LIT("\x81\xa6" "filter\x90"),
                 "'filter' holds a list: send a map such as {\"where\": \"n > 1\"}, or \"none\"");
    expect_error("group_create", SLICE_LIT("\x81\xa6" "filter\xa1x"), "FILTER 'x' is none of TAG a||b, WHERE expression, NONE");
    expect_error("group_create", SLICE_LIT("\x81\xa6" "filter\x82\xa3tag\xa1" "a\xa5where\xa1" "b"),
                 "'filter' holds several filters: send one");
    expect_error("group_create", SLICE_LIT("\x81\xa6" "filter\x80"), "'filter' holds an empty map: send one");
    expect_error("group_create", SLICE_LIT("\x81\xa6" "filter\x81\xa3tag\x92\xa1" "a\xa1" "b"),
                 "'filter.tag' holds a list: send bytes, an integer or a boolean");
    expect_error("group_create", SLICE_LIT("\x81\xa6" "filter\x81\xa5where\xa1)"),
                 "FILTER WHERE, at character 1: expected a value or a name, but found )");
}

/* Of what a command takes one value, a list has no second one. */
static void test_lists_of_single_values(void **state)
{
    (void)state;
    expect_error("group_create", SLICE_LIT("\x81\xa7" "backoff\x92\xa2" "1s\xa3" "10s"),
                 "'backoff' is given twice, or as a list: group_create takes one value, such as \"1s,10s,1m\"");
    expect_error("send", SLICE_LIT("\x81\xa3ttl\x92\x05\x06"), "'ttl' is given twice, or as a list: send takes one value");
    expect_error("send", SLICE_LIT("\x81\xa5topic\x92\xa1" "a\xa1" "b"),
                 "'topic' is given twice, or as a list: send takes one value");
    expect_error("commit", SLICE_LIT("\x81\xa5group\x92\xa1" "g\xa1" "h"),
                 "'group' is given twice, or as a list: commit takes one value");
    expect_error("group_seek", SLICE_LIT("\x81\xa6" "dryrun\x92\xc3\xc3"),
                 "'dryrun' is given twice, or as a list: group_seek takes one value");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filter),        cmocka_unit_test(test_lists_of_single_values),
        cmocka_unit_test(test_foreign_send),  cmocka_unit_test(test_many_numbers),
        cmocka_unit_test(test_lists_and_nil), cmocka_unit_test(test_commit_with_ack),
        cmocka_unit_test(test_no_params),     cmocka_unit_test(test_unknown_methods),
        cmocka_unit_test(test_wrong_params),  cmocka_unit_test(test_wrong_values),
        cmocka_unit_test(test_wrong_prop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
