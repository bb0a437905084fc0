/* test_storage_ordered.c: tests ORDERED groups: one message of an ORDER key is out at a time, in order, through
 * everything that can happen to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/shell.h"

/* Sends one message for each letter, which is its key ('.': none) and, with its place, its body. */
static void send_keys(struct shell *s, const char *keys)
{
    for (int i = 0; keys[i]; i++) {
        if (keys[i] == '.')
            shell_do(s, "SEND t %c%d QUEUE 0", keys[i], i);
        else
            shell_do(s, "SEND t %c%d ORDER %c", keys[i], i, keys[i]);
    }
}

static void start(struct shell *s, const char *keys, const char *options)
{
    shell_expect(s, "OK", "TOPIC CREATE t QUEUES 1");
    shell_expect(s, "OK", "GROUP CREATE g t ORDERED %s", options);
    send_keys(s, keys);
}

static void expect_lag(struct shell *s, int ready, int inflight, int delayed)
{
    const char *said = shell_do(s, "LAG g");
    assert_int_equal(shell_field(said, "ready"), ready);
    assert_int_equal(shell_field(said, "inflight"), inflight);
    assert_int_equal(shell_field(said, "delayed"), delayed);
    assert_int_equal(shell_field(said, "lag"), ready + inflight + delayed);
}

static void one_of_a_key(void **state)
{
    struct shell *s = *state;
    start(s, "aab.ba", "");
    shell_expect(s, "[t:0:0#1=a0 t:0:2#1=b2 t:0:3#1=.3]", "POP g t COUNT 9");
    shell_expect(s, "[]", "POP g t COUNT 9");
    expect_lag(s, 3, 3, 0);
    assert_int_equal(shell_rows(s, 'Z'), 1);
    shell_expect(s, "1", "ACK g t:0:0#1");
    shell_expect(s, "[t:0:1#1=a1]", "POP g t COUNT 9");
    shell_expect(s, "2", "ACK g t:0:2#1 t:0:1#1");
    shell_expect(s, "[t:0:4#1=b4 t:0:5#1=a5]", "POP g t COUNT 9");
    assert_int_equal(shell_rows(s, 'Z'), 0);
    shell_expect(s, "3", "ACK g t:0:3-5#1");
    expect_lag(s, 0, 0, 0);
    assert_int_equal(shell_rows(s, 'R'), 0);
}

/* A POP that found nothing says whether an ACK may change that. */
static bool waits_for_ack(struct shell *s)
{
    uint32_t i = shell_add(s, "POP g t COUNT 9");
    bool waits = shell_outcome(s, i)->by_ack;
    assert_true(shell_write(s));
    assert_string_equal(shell_reply(s, i), "[]");
    return waits;
}

static void an_ack_may_let_it_go(void **state)
{
    struct shell *s = *state;
    start(s, "a", "");
    shell_expect(s, "[t:0:0#1=a0]", "POP g t");
    assert_true(waits_for_ack(s));
    shell_expect(s, "1", "ACK g t:0:0#1");
    assert_false(waits_for_ack(s)); /* nothing is leased */
    shell_expect(s, "OK", "GROUP DELETE g");
    shell_expect(s, "OK", "GROUP CREATE g t");
    shell_expect(s, "[t:0:0#2=a0]", "POP g t COUNT 9");
    assert_false(waits_for_ack(s)); /* a plain group does not care */
    shell_expect(s, "OK", "GROUP SET g t INFLIGHT 1");
    assert_true(waits_for_ack(s));
}

/* What is skipped comes before what is fresh, and the oldest first. */
static void skipped_before_fresh(void **state)
{
    struct shell *s = *state;
    start(s, "abab", "");
    shell_expect(s, "[t:0:0#1=a0 t:0:1#1=b1]", "POP g t COUNT 9");
    shell_expect(s, "2", "ACK g t:0:0-1#1");
    send_keys(s, "c");
    shell_expect(s, "[t:0:2#1=a2]", "POP g t");
    shell_expect(s, "[t:0:3#1=b3]", "POP g t");
    shell_expect(s, "[t:0:4#1=c0]", "POP g t");
}

