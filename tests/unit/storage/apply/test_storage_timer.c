/* test_storage_timer.c: tests that timers are never early, however many there are; the next due time; ids; news. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <glob.h>
#include <string.h>

#include <cmocka.h>

#include "storage/group/group.h"
#include "storage/model/timer.h"
#include "tests/lib/prng.h"
#include "tests/lib/shell.h"

static void more_rows_than_a_tick(void **state)
{
    struct shell *s = *state;
    s->policy.txn_timeout_ms = 900;
    for (int i = 0; i < 600; i++)
        shell_add(s, "HALF pg t a");
    assert_true(shell_write(s));
    s->now_ms += 1000;
    static const uint32_t left[] = {344, 88, 0};
    for (int i = 0; i < 3; i++) {
        uint32_t tick = shell_add(s, "TICK");
        assert_true(shell_outcome(s, tick)->retry_at_ms == (left[i] > 0 ? s->now_ms : 0));
        assert_true(shell_write(s));
        assert_int_equal(state_tally(s->st)->pending, left[i]);
        assert_true((s->fx.next_due_ms <= s->now_ms) == (left[i] > 0));
    }
}

/* However many delayed messages and timeouts are due, and though they were due before: leases end in the same TICK. */
static void leases_come_first(void **state)
{
    struct shell *s = *state;
    s->policy.txn_timeout_ms = 900;
    shell_do(s, "TOPIC CREATE t");
    shell_do(s, "SEND u lease");
    for (int i = 0; i < 1500; i++)
        shell_add(s, "SEND t m DELAY 900ms");
    for (int i = 0; i < 1500; i++)
        shell_add(s, "HALF pg t a");
    assert_true(shell_write(s));
    shell_do(s, "POP g u LEASE 1s");
    s->now_ms += 1000;
    shell_do(s, "TICK");
    assert_int_equal(state_tally(s->st)->leases_expired, 1);
    assert_true(state_tally(s->st)->delayed > 0 && state_tally(s->st)->delayed < 1500);
    assert_true(state_tally(s->st)->pending > 0 && state_tally(s->st)->pending < 1500);
    assert_true(s->fx.next_due_ms <= s->now_ms);
    shell_pass(s, 0);
    assert_true(state_tally(s->st)->delayed + state_tally(s->st)->pending == 0);
    assert_int_equal(shell_rows(s, 'W'), 0);
}

/* Large messages count by their bytes. */
static void bytes_of_a_tick(void **state)
{
    struct shell *s = *state;
    static uint8_t body[100000];
    struct slice words[] = {SLICE_LIT("SEND"), SLICE_LIT("t"), slice_of(body, sizeof(body)), SLICE_LIT("DELAY"),
                            SLICE_LIT("1s")};
    for (int i = 0; i < 40; i++)
        shell_add_words(s, words, 5);
    assert_true(shell_write(s));
    s->now_ms += 1000;
    shell_do(s, "TICK");
    assert_true(state_tally(s->st)->delayed > 20 && state_tally(s->st)->delayed < 35);
    shell_pass(s, 0);
    assert_true(state_tally(s->st)->delayed == 0);
}

/* A row whose work fails is put again for later, each time for longer, and the rows behind it are fired. */
static void postponed(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t first DELAY 10s");
    shell_do(s, "SEND t second DELAY 10s");
    s->now_ms += 10000;
    static const int64_t pauses[] = {1000, 2000, 4000};
    for (int i = 0; i < 3; i++) {
        kv_fault(s->st->kv, KV_OP_GET_DAMAGE, 1);
        shell_expect(s, "OK", "TICK");
        kv_fault(s->st->kv, KV_OP_GET_DAMAGE, 0);
        assert_true(s->status == ST_OK && state_tally(s->st)->timers_postponed == (i == 2 ? 1U : (uint64_t)i + 1));
        shell_expect(s, "[t:0:0=second]", "READ t 0 0 COUNT 9");
        assert_int_equal(shell_rows(s, 'W'), 1);
        shell_pass(s, pauses[i] - 1);
        assert_int_equal(state_tally(s->st)->delayed, 1);
        if (i == 1)
            shell_reopen(s); /* how often it was postponed is in the row */
        s->now_ms++;
    }
    shell_expect(s, "OK", "TICK");
    shell_expect(s, "[t:0:0=second t:0:1=first]", "READ t 0 0 COUNT 9");
    assert_int_equal(shell_rows(s, 'W') + shell_rows(s, 'L') + shell_rows(s, 'N'), 0);
}

