/* test_storage_txn.c: tests transactions: every command in every state, publishing in one step, how long outcomes are
 * kept, COMMIT with receipts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/shell.h"

static char tx[32];

static const char *half(struct shell *s, const char *rest)
{
    (void)snprintf(tx, sizeof(tx), "%s", shell_do(s, "HALF pg %s", rest));
    assert_true(strtoull(tx, NULL, 10) > TXID_MIN);
    return tx;
}

static const char *state_of(struct shell *s)
{
    static char word[32];
    const char *info = shell_do(s, "TXN INFO %s", tx);
    const char *at = strstr(info, "state:");
    (void)snprintf(word, sizeof(word), "%s", at ? at + 6 : info);
    word[strcspn(word, " ")] = 0;
    return word;
}

static void committed(void **state)
{
    struct shell *s = *state;
    half(s, "t a QUEUE 0");
    shell_expect(s, tx, "HALF pg u b TXN %s", tx);
    shell_expect(s, tx, "HALF pg t c QUEUE 0 TXN %s", tx);
    shell_expect(s, "[]", "READ t 0 0 COUNT 9");
    shell_expect(s, "[]", "POP g t u COUNT 9");
    assert_string_equal(state_of(s), "pending");
    assert_int_equal(shell_field(shell_do(s, "TXN INFO %s", tx), "messages"), 3);
    shell_expect(s, "[t:0:0 u:0:0 t:0:1]", "COMMIT %s", tx);
    shell_expect(s, "[t:0:0=a t:0:1=c]", "READ t 0 0 COUNT 9");
    shell_reopen(s);
    shell_expect(s, "[t:0:0 u:0:0 t:0:1]", "COMMIT %s", tx);
    shell_expect(s, "[t:0:0=a t:0:1=c]", "READ t 0 0 COUNT 9");
    assert_string_equal(state_of(s), "committed");
    assert_int_equal(shell_rows(s, 'Y') + shell_rows(s, 'K'), 0);
    s->full = true;
    assert_true(shell_field(shell_do(s, "GET t:0:0"), "txn") == (int64_t)strtoull(tx, NULL, 10));
}

/* Whoever leads may have other things to do than a COMMIT that takes long: then nothing is done. */
static void long_commit_is_spared(void **state)
{
    struct shell *s = *state;
    char *body = malloc(KIB(600));
    assert_non_null(body);
    memset(body, 'x', KIB(600));
    const struct slice first[] = {SLICE_LIT("HALF"), SLICE_LIT("pg"), SLICE_LIT("t"), slice_of(body, KIB(600))};
    (void)snprintf(tx, sizeof(tx), "%s", shell_do_words(s, first, 4));
    const struct slice more[] = {first[0], first[1], first[2], first[3], SLICE_LIT("TXN"), slice_str(tx)};
    state_spare(s->st, true);
    shell_do_words(s, more, 6);
    uint64_t before = shell_digest(s);
    uint32_t i = shell_add(s, "COMMIT %s", tx);
    assert_true(shell_outcome(s, i)->too_long);
    assert_int_equal(shell_outcome(s, i)->reply.len, 0);
    assert_true(shell_write(s));
    assert_true(shell_digest(s) == before);
    assert_string_equal(state_of(s), "pending");
    state_spare(s->st, false);
    assert_int_equal(shell_do(s, "COMMIT %s", tx)[0], '[');
    state_spare(s->st, true);
    assert_int_equal(shell_do(s, "COMMIT %s", tx)[0], '['); /* a repeat takes no time */
    free(body);
}

static void rolled_back(void **state)
{
    struct shell *s = *state;
    half(s, "t a");
    shell_expect(s, "OK", "ROLLBACK %s", tx);
    shell_expect(s, "OK", "ROLLBACK %s", tx);
    assert_string_equal(state_of(s), "rolledback");
    shell_expect(s, "[]", "POP g t COUNT 9");
    assert_int_equal(shell_rows(s, 'Y') + shell_rows(s, 'K'), 0);
}

enum { PENDING, COMMITTED, ROLLEDBACK, PARKED, FORGOTTEN, STATES };