/* Over all queues: here the messages of queue 1 are the older ones. */
static void oldest_queue_first(void **state)
{
    struct shell *s = *state;
    static const char *const keys[] = {"k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"};
    const char *of[2] = {NULL, NULL};
    shell_expect(s, "OK", "TOPIC CREATE t QUEUES 2");
    shell_expect(s, "OK", "GROUP CREATE g t ORDERED");
    for (size_t i = 0; i < 8; i++) {
        unsigned q = 0;
        assert_int_equal(sscanf(shell_do(s, "SEND t x ORDER %s", keys[i]), "t:%u:", &q), 1);
        of[q] = keys[i];
    }
    assert_true(of[0] && of[1]);
    shell_do(s, "TOPIC PURGE t");
    for (int round = 0; round < 2; round++) {
        shell_do(s, "SEND t old%d ORDER %s", round, of[1]);
        shell_do(s, "SEND t new%d ORDER %s", round, of[0]);
    }
    shell_do(s, "POP g t COUNT 9");
    for (unsigned q = 0; q < 2; q++) /* acknowledges the first of each queue, the younger one first */
        for (unsigned o = 0; o < 8; o++)
            shell_do(s, "ACK g t:%u:%u#1", q, o);
    assert_non_null(strstr(shell_do(s, "POP g t"), "=old1]"));
    assert_non_null(strstr(shell_do(s, "POP g t"), "=new1]"));
}

static void retry_keeps_the_key(void **state)
{
    struct shell *s = *state;
    start(s, "aab", "LEASE 10s");
    shell_expect(s, "[t:0:0#1=a0 t:0:2#1=b2]", "POP g t COUNT 9");
    shell_expect(s, "OK", "NACK g t:0:0#1 DELAY 5s");
    shell_expect(s, "[]", "POP g t COUNT 9");
    shell_pass(s, 5000);
    shell_expect(s, "[t:0:0#2=a0]", "POP g t COUNT 9");
    shell_pass(s, 5000); /* the lease of b ends */
    shell_expect(s, "[t:0:2#2=b2]", "POP g t COUNT 9");
    shell_pass(s, 5000);
    shell_expect(s, "[t:0:0#3=a0]", "POP g t COUNT 9");
    shell_expect(s, "1", "ACK g t:0:0#3");
    shell_expect(s, "[t:0:1#1=a1]", "POP g t COUNT 9");
}

static void backoff_keeps_the_key(void **state)
{
    struct shell *s = *state;
    start(s, "aa", "BACKOFF 1s,3s LEASE 1s");
    shell_expect(s, "[t:0:0#1=a0]", "POP g t COUNT 9");
    shell_pass(s, 1000);
    shell_expect(s, "[]", "POP g t COUNT 9");
    shell_pass(s, 1000);
    shell_expect(s, "[t:0:0#2=a0]", "POP g t COUNT 9");
    shell_expect(s, "OK", "NACK g t:0:0#2");
    shell_pass(s, 2999);
    shell_expect(s, "[]", "POP g t COUNT 9");
    shell_pass(s, 1);
    shell_expect(s, "[t:0:0#3=a0]", "POP g t COUNT 9");
}

/* A poison message blocks its key until its attempts are used up, and nobody else's. */
static void dead_letters_free_the_key(void **state)
{
    struct shell *s = *state;
    start(s, "aaab", "ATTEMPTS 2 LEASE 1s");
    shell_expect(s, "[t:0:0#1=a0 t:0:3#1=b3]", "POP g t COUNT 9");
    shell_expect(s, "OK", "NACK g t:0:0#1");
    shell_expect(s, "1", "ACK g t:0:3#1");
    shell_expect(s, "[t:0:0#2=a0]", "POP g t COUNT 9");
    shell_pass(s, 1000);
    shell_expect(s, "[t:0:1#1=a1]", "POP g t COUNT 9");
    shell_expect(s, "OK", "REJECT g t:0:1#1 REASON no");
    shell_expect(s, "[t:0:2#1=a2]", "POP g t COUNT 9");
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "dead"), 2);
}

