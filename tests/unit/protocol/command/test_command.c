/* test_command.c: tests the command table and the parser of words: every line of the table, and every error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/command/command.h"
#include "protocol/command/command_table.h"

#define WORDS_MAX 64
#define TXID "4294967296"

static struct command_space space;
static struct command cmd;
static char err[1024];

/* Splits at single blanks ("''" is the empty word). The words are not NUL-terminated. */
static size_t split(const char *line, struct slice *words)
{
    size_t n = 0;
    while (*line) {
        size_t len = strcspn(line, " ");
        assert_true(n < WORDS_MAX);
        words[n++] = len == 2 && memcmp(line, "''", 2) == 0 ? slice_of("", 0) : slice_of(line, len);
        line += len;
        line += *line == ' ';
    }
    return n;
}

static enum status parse(const char *line)
{
    struct slice words[WORDS_MAX];
    size_t n = split(line, words);
    memset(&cmd, 0xee, sizeof cmd);
    err[0] = '\0';
    return command_from_words(&space, words, n, &cmd, err, sizeof err);
}

static void taken(const char *line)
{
    if (parse(line) != ST_OK)
        fail_msg("%s: %s", line, err);
}

static void refused(const char *line, enum status s, const char *text)
{
    enum status got = parse(line);
    if (got != s || strcmp(err, text) != 0)
        fail_msg("%s:\n got %d %s\nwant %d %s", line, got, err, s, text);
    assert_int_equal(cmd.n_pos, 0xeeeeeeee); /* not changed */
}

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
    command_space_free(&space);
    command_space_free(NULL);
    return 0;
}

static void each_command_is_found_by_its_words(void **state)
{
    (void)state;
    for (int i = 0; i < COMMAND_COUNT; i++) {
        const struct command_info *info = command_info((enum command_id)i);
        struct slice words[3], lower[2];
        char low[2][16] = {"", ""};
        size_t used = 77, n = split(info->words, words);
        assert_int_equal(info->id, i);
        words[n] = SLICE_LIT("something");
        for (size_t w = 0; w < n; w++) {
            for (size_t k = 0; k < words[w].len; k++)
                low[w][k] = (char)(words[w].data[k] | 0x20);
            lower[w] = slice_of(low[w], words[w].len);
        }
        bool inner = info->kind == KIND_INNER;
        assert_ptr_equal(command_find(words, n, &used), inner ? NULL : info);
        assert_int_equal(used, inner ? 77 : n);
        assert_ptr_equal(command_find(lower, n, &used), inner ? NULL : info);
        if (!inner)
            assert_ptr_equal(command_find(words, n + 1, &used), info);
        assert_ptr_equal(command_find_method(slice_str(info->method)), inner ? NULL : info);
    }
}

static void what_is_no_command_is_not_found(void **state)
{
    (void)state;
    static const char *const lines[] = {"FOO",
                                        "SEN",
                                        "SENDS",
                                        "TOPIC",
                                        "TOPIC FOO",
                                        "SERVE",
                                        "S",
                                        "SE",
                                        "''",
                                        "TOPICCREATE",
                                        "TXN",
                                        "TOPIC ''",
                                        "UNSUBSCRIBEEEEEEEEEEE",
                                        "CREATE TOPIC",
                                        "(tick)",
                                        "(TICK)",
                                        "TOPIC CREATES",
                                        "SENDSENDSENDSEN"};
    static const char *const methods[] = {"",
                                          "SEND",
                                          "Send",
                                          "topic",
                                          "topic create",
                                          "topic-create",
                                          "tick",
                                          "(tick)",
                                          "release",
                                          "sendx",
                                          "topic_create_topic_create",
                                          "topic_"};
    struct slice words[WORDS_MAX];
    size_t used = 77;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_null(command_find(words, split(lines[i], words), &used));
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        assert_null(command_find_method(slice_str(methods[i])));
    words[0] = SLICE_LIT("TOPIC CREATE");
    words[1] = SLICE_LIT("x");
    assert_null(command_find(words, 2, &used));
    words[0] = slice_of("SEND\0", 5);
    assert_null(command_find(words, 1, &used));
    assert_null(command_find(words, 0, &used));
    assert_int_equal(used, 77);
    words[0] = SLICE_LIT("checks");
    words[1] = SLICE_LIT("payments");
    assert_int_equal(command_find(words, 2, &used)->id, CMD_CHECKS);
    assert_int_equal(used, 1);
}