static void bring_to(struct shell *s, int to)
{
    s->policy.txn_timeout_ms = 1000;
    half(s, "t a QUEUE 0");
    if (to == COMMITTED || to == FORGOTTEN)
        (void)shell_do(s, "COMMIT %s", tx);
    if (to == ROLLEDBACK)
        shell_expect(s, "OK", "ROLLBACK %s", tx);
    if (to == PARKED)
        shell_pass(s, 1000);
    if (to == FORGOTTEN)
        s->now_ms += s->policy.txn_outcome_retention_ms;
}

/* For each state and command, the reply that PROTOCOL.md describes. */
static void every_state_and_command(void **state)
{
    struct shell *s = *state;
    static const char *const commands[6][2] = {{"COMMIT", ""},           {"ROLLBACK", ""},
                                               {"UNKNOWN", ""},          {"TXN EXTEND", "1s"},
                                               {"HALF pg t b TXN", ""},  {"HALF other t b TXN", ""}};
    static const char *const want[STATES][6] = {
        [PENDING] = {"[", "OK", "OK", "OK", "tx", "-ERR"},
        [COMMITTED] = {"[", "-TXNCONFLICT", "OK", "-TXNCONFLICT", "-TXNCONFLICT", "-ERR"},
        [ROLLEDBACK] = {"-TXNCONFLICT", "OK", "OK", "-TXNCONFLICT", "-TXNCONFLICT", "-ERR"},
        [PARKED] = {"[", "OK", "OK", "-TXNCONFLICT", "-TXNCONFLICT", "-ERR"},
        [FORGOTTEN] = {"-NOTXN", "-NOTXN", "-NOTXN", "-NOTXN", "-NOTXN", "-NOTXN"},
    };
    for (int from = 0; from < STATES; from++) {
        for (int c = 0; c < 6; c++) {
            bring_to(s, from);
            const char *w = want[from][c][0] == 't' ? tx : want[from][c];
            shell_refused(s, w, "%s %s %s", commands[c][0], tx, commands[c][1]);
        }
    }
    assert_true(state_tally(s->st)->conflicts == 2);
}

static void never_issued(void **state)
{
    struct shell *s = *state;
    shell_refused(s, "-NOTXN", "COMMIT 4294967297");
    shell_refused(s, "-NOTXN", "ROLLBACK 9223372036854775807");
    shell_refused(s, "-NOTXN", "TXN INFO 5000000000");
}

static void outcome_is_kept_and_forgotten(void **state)
{
    struct shell *s = *state;
    s->policy.txn_outcome_retention_ms = 10000;
    half(s, "t a");
    shell_do(s, "COMMIT %s", tx);
    s->now_ms += 9999;
    shell_expect(s, "[t:0:0]", "COMMIT %s", tx);
    s->now_ms += 1;
    shell_refused(s, "-NOTXN", "COMMIT %s", tx);
    shell_refused(s, "-NOTXN", "TXN INFO %s", tx);
    assert_int_equal(shell_rows(s, 'O'), 1);
    shell_pass(s, 0);
    shell_compact(s);
    assert_int_equal(shell_rows(s, 'X') + shell_rows(s, 'O'), 0);
    assert_int_equal(shell_rows(s, 'W'), 0);
    /* It gets another message meanwhile. */
    half(s, "t a");
    shell_do(s, "ROLLBACK %s", tx);
    s->policy.txn_outcome_retention_ms = 20000;
    shell_pass(s, 10000);
    shell_compact(s);
    shell_expect(s, "OK", "ROLLBACK %s", tx);
    shell_pass(s, 10000);
    shell_compact(s);
    assert_int_equal(shell_rows(s, 'O'), 0);
}

/* The store learns txn_outcome_retention with the first command: before that no outcome is forgotten. */
static void nothing_is_forgotten_at_the_start(void **state)
{
    struct shell *s = *state;
    half(s, "t a");
    shell_do(s, "COMMIT %s", tx);
    shell_pass(s, 60000);
    shell_do(s, "SEND t b");
    shell_reopen(s);
    assert_true(shell_write(s));
    shell_compact(s);
    shell_expect(s, "[t:0:0]", "COMMIT %s", tx);
}