static void expiry_frees_the_key(void **state)
{
    struct shell *s = *state;
    start(s, "", "LEASE 1s");
    shell_do(s, "SEND t a0 ORDER a TTL 3s");
    shell_do(s, "SEND t a1 ORDER a TTL 2s");
    shell_do(s, "SEND t a2 ORDER a TTL 5s");
    shell_do(s, "SEND t a3 ORDER a");
    shell_expect(s, "[t:0:0#1=a0]", "POP g t COUNT 9");
    expect_lag(s, 3, 1, 0);
    shell_expect(s, "OK", "NACK g t:0:0#1 DELAY 1h");
    shell_pass(s, 2500); /* a1 has expired among the skipped ones */
    shell_expect(s, "[]", "POP g t COUNT 9");
    expect_lag(s, 2, 0, 1);
    shell_pass(s, 500); /* and a0, which waited for its retry */
    shell_expect(s, "[t:0:2#1=a2]", "POP g t COUNT 9");
    shell_pass(s, 3000); /* its lease ended, and then it expired */
    shell_expect(s, "[t:0:3#1=a3]", "POP g t COUNT 9");
    expect_lag(s, 0, 1, 0);
}

/* A run of several messages that wait is delivered in order, and one of each key is in it. */
static void merged_runs(void **state)
{
    struct shell *s = *state;
    start(s, "abcabc", "LEASE 1s");
    shell_expect(s, "[t:0:0#1=a0 t:0:1#1=b1 t:0:2#1=c2]", "POP g t COUNT 9");
    shell_add(s, "NACK g t:0:0#1");
    shell_add(s, "NACK g t:0:1#1");
    shell_add(s, "NACK g t:0:2#1");
    assert_true(shell_write(s));
    shell_expect(s, "[t:0:0#2=a0 t:0:1#2=b1 t:0:2#2=c2]", "POP g t COUNT 9");
    shell_expect(s, "1", "ACK g t:0:1#2");
    shell_expect(s, "[t:0:4#1=b4]", "POP g t COUNT 9");
}

/* Receipts of ranges name what lies between, too, which others have leased. */
static void runs_across_each_other(void **state)
{
    struct shell *s = *state;
    start(s, "abcabcabc", "LEASE 10s");
    shell_expect(s, "[t:0:0#1=a0 t:0:1#1=b1 t:0:2#1=c2]", "POP g t COUNT 9");
    shell_expect(s, "2", "ACK g t:0:0#1 t:0:2#1");
    shell_expect(s, "[t:0:3#1=a3 t:0:5#1=c5]", "POP g t COUNT 9 LEASE 20s");
    shell_expect(s, "1", "ACK g t:0:1#1");
    shell_expect(s, "[t:0:4#1=b4]", "POP g t COUNT 9 LEASE 30s");
    shell_expect(s, "OK", "EXTEND g t:0:4#1 40s");
    shell_reopen(s);
    shell_expect(s, "OK", "NACK g t:0:5#1");
    shell_expect(s, "[t:0:5#2=c5]", "POP g t COUNT 9");
    shell_expect(s, "1", "ACK g t:0:3#1");
    shell_expect(s, "[t:0:6#1=a6]", "POP g t COUNT 9");
    shell_expect(s, "2", "ACK g t:0:4-6#1"); /* b4 and a6: the attempt of c5 is another one */
    shell_expect(s, "1", "ACK g t:0:0-8#2");
    shell_expect(s, "[t:0:7#1=b7 t:0:8#1=c8]", "POP g t COUNT 9");
    shell_expect(s, "2", "ACK g t:0:0-8#1");
    expect_lag(s, 0, 0, 0);
    assert_int_equal(shell_rows(s, 'R') + shell_rows(s, 'V') + shell_rows(s, 'Z'), 0);
}