static void each_option_is_found(void **state)
{
    (void)state;
    enum option_id id;
    for (int i = 0; i < OPTION_COUNT; i++) {
        const char *word = option_word((enum option_id)i);
        char lower[16] = "";
        for (size_t k = 0; word[k]; k++)
            lower[k] = (char)(word[k] | 0x20);
        assert_true(option_find(slice_str(word), &id) && (int)id == i);
        assert_true(option_find(slice_str(lower), &id) && (int)id == i);
    }
    assert_false(option_find(SLICE_LIT("KE"), &id));
    assert_false(option_find(SLICE_LIT("KEYS"), &id));
    assert_false(option_find(SLICE_LIT(""), &id));
    assert_false(option_find(SLICE_LIT("KEYKEYKEYKEYKEYKEYKEY"), &id));
    assert_false(option_find(slice_of("AT\0", 3), &id));
}

/* Words that the table calls a name, an id or a number must be checked as such. */
static void each_named_word_is_checked(void **state)
{
    (void)state;
    static const char *const checked[] = {"topic", "group", "pgroup", "txid",  "receipt",
                                          "id",    "dur",   "queue",  "offset"};
    for (int i = 0; i < COMMAND_COUNT; i++) {
        const struct command_info *info = command_info((enum command_id)i);
        if (info->kind == KIND_LATER || info->kind == KIND_INNER)
            continue;
        for (size_t k = 0; k < sizeof checked / sizeof *checked; k++) {
            for (size_t at = 0; at < info->max + 1U; at++) {
                struct slice line[8];
                size_t n = split(info->words, line);
                if (!slice_equal(command_name(info, at), slice_str(checked[k])))
                    continue;
                for (size_t w = 0; w < info->max + 1U; w++)
                    line[n++] = w == at ? SLICE_LIT("!") : slice_of("", 0);
                enum status s = command_from_words(&space, line, n - (info->rest ? 0 : 1), &cmd,
                                                   err, sizeof err);
                if (s != ST_ERR && s != ST_BADNAME)
                    fail_msg("%s: %s is not checked", info->words, checked[k]);
            }
        }
    }
}

static void positional_words_and_options(void **state)
{
    (void)state;
    taken("send orders body key k1 TTL 5s Tag t ORDER c7 KEY k2 PROP a b PROP c '' DEDUP d");
    assert_int_equal(cmd.info->id, CMD_SEND);
    assert_int_equal(cmd.n_pos, 2);
    assert_true(slice_equal(cmd.pos[1], SLICE_LIT("body")));
    assert_int_equal(cmd.n_rest, 0);
    assert_int_equal(cmd.n_opt, 8);
    assert_true(cmd.has == (OPT(KEY) | OPT(TTL) | OPT(TAG) | OPT(ORDER) | OPT(PROP) | OPT(DEDUP)));
    assert_true(command_has(&cmd, OPT(QUEUE) | OPT(TTL)));
    assert_false(command_has(&cmd, OPT(QUEUE)));
    assert_true(slice_equal(command_option(&cmd, OPT_ID_KEY)->v, SLICE_LIT("k1")));
    assert_true(slice_equal(command_option(&cmd, OPT_ID_PROP)->v2, SLICE_LIT("b")));
    assert_null(command_option(&cmd, OPT_ID_QUEUE));
    assert_int_equal(command_number(&cmd, OPT_ID_TTL, 1), 5000);
    assert_int_equal(command_number(&cmd, OPT_ID_QUEUE, -1), -1);
    assert_int_equal(cmd.opt[6].id, OPT_ID_PROP);
}

static void option_words_are_bodies_where_words_are_due(void **state)
{
    (void)state;
    taken("SEND KEY KEY");
    assert_int_equal(cmd.n_opt, 0);
    taken("SEND orders KEY KEY KEY");
    assert_true(slice_equal(cmd.opt[0].v, SLICE_LIT("KEY")));
    taken("SEND orders ''");
    assert_int_equal(cmd.pos[1].len, 0);
    taken("MSEND orders KEY k ''");
    assert_int_equal(cmd.n_rest, 3);
    assert_int_equal(cmd.n_opt, 0);
}

