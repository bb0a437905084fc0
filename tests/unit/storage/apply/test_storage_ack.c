/* test_storage_ack.c: tests ACK, NACK, EXTEND, REJECT and RELEASE: a receipt is valid only while its lease is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/lib/shell.h"

static void one_message(struct shell *s)
{
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t a");
    shell_expect(s, "[t:0:0#1=a]", "POP g t LEASE 10s");
}

static void acked_once(void **state)
{
    struct shell *s = *state;
    one_message(s);
    shell_expect(s, "0", "ACK g t:0:0#2");
    shell_expect(s, "0", "ACK g t:0:1#1");
    shell_expect(s, "0", "ACK g t:7:0#1");
    shell_expect(s, "1", "ACK g t:0:0#1 t:0:0#1 t:0:9#1");
    shell_expect(s, "0", "ACK g t:0:0#1");
    shell_refused(s, "-STALE", "NACK g t:0:0#1");
    shell_refused(s, "-STALE", "EXTEND g t:0:0#1 5s");
    shell_refused(s, "-STALE", "REJECT g t:0:0#1");
    shell_pass(s, 100000);
    shell_expect(s, "[]", "POP g t");
    assert_int_equal(shell_rows(s, 'R'), 0);
}

static void no_group(void **state)
{
    struct shell *s = *state;
    one_message(s);
    shell_refused(s, "-NOGROUP", "ACK h t:0:0#1");
    shell_refused(s, "-NOGROUP", "NACK h t:0:0#1");
    shell_refused(s, "-NOGROUP", "EXTEND h t:0:0#1 1s");
    shell_refused(s, "-NOGROUP", "REJECT h t:0:0#1");
    shell_expect(s, "OK", "RELEASE h t:0:0#1");
    /* The group exists, but not on that topic: the receipt is stale. */
    shell_expect(s, "0", "ACK g u:0:0#1");
    shell_refused(s, "-STALE", "NACK g u:0:0#1");
    shell_expect(s, "1", "ACK g u:0:0#1 t:0:0#1");
}

/* An expired lease is expired even before a TICK: tests each command, at the exact millisecond. */
static void over_by_time(void **state)
{
    struct shell *s = *state;
    one_message(s);
    s->now_ms += 9999;
    shell_expect(s, "OK", "EXTEND g t:0:0#1 1s");
    s->now_ms += 1000;
    shell_expect(s, "0", "ACK g t:0:0#1");
    shell_refused(s, "-STALE", "NACK g t:0:0#1");
    shell_refused(s, "-STALE", "EXTEND g t:0:0#1 5s");
    shell_refused(s, "-STALE", "REJECT g t:0:0#1");
    shell_expect(s, "OK", "RELEASE g t:0:0#1");
    shell_expect(s, "[t:0:0#2=a]", "POP g t LEASE 10s");
    shell_expect(s, "0", "ACK g t:0:0#1");
    shell_expect(s, "1", "ACK g t:0:0#2");
}

static void lease_ends_by_itself(void **state)
{
    struct shell *s = *state;
    one_message(s);
    shell_pass(s, 9999);
    shell_expect(s, "[]", "POP g t");
    shell_pass(s, 1);
    assert_true(s->fx.next_due_ms > s->now_ms);
    shell_refused(s, "-STALE", "EXTEND g t:0:0#1 5s");
    shell_expect(s, "[t:0:0#2=a]", "POP g t");
    assert_int_equal(state_tally(s->st)->leases_expired, 1);
    shell_reopen(s);
    shell_pass(s, 30000); /* the group's own lease */
    shell_expect(s, "[t:0:0#3=a]", "POP g t");
}

static void extended(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "MSEND t a b c");
    shell_do(s, "POP g t COUNT 3 LEASE 10s");
    shell_expect(s, "OK", "EXTEND g t:0:1#1 1h"); /* this one alone */
    shell_pass(s, 10000);
    shell_expect(s, "[t:0:0#2=a t:0:2#2=c]", "POP g t COUNT 9 LEASE 1h");
    shell_expect(s, "OK", "EXTEND g t:0:1#1 0"); /* it expires at once */
    shell_refused(s, "-STALE", "EXTEND g t:0:1#1 1h");
    shell_expect(s, "[t:0:1#2=b]", "POP g t COUNT 9");
}

