/* test_command_named.c: tests commands from named values, as in MessagePack-RPC, and copies of commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/command/command.h"
#include "tests/lib/prng.h"

#define TXID "4294967296"

static struct command_space space;
static struct command cmd;
static char err[1024];

static int setup(void **state)
{
    (void)state;
    command_space_init(&space);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    command_space_free(&space);
    return 0;
}

/* Parses key, value, key, value ... up to NULL; the value of `prop` is "name=value". */
static enum status put_all(const char *const *pairs)
{
    for (; pairs[0]; pairs += 2) {
        struct slice value = slice_str(pairs[1]), second = slice_of(NULL, 0);
        if (strcmp(pairs[0], "prop") == 0) {
            size_t n = strcspn(pairs[1], "=");
            value = slice_of(pairs[1], n);
            second = slice_str(pairs[1] + n + 1);
        }
        enum status s =
            command_put(&space, &cmd, slice_str(pairs[0]), value, second, err, sizeof err);
        if (s)
            return s;
    }
    return command_end(&space, &cmd, err, sizeof err);
}

static enum status build(const char *method, const char *const *pairs)
{
    const struct command_info *info = command_find_method(slice_str(method));
    assert_non_null(info);
    err[0] = '\0';
    enum status s = command_begin(&space, info, &cmd, err, sizeof err);
    return s ? s : put_all(pairs);
}

#define PAIRS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void taken(const char *method, const char *const *pairs)
{
    if (build(method, pairs) != ST_OK)
        fail_msg("%s: %s", method, err);
}

static void refused(const char *method, const char *const *pairs, enum status s, const char *text)
{
    enum status got = build(method, pairs);
    if (got != s || strcmp(err, text) != 0)
        fail_msg("%s:\n got %d %s\nwant %d %s", method, got, err, s, text);
}

static void keys_come_in_any_order(void **state)
{
    (void)state;
    taken("send", PAIRS("key", "k1", "body", "b", "ttl", "5s", "key", "k2", "topic", "t", "prop",
                        "a=b", "prop", "c="));
    assert_int_equal(cmd.n_pos, 2);
    assert_true(slice_equal(cmd.pos[0], SLICE_LIT("t")) && slice_equal(cmd.pos[1], SLICE_LIT("b")));
    assert_int_equal(cmd.n_opt, 5);
    assert_int_equal(command_number(&cmd, OPT_ID_TTL, 0), 5000);
    assert_true(slice_equal(command_option(&cmd, OPT_ID_PROP)->v2, SLICE_LIT("b")));
    taken("pop", PAIRS("topic", "a", "count", "3", "topic", "b", "group", "g"));
    assert_int_equal(cmd.n_rest, 2);
    assert_true(slice_equal(cmd.rest[1], SLICE_LIT("b")));
    taken("msend", PAIRS("body", "a", "topic", "t", "body", ""));
    assert_int_equal(cmd.n_rest, 2);
    taken("ping", PAIRS());
    assert_int_equal(cmd.n_pos, 0);
    taken("subscribe", PAIRS("channel", "topic:t"));
    taken("checks_serve", PAIRS("pgroup", "p"));
    taken("read", PAIRS("offset", "5", "queue", "0", "topic", "t"));
    assert_true(slice_equal(cmd.pos[2], SLICE_LIT("5")));
}

static void an_empty_body_is_given(void **state)
{
    (void)state;
    taken("send", PAIRS("topic", "t", "body", ""));
    assert_int_equal(cmd.n_pos, 2);
    const struct command_info *info = command_find_method(SLICE_LIT("send"));
    assert_int_equal(command_begin(&space, info, &cmd, err, sizeof err), ST_OK);
    struct slice none = slice_of(NULL, 0);
    assert_int_equal(command_put(&space, &cmd, SLICE_LIT("body"), none, none, err, sizeof err),
                     ST_OK);
    assert_int_equal(
        command_put(&space, &cmd, SLICE_LIT("topic"), SLICE_LIT("t"), none, err, sizeof err),
        ST_OK);
    assert_int_equal(command_end(&space, &cmd, err, sizeof err), ST_OK);
    assert_int_equal(command_put(&space, &cmd, none, none, none, err, sizeof err), ST_ERR);
}