static void repeating_words_end_at_an_option(void **state)
{
    (void)state;
    taken("POP g COUNT COUNT 5");
    assert_int_equal(cmd.n_rest, 1);
    assert_true(slice_equal(cmd.rest[0], SLICE_LIT("COUNT")));
    assert_int_equal(command_number(&cmd, OPT_ID_COUNT, 1), 5);
    taken("POP g a KEY b wait 5s LEASE 1m COUNT 1000");
    assert_int_equal(cmd.n_rest, 3);
    assert_int_equal(cmd.n_opt, 3);
    assert_int_equal(command_number(&cmd, OPT_ID_LEASE, 1), 60000);
    taken("COMMIT " TXID);
    assert_int_equal(cmd.n_rest, 0);
    taken("COMMIT " TXID " ack g t:0:1#1 t:0:2#1");
    assert_int_equal(cmd.n_rest, 2);
    assert_true(slice_equal(command_option(&cmd, OPT_ID_ACK)->v, SLICE_LIT("g")));
    assert_true(slice_equal(cmd.rest[1], SLICE_LIT("t:0:2#1")));
    taken("LAG");
    assert_int_equal(cmd.n_pos, 0);
    taken("LAG g");
    assert_int_equal(cmd.n_pos, 1);
    taken("HELP");
    taken("HELP topic create");
    assert_int_equal(cmd.n_rest, 2);
    taken("AUTH pass");
    taken("AUTH user pass");
}

static void points_in_time(void **state)
{
    (void)state;
    taken("GROUP CREATE g t FROM Earliest");
    assert_int_equal(command_number(&cmd, OPT_ID_FROM, 0), POINT_EARLIEST);
    taken("GROUP CREATE g t FROM latest LEASE 10s ATTEMPTS 3 BACKOFF 1s,5s,1m");
    assert_int_equal(command_number(&cmd, OPT_ID_FROM, 0), POINT_LATEST);
    taken("GROUP CREATE g t FROM 1970-01-01T00:00:01Z");
    assert_int_equal(command_number(&cmd, OPT_ID_FROM, 0), 1000);
    taken("GROUP CREATE g t FROM 1969-12-31T23:59:59.999Z");
    assert_int_equal(command_number(&cmd, OPT_ID_FROM, 7), 0);
    taken("FIND t KEY k FROM 5 TO 6 COUNT 10000");
    assert_int_equal(command_number(&cmd, OPT_ID_TO, 0), 6);
    refused("GROUP CREATE g t FROM soon", ST_ERR,
            "FROM 'soon' is not earliest, latest or a time: write Unix milliseconds or RFC 3339, "
            "as 2026-01-31T12:00:00Z");
    refused("FIND t KEY k FROM latest", ST_ERR,
            "FROM 'latest' is not a time: write Unix milliseconds or RFC 3339, as "
            "2026-01-31T12:00:00Z");
    refused("FIND t KEY k TO earliest", ST_ERR,
            "TO 'earliest' is not a time: write Unix milliseconds or RFC 3339, as "
            "2026-01-31T12:00:00Z");
}

static void unknown_commands_say_what_there_is(void **state)
{
    (void)state;
    refused("FOO", ST_ERR, "unknown command 'FOO': HELP lists them all");
    refused("'' x", ST_ERR, "unknown command '': HELP lists them all");
    refused("F\r\nO", ST_ERR, "unknown command 'F\\x0D\\x0AO': HELP lists them all");
    refused("(tick)", ST_ERR, "unknown command '(tick)': HELP lists them all");
    refused("topic FOO", ST_ERR,
            "unknown command 'topic FOO': the second word is one of CREATE, SET, INFO, LIST, "
            "PURGE, DELETE");
    refused("TXN", ST_ERR, "'TXN' lacks its second word: one of INFO, MESSAGES, EXTEND, LIST");
    struct slice word = SLICE_LIT("TOPIC CREATE");
    assert_int_equal(command_from_words(&space, &word, 1, &cmd, err, sizeof err), ST_ERR);
    assert_string_equal(err, "unknown command 'TOPIC CREATE': HELP lists them all");
}

