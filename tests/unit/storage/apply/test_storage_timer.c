/* test_storage_timer.c: tests that timers are never early, however many there are; the next due time; ids; news. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/model/group.h"
#include "storage/model/timer.h"
#include "tests/lib/prng.h"
#include "tests/lib/shell.h"

static void more_rows_than_a_tick(void **state)
{
    struct shell *s = *state;
    s->policy.txn_timeout_ms = 900;
    for (int n = 0; n < 2500; n += 500) {
        for (int i = 0; i < 500; i++)
            shell_add(s, "HALF pg t a");
        assert_true(shell_write(s));
    }
    s->now_ms += 1000;
    static const uint32_t left[] = {1500, 500, 0};
    for (int i = 0; i < 3; i++) {
        shell_expect(s, "OK", "TICK");
        assert_int_equal(state_tally(s->st)->pending, left[i]);
        assert_true((s->fx.next_due_ms <= s->now_ms) == (left[i] > 0));
    }
}

/* Random leases and steps of time: a message is ready again when its lease has expired, and not before. */
static void never_early_never_late(void **state)
{
    struct shell *s = *state;
    struct prng p = prng_start();
    int64_t due[40];
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    for (int i = 0; i < 40; i++)
        shell_add(s, "SEND t m");
    assert_true(shell_write(s));
    for (int i = 0; i < 40; i++) {
        int64_t lease = 100 + (int64_t)prng_below(&p, 3000);
        (void)shell_do(s, "POP g t LEASE %lld", (long long)lease);
        due[i] = s->now_ms + lease;
        s->now_ms += (int64_t)prng_below(&p, 3);
    }
    if (prng_below(&p, 2))
        shell_reopen(s);
    while (s->now_ms < SHELL_TIME + 4000) {
        shell_pass(s, 1 + (int64_t)prng_below(&p, 200));
        uint64_t want = 0;
        for (int i = 0; i < 40; i++)
            want += due[i] <= s->now_ms;
        const char *lag = shell_do(s, "LAG g");
        assert_true(shell_field(lag, "ready") == (int64_t)want);
        assert_true(shell_field(lag, "inflight") == 40 - (int64_t)want);
        struct gt *gt = NULL; /* checks that the timer has changed the runs, not only the counts */
        assert_int_equal(group_get(s->st, SLICE_LIT("g"), SLICE_LIT("t"), &gt), ST_OK);
        assert_true(gt->runs.n_waiting == want && s->fx.next_due_ms > s->now_ms);
    }
}

/* The ticker learns the next due time: it is not too late, and at most a second too early. */
static void next_due(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TICK");
    assert_true(s->fx.next_due_ms > s->now_ms && s->fx.next_due_ms <= s->now_ms + 1000);
    shell_do(s, "SEND t a");
    shell_do(s, "POP g t LEASE 10ms");
    assert_true(s->fx.next_due_ms == s->now_ms + 10);
    s->now_ms += 5;
    shell_do(s, "TICK");
    assert_true(s->fx.next_due_ms == s->now_ms + 5);
    shell_reopen(s);
    shell_do(s, "SEND t b"); /* after a restart it is at once, to find out what is due */
    assert_true(s->fx.next_due_ms <= s->now_ms);
    shell_do(s, "TICK");
    assert_true(s->fx.next_due_ms == s->now_ms + 5);
}

/* A timer row that was written in the same commit group as the TICK is not overlooked. */
static void row_of_the_same_group(void **state)
{
    struct shell *s = *state;
    shell_do(s, "SEND t a");
    shell_do(s, "TICK");
    shell_add(s, "POP g t LEASE 1ms");
    shell_add(s, "EXTEND g t:0:0#1 0");
    shell_add(s, "TICK");
    assert_true(shell_write(s));
    assert_true(s->fx.next_due_ms <= s->now_ms);
    shell_do(s, "TICK");
    shell_expect(s, "[t:0:0#2=a]", "POP g t");
}

static void two_ticks_in_a_group(void **state)
{
    struct shell *s = *state;
    shell_do(s, "SEND t a");
    shell_do(s, "POP g t LEASE 10ms");
    s->now_ms += 10;
    shell_add(s, "TICK");
    shell_add(s, "TICK");
    assert_true(shell_write(s));
    assert_int_equal(state_tally(s->st)->leases_expired, 1);
    assert_int_equal(shell_rows(s, 'W'), 0);
    shell_expect(s, "[t:0:0#2=a]", "POP g t");
}

/* A timer row of an unknown kind is dropped and does not stop the others. */
static void unknown_rows(void **state)
{
    struct shell *s = *state;
    timer_put(s->st, s->now_ms, (enum timer_kind)99, SLICE_LIT("x"));
    timer_put(s->st, s->now_ms, TIMER_GT, SLICE_LIT("no zero byte"));
    timer_put(s->st, s->now_ms, TIMER_GT, slice_of("g\0t", 3));
    timer_put(s->st, s->now_ms, TIMER_TXN, SLICE_LIT("short"));
    timer_put(s->st, s->now_ms, (enum timer_kind)2, SLICE_LIT("12345678"));
    timer_put(s->st, s->now_ms, TIMER_DELAY, SLICE_LIT("short"));
    timer_put(s->st, s->now_ms, TIMER_DELAY, SLICE_LIT("1234567890123456"));
    shell_do(s, "TICK");
    shell_pass(s, 1);
    assert_int_equal(shell_rows(s, 'W'), 0);
}