/* After each step the state is dropped and loaded again, or nothing is done: the answers are the same, and the rows. */
static void loaded_again(void **state)
{
    struct shell *s = *state;
    uint64_t digests[2][40];
    char said[2][40][200];
    int n = 0;
    for (int round = 0; round < 2; round++) {
        static const char *const steps[] = {
            "POP g t COUNT 3", "NACK g t:0:0#1 DELAY 2s", "POP g t COUNT 2", "ACK g t:0:1#1", "POP g t",
            "POP g t COUNT 9", "ACK g t:0:2-4#1", "POP g t COUNT 9", "PASS", "POP g t COUNT 2", "ACK g t:0:0#2",
            "POP g t COUNT 9", "REJECT g t:0:5#1", "POP g t COUNT 9", "PASS", "POP g t COUNT 9"};
        n = sizeof(steps) / sizeof(*steps);
        if (round > 0) {
            shell_stop(s);
            shell_start(s);
        }
        s->now_ms = SHELL_TIME + 1000000;
        start(s, "abacabad", "LEASE 5s");
        for (int i = 0; i < n; i++) {
            if (strcmp(steps[i], "PASS") == 0)
                shell_pass(s, 3000);
            const char *answer = strcmp(steps[i], "PASS") == 0 ? "" : shell_do(s, "%s", steps[i]);
            (void)snprintf(said[round][i], sizeof(said[round][i]), "%s", answer);
            uint64_t index = s->index;
            if (round > 0)
                shell_reopen(s);
            s->index = index;
            digests[round][i] = shell_digest(s);
        }
    }
    for (int i = 0; i < n; i++) {
        assert_string_equal(said[1][i], said[0][i]);
        assert_true(digests[1][i] == digests[0][i]);
    }
}

static void purge_and_delete(void **state)
{
    struct shell *s = *state;
    start(s, "aab", "");
    shell_expect(s, "[t:0:0#1=a0 t:0:2#1=b2]", "POP g t COUNT 9");
    shell_expect(s, "OK", "TOPIC PURGE t");
    send_keys(s, "aa");
    shell_expect(s, "[t:0:3#1=a0]", "POP g t COUNT 9");
    shell_expect(s, "0", "ACK g t:0:0#1");
    shell_expect(s, "1", "ACK g t:0:3#1");
    shell_expect(s, "[t:0:4#1=a1]", "POP g t COUNT 9");
    shell_expect(s, "OK", "TOPIC PURGE t");
    shell_reopen(s); /* the group looks only now */
    send_keys(s, "a");
    shell_expect(s, "[t:0:5#1=a0]", "POP g t COUNT 9");
    assert_int_equal(shell_rows(s, 'Z'), 0);
    send_keys(s, "aa");
    shell_expect(s, "[]", "POP g t COUNT 9");
    assert_int_equal(shell_rows(s, 'Z'), 1);
    shell_expect(s, "OK", "GROUP DELETE g");
    shell_pass(s, 1000);
    assert_int_equal(shell_rows(s, 'Z') + shell_rows(s, 'R'), 0);
}

/* News: a consumer that waits is woken by what frees a key. */
static void news_of_free_keys(void **state)
{
    struct shell *s = *state;
    start(s, "aaa", "LEASE 1s ATTEMPTS 1");
    shell_expect(s, "[t:0:0#1=a0]", "POP g t COUNT 9");
    shell_expect(s, "[]", "POP g t COUNT 9");
    shell_expect(s, "1", "ACK g t:0:0#1");
    assert_int_equal(s->fx.n_keys, 1);
    shell_expect(s, "[t:0:1#1=a1]", "POP g t COUNT 9");
    shell_expect(s, "OK", "REJECT g t:0:1#1");
    assert_true(s->fx.n_keys >= 1);
    shell_expect(s, "[t:0:2#1=a2]", "POP g t COUNT 9");
    shell_expect(s, "1", "ACK g t:0:2#1");
    assert_int_equal(s->fx.n_keys, 0);
}