static void keys_that_are_wrong_are_named(void **state)
{
    (void)state;
    refused("ack", PAIRS("topic", "t"), ST_ERR,
            "unknown key 'topic' for ack: it takes group, receipt");
    refused("send", PAIRS("TOPIC", "t"), ST_ERR,
            "unknown key 'TOPIC' for send: it takes topic, body, key, tag, order, queue, priority, "
            "delay, at, ttl,"
            " prop, dedup");
    refused("send", PAIRS("count", "5"), ST_ERR,
            "unknown key 'count' for send: it takes topic, body, key, tag, order, queue, priority, "
            "delay, at, ttl,"
            " prop, dedup");
    refused("quit", PAIRS("now", "1"), ST_ERR, "unknown key 'now' for quit: it takes no keys");
    refused("commit", PAIRS("acks", "g"), ST_ERR,
            "unknown key 'acks' for commit: it takes txid, group, receipt");
    refused("send", PAIRS("topic", "t", "topic", "u"), ST_ERR,
            "'topic' is given twice, or as a list: send takes one value");
    refused("send", PAIRS("tag", "t", "tag", "u"), ST_ERR, "'tag' is given twice, or as a list: send takes one value");
    refused("send", PAIRS("topic", "t"), ST_ERR, "key 'body' is missing: send needs it");
    refused("send", PAIRS("body", "b"), ST_ERR, "key 'topic' is missing: send needs it");
    refused("pop", PAIRS("group", "g"), ST_ERR, "key 'topic' is missing: pop needs it");
    refused("subscribe", PAIRS(), ST_ERR, "key 'channel' is missing: subscribe needs it");
    refused("send", PAIRS("topic", "a:b", "body", ""), ST_BADNAME,
            "topic 'a:b' is not a name: 1 to 127 of A-Z a-z 0-9 . _ - %");
    refused("send", PAIRS("topic", "t", "body", "", "queue", "x"), ST_ERR,
            "QUEUE 'x' is not a whole number from 0 to 1023");
    refused("backup", PAIRS(), ST_ERR, "key 'name' is missing: backup needs it");
}

static void commit_with_acknowledgements(void **state)
{
    (void)state;
    taken("commit", PAIRS("txid", TXID));
    assert_int_equal(cmd.n_opt, 0);
    taken("commit", PAIRS("receipt", "t:0:1#1", "group", "g", "receipt", "t:0:2#1", "txid", TXID));
    taken("commit", PAIRS("receipt", "t:0:1#1", "ack", "g", "txid", TXID));
    taken("commit", PAIRS("ack", "g", "ack", "t:0:1#1", "ack", "t:0:2#1", "txid", TXID));
    assert_int_equal(cmd.n_rest, 2);
    assert_true(slice_equal(command_option(&cmd, OPT_ID_ACK)->v, SLICE_LIT("g")));
    refused("commit", PAIRS("txid", TXID, "group", "g"), ST_ERR,
            "key 'receipt' is missing: commit needs it");
    refused("commit", PAIRS("txid", TXID, "receipt", "t:0:1#1"), ST_ERR,
            "key 'group' is missing: commit needs it");
    refused("commit", PAIRS("txid", TXID, "group", "g", "group", "h"), ST_ERR,
            "'group' is given twice, or as a list: commit takes one value");
    refused("commit", PAIRS("txid", TXID, "group", "g", "receipt", "x"), ST_ERR,
            "receipt 'x' is not a receipt: topic:queue:offset#attempt, or "
            "topic:queue:first-last#attempt of at most 1000 messages");
    refused("commit", PAIRS("group", "g", "receipt", "t:0:1#1"), ST_ERR,
            "key 'txid' is missing: commit needs it");
}

static void auth_may_lack_its_user(void **state)
{
    (void)state;
    taken("auth", PAIRS("pass", "p", "user", "u"));
    assert_int_equal(cmd.n_pos, 2);
    assert_true(slice_equal(cmd.pos[0], SLICE_LIT("u")));
    taken("auth", PAIRS("pass", "p"));
    assert_int_equal(cmd.n_pos, 1);
    assert_true(slice_equal(cmd.pos[0], SLICE_LIT("p")));
    refused("auth", PAIRS(), ST_ERR, "key 'pass' is missing: auth needs it");
}

static void flags_can_be_off(void **state)
{
    (void)state;
    const struct command_info *info = command_info(CMD_GROUP_SEEK);
    struct slice none = slice_of(NULL, 0);
    static const char *const off[] = {"no", "NO", "0", "false", "False"};
    static const char *const on[] = {"yes", "1", "true", "", "off"};
    for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
        assert_int_equal(command_begin(&space, info, &cmd, err, sizeof err), ST_OK);
        assert_int_equal(command_put(&space, &cmd, SLICE_LIT("dryrun"), slice_str(off[i]), none,
                                     err, sizeof err),
                         ST_OK);
        assert_false(command_has(&cmd, OPT(DRYRUN)));
    }
    for (size_t i = 0; i < sizeof on / sizeof *on; i++) {
        assert_int_equal(command_begin(&space, info, &cmd, err, sizeof err), ST_OK);
        assert_int_equal(command_put(&space, &cmd, SLICE_LIT("dryrun"), slice_str(on[i]), none,
                                     err, sizeof err),
                         ST_OK);
        assert_int_equal(command_number(&cmd, OPT_ID_DRYRUN, 0), 1);
    }
}

/* A switch that is off was said to be so: GROUP SET changes it. */
static void switches_can_be_off(void **state)
{
    (void)state;
    struct command_info info = *command_info(CMD_GROUP_SET);
    struct slice none = slice_of(NULL, 0);
    static const char *const words[] = {"no", "false", "0", "yes", "true", ""};
    info.later = 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        assert_int_equal(command_begin(&space, &info, &cmd, err, sizeof err), ST_OK);
        assert_int_equal(command_put(&space, &cmd, SLICE_LIT("ordered"), slice_str(words[i]), none, err, sizeof err), ST_OK);
        assert_true(command_has(&cmd, OPT(ORDERED)));
        assert_int_equal(command_number(&cmd, OPT_ID_ORDERED, 7), i >= 3);
    }
}