/* The same for a timeout, and for the leases of a group that cannot be read. */
static void postponed_group_and_timeout(void **state)
{
    struct shell *s = *state;
    s->policy.txn_timeout_ms = 2000;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t a");
    shell_do(s, "POP g t LEASE 3s");
    shell_do(s, "HALF pg t b");
    shell_pass(s, 1000);
    shell_reopen(s); /* the group is read when its timer fires */
    s->now_ms += 2000;
    for (int n = 1; n <= 3; n++) {
        kv_fault(s->st->kv, KV_OP_GET_DAMAGE, n == 1 ? 1 : 2);
        shell_expect(s, "OK", "TICK");
        kv_fault(s->st->kv, KV_OP_GET_DAMAGE, 0);
        assert_int_equal(s->status, ST_OK);
        if (n == 1)
            assert_int_equal(state_tally(s->st)->leases_expired, 0);
        s->now_ms += 1 << n << 10;
    }
    assert_true(state_tally(s->st)->timers_postponed >= 1);
    shell_pass(s, 100000);
    assert_int_equal(state_tally(s->st)->leases_expired, 1);
    assert_int_equal(state_tally(s->st)->parked, 1);
    shell_expect(s, "[t:0:0#2=a]", "POP g t");
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

/* A timer row that names nothing is dropped and does not stop the others. */
static void unknown_rows(void **state)
{
    struct shell *s = *state;
    timer_put(s->st, s->now_ms, TIMER_GT, SLICE_LIT("no zero byte"));
    timer_put(s->st, s->now_ms, TIMER_GT, slice_of("g\0t", 3));
    timer_put(s->st, s->now_ms, TIMER_TXN, SLICE_LIT("short"));
    timer_put(s->st, s->now_ms, TIMER_TXN, SLICE_LIT("12345678"));
    timer_put(s->st, s->now_ms, TIMER_GT, slice_of(NULL, 0));
    struct key longer = key_timer(TIMER_TXN, s->now_ms, SLICE_LIT("87654321"));
    core_put(s->st, &longer, SLICE_LIT("no such value"));
    timer_put(s->st, s->now_ms, TIMER_DELAY, SLICE_LIT("short"));
    timer_put(s->st, s->now_ms, TIMER_DELAY, SLICE_LIT("1234567890123456"));
    shell_do(s, "TICK");
    shell_pass(s, 1);
    assert_int_equal(shell_rows(s, 'W'), 0);
}

/* Flips a byte of the file at the first place that has these bytes. False: it has not. */
static bool damage_file(const char *path, struct slice what)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    static uint8_t bytes[4 << 20];
    size_t n = fread(bytes, 1, sizeof(bytes), f);
    const uint8_t *at = memmem(bytes, n, what.data, what.len);
    if (at) {
        (void)fseek(f, at - bytes, SEEK_SET);
        (void)fputc(*at ^ 1, f);
    }
    (void)fclose(f);
    return at != NULL;
}

/* Damages the block of the store that holds one of the timers due from due_ms on: only some keys are there in full. */
static void damage_timers(struct shell *s, int64_t due_ms)
{
    char pattern[300];
    (void)snprintf(pattern, sizeof(pattern), "%s/*.sst", s->path);
    glob_t files;
    assert_int_equal(glob(pattern, 0, NULL, &files), 0);
    bool done = false;
    for (int i = 0; i < 64 && !done; i++) {
        struct key key = key_timer(TIMER_DELAY, due_ms + i, slice_of(NULL, 0));
        for (size_t f = 0; f < files.gl_pathc && !done; f++)
            done = damage_file(files.gl_pathv[f], key_slice(&key));
    }
    globfree(&files);
    assert_true(done);
}

/* What is behind a damaged block of the index is fired; what is in it stays there, and the broker goes on. */
static void damaged_block(void **state)
{
    struct shell *s = *state;
    enum { N = 3000 };
    for (int i = 0; i < N; i++)
        shell_add(s, "SEND t m DELAY %dms", 10000 + i);
    assert_true(shell_write(s));
    shell_compact(s);
    shell_close(s);
    damage_timers(s, s->now_ms + 10000 + N / 3);
    damage_timers(s, s->now_ms + 10000 + N / 3 * 2);
    assert_true(shell_open(s));
    shell_pass(s, 10000 + N);
    assert_int_equal(s->status, ST_OK);
    uint64_t left = state_tally(s->st)->delayed;
    assert_true(left > 0 && left < 600);
    assert_true(s->fx.next_due_ms > s->now_ms);
    assert_int_equal(store_damaged(s->store), 2);
    shell_do(s, "SEND t later DELAY 1s");
    shell_pass(s, 1000);
    assert_true(state_tally(s->st)->delayed == left);
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
        SHELL_TEST(more_rows_than_a_tick), SHELL_TEST(leases_come_first),
        SHELL_TEST(bytes_of_a_tick),       SHELL_TEST(postponed),
        SHELL_TEST(postponed_group_and_timeout),
        SHELL_TEST(damaged_block),
        SHELL_TEST(never_early_never_late),
        SHELL_TEST(next_due),              SHELL_TEST(row_of_the_same_group),
        SHELL_TEST(two_ticks_in_a_group),  SHELL_TEST(unknown_rows),
        SHELL_TEST(ids_ascend),            SHELL_TEST(many_ids_in_a_millisecond),
        SHELL_TEST(ids_of_an_odd_clock),   SHELL_TEST(news),
        SHELL_TEST(news_overflow),         SHELL_TEST(nothing_is_not_written),
        SHELL_TEST(group_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