/* Where what a key has is beyond all bounds, its queue waits, and the others go on. */
static void bounds(void **state)
{
    struct shell *s = *state;
    shell_expect(s, "OK", "TOPIC CREATE t QUEUES 128"); /* so that each queue may have 1024 */
    shell_expect(s, "OK", "GROUP CREATE g t ORDERED");
    unsigned busy = 0, other = 0;
    assert_int_equal(sscanf(shell_do(s, "SEND t x ORDER a"), "t:%u:", &busy), 1);
    for (int i = 0; i < 1500; i++)
        shell_add(s, "SEND t a%d ORDER a", i);
    shell_add(s, "SEND t free QUEUE %u", busy);
    assert_true(shell_write(s));
    assert_non_null(strstr(shell_do(s, "POP g t COUNT 9"), "#1=x]"));
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "ready"), 1501);
    for (int i = 0; i < 10; i++)
        assert_int_equal(sscanf(shell_do(s, "SEND t other ORDER b%d", i), "t:%u:", &other), 1);
    assert_non_null(strstr(shell_do(s, "POP g t"), "=other]"));
    while (strcmp(shell_do(s, "POP g t COUNT 9"), "[]") != 0)
        continue;
    bool free_too = false;
    for (int i = 0; i < 1500; i++) {
        char want[40];
        shell_do(s, "ACK g t:%u:%d#1", busy, i);
        (void)snprintf(want, sizeof(want), "t:%u:%d#1=a%d", busy, i + 1, i);
        const char *said = shell_do(s, "POP g t COUNT 9");
        assert_non_null(strstr(said, want));
        free_too = free_too || strstr(said, "=free");
    }
    assert_true(free_too);
}

/* While much is leased, little is passed over; what was left for that is taken as soon as less is leased, which is news. */
static void looks_near(void **state)
{
    struct shell *s = *state;
    shell_expect(s, "OK", "TOPIC CREATE t QUEUES 1");
    shell_expect(s, "OK", "GROUP CREATE g t ORDERED");
    for (int i = 0; i < 512; i++)
        shell_add(s, "SEND t x ORDER k%d", i);
    for (int i = 0; i < 1100; i++)
        shell_add(s, "SEND t y ORDER k0");
    shell_add(s, "SEND t free QUEUE 0");
    assert_true(shell_write(s));
    (void)shell_do(s, "POP g t COUNT 512");
    expect_lag(s, 1101, 512, 0);
    shell_expect(s, "[]", "POP g t COUNT 9");
    shell_reopen(s);
    shell_expect(s, "[]", "POP g t COUNT 9");
    shell_expect(s, "1", "ACK g t:0:5#1");
    assert_true(s->fx.n_keys > 0);
    shell_expect(s, "[t:0:1612#1=free]", "POP g t COUNT 9");
    shell_expect(s, "1", "ACK g t:0:6#1");
    assert_int_equal(s->fx.n_keys, 0);
}

/* A group becomes ordered while a message waits that is due and has expired. */
static void switched_on_expiring(void **state)
{
    struct shell *s = *state;
    shell_expect(s, "OK", "TOPIC CREATE t QUEUES 1");
    shell_expect(s, "OK", "GROUP CREATE g t LEASE 10s");
    shell_do(s, "SEND t a ORDER a TTL 1s");
    shell_do(s, "SEND t b ORDER b");
    shell_expect(s, "[t:0:0#1=a t:0:1#1=b]", "POP g t COUNT 2");
    s->now_ms += 1500;
    shell_expect(s, "OK", "NACK g t:0:0#1");
    shell_expect(s, "OK", "GROUP SET g t ORDERED");
    shell_expect(s, "[]", "POP g t COUNT 9");
    shell_expect(s, "OK", "NACK g t:0:1#1");
    shell_expect(s, "[t:0:1#2=b]", "POP g t COUNT 9");
}