static void given_back(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "MSEND t a b c d");
    shell_do(s, "POP g t COUNT 4");
    shell_expect(s, "OK", "NACK g t:0:2#1");
    shell_expect(s, "OK", "NACK g t:0:0#1 DELAY 5s");
    shell_expect(s, "[t:0:2#2=c]", "POP g t COUNT 9");
    shell_pass(s, 4999);
    shell_expect(s, "[]", "POP g t COUNT 9");
    shell_pass(s, 1);
    shell_expect(s, "[t:0:0#2=a]", "POP g t COUNT 9");
    shell_expect(s, "2", "ACK g t:0:1#1 t:0:3#1");
    assert_int_equal(state_tally(s->st)->messages_nacked, 2);
}

/* Messages that never reached their caller are requeued by RELEASE, and the attempt does not count. */
static void released(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "GROUP CREATE g t ATTEMPTS 1");
    shell_do(s, "MSEND t a b");
    for (int i = 0; i < 3; i++) {
        shell_expect(s, "[t:0:0#1=a t:0:1#1=b]", "POP g t COUNT 2");
        shell_expect(s, "OK", "RELEASE g t:0:0#1 t:0:1#1");
        assert_true(s->fx.n_keys == 1 && s->fx.counts[0] == 2);
        shell_refused(s, "-STALE", "NACK g t:0:0#1");
        if (i == 1)
            shell_reopen(s);
    }
    shell_expect(s, "-NOTOPIC", "READ %%DLQ%%g 0 0");
}

static void backoff(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "GROUP CREATE g t BACKOFF 1s,5s LEASE 10s");
    shell_do(s, "SEND t a");
    static const int64_t pauses[] = {1000, 5000, 5000};
    for (int i = 0; i < 3; i++) { /* after a NACK ... */
        char want[32];
        (void)snprintf(want, sizeof(want), "[t:0:0#%d=a]", i + 1);
        shell_expect(s, want, "POP g t");
        shell_expect(s, "OK", "NACK g t:0:0#%d", i + 1);
        shell_pass(s, pauses[i] - 1);
        shell_expect(s, "[]", "POP g t");
        shell_pass(s, 1);
    }
    shell_expect(s, "[t:0:0#4=a]", "POP g t");
    shell_pass(s, 10000); /* ... and after a lease that has expired */
    shell_expect(s, "[]", "POP g t");
    shell_pass(s, 5000);
    shell_expect(s, "[t:0:0#5=a]", "POP g t");
    shell_expect(s, "OK", "NACK g t:0:0#5 DELAY 0"); /* a DELAY overrides the backoff */
    shell_expect(s, "[t:0:0#6=a]", "POP g t");
}

static void survives_a_restart(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    for (int i = 0; i < 6; i++)
        shell_do(s, "SEND t m%d", i);
    shell_do(s, "POP g t COUNT 4 LEASE 10s");
    shell_do(s, "ACK g t:0:0#1");
    shell_do(s, "NACK g t:1:0#1 DELAY 20s");
    shell_reopen(s);
    shell_expect(s, "[t:0:2#1=m4 t:1:2#1=m5]", "POP g t COUNT 9 LEASE 1h");
    shell_expect(s, "1", "ACK g t:1:1#1");
    shell_pass(s, 10000);
    shell_expect(s, "[t:0:1#2=m2]", "POP g t COUNT 9");
    shell_reopen(s);
    shell_pass(s, 10000);
    shell_expect(s, "[t:1:0#2=m1]", "POP g t COUNT 9");
}