static void arity_shows_the_usage(void **state)
{
    (void)state;
    refused("SEND", ST_ERR,
            "wrong number of words for 'SEND': SEND topic body [KEY k]... [TAG t] [ORDER k] [QUEUE n] "
            "[PRIORITY 0..9] [DELAY dur] [AT time] [TTL dur]"
            " [PROP name value]... [DEDUP id]");
    refused("POP g", ST_ERR,
            "wrong number of words for 'POP': POP group topic [topic ...] [COUNT n] [WAIT dur] "
            "[LEASE dur]");
    refused("ACK g", ST_ERR, "wrong number of words for 'ACK': ACK group receipt [receipt ...]");
    refused("MSEND t", ST_ERR, "wrong number of words for 'MSEND': MSEND topic body [body ...]");
    refused("PING a b", ST_ERR, "wrong number of words for 'PING': PING [text]");
    refused("QUIT now", ST_ERR, "wrong number of words for 'QUIT': QUIT");
    refused("COMMIT", ST_ERR,
            "wrong number of words for 'COMMIT': COMMIT txid [ACK group receipt [receipt ...]]");
    refused("SUBSCRIBE", ST_ERR,
            "wrong number of words for 'SUBSCRIBE': SUBSCRIBE channel [channel ...]");
    refused("AUTH", ST_ERR, "wrong number of words for 'AUTH': AUTH [user] pass");
    refused("FIND", ST_ERR,
            "wrong number of words for 'FIND': FIND topic KEY k [COUNT n] [FROM time] [TO time]");
}

static void strange_options_are_named(void **state)
{
    (void)state;
    refused("SEND t b FOO", ST_ERR,
            "'FOO' is not an option of SEND: it takes KEY, TAG, ORDER, QUEUE, PRIORITY, DELAY, AT, "
            "TTL, PROP, DEDUP");
    refused("SEND t b COUNT 5", ST_ERR,
            "'COUNT' is not an option of SEND: it takes KEY, TAG, ORDER, QUEUE, PRIORITY, DELAY, "
            "AT, TTL, PROP, DEDUP");
    refused("POP g t COUNT 5 more", ST_ERR,
            "'more' is not an option of POP: it takes COUNT, WAIT, LEASE");
    refused("SEND t b KEY", ST_ERR, "KEY lacks its value: KEY value");
    refused("SEND t b PROP a", ST_ERR, "PROP lacks its values: PROP name value");
    refused("COMMIT " TXID " ACK", ST_ERR, "ACK lacks its values: ACK group receipt [receipt ...]");
    refused("COMMIT " TXID " ACK g", ST_ERR,
            "ACK lacks its values: ACK group receipt [receipt ...]");
    refused("SEND t b TAG a TAG b", ST_ERR, "TAG is given twice: it may be given once");
    refused("POP g t COUNT 1 count 1", ST_ERR, "COUNT is given twice: it may be given once");
    refused("SEND t b ORDER k QUEUE 1", ST_ERR,
            "ORDER and QUEUE cannot be given together: ORDER chooses the queue");
    refused("SEND t b DELAY 1s AT 5", ST_ERR, "DELAY and AT cannot be given together: give one of them");
    refused("DELAYED CANCEL 4294967296", ST_ERR, "token '4294967296' is not a delay token: @ and a number");
    refused("FIND t", ST_ERR, "FIND takes exactly one KEY, not 0");
    refused("FIND t KEY a KEY b", ST_ERR, "FIND takes exactly one KEY, not 2");
}

static void what_is_not_available_does_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < COMMAND_COUNT; i++) {
        const struct command_info *info = command_info((enum command_id)i);
        char want[200];
        if (info->kind != KIND_LATER)
            continue;
        snprintf(want, sizeof want, "not available yet: %s; nothing was done", info->words);
        refused(info->words, ST_ERR, want);
    }
}

