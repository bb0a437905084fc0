/* test_storage_check.c: tests when a producer group is asked about a transaction, how the pauses grow, when the
 * transaction is parked, and when an ask can be taken back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/model/txn.h"
#include "tests/lib/shell.h"

static char tx[32];

static void half(struct shell *s, const char *rest)
{
    (void)snprintf(tx, sizeof(tx), "%s", shell_do(s, "HALF pg t a %s", rest));
}

/* Runs CHECKS. Returns how many checks it got; if it is one, it must be about tx. */
static int asked(struct shell *s)
{
    const char *text = shell_do(s, "CHECKS pg COUNT 100");
    int n = 0;
    for (const char *at = text; (at = strstr(at, "txid:")); at++)
        n++;
    assert_true(n != 1 || strstr(text, tx));
    return n;
}

static void the_object(void **state)
{
    struct shell *s = *state;
    char want[512];
    (void)snprintf(tx, sizeof(tx), "%s",
                   shell_do(s, "HALF pg t body KEY k TAG red PROP p 1 CHECKIN 0"));
    (void)shell_do(s, "HALF pg u two TXN %s", tx);
    (void)snprintf(want, sizeof(want),
                   "[{txid:%s pgroup:pg attempt:1 created:%lld messages:["
                   "{topic:t key:[k] tag:red body:body properties:{p:1}} "
                   "{topic:u key:[] tag:null body:two properties:{}}]}]",
                   tx, (long long)SHELL_TIME);
    shell_expect(s, want, "CHECKS pg");
    shell_expect(s, "[]", "CHECKS other");
    assert_int_equal(state_tally(s->st)->checks_asked, 1);
}

static void first_ask(void **state)
{
    struct shell *s = *state;
    half(s, "");
    s->now_ms += 5999;
    assert_int_equal(asked(s), 0);
    s->now_ms += 1;
    assert_int_equal(asked(s), 1);
    assert_int_equal(asked(s), 0);
    half(s, "CHECKIN 1s");
    s->now_ms += 999;
    assert_int_equal(asked(s), 0);
    s->now_ms += 1;
    assert_int_equal(asked(s), 1);
}

/* After ask n follow n pauses, at most an hour; after the last ask there is one more before the transaction is
 * parked. */
static void growing_pauses(void **state)
{
    struct shell *s = *state;
    s->policy.check_every_ms = 600000;
    s->policy.check_max = 8;
    half(s, "CHECKIN 0");
    for (int n = 1; n <= 8; n++) {
        assert_int_equal(asked(s), 1);
        int64_t pause = n * INT64_C(600000) < 3600000 ? n * INT64_C(600000) : 3600000;
        shell_pass(s, pause - 1);
        assert_int_equal(asked(s), 0);
        const char *info = shell_do(s, "TXN INFO %s", tx);
        assert_non_null(strstr(info, "state:pending"));
        assert_int_equal(shell_field(info, "checks"), n);
        assert_int_equal(shell_field(info, "next_check"), s->now_ms + 1);
        if (n == 5)
            shell_reopen(s);
        shell_pass(s, 1);
    }
    assert_non_null(strstr(shell_do(s, "TXN INFO %s", tx), "state:parked"));
    assert_int_equal(asked(s), 0);
    assert_int_equal(state_tally(s->st)->parked, 1);
    assert_int_equal(shell_rows(s, 'K') + shell_rows(s, 'W'), 0);
    shell_expect(s, "[t:0:0]", "COMMIT %s", tx); /* decided by hand */
    assert_int_equal(state_tally(s->st)->parked, 0);
}