static uint64_t next_id(struct shell *s)
{
    return strtoull(shell_do(s, "HALF pg t a"), NULL, 10);
}

static void ids_ascend(void **state)
{
    struct shell *s = *state;
    uint64_t last = next_id(s);
    assert_true(last > TXID_MIN && last < TXID_MAX);
    assert_int_equal(last >> 12 & 1023, s->policy.node);
    assert_true((int64_t)(last >> 22) + TXID_EPOCH_MS == s->now_ms);
    for (int i = 0; i < 20; i++) { /* the clock does not move while the broker restarts */
        uint64_t id = next_id(s);
        assert_true(id > last);
        last = id;
        if (i % 5 == 0)
            shell_reopen(s);
    }
    s->now_ms++;
    assert_true(next_id(s) > last);
}

/* If more ids are issued in a millisecond than there are sequence numbers, those of the next one are used. */
static void many_ids_in_a_millisecond(void **state)
{
    struct shell *s = *state;
    struct stamp stamp = {.index = 1, .now_ms = s->now_ms, .policy = &s->policy};
    uint64_t last = 0;
    for (int i = 0; i < 10000; i++) {
        uint64_t id = core_next_id(s->st, &stamp);
        assert_true(id > last && (id >> 12 & 1023) == s->policy.node);
        last = id;
    }
    stamp.now_ms++; /* still before the borrowed millisecond: ids must ascend */
    assert_true(core_next_id(s->st, &stamp) > last);
}

static void ids_of_an_odd_clock(void **state)
{
    struct shell *s = *state;
    struct stamp stamp = {.index = 1, .now_ms = 5, .policy = &s->policy};
    uint64_t first = core_next_id(s->st, &stamp);
    assert_true(first > TXID_MIN && first < TXID_MAX);
    stamp.now_ms = INT64_MAX / 2;
    uint64_t far = core_next_id(s->st, &stamp);
    assert_true(far > first && far < TXID_MAX);
    assert_true(core_next_id(s->st, &stamp) > far);
}

static uint32_t news_of(const struct shell *s, enum news_kind kind, const char *a, const char *b)
{
    uint64_t key = news_key(kind, slice_str(a), slice_str(b));
    for (uint32_t i = 0; i < s->fx.n_keys; i++)
        if (s->fx.keys[i] == key)
            return s->fx.counts[i];
    return 0;
}

static void news(void **state)
{
    struct shell *s = *state;
    shell_add(s, "MSEND t a b c");
    shell_add(s, "SEND t d");
    shell_add(s, "SEND u e");
    assert_true(shell_write(s));
    assert_int_equal(s->fx.n_keys, 2);
    assert_int_equal(news_of(s, NEWS_TOPIC, "t", ""), 4);
    assert_int_equal(news_of(s, NEWS_TOPIC, "u", ""), 1);
    shell_do(s, "POP g t COUNT 3 LEASE 1s");
    assert_int_equal(s->fx.n_keys, 0);
    assert_true(s->fx.written);
    shell_do(s, "NACK g t:0:0#1");
    assert_int_equal(news_of(s, NEWS_GROUP, "g", "t"), 1);
    shell_do(s, "NACK g t:0:1#1 DELAY 5s");
    assert_int_equal(s->fx.n_keys, 0);
    s->now_ms += 1000;
    shell_do(s, "TICK");
    assert_true(news_of(s, NEWS_GROUP, "g", "t") >= 1);
    shell_do(s, "POP g t COUNT 9");
    s->now_ms += 4000;
    shell_do(s, "TICK");
    assert_true(news_of(s, NEWS_GROUP, "g", "t") >= 1);
}

static void news_overflow(void **state)
{
    struct shell *s = *state;
    for (int i = 0; i < NEWS_MAX + 10; i++)
        shell_add(s, "SEND t%d a", i);
    assert_true(shell_write(s));
    assert_true(s->fx.overflow && s->fx.n_keys == NEWS_MAX);
    shell_do(s, "SEND t5 a");
    assert_true(!s->fx.overflow && s->fx.n_keys == 1);
}

static void nothing_is_not_written(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t");
    shell_do(s, "POP g t");
    uint64_t before = shell_digest(s);
    shell_do(s, "POP g t");
    assert_false(s->fx.written);
    shell_do(s, "ACK g t:0:0#1");
    shell_do(s, "CHECKS pg");
    shell_do(s, "TICK");
    assert_false(s->fx.written);
    assert_true(shell_digest(s) == before);
}

static void group_is_full(void **state)
{
    struct shell *s = *state;
    static uint8_t body[1 << 20];
    struct slice words[] = {SLICE_LIT("SEND"), SLICE_LIT("t"), slice_of(body, sizeof(body))};
    int n = 0;
    while (!state_group_full(s->st) && n++ < 100)
        shell_add_words(s, words, 3);
    assert_true(n > 4 && n < 20);
    assert_true(shell_write(s));
    assert_false(state_group_full(s->st));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(more_rows_than_a_tick), SHELL_TEST(never_early_never_late),
        SHELL_TEST(next_due),              SHELL_TEST(row_of_the_same_group),
        SHELL_TEST(two_ticks_in_a_group),  SHELL_TEST(unknown_rows),
        SHELL_TEST(ids_ascend),            SHELL_TEST(many_ids_in_a_millisecond),
        SHELL_TEST(ids_of_an_odd_clock),   SHELL_TEST(news),
        SHELL_TEST(news_overflow),         SHELL_TEST(nothing_is_not_written),
        SHELL_TEST(group_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