static void names_are_names(void **state)
{
    (void)state;
    static const char *const writes[] = {
        "SEND %s b", "MSEND %s b",        "HALF %s t b",     "HALF p %s b", "SEND t b TAG %s",
        "POP %s t",  "GROUP CREATE %s t", "TOPIC CREATE %s", "CHECKS %s",   "CHECKS SERVE %s"};
    static const char *const reads[] = {"READ %s 0 0",
                                        "FIND %s KEY k",
                                        "POP g %s",
                                        "POP g t %s",
                                        "TOPIC INFO %s",
                                        "TOPIC PURGE %s",
                                        "TOPIC DELETE %s",
                                        "GROUP CREATE g %s",
                                        "GROUP INFO %s",
                                        "GROUP DELETE %s",
                                        "LAG %s",
                                        "ACK %s t:0:1#1",
                                        "NACK %s t:0:1#1",
                                        "REJECT %s t:0:1#1",
                                        "EXTEND %s t:0:1#1 5",
                                        "COMMIT " TXID " ACK %s t:0:1#1"};
    char line[200];
    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
        snprintf(line, sizeof line, writes[i], "%DLQ%g");
        assert_int_equal(parse(line), ST_BADNAME);
        assert_non_null(strstr(err, "'%DLQ%g' may not contain '%': such names are reserved for the broker"));
        snprintf(line, sizeof line, writes[i], "a:b");
        assert_int_equal(parse(line), ST_BADNAME);
        snprintf(line, sizeof line, writes[i], "fine");
        taken(line);
    }
    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
        snprintf(line, sizeof line, reads[i], "%DLQ%g");
        taken(line);
        snprintf(line, sizeof line, reads[i], "a:b");
        assert_int_equal(parse(line), ST_BADNAME);
        assert_non_null(strstr(err, "'a:b' is not a name: 1 to 127 of A-Z a-z 0-9 . _ - %"));
    }
    refused("SEND '' b", ST_BADNAME, "topic '' is not a name: 1 to 127 of A-Z a-z 0-9 . _ - %");
    refused("POP g t a:b", ST_BADNAME,
            "topic 'a:b' is not a name: 1 to 127 of A-Z a-z 0-9 . _ - %");
    refused("TOPIC CREATE \xff", ST_BADNAME,
            "name '\\xFF' is not a name: 1 to 127 of A-Z a-z 0-9 . _ - %");
    taken("TOPIC LIST %*[");
}

static void numbers_have_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *line, *word;
        int64_t least, most;
    } bounds[] = {{"POP g t COUNT %s", "COUNT", 1, 1000},
                  {"READ t 0 0 COUNT %s", "COUNT", 1, 1000},
                  {"CHECKS p COUNT %s", "COUNT", 1, 1000},
                  {"FIND t KEY k COUNT %s", "COUNT", 1, 10000},
                  {"SEND t b QUEUE %s", "QUEUE", 0, 1023},
                  {"TOPIC CREATE t QUEUES %s", "QUEUES", 1, 1024},
                  {"GROUP CREATE g t ATTEMPTS %s", "ATTEMPTS", 1, 10000},
                  {"POP g t LEASE %s", "LEASE", 1, DURATION_MS_MAX},
                  {"POP g t WAIT %s", "WAIT", 0, DURATION_MS_MAX},
                  {"SEND t b TTL %s", "TTL", 0, DURATION_MS_MAX},
                  {"HALF p t b CHECKIN %s", "CHECKIN", 0, DURATION_MS_MAX},
                  {"NACK g t:0:1#1 DELAY %s", "DELAY", 0, DURATION_MS_MAX}};
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        char line[200], number[32], quoted[64];
        const int64_t tries[] = {bounds[i].least - 1, bounds[i].least, bounds[i].most,
                                 bounds[i].most + 1};
        for (int k = 0; k < 4; k++) {
            snprintf(number, sizeof number, "%lld", (long long)tries[k]);
            snprintf(line, sizeof line, bounds[i].line, number);
            bool inside = k == 1 || k == 2;
            assert_int_equal(parse(line), inside ? ST_OK : ST_ERR);
            snprintf(quoted, sizeof quoted, "%s '%s' is not ", bounds[i].word, number);
            assert_true(inside || strstr(err, quoted) == err);
        }
        snprintf(line, sizeof line, bounds[i].line, "x");
        assert_int_equal(parse(line), ST_ERR);
        snprintf(line, sizeof line, bounds[i].line, "''");
        assert_int_equal(parse(line), ST_ERR);
    }
    refused("POP g t COUNT 0", ST_ERR, "COUNT '0' is not a whole number from 1 to 1000");
    refused("POP g t LEASE 0", ST_ERR, "LEASE '0' is not a duration (ms) from 1 to 31622400000");
    refused("POP g t WAIT ever", ST_ERR,
            "WAIT 'ever' is not a duration: write ms, or 250ms 10s 5m 2h 7d, at most 366d");
}