static void too_old(void **state)
{
    struct shell *s = *state;
    s->policy.txn_timeout_ms = 10000;
    half(s, "CHECKIN 5s");
    shell_pass(s, 5000);
    assert_int_equal(asked(s), 1);
    shell_pass(s, 4999);
    assert_non_null(strstr(shell_do(s, "TXN INFO %s", tx), "state:pending"));
    shell_pass(s, 1);
    assert_non_null(strstr(shell_do(s, "TXN INFO %s", tx), "state:parked"));
    assert_int_equal(shell_rows(s, 'K') + shell_rows(s, 'W'), 0);
    shell_pass(s, 100000);
    assert_int_equal(asked(s), 0);
}

/* The last pause ends exactly at the timeout, so one timer row stands for both. */
static void parked_for_both(void **state)
{
    struct shell *s = *state;
    s->policy.txn_timeout_ms = 30000;
    s->policy.check_max = 1;
    half(s, "CHECKIN 0");
    assert_int_equal(asked(s), 1);
    shell_expect(s, "OK", "TXN EXTEND %s 30s", tx);
    shell_expect(s, "OK", "TXN EXTEND %s 10s", tx); /* the timer row of the timeout stays */
    shell_expect(s, "OK", "TXN EXTEND %s 40s", tx);
    shell_pass(s, 29999);
    assert_non_null(strstr(shell_do(s, "TXN INFO %s", tx), "state:pending"));
    shell_pass(s, 1);
    assert_non_null(strstr(shell_do(s, "TXN INFO %s", tx), "state:parked"));
    assert_int_equal(shell_rows(s, 'W'), 0);
}

static void decided_is_not_asked(void **state)
{
    struct shell *s = *state;
    half(s, "CHECKIN 1s");
    shell_do(s, "COMMIT %s", tx);
    half(s, "CHECKIN 1s");
    shell_do(s, "ROLLBACK %s", tx);
    half(s, "CHECKIN 1s");
    shell_pass(s, 1000);
    assert_int_equal(asked(s), 1);
}

static void extended(void **state)
{
    struct shell *s = *state;
    half(s, "");
    shell_expect(s, "OK", "TXN EXTEND %s 1m", tx);
    s->now_ms += 59999;
    assert_int_equal(asked(s), 0);
    s->now_ms += 1;
    assert_int_equal(asked(s), 1);
    shell_expect(s, "OK", "TXN EXTEND %s 1s", tx); /* earlier works as well */
    s->now_ms += 1000;
    assert_int_equal(asked(s), 1);
    shell_expect(s, "OK", "UNKNOWN %s", tx); /* the next ask is scheduled already */
    s->now_ms += 60000;
    assert_int_equal(asked(s), 1);
}

/* An ask that was taken back does not count, and the check is due again at once. */
static void taken_back(void **state)
{
    struct shell *s = *state;
    half(s, "CHECKIN 0");
    for (int i = 0; i < 3; i++) {
        assert_non_null(strstr(shell_do(s, "CHECKS pg"), "attempt:1 "));
        shell_expect(s, "OK", "UNASK %s %s 12345", tx, "5000000000");
        assert_int_equal(state_tally(s->st)->checks_asked, 0);
    }
    shell_do(s, "CHECKS pg");
    shell_do(s, "COMMIT %s", tx);
    shell_expect(s, "OK", "UNASK %s", tx); /* it is decided, so there is nothing to take back */
    assert_int_equal(shell_rows(s, 'K'), 0);
}

/* UNASK of an older ask, or of one that was answered, changes nothing. */
static void only_the_newest_is_taken_back(void **state)
{
    struct shell *s = *state;
    half(s, "CHECKIN 0");
    assert_int_equal(asked(s), 1);
    s->now_ms += 30000;
    assert_int_equal(asked(s), 1);
    shell_expect(s, "OK", "UNASK %s-1 %s-3 %s-x %s-", tx, tx, tx, tx);
    shell_expect(s, "[]", "CHECKS pg");
    shell_expect(s, "OK", "UNASK %s-2", tx);
    assert_non_null(strstr(shell_do(s, "CHECKS pg"), "attempt:2 "));
    shell_expect(s, "OK", "UNKNOWN %s", tx);
    shell_expect(s, "OK", "UNASK %s-2", tx);
    shell_expect(s, "[]", "CHECKS pg");
    s->now_ms += 60000;
    assert_non_null(strstr(shell_do(s, "CHECKS pg"), "attempt:3 "));
    shell_expect(s, "OK", "TXN EXTEND %s 5s", tx);
    shell_expect(s, "OK", "UNASK %s-3", tx);
    shell_expect(s, "[]", "CHECKS pg");
    s->now_ms += 5000;
    assert_non_null(strstr(shell_do(s, "CHECKS pg"), "attempt:4 "));
    shell_expect(s, "OK", "UNASK %s-4", tx); /* a new ask, which was not answered yet */
    assert_int_equal(asked(s), 1);
}