static void topic_deleted_meanwhile(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 9");
    half(s, "t a QUEUE 8");
    (void)shell_do(s, "HALF pg u b TXN %s", tx);
    shell_do(s, "TOPIC DELETE t");
    s->policy.auto_create_topics = false;
    uint64_t before = shell_digest(s);
    shell_refused(s, "-NOTOPIC", "COMMIT %s", tx);
    shell_expect(s, "[]", "READ u 0 0 COUNT 9"); /* nothing of it was published */
    assert_string_equal(state_of(s), "pending");
    assert_true(shell_digest(s) == before);
    s->policy.auto_create_topics = true;
    shell_expect(s, "[t:0:0 u:0:0]", "COMMIT %s", tx); /* the topic is created again, with 4 queues */
}

/* If COMMIT cannot create all topics, it creates none. */
static void no_room_for_topics(void **state)
{
    struct shell *s = *state;
    half(s, "t a");
    (void)shell_do(s, "HALF pg u b TXN %s", tx);
    shell_do(s, "TOPIC DELETE t");
    shell_do(s, "TOPIC DELETE u");
    s->st->meta.topics = TOPICS_MAX - 1;
    shell_refused(s, "-LIMIT", "COMMIT %s", tx);
    s->st->meta.topics = 0;
    shell_expect(s, "[]", "TOPIC LIST");
    shell_expect(s, "[t:0:0 u:0:0]", "COMMIT %s", tx);
}

/* A topic that several messages of the transaction go to is created once, and counts once. */
static void room_for_the_one_topic(void **state)
{
    struct shell *s = *state;
    half(s, "t a QUEUE 0");
    (void)shell_do(s, "HALF pg t b QUEUE 0 TXN %s", tx);
    shell_do(s, "TOPIC DELETE t");
    s->st->meta.topics = TOPICS_MAX - 1;
    shell_expect(s, "[t:0:0 t:0:1]", "COMMIT %s", tx);
}

static void ttl_counts_from_the_commit(void **state)
{
    struct shell *s = *state;
    half(s, "t a TTL 5s");
    s->now_ms += 4000;
    shell_do(s, "COMMIT %s", tx);
    s->full = true;
    const char *text = shell_do(s, "GET t:0:0");
    assert_int_equal(shell_field(text, "expires"), s->now_ms + 5000);
    assert_int_equal(shell_field(text, "born"), SHELL_TIME);
    assert_int_equal(shell_field(text, "stored"), s->now_ms);
}

static void with_receipts(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE in QUEUES 1");
    shell_do(s, "MSEND in a b c");
    shell_do(s, "POP g in COUNT 3 LEASE 10s");
    half(s, "out result");
    uint64_t before = shell_digest(s);
    shell_refused(s, "-NOGROUP", "COMMIT %s ACK nosuch in:0:0#1", tx);
    shell_refused(s, "-STALE", "COMMIT %s ACK g in:0:0#1 in:0:1#2", tx);
    shell_refused(s, "-STALE", "COMMIT %s ACK g in:0:0#1 other:0:1#1", tx);
    assert_true(shell_digest(s) == before); /* nothing was done */
    shell_expect(s, "OK", "EXTEND g in:0:0#1 1h");
    shell_expect(s, "[out:0:0]", "COMMIT %s ACK g in:0:0#1 in:0:1#1 in:0:1#1", tx);
    shell_expect(s, "0", "ACK g in:0:0#1 in:0:1#1");
    shell_expect(s, "[out:0:0]", "COMMIT %s ACK g in:0:0#1 in:0:1#1", tx); /* the receipts do not matter */
    shell_pass(s, 10000);
    shell_expect(s, "[in:0:2#2=c]", "POP g in COUNT 9");
    /* A lease that has expired, before any TICK. */
    half(s, "out again");
    s->now_ms += 30000;
    shell_refused(s, "-STALE", "COMMIT %s ACK g in:0:2#2", tx);
    shell_expect(s, "[out:1:0]", "COMMIT %s", tx);
}