/* A group becomes ordered with leases out: what waits behind them keeps its attempts, and comes in order. */
static void switched_on(void **state)
{
    for (int reopens = 0; reopens < 2; reopens++) {
        struct shell *s = *state;
        shell_expect(s, "OK", "TOPIC CREATE t QUEUES 1");
        shell_expect(s, "OK", "GROUP CREATE g t LEASE 10s");
        send_keys(s, "aaaaab");
        shell_expect(s, "[t:0:0#1=a0 t:0:1#1=a1 t:0:2#1=a2 t:0:3#1=a3]", "POP g t COUNT 4");
        shell_expect(s, "OK", "NACK g t:0:2#1 DELAY 1s");
        shell_expect(s, "OK", "NACK g t:0:0#1");
        shell_expect(s, "OK", "GROUP SET g t ORDERED");
        if (reopens)
            shell_reopen(s);
        shell_expect(s, "[t:0:5#1=b5]", "POP g t COUNT 9"); /* a1 and a3 are leased */
        expect_lag(s, 3, 3, 0);
        shell_expect(s, "OK", "NACK g t:0:3#1 DELAY 1h"); /* not the next one: its pause is lost, its attempt is not */
        shell_expect(s, "[]", "POP g t COUNT 9");
        shell_expect(s, "1", "ACK g t:0:1#1");
        shell_expect(s, "[t:0:0#2=a0]", "POP g t COUNT 9");
        if (reopens)
            shell_reopen(s);
        shell_expect(s, "1", "ACK g t:0:0#2");
        shell_expect(s, "[t:0:2#2=a2]", "POP g t COUNT 9");
        shell_expect(s, "1", "ACK g t:0:2#2");
        shell_expect(s, "[t:0:3#2=a3]", "POP g t COUNT 9");
        shell_expect(s, "1", "ACK g t:0:3#2");
        shell_expect(s, "[t:0:4#1=a4]", "POP g t COUNT 9");
        shell_stop(s);
        shell_start(s);
    }
}

/* Of those that wait, the first one holds the key, and keeps its pause; where it expires before, until then only. */
static void switched_on_waiting(void **state)
{
    struct shell *s = *state;
    shell_expect(s, "OK", "TOPIC CREATE t QUEUES 1");
    shell_expect(s, "OK", "GROUP CREATE g t LEASE 10s");
    shell_do(s, "SEND t a0 ORDER a TTL 5s");
    send_keys(s, "ab");
    shell_do(s, "POP g t COUNT 3");
    for (int i = 0; i < 3; i++)
        shell_expect(s, "OK", "NACK g t:0:%d#1 DELAY %s", i, i == 1 ? "0" : "1h");
    shell_expect(s, "OK", "GROUP SET g t ORDERED");
    shell_expect(s, "[]", "POP g t COUNT 9");
    shell_pass(s, 5000);
    shell_expect(s, "[t:0:1#2=a0]", "POP g t COUNT 9");
    expect_lag(s, 0, 1, 1);
    shell_pass(s, 3600000);
    shell_expect(s, "[t:0:1#3=a0 t:0:2#2=b1]", "POP g t COUNT 9");
}

static void switched_off(void **state)
{
    struct shell *s = *state;
    start(s, "aaabb", "");
    shell_expect(s, "[t:0:0#1=a0 t:0:3#1=b3]", "POP g t COUNT 9");
    shell_expect(s, "OK", "GROUP SET g t ORDERED no");
    assert_int_equal(shell_rows(s, 'Z'), 0);
    expect_lag(s, 3, 2, 0);
    shell_reopen(s);
    shell_expect(s, "[t:0:1#1=a1 t:0:2#1=a2 t:0:4#1=b4]", "POP g t COUNT 9");
    shell_expect(s, "5", "ACK g t:0:0-4#1"); /* its runs lie across each other still */
    assert_int_equal(shell_rows(s, 'R') + shell_rows(s, 'V'), 0);
}