/* After the last ask was taken back, the transaction is not parked at its time. */
static void last_one_taken_back(void **state)
{
    struct shell *s = *state;
    s->policy.check_max = 1;
    half(s, "CHECKIN 0");
    assert_int_equal(asked(s), 1);
    shell_expect(s, "OK", "UNASK %s", tx);
    shell_pass(s, 30000);
    assert_non_null(strstr(shell_do(s, "TXN INFO %s", tx), "state:pending"));
    assert_int_equal(asked(s), 1);
    shell_pass(s, 30000);
    assert_non_null(strstr(shell_do(s, "TXN INFO %s", tx), "state:parked"));
}

static void count_and_order(void **state)
{
    struct shell *s = *state;
    char first[32];
    half(s, "CHECKIN 2s");
    (void)snprintf(first, sizeof(first), "%s", tx);
    half(s, "CHECKIN 1s");
    shell_pass(s, 5000);
    assert_non_null(strstr(shell_do(s, "CHECKS pg"), tx)); /* the check that is due first */
    assert_non_null(strstr(shell_do(s, "CHECKS pg"), first));
    shell_expect(s, "[]", "CHECKS pg");
}

/* HALF and CHECKS in one commit group: the row is not in the store yet, so only the next CHECKS finds it. */
static void in_one_group(void **state)
{
    struct shell *s = *state;
    uint32_t h = shell_add(s, "HALF pg t a CHECKIN 0");
    uint32_t c = shell_add(s, "CHECKS pg");
    const struct outcome *out = shell_outcome(s, c);
    assert_true(out->nothing && out->retry_at_ms == s->now_ms);
    assert_true(shell_write(s));
    (void)snprintf(tx, sizeof(tx), "%s", shell_reply(s, h));
    assert_int_equal(asked(s), 1);
    /* Two CHECKS in one commit group ask only once. */
    half(s, "CHECKIN 0");
    uint32_t one = shell_add(s, "CHECKS pg"), two = shell_add(s, "CHECKS pg");
    assert_true(shell_write(s));
    assert_non_null(strstr(shell_reply(s, one), tx));
    assert_string_equal(shell_reply(s, two), "[]");
}

static void when_to_come_again(void **state)
{
    struct shell *s = *state;
    shell_add(s, "CHECKS pg");
    assert_true(shell_outcome(s, 0)->nothing && shell_outcome(s, 0)->retry_at_ms == 0);
    assert_true(shell_write(s));
    (void)shell_do(s, "HALF other t a CHECKIN 1h"); /* is no news for a taker */
    shell_add(s, "CHECKS pg");
    assert_true(shell_outcome(s, 0)->nothing && shell_outcome(s, 0)->retry_at_ms == 0);
    assert_true(shell_write(s));
    half(s, "CHECKIN 200");
    assert_int_equal(s->fx.n_keys, 1); /* a taker without a retry time gets news of it */
    shell_add(s, "CHECKS pg");
    assert_true(shell_outcome(s, 0)->retry_at_ms == s->now_ms + 200);
    assert_true(shell_write(s));
    half(s, "CHECKIN 1h"); /* later than the time at which takers look again: no news */
    assert_int_equal(s->fx.n_keys, 0);
    half(s, "CHECKIN 100");
    assert_int_equal(s->fx.n_keys, 1);
    assert_true(s->fx.keys[0] == news_key(NEWS_PGROUP, SLICE_LIT("pg"), slice_of(NULL, 0)));
}