/* A thousand messages that were requeued singly, out of one record, are delivered as one run again. */
static void requeued_singly(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    for (uint32_t i = 0; i < COUNT_MAX; i++)
        shell_add(s, "SEND t m");
    assert_true(shell_write(s));
    shell_do(s, "POP g t COUNT 1000 LEASE 10s");
    for (uint32_t i = 0; i < COUNT_MAX; i++)
        shell_add(s, "NACK g t:0:%u#1 DELAY 5s", i);
    assert_true(shell_write(s));
    assert_int_equal(shell_rows(s, 'V'), 1); /* those of one group are one row */
    shell_pass(s, 5000);
    shell_do(s, "POP g t COUNT 1000 LEASE 10s");
    for (uint32_t i = 0; i < COUNT_MAX; i++) {
        shell_do(s, "NACK g t:0:%u#2 DELAY 1s", i);
        s->now_ms++;
    }
    assert_int_equal(shell_rows(s, 'V'), COUNT_MAX);
    assert_int_equal(shell_rows(s, 'R'), 0);
    shell_reopen(s);
    shell_pass(s, 5000);
    shell_add(s, "POP g t COUNT 1000");
    const struct outcome *out = shell_outcome(s, 0);
    assert_int_equal(out->n_grants, 1);
    assert_true(out->grants[0].count == COUNT_MAX && out->grants[0].attempt == 3);
    assert_true(shell_write(s));
    assert_int_equal(shell_rows(s, 'V'), 0);
    assert_int_equal(shell_rows(s, 'R'), 1);
}

/* Sends ten messages to one queue and leases them all as #1. */
static void ten_leased(struct shell *s)
{
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "MSEND t 0 1 2 3 4 5 6 7 8 9");
    shell_do(s, "POP g t COUNT 10 LEASE 10s");
}

static void a_range_is_acked(void **state)
{
    struct shell *s = *state;
    ten_leased(s);
    shell_expect(s, "0", "ACK g t:0:0-9#2");
    shell_expect(s, "0", "ACK g t:1:0-9#1 t:0:10-99#1");
    shell_expect(s, "1", "ACK g t:0:4#1");
    shell_expect(s, "3", "ACK g t:0:2-5#1");
    shell_expect(s, "0", "ACK g t:0:2-5#1");
    shell_reopen(s);
    shell_expect(s, "3", "ACK g t:0:7-700#1 t:0:8-9#1");
    s->now_ms += 10000;
    shell_expect(s, "0", "ACK g t:0:0-9#1"); /* their lease has expired */
    shell_expect(s, "[t:0:0#2=0 t:0:1#2=1 t:0:6#2=6]", "POP g t COUNT 9");
    shell_expect(s, "3", "ACK g t:0:0-6#2");
    assert_int_equal(shell_rows(s, 'R'), 0);
    assert_int_equal(state_tally(s->st)->messages_acked, 6);
}

/* A range over several runs, of which only some have the attempt number of the receipt. */
static void a_range_of_many_runs(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "MSEND t 0 1 2 3 4 5 6 7 8 9");
    shell_do(s, "POP g t COUNT 2");
    shell_do(s, "POP g t COUNT 3");
    shell_do(s, "POP g t COUNT 4"); /* 9 was never delivered */
    shell_do(s, "NACK g t:0:3#1");
    shell_expect(s, "[t:0:3#2=3]", "POP g t");
    shell_expect(s, "7", "ACK g t:0:1-9#1");
    shell_expect(s, "1", "ACK g t:0:1-9#2");
    shell_expect(s, "[t:0:9#1=9]", "POP g t COUNT 9");
    shell_expect(s, "2", "ACK g t:0:0-9#1");
    assert_int_equal(shell_rows(s, 'R'), 0);
}

static void a_range_is_extended(void **state)
{
    struct shell *s = *state;
    ten_leased(s);
    shell_expect(s, "1", "ACK g t:0:3#1");
    shell_expect(s, "OK", "EXTEND g t:0:2-5#1 1h");
    shell_refused(s, "-STALE", "EXTEND g t:0:2-5#2 1h");
    shell_refused(s, "-STALE", "EXTEND g t:0:3-3#1 1h");
    shell_refused(s, "-STALE", "EXTEND g t:0:20-30#1 1h");
    shell_pass(s, 10000);
    shell_expect(s, "[t:0:0#2=0 t:0:1#2=1 t:0:6#2=6 t:0:7#2=7 t:0:8#2=8 t:0:9#2=9]", "POP g t COUNT 10");
    shell_expect(s, "OK", "EXTEND g t:0:0-9#2 1h"); /* it skips messages with another attempt */
    shell_reopen(s);
    shell_expect(s, "3", "ACK g t:0:0-9#1");
    shell_expect(s, "6", "ACK g t:0:0-9#2");
}