/* The last skipped message is taken in the commit group in which the group ceases to be ordered. */
static void switched_off_as_the_last_one_is_taken(void **state)
{
    struct shell *s = *state;
    start(s, "aa", "");
    shell_expect(s, "[t:0:0#1=a0]", "POP g t COUNT 9");
    assert_int_equal(shell_rows(s, 'Z'), 1);
    (void)shell_add(s, "ACK g t:0:0#1");
    uint32_t taken = shell_add(s, "POP g t COUNT 9"), off = shell_add(s, "GROUP SET g t ORDERED no");
    assert_true(shell_write(s));
    assert_string_equal(shell_reply(s, taken), "[t:0:1#1=a1]");
    assert_string_equal(shell_reply(s, off), "OK");
    assert_int_equal(shell_rows(s, 'Z'), 0);
    shell_reopen(s);
    shell_expect(s, "OK", "GROUP SET g t ORDERED");
    shell_expect(s, "1", "ACK g t:0:1#1");
    shell_expect(s, "[]", "POP g t COUNT 9");
}

static void sought(void **state)
{
    struct shell *s = *state;
    start(s, "aaba", "");
    shell_expect(s, "[t:0:0#1=a0 t:0:2#1=b2]", "POP g t COUNT 9");
    shell_expect(s, "OK", "NACK g t:0:0#1 DELAY 1h");
    shell_expect(s, "OK", "GROUP SEEK g t QUEUE 0 OFFSET 1");
    shell_reopen(s);
    shell_expect(s, "[t:0:1#2=a1 t:0:2#2=b2]", "POP g t COUNT 9");
    shell_pass(s, 3600000); /* a0 is forgotten; a1 has come back */
    shell_expect(s, "[t:0:1#3=a1 t:0:2#3=b2]", "POP g t COUNT 9");
    shell_expect(s, "2", "ACK g t:0:1-2#3");
    shell_expect(s, "[t:0:3#2=a3]", "POP g t COUNT 9");
    shell_expect(s, "OK", "GROUP SEEK g t earliest");
    shell_expect(s, "[t:0:0#4=a0 t:0:2#4=b2]", "POP g t COUNT 9");
    shell_expect(s, "OK", "GROUP SEEK g t latest");
    assert_int_equal(shell_rows(s, 'R') + shell_rows(s, 'Z'), 0);
    send_keys(s, "aa");
    shell_expect(s, "[t:0:4#1=a0]", "POP g t COUNT 9");
}

/* A message that has expired gets a run of its own, which may lie at the place of the one that it leaves. */
static void switched_on_where_it_has_expired(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t a ORDER k TTL 1s");
    shell_do(s, "SEND t b ORDER l TTL 1s");
    shell_do(s, "SEND t c ORDER m");
    shell_do(s, "POP g t COUNT 3 LEASE 1h");
    s->now_ms += 2000;
    for (int i = 0; i < 3; i++) /* they wait in one run, until now */
        (void)shell_add(s, "NACK g t:0:%d#1", i);
    assert_true(shell_write(s));
    shell_expect(s, "OK", "GROUP SET g t ORDERED");
    shell_reopen(s);
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "lag"), 1);
    shell_expect(s, "[t:0:2#2=c]", "POP g t COUNT 3");
    shell_expect(s, "1", "ACK g t:0:2#2");
    assert_int_equal(shell_rows(s, 'V') + shell_rows(s, 'R'), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(an_ack_may_let_it_go),
        SHELL_TEST(one_of_a_key),          SHELL_TEST(skipped_before_fresh), SHELL_TEST(oldest_queue_first),
        SHELL_TEST(retry_keeps_the_key),   SHELL_TEST(backoff_keeps_the_key),
        SHELL_TEST(dead_letters_free_the_key), SHELL_TEST(expiry_frees_the_key), SHELL_TEST(merged_runs),
        SHELL_TEST(runs_across_each_other), SHELL_TEST(loaded_again), SHELL_TEST(purge_and_delete),
        SHELL_TEST(news_of_free_keys), SHELL_TEST(bounds), SHELL_TEST(looks_near), SHELL_TEST(switched_on_expiring),
        SHELL_TEST(switched_on), SHELL_TEST(switched_on_waiting), SHELL_TEST(switched_off), SHELL_TEST(sought),
        SHELL_TEST(switched_off_as_the_last_one_is_taken),
        SHELL_TEST(switched_on_where_it_has_expired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