static void in_one_group(void **state)
{
    struct shell *s = *state;
    uint32_t a = shell_add(s, "HALF pg t a QUEUE 0");
    struct cursor c = cursor_of(buf_slice(&shell_outcome(s, a)->reply));
    struct token t;
    assert_true(reply_next(&c, &t));
    (void)snprintf(tx, sizeof(tx), "%.*s", (int)t.bytes.len, (const char *)t.bytes.data);
    shell_add(s, "HALF pg t b QUEUE 0 TXN %s", tx);
    uint32_t commit = shell_add(s, "COMMIT %s", tx);
    uint32_t pop = shell_add(s, "POP g t COUNT 9");
    uint32_t conflict = shell_add(s, "ROLLBACK %s", tx);
    assert_true(shell_write(s));
    assert_string_equal(shell_reply(s, commit), "[t:0:0 t:0:1]");
    assert_string_equal(shell_reply(s, pop), "[t:0:0#1=a t:0:1#1=b]");
    assert_string_equal(shell_reply(s, conflict), "-TXNCONFLICT");
    assert_int_equal(shell_rows(s, 'Y') + shell_rows(s, 'K'), 0);
}

static void bounds(void **state)
{
    struct shell *s = *state;
    half(s, "t a QUEUE 0");
    for (int i = 1; i < TXN_MESSAGES_MAX; i++)
        shell_add(s, "HALF pg t a QUEUE 0 TXN %s", tx);
    uint32_t last = shell_add(s, "HALF pg t a TXN %s", tx);
    assert_true(shell_write(s));
    assert_string_equal(shell_reply(s, last), "-LIMIT");
    shell_do(s, "COMMIT %s", tx);
    shell_expect(s, "[t:0:999=a]", "READ t 0 999");
}

/* Attributes count as well: every transaction that may be built can be committed. */
static void bytes_with_attributes(void **state)
{
    struct shell *s = *state;
    static uint8_t value[30000], body[31000];
    memset(value, 'v', sizeof(value));
    struct slice words[] = {SLICE_LIT("HALF"), SLICE_LIT("pg"),  SLICE_LIT("t"), slice_of(body, sizeof(body)),
                            SLICE_LIT("PROP"), SLICE_LIT("p"),   slice_of(value, sizeof(value)),
                            SLICE_LIT("TXN"),  SLICE_LIT("none")};
    half(s, "t a");
    words[8] = slice_str(tx);
    const char *said = tx;
    int n = 0;
    while (strcmp(said, tx) == 0 && n++ < 1100)
        said = shell_do_words(s, words, 9);
    assert_string_equal(said, "-TOOBIG");
    assert_true(n > 500 && n < 600);
    assert_memory_equal(shell_do(s, "COMMIT %s", tx), "[t:", 3);
}

static void figures(void **state)
{
    struct shell *s = *state;
    bring_to(s, PARKED);
    bring_to(s, COMMITTED);
    bring_to(s, ROLLEDBACK);
    bring_to(s, PENDING);
    const struct tally *t = state_tally(s->st);
    assert_true(t->halfs == 4 && t->committed == 1 && t->rolledback == 1 && t->pending == 1 && t->parked == 1);
    shell_reopen(s);
    t = state_tally(s->st);
    assert_true(t->pending == 1 && t->parked == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(committed),
        SHELL_TEST(long_commit_is_spared),
        SHELL_TEST(rolled_back),
        SHELL_TEST(every_state_and_command),
        SHELL_TEST(never_issued),
        SHELL_TEST(outcome_is_kept_and_forgotten),
        SHELL_TEST(nothing_is_forgotten_at_the_start),
        SHELL_TEST(topic_deleted_meanwhile),
        SHELL_TEST(no_room_for_topics),
        SHELL_TEST(room_for_the_one_topic),
        SHELL_TEST(ttl_counts_from_the_commit),
        SHELL_TEST(with_receipts),
        SHELL_TEST(in_one_group),
        SHELL_TEST(bounds),
        SHELL_TEST(bytes_with_attributes),
        SHELL_TEST(figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