static bool told(const struct shell *s)
{
    uint64_t key = news_key(NEWS_PGROUP, SLICE_LIT("pg"), slice_of(NULL, 0));
    bool found = false;
    for (uint32_t i = 0; i < s->fx.n_keys; i++)
        found = found || s->fx.keys[i] == key;
    return found;
}

/* One taker waits for news only, another one polls: the first still gets the news. */
static void another_asked_meanwhile(void **state)
{
    struct shell *s = *state;
    shell_expect(s, "[]", "CHECKS pg"); /* nothing is pending: it waits for news */
    (void)shell_do(s, "HALF other t a");
    shell_expect(s, "[]", "CHECKS pg"); /* it gets a retry time, but does not come again */
    s->now_ms += 10000;
    half(s, "CHECKIN 200");
    assert_true(told(s));
}

/* Two takers wait for news only: the first is woken, takes what is due, and does not come again. */
static void another_was_woken(void **state)
{
    struct shell *s = *state;
    shell_expect(s, "[]", "CHECKS pg");
    shell_expect(s, "[]", "CHECKS pg");
    half(s, "CHECKIN 0");
    assert_true(told(s));
    assert_int_equal(asked(s), 1);
    half(s, "CHECKIN 200");
    assert_true(told(s));
}

/* Large checks: CHECKS returns as many as fit into a reply, the next one returns the rest. */
static void large_ones(void **state)
{
    struct shell *s = *state;
    size_t size = 900000;
    uint8_t *body = malloc(size);
    assert_non_null(body);
    memset(body, 'x', size);
    struct slice words[] = {SLICE_LIT("HALF"), SLICE_LIT("pg"), SLICE_LIT("t"), slice_of(body, size),
                            SLICE_LIT("CHECKIN"), SLICE_LIT("0")};
    for (int i = 0; i < 8; i++)
        (void)shell_do_words(s, words, 6);
    int n = asked(s);
    assert_true(n >= 2 && n <= 3);
    while (n < 8) {
        int more = asked(s);
        assert_true(more > 0);
        n += more;
    }
    assert_int_equal(n, 8);
    free(body);
}

/* The check of a long transaction is delivered alone, and without its messages, which take long to read. */
static void large_one_alone(void **state)
{
    struct shell *s = *state;
    static char body[700001];
    memset(body, 'x', sizeof(body) - 1);
    half(s, "CHECKIN 0");
    half(s, "CHECKIN 1");
    const struct slice more[] = {SLICE_LIT("HALF"), SLICE_LIT("pg"), SLICE_LIT("t"), slice_str(body), SLICE_LIT("TXN"), slice_str(tx)};
    for (int i = 0; i < 2; i++)
        (void)shell_do_words(s, more, 6);
    s->now_ms += 10;
    state_spare(s->st, true);
    assert_non_null(strstr(shell_do(s, "CHECKS pg COUNT 10"), "attempt:1"));
    char want[64];
    (void)snprintf(want, sizeof(want), "[{txid:%s attempt:1}]", tx);
    shell_expect(s, want, "CHECKS pg COUNT 10");
    shell_expect(s, "[]", "CHECKS pg COUNT 10");
    shell_expect(s, "OK", "UNASK %s-1", tx);
    shell_expect(s, want, "CHECKS pg COUNT 10");
}

/* A failure in the middle of a scan loses no check: they are found again. */
static void failed_scan(void **state)
{
    struct shell *s = *state;
    half(s, "CHECKIN 0");
    kv_fault(s->st->kv, KV_OP_GET, 1);
    shell_refused(s, "-ERR", "CHECKS pg");
    kv_fault(s->st->kv, KV_OP_GET, 0);
    assert_int_equal(asked(s), 1);
    half(s, "CHECKIN 0");
    kv_fault(s->st->kv, KV_OP_ITER, 1);
    shell_refused(s, "-ERR", "CHECKS pg");
    assert_int_equal(asked(s), 1);
}