static void positional_numbers_ids_and_receipts(void **state)
{
    (void)state;
    taken("READ t 0 9223372036854775807");
    refused("READ t -1 0", ST_ERR,
            "queue '-1' is not a whole number from 0 to 9223372036854775807");
    refused("READ t 0 x", ST_ERR, "offset 'x' is no position: write an offset, earliest, latest, -n (before the end) or @time");
    refused("READ t 0 9223372036854775808", ST_ERR,
            "offset '9223372036854775808' is no position: write an offset, earliest, latest, -n (before the end) or @time");
    refused("GET t:0", ST_ERR, "id 't:0' is not a message id: topic:queue:offset");
    refused("ACK g t:0:1#1 t:0:1", ST_ERR,
            "receipt 't:0:1' is not a receipt: topic:queue:offset#attempt, or "
            "topic:queue:first-last#attempt of at most 1000 messages");
    refused("NACK g x", ST_ERR, "receipt 'x' is not a receipt: topic:queue:offset#attempt");
    refused("REJECT g x", ST_ERR, "receipt 'x' is not a receipt: topic:queue:offset#attempt");
    refused("COMMIT " TXID " ACK g x", ST_ERR,
            "receipt 'x' is not a receipt: topic:queue:offset#attempt, or "
            "topic:queue:first-last#attempt of at most 1000 messages");
    refused("EXTEND g x 1s", ST_ERR,
            "receipt 'x' is not a receipt: topic:queue:offset#attempt, or "
            "topic:queue:first-last#attempt of at most 1000 messages");
    refused("NACK g t:0:1-2#1", ST_ERR,
            "receipt 't:0:1-2#1' is not a receipt: topic:queue:offset#attempt");
    refused("EXTEND g t:0:1#1 x", ST_ERR,
            "dur 'x' is not a duration: write ms, or 250ms 10s 5m 2h 7d, at most 366d");
    refused("TXN EXTEND " TXID " -1", ST_ERR,
            "dur '-1' is not a duration: write ms, or 250ms 10s 5m 2h 7d, at most 366d");
    refused("COMMIT 5", ST_NOTXN, "no transaction 5: this id was never issued");
    refused("COMMIT 9223372036854775808", ST_NOTXN,
            "no transaction 9223372036854775808: this id was never issued");
    refused("COMMIT -5", ST_ERR, "txid '-5' is not a transaction id");
    refused("ROLLBACK x", ST_ERR, "txid 'x' is not a transaction id");
    refused("UNKNOWN ''", ST_ERR, "txid '' is not a transaction id");
    refused("TXN INFO @4294967296", ST_ERR, "txid '@4294967296' is not a transaction id");
    refused("HALF p t b TXN 1", ST_NOTXN, "no transaction 1: this id was never issued");
    refused("HALF p t b TXN x", ST_ERR, "TXN 'x' is not a transaction id");
    taken("HALF p t b TXN " TXID " CHECKIN 1s");
}

/* Parses the line with n letters as its last word. */
static enum status parse_long(const char *line, size_t n)
{
    struct slice words[WORDS_MAX];
    size_t count = split(line, words);
    char *word = malloc(n + 1);
    assert_non_null(word);
    memset(word, 'x', n);
    words[count++] = slice_of(word, n);
    enum status s = command_from_words(&space, words, count, &cmd, err, sizeof err);
    free(word);
    return s;
}