/* There is a run with another attempt before the one that is cut. */
static void a_range_is_cut_behind_another_run(void **state)
{
    struct shell *s = *state;
    ten_leased(s);
    shell_do(s, "NACK g t:0:0#1");
    shell_expect(s, "[t:0:0#2=0]", "POP g t LEASE 1h");
    shell_expect(s, "OK", "EXTEND g t:0:0-2#1 1");
    shell_pass(s, 1);
    shell_expect(s, "[t:0:1#2=1 t:0:2#2=2]", "POP g t COUNT 10 LEASE 1h");
    shell_expect(s, "3", "ACK g t:0:0-9#2");
    shell_expect(s, "7", "ACK g t:0:0-9#1");
}

static void a_range_is_released(void **state)
{
    struct shell *s = *state;
    ten_leased(s);
    shell_expect(s, "1", "ACK g t:0:3#1");
    shell_expect(s, "OK", "RELEASE g t:0:2-5#1");
    assert_int_equal(s->fx.counts[0], 3);
    shell_expect(s, "[t:0:2#1=2 t:0:4#1=4 t:0:5#1=5]", "POP g t COUNT 10");
    shell_expect(s, "9", "ACK g t:0:0-9#1");
}

/* What one ACK looks for is limited, because old receipts of ranges may pass over many leases. */
static void ranges_have_a_limit(void **state)
{
    struct shell *s = *state;
    static struct slice words[1003];
    ten_leased(s);
    words[0] = SLICE_LIT("ACK");
    words[1] = SLICE_LIT("g");
    for (uint32_t i = 2; i < 1003; i++)
        words[i] = SLICE_LIT("t:0:0-999#9");
    assert_string_equal(shell_do_words(s, words, 1002), "0");
    words[1002] = SLICE_LIT("t:0:0#1");
    assert_memory_equal(shell_do_words(s, words, 1003), "-LIMIT", 6);
    words[2] = SLICE_LIT("t:0:5-9#1");
    assert_string_equal(shell_do_words(s, words, 1003), "6");
}

static void commit_acks_a_range(void **state)
{
    struct shell *s = *state;
    char txid[32];
    ten_leased(s);
    (void)snprintf(txid, sizeof(txid), "%s", shell_do(s, "HALF pg u done"));
    shell_expect(s, "1", "ACK g t:0:3#1");
    shell_refused(s, "-STALE", "COMMIT %s ACK g t:0:0-9#1", txid);
    shell_refused(s, "-STALE", "COMMIT %s ACK g t:0:4-10#1", txid);
    shell_expect(s, "[u:0:0]", "COMMIT %s ACK g t:0:0-2#1 t:0:4-9#1 t:0:5#1", txid);
    assert_int_equal(shell_rows(s, 'R'), 0);
    (void)snprintf(txid, sizeof(txid), "%s", shell_do(s, "HALF pg u more"));
    static struct slice words[4 + 10001];
    words[0] = SLICE_LIT("COMMIT"), words[1] = slice_str(txid);
    words[2] = SLICE_LIT("ACK"), words[3] = SLICE_LIT("g");
    for (int i = 0; i < 10001; i++)
        words[4 + i] = SLICE_LIT("t:0:0-9#2");
    shell_do(s, "GROUP DELETE g");
    shell_do(s, "GROUP CREATE g t");
    shell_do(s, "POP g t COUNT 1000");
    assert_memory_equal(shell_do_words(s, words, 4 + 10001), "-LIMIT", 6);
    assert_memory_equal(shell_do_words(s, words, 4 + 10), "[u:", 3); /* doing it again changes nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(acked_once), SHELL_TEST(no_group), SHELL_TEST(over_by_time),
        SHELL_TEST(lease_ends_by_itself), SHELL_TEST(extended), SHELL_TEST(given_back),
        SHELL_TEST(released), SHELL_TEST(backoff), SHELL_TEST(survives_a_restart),
        SHELL_TEST(requeued_singly),
        SHELL_TEST(a_range_is_acked), SHELL_TEST(a_range_of_many_runs), SHELL_TEST(a_range_is_extended),
        SHELL_TEST(a_range_is_cut_behind_another_run), SHELL_TEST(a_range_is_released), SHELL_TEST(ranges_have_a_limit), SHELL_TEST(commit_acks_a_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