static void expect_same(const struct command *a, const struct command *b)
{
    assert_ptr_equal(a->info, b->info);
    assert_true(a->has == b->has && a->n_pos == b->n_pos && a->n_rest == b->n_rest &&
                a->n_opt == b->n_opt);
    for (uint32_t i = 0; i < a->n_pos; i++)
        assert_true(slice_equal(a->pos[i], b->pos[i]));
    for (uint32_t i = 0; i < a->n_rest; i++)
        assert_true(slice_equal(a->rest[i], b->rest[i]));
    for (uint32_t i = 0; i < a->n_opt; i++) {
        assert_int_equal(a->opt[i].id, b->opt[i].id);
        assert_int_equal(a->opt[i].n, b->opt[i].n);
        assert_true(slice_equal(a->opt[i].v, b->opt[i].v) &&
                    slice_equal(a->opt[i].v2, b->opt[i].v2));
    }
}

/* Clones a command into a block of the exact size, wipes the original, and clones the clone. */
static void clone_survives(const char *const *line, size_t n)
{
    struct slice words[16] = {{NULL, 0}};
    char *held[16];
    struct command first, copy, again;
    for (size_t i = 0; i < n; i++) {
        held[i] = malloc(strlen(line[i]) + 1);
        assert_non_null(held[i]);
        memcpy(held[i], line[i], strlen(line[i]) + 1);
        words[i] = slice_str(held[i]);
    }
    assert_int_equal(command_from_words(&space, words, n, &first, err, sizeof err), ST_OK);
    size_t bytes = command_clone_size(&first);
    void *mem = malloc(bytes ? bytes : 1), *more = malloc(bytes ? bytes : 1);
    assert_non_null(mem);
    assert_non_null(more);
    command_clone(&first, mem, &copy);
    expect_same(&first, &copy);
    for (size_t i = 0; i < n; i++)
        free(held[i]);
    command_space_free(&space);
    assert_int_equal(command_clone_size(&copy), bytes);
    command_clone(&copy, more, &again);
    expect_same(&copy, &again);
    free(mem);
    free(more);
}

static void clones_own_their_bytes(void **state)
{
    (void)state;
    static const char *const send[] = {"SEND", "t",    "",  "KEY",   "k",   "PROP", "n",
                                       "",     "PROP", "m", "value", "TTL", "5s"};
    static const char *const commit[] = {"COMMIT", TXID, "ACK", "g", "t:0:1#1", "t:0:2#1"};
    static const char *const msend[] = {"MSEND", "t", "", "b", ""};
    static const char *const ping[] = {"PING"};
    clone_survives(send, 13);
    clone_survives(commit, 6);
    clone_survives(msend, 5);
    clone_survives(ping, 1);
}

/* Random words that occur in commands are either parsed or refused with an error text, and a command that was parsed
 * can be cloned. */
static void random_lines_never_crash(void **state)
{
    (void)state;
    static const char *const bag[] = {
        "SEND",  "t",    "b",      "KEY",    "k",       "PROP",  "ACK",      "POP",    "g",
        "COUNT", "5",    "COMMIT", TXID,     "t:0:1#1", "TOPIC", "CREATE",   "QUEUES", "HALF",
        "TTL",   "1s",   "",       "%DLQ%g", "FIND",    "FROM",  "earliest", "GROUP",  "BACKOFF",
        "1,2",   "READ", "0",      "WAIT",   "MSEND",   "\xff\n"};
    struct prng p = prng_start();
    size_t fine = 0;
    for (int round = 0; round < 200000; round++) {
        struct slice words[8];
        size_t n = 1 + prng_below(&p, 8);
        struct command copy;
        for (size_t i = 0; i < n; i++)
            words[i] = slice_str(bag[prng_below(&p, sizeof bag / sizeof *bag)]);
        err[0] = '\0';
        if (command_from_words(&space, words, n, &cmd, err, sizeof err) != ST_OK) {
            assert_true(err[0] != '\0');
            continue;
        }
        fine++;
        void *mem = malloc(command_clone_size(&cmd) + 1);
        assert_non_null(mem);
        command_clone(&cmd, mem, &copy);
        expect_same(&cmd, &copy);
        free(mem);
    }
    assert_true(fine > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_come_in_any_order, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_body_is_given, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_that_are_wrong_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(commit_with_acknowledgements, setup, teardown),
        cmocka_unit_test_setup_teardown(auth_may_lack_its_user, setup, teardown),
        cmocka_unit_test_setup_teardown(flags_can_be_off, setup, teardown),
        cmocka_unit_test_setup_teardown(switches_can_be_off, setup, teardown),
        cmocka_unit_test_setup_teardown(clones_own_their_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(random_lines_never_crash, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