static void texts_have_bounds(void **state)
{
    (void)state;
    static const char *const keys[] = {"SEND t b KEY", "SEND t b ORDER", "SEND t b DEDUP",
                                       "FIND t KEY"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        assert_int_equal(parse_long(keys[i], 0), ST_ERR);
        assert_non_null(strstr(err, " '' is empty: 1 to 255 bytes"));
        assert_int_equal(parse_long(keys[i], 1), ST_OK);
        assert_int_equal(parse_long(keys[i], KEY_BYTES_MAX), ST_OK);
        assert_int_equal(parse_long(keys[i], KEY_BYTES_MAX + 1), ST_TOOBIG);
        assert_non_null(strstr(err, " of 256 bytes is too long: at most 255"));
    }
    assert_int_equal(parse_long("NACK g t:0:1#1 REASON", 0), ST_OK);
    assert_int_equal(parse_long("NACK g t:0:1#1 REASON", REASON_BYTES_MAX), ST_OK);
    assert_int_equal(parse_long("REJECT g t:0:1#1 REASON", REASON_BYTES_MAX + 1), ST_TOOBIG);
    assert_string_equal(err, "REASON of 1025 bytes is too long: at most 1024");
    assert_int_equal(parse_long("SEND t b PROP n", PROPS_BYTES_MAX - 1), ST_OK);
    assert_int_equal(parse_long("SEND t b PROP n", PROPS_BYTES_MAX), ST_TOOBIG);
    assert_string_equal(err, "PROP: all properties together are 32769 bytes: at most 32768");
    assert_int_equal(parse_long("TOPIC CREATE", NAME_BYTES_MAX), ST_OK);
    assert_int_equal(parse_long("TOPIC CREATE", NAME_BYTES_MAX + 1), ST_BADNAME);
    assert_int_equal(parse_long("SEND t", 1 << 20), ST_OK);
    refused("SEND t b PROP '' v", ST_ERR, "PROP's name '' is empty: 1 to 255 bytes");
    assert_int_equal(parse_long("FOO", 5), ST_ERR);
    assert_int_equal(parse_long("", 1000), ST_ERR);
    assert_true(strlen(err) < 120);
}

static void backoffs_are_lists_of_durations(void **state)
{
    (void)state;
    taken("GROUP CREATE g t BACKOFF 0");
    refused("GROUP CREATE g t BACKOFF ''", ST_ERR,
            "BACKOFF: '' is not a duration: write them as 1s,5s,1m");
    refused("GROUP CREATE g t BACKOFF 1s,", ST_ERR,
            "BACKOFF: '' is not a duration: write them as 1s,5s,1m");
    refused("GROUP CREATE g t BACKOFF 1s,x,3s", ST_ERR,
            "BACKOFF: 'x' is not a duration: write them as 1s,5s,1m");
    char line[200] = "GROUP CREATE g t BACKOFF 1";
    for (int i = 1; i < BACKOFF_STEPS_MAX; i++)
        strncat(line, ",1", sizeof line - strlen(line) - 1);
    taken(line);
    strncat(line, ",1", sizeof line - strlen(line) - 1);
    refused(line, ST_ERR, "BACKOFF has more than 32 steps: the last step repeats");
}

static void repetition_has_bounds(void **state)
{
    (void)state;
    const size_t most = MSEND_BODIES_MAX + 3;
    struct slice *words = calloc(most, sizeof *words);
    assert_non_null(words);
    words[0] = SLICE_LIT("SEND");
    words[1] = SLICE_LIT("t");
    words[2] = SLICE_LIT("b");
    for (size_t i = 3; i < most; i++)
        words[i] = i % 2 ? SLICE_LIT("KEY") : SLICE_LIT("k");
    assert_int_equal(command_from_words(&space, words, 3 + 2 * KEYS_MAX, &cmd, err, sizeof err),
                     ST_OK);
    assert_int_equal(cmd.n_opt, KEYS_MAX);
    assert_int_equal(command_from_words(&space, words, 5 + 2 * KEYS_MAX, &cmd, err, sizeof err),
                     ST_LIMIT);
    assert_string_equal(err, "KEY is given 17 times: a message has at most 16");
    for (size_t i = 3; i < most; i++)
        words[i] = i % 3 == 0 ? SLICE_LIT("PROP") : SLICE_LIT("p");
    assert_int_equal(command_from_words(&space, words, 3 + 3 * PROPS_MAX, &cmd, err, sizeof err),
                     ST_OK);
    assert_int_equal(command_from_words(&space, words, 6 + 3 * PROPS_MAX, &cmd, err, sizeof err),
                     ST_LIMIT);
    assert_string_equal(err, "PROP is given 257 times: a message has at most 256");
    words[0] = SLICE_LIT("MSEND");
    assert_int_equal(command_from_words(&space, words, 2 + MSEND_BODIES_MAX, &cmd, err, sizeof err),
                     ST_OK);
    assert_int_equal(cmd.n_rest, MSEND_BODIES_MAX);
    assert_int_equal(command_from_words(&space, words, 3 + MSEND_BODIES_MAX, &cmd, err, sizeof err),
                     ST_LIMIT);
    assert_string_equal(err, "MSEND with 10001 bodies: at most 10000 in one request");
    free(words);
    taken("PING");
    assert_true(space.slices_size <= 1024); /* the large scratch memory was freed */
}