/* check_max changes while a transaction is open: it is asked about again, or parked, but never forgotten. */
static void policy_changes(void **state)
{
    struct shell *s = *state;
    s->policy.check_max = 1;
    half(s, "CHECKIN 0");
    assert_int_equal(asked(s), 1);
    s->policy.check_max = 3;
    shell_pass(s, 30000);
    assert_non_null(strstr(shell_do(s, "TXN INFO %s", tx), "state:pending"));
    assert_int_equal(asked(s), 1);
    s->policy.check_max = 1;
    shell_pass(s, 60000);
    (void)asked(s);
    shell_pass(s, 3600000);
    assert_non_null(strstr(shell_do(s, "TXN INFO %s", tx), "state:parked"));
    assert_int_equal(shell_rows(s, 'K') + shell_rows(s, 'W'), 0);
}

/* Two takers wait, two checks are due at once, and the news was of one: taking one makes news of the other. */
static void another_takes_the_rest(void **state)
{
    struct shell *s = *state;
    shell_expect(s, "[]", "CHECKS pg");
    half(s, "CHECKIN 10");
    half(s, "CHECKIN 20");
    assert_false(told(s));
    s->now_ms += 20;
    (void)shell_do(s, "CHECKS pg COUNT 1");
    assert_true(told(s));
    (void)shell_do(s, "CHECKS pg COUNT 1");
    assert_true(told(s)); /* there is news: the other taker looks and gets a retry time */
    shell_expect(s, "[]", "CHECKS pg");
    assert_false(told(s));
}

/* check_max is lowered below the number of asks so far: there is no further ask. */
static void no_ask_too_many(void **state)
{
    struct shell *s = *state;
    half(s, "CHECKIN 0");
    assert_int_equal(asked(s), 1);
    shell_pass(s, 30000);
    assert_int_equal(asked(s), 1);
    s->policy.check_max = 2;
    shell_pass(s, 60000);
    assert_int_equal(asked(s), 0);
    shell_pass(s, 0);
    assert_non_null(strstr(shell_do(s, "TXN INFO %s", tx), "state:parked"));
    assert_int_equal(shell_rows(s, 'K') + shell_rows(s, 'W'), 0);
}

/* With more producer groups than are kept in memory, all of them are still asked. */
static void many_producer_groups(void **state)
{
    struct shell *s = *state;
    half(s, "CHECKIN 0");
    for (int n = 0; n < 10050; n += 50) {
        for (int i = 0; i < 50; i++)
            shell_add(s, "CHECKS p%d", n + i);
        assert_true(shell_write(s));
    }
    assert_true(s->st->pgroups.n <= 10000);
    assert_int_equal(asked(s), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(the_object),      SHELL_TEST(first_ask),           SHELL_TEST(growing_pauses),
        SHELL_TEST(too_old),         SHELL_TEST(parked_for_both),     SHELL_TEST(decided_is_not_asked),
        SHELL_TEST(extended),
        SHELL_TEST(taken_back),
        SHELL_TEST(only_the_newest_is_taken_back),
        SHELL_TEST(last_one_taken_back),
        SHELL_TEST(count_and_order), SHELL_TEST(in_one_group),        SHELL_TEST(when_to_come_again),
        SHELL_TEST(large_ones), SHELL_TEST(large_one_alone),      SHELL_TEST(failed_scan),         SHELL_TEST(policy_changes),
        SHELL_TEST(many_producer_groups), SHELL_TEST(another_asked_meanwhile), SHELL_TEST(another_was_woken),
        SHELL_TEST(another_takes_the_rest), SHELL_TEST(no_ask_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