static void usage_is_made_for_each(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    for (int i = 0; i < COMMAND_COUNT; i++) {
        const struct command_info *info = command_info((enum command_id)i);
        buf_reset(&b, 4096);
        command_usage(info, &b);
        assert_true(b.len >= strlen(info->words) && b.len < 300);
        assert_true(slice_equal(slice_of(b.data, strlen(info->words)), slice_str(info->words)));
    }
    buf_reset(&b, 4096);
    command_usage(command_info(CMD_GROUP_SET), &b);
    assert_true(slice_equal(
        buf_slice(&b), SLICE_LIT("GROUP SET group topic [LEASE dur] [FILTER TAG a||b | WHERE sql92 | NONE] "
                                 "[ORDERED [yes|no]] [ATTEMPTS n] [BACKOFF d1,d2,...] [RATE n] [INFLIGHT n]")));
    buf_free(&b);
}

static void small_error_buffers_do(void **state)
{
    (void)state;
    struct slice words[] = {SLICE_LIT("SEND")};
    char small[8] = "xxxxxxx";
    assert_int_equal(command_from_words(&space, words, 1, &cmd, small, sizeof small), ST_ERR);
    assert_string_equal(small, "wrong n");
}

/* Returns a file of the project as text; the caller frees it. */
static char *read_file(const char *name)
{
    const char *root = getenv("SOURCE");
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", root ? root : ".", name);
    FILE *f = fopen(path, "r");
    if (!f)
        fail_msg("cannot open %s", path);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
    fclose(f);
    return text;
}

static void mentions(const char *text, const char *fmt, const char *what)
{
    char line[200];
    snprintf(line, sizeof line, fmt, what);
    if (!strstr(text, line))
        fail_msg("PROTOCOL.md lacks %s", line);
}

static void the_reference_names_everything(void **state)
{
    (void)state;
    char *text = read_file("protocol/PROTOCOL.md");
    for (int i = 0; i < COMMAND_COUNT; i++) {
        const struct command_info *info = command_info((enum command_id)i);
        if (info->kind == KIND_INNER)
            continue;
        mentions(text, "\n#### %s\n", info->words);
        mentions(text, "%s", info->method);
    }
    for (int i = 0; i < OPTION_COUNT; i++)
        mentions(text, "%s", option_word((enum option_id)i));
    for (int s = ST_OK + 1; s < ST_WIRE_COUNT; s++)
        mentions(text, "\n| `%s` |", status_code((enum status)s));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_command_is_found_by_its_words, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_command_is_not_found, setup, teardown),
        cmocka_unit_test_setup_teardown(each_option_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(each_named_word_is_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(positional_words_and_options, setup, teardown),
        cmocka_unit_test_setup_teardown(option_words_are_bodies_where_words_are_due, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(repeating_words_end_at_an_option, setup, teardown),
        cmocka_unit_test_setup_teardown(points_in_time, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_commands_say_what_there_is, setup, teardown),
        cmocka_unit_test_setup_teardown(arity_shows_the_usage, setup, teardown),
        cmocka_unit_test_setup_teardown(strange_options_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_available_does_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_names, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_have_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(positional_numbers_ids_and_receipts, setup, teardown),
        cmocka_unit_test_setup_teardown(texts_have_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(backoffs_are_lists_of_durations, setup, teardown),
        cmocka_unit_test_setup_teardown(repetition_has_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(usage_is_made_for_each, setup, teardown),
        cmocka_unit_test_setup_teardown(small_error_buffers_do, setup, teardown),
        cmocka_unit_test(the_reference_names_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
