/* test_storage_limits.c: RATE, INFLIGHT and PAUSE of groups, GROUP SET, and that a group is made by POP only where that is
 * allowed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/prng.h"
#include "tests/lib/shell.h"

static void send_some(struct shell *s, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        shell_add(s, "SEND t m QUEUE %u", i % 2);
    assert_true(shell_write(s));
}

/* True where the last group had news for those that wait for group g on topic t. *ret_n: for how many. */
static bool news_of_g(const struct shell *s, uint32_t *ret_n)
{
    uint64_t key = news_key(NEWS_GROUP, SLICE_LIT("g"), SLICE_LIT("t"));
    for (uint32_t i = 0; i < s->fx.n_keys; i++) {
        if (s->fx.keys[i] != key)
            continue;
        *ret_n = s->fx.counts[i];
        return true;
    }
    *ret_n = 0;
    return false;
}

/* ---- RATE ---- */

#define BATCHES 3000

/* What one POP brought, less what was released. */
struct batch {
    int64_t at_ms;
    uint32_t n;
    char receipt[48]; /* of its first message */
};

static struct batch went[BATCHES];
static uint32_t n_went;

static void no_second_has_more(uint32_t rate)
{
    uint64_t in = 0;
    for (uint32_t first = 0, last = 0; first < n_went; in -= went[first++].n) {
        for (; last < n_went && went[last].at_ms <= went[first].at_ms + 1000; last++)
            in += went[last].n;
        assert_true(in <= rate);
    }
}

/* Pops, or takes as a stream does; in the same group perhaps several times. */
static void pop_some(struct shell *s, struct prng *p)
{
    static const char *const words[] = {"POP g t COUNT %u", "TAKE g t COUNT %u"};
    uint32_t times = 1 + (uint32_t)prng_below(p, 3);
    for (uint32_t i = 0; i < times; i++) {
        char line[40];
        uint32_t count = prng_below(p, 3) ? 1 : 1 + (uint32_t)prng_below(p, 60);
        (void)snprintf(line, sizeof(line), words[prng_below(p, 2)], count);
        uint32_t at = shell_add(s, "%s", line);
        const struct outcome *out = shell_outcome(s, at);
        struct batch *b = &went[n_went++];
        *b = (struct batch){.at_ms = s->now_ms};
        for (uint32_t g = 0; g < out->n_grants; g++)
            for (uint32_t k = 0; k < out->grants[g].count; k++)
                b->n += (uint32_t)(out->grants[g].bits[k / 64] >> (k % 64) & 1);
        if (b->n)
            (void)snprintf(b->receipt, sizeof(b->receipt), "t:%u:%llu#%u", out->grants[0].queue,
                           (unsigned long long)out->grants[0].base, out->grants[0].attempt);
        assert_true(b->n || out->retry_at_ms == 0 || out->retry_at_ms > s->now_ms);
    }
    assert_true(shell_write(s));
}

/* The first message of a batch was not received after all. */
static void release_one(struct shell *s, struct prng *p)
{
    struct batch *b = &went[n_went - 1 - prng_below(p, n_went < 10 ? n_went : 10)];
    if (!b->n || !b->receipt[0])
        return;
    shell_expect(s, "OK", "RELEASE g %s AT %lld", b->receipt, (long long)b->at_ms);
    b->receipt[0] = '\0';
    b->n--;
}

static void rate_is_never_exceeded(void **state)
{
    static const uint32_t rates[] = {1, 7, 200, 1500};
    struct shell *s = *state;
    struct prng p = prng_start();
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
        shell_expect(s, "OK", "GROUP CREATE g t RATE %u FROM latest LEASE 1h", rates[i]);
        for (n_went = 0; n_went + 3 < BATCHES / 2;) {
            if (prng_below(&p, 10) == 0)
                send_some(s, 40);
            pop_some(s, &p);
            if (prng_below(&p, 5) == 0)
                release_one(s, &p);
            if (prng_below(&p, 60) == 0)
                shell_reopen(s);
            s->now_ms += prng_below(&p, 100) ? (int64_t)prng_below(&p, 9) : INT64_C(3600000);
        }
        no_second_has_more(rates[i]);
        shell_do(s, "GROUP DELETE g");
    }
}

/* What RATE holds back comes at the time that POP names, and not before. */
static void rate_says_when(void **state)
{
    struct shell *s = *state;
    send_some(s, 4);
    shell_expect(s, "OK", "GROUP CREATE g t RATE 1");
    shell_expect(s, "[t:0:0#1=m]", "POP g t COUNT 9");
    int64_t first = s->now_ms;
    for (; s->now_ms < first + 1001; s->now_ms += 143) {
        uint32_t at = shell_add(s, "POP g t");
        assert_true(shell_outcome(s, at)->nothing && shell_outcome(s, at)->retry_at_ms == first + 1001);
        assert_true(shell_write(s));
    }
    s->now_ms = first + 1001;
    shell_expect(s, "[t:1:0#1=m]", "POP g t COUNT 9");
    shell_expect(s, "OK", "GROUP SET g t RATE 0");
    shell_expect(s, "[t:0:1#1=m t:1:1#1=m]", "POP g t COUNT 9");
    uint32_t at = shell_add(s, "POP g t");
    assert_true(shell_outcome(s, at)->nothing && shell_outcome(s, at)->retry_at_ms == 0); /* nothing is held back */
    assert_true(shell_write(s));
}

/* A limit of one topic does not count for another. */
static void rate_of_one_topic(void **state)
{
    struct shell *s = *state;
    send_some(s, 4);
    shell_do(s, "SEND u x QUEUE 0");
    shell_do(s, "GROUP CREATE g t RATE 1");
    shell_expect(s, "[t:0:0#1=m u:0:0#1=x]", "POP g t u COUNT 9");
    shell_expect(s, "[]", "POP g t u COUNT 9");
}

/* ---- INFLIGHT ---- */

static void inflight_is_kept(void **state)
{
    struct shell *s = *state;
    uint32_t n = 0;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "MSEND t a b c d e");
    shell_expect(s, "OK", "GROUP CREATE g t INFLIGHT 2 LEASE 1s");
    shell_expect(s, "[t:0:0#1=a t:0:1#1=b]", "POP g t COUNT 9");
    shell_expect(s, "[]", "POP g t COUNT 9");
    shell_expect(s, "1", "ACK g t:0:0#1");
    assert_true(news_of_g(s, &n) && n == 1); /* who waits may have one now */
    shell_expect(s, "[t:0:2#1=c]", "POP g t COUNT 9");
    shell_expect(s, "OK", "GROUP SET g t INFLIGHT 1");
    shell_expect(s, "1", "ACK g t:0:1#1");
    assert_false(news_of_g(s, &n)); /* there is as much as is allowed */
    shell_expect(s, "[]", "POP g t");
    shell_reopen(s);
    shell_expect(s, "OK", "NACK g t:0:2#1 DELAY 1h");
    assert_true(news_of_g(s, &n) && n == 1);
    shell_expect(s, "[t:0:3#1=d]", "POP g t COUNT 9");
    shell_expect(s, "OK", "REJECT g t:0:3#1");
    assert_true(news_of_g(s, &n) && n == 1);
    shell_expect(s, "[t:0:4#1=e]", "POP g t COUNT 9");
    shell_expect(s, "OK", "GROUP SET g t BACKOFF 1h");
    shell_pass(s, 1000); /* its lease ends, and it waits for an hour */
    assert_true(news_of_g(s, &n) && n == 1);
    shell_expect(s, "OK", "GROUP SET g t INFLIGHT 0");
    assert_true(news_of_g(s, &n) && n > 1000);
}

/* ---- PAUSE ---- */

static void pause_and_resume(void **state)
{
    struct shell *s = *state;
    uint32_t n = 0;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "MSEND t a b c");
    shell_expect(s, "[t:0:0#1=a]", "POP g t");
    shell_expect(s, "OK", "GROUP PAUSE g t");
    shell_expect(s, "[]", "POP g t COUNT 9");
    shell_expect(s, "[t:0:0#1=a]", "POP other t");
    shell_expect(s, "1", "ACK g t:0:0#1");
    shell_reopen(s);
    shell_expect(s, "[]", "TAKE g t COUNT 9");
    shell_expect(s, "OK", "GROUP RESUME g t");
    assert_true(news_of_g(s, &n) && n > 1000);
    shell_expect(s, "[t:0:1#1=b]", "POP g t");
    shell_expect(s, "OK", "GROUP RESUME g t"); /* again */
    shell_refused(s, "-NOGROUP", "GROUP PAUSE nobody");
    shell_refused(s, "-NOGROUP", "GROUP PAUSE nobody t");
    shell_refused(s, "-NOTOPIC", "GROUP RESUME g nowhere");
    shell_refused(s, "-NOGROUP", "GROUP RESUME nobody");
}

/* Of the group on one topic and the whole group that counts which was said last. */
static void what_was_said_last_counts(void **state)
{
    struct shell *s = *state;
    uint32_t n = 0;
    shell_do(s, "GROUP CREATE g t"); /* no such topic */
    send_some(s, 2);
    shell_do(s, "GROUP CREATE g t");
    shell_expect(s, "OK", "GROUP PAUSE g");
    shell_expect(s, "[]", "POP g t");
    shell_expect(s, "OK", "GROUP RESUME g t");
    shell_expect(s, "[t:0:0#1=m]", "POP g t");
    shell_do(s, "SEND u x");
    shell_expect(s, "[]", "POP g u"); /* the group is on a new topic, and is paused there as everywhere else */
    shell_expect(s, "OK", "GROUP PAUSE g t");
    shell_expect(s, "OK", "GROUP RESUME g");
    assert_true(s->fx.overflow || news_of_g(s, &n));
    shell_expect(s, "[t:1:0#1=m u:0:0#1=x]", "POP g t u COUNT 9");
    shell_expect(s, "OK", "GROUP PAUSE g");
    shell_reopen(s);
    shell_expect(s, "[]", "POP g t u COUNT 9");
    shell_expect(s, "OK", "GROUP DELETE g");
    shell_expect(s, "[t:0:0#2=m]", "POP g t"); /* a new one */
}

/* ---- GROUP SET ---- */

static void set_changes_what_is_given(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "MSEND t a b c");
    shell_expect(s, "OK", "GROUP CREATE g t LEASE 5s ATTEMPTS 3 BACKOFF 1s,2s RATE 1000 INFLIGHT 9");
    shell_expect(s, "OK", "GROUP SET g t ATTEMPTS 1");
    shell_reopen(s);
    s->full = true;
    assert_non_null(strstr(shell_do(s, "POP g t"), "lease_until:1795501805000"));
    s->full = false;
    shell_expect(s, "OK", "NACK g t:0:0#1"); /* that was its only attempt */
    shell_expect(s, "OK", "GROUP SET g t LEASE 7s BACKOFF 0 ATTEMPTS 2");
    shell_expect(s, "[t:0:1#1=b]", "POP g t");
    shell_expect(s, "OK", "NACK g t:0:1#1");
    shell_expect(s, "[t:0:1#2=b]", "POP g t"); /* at once */
    shell_refused(s, "-ERR", "GROUP SET g t");
    s->full = true;
    assert_non_null(strstr(shell_do(s, "GROUP SET g t FROM earliest"), "GROUP SEEK"));
    s->full = false;
    shell_refused(s, "-NOGROUP", "GROUP SET nobody t RATE 5");
    shell_refused(s, "-NOTOPIC", "GROUP SET g nowhere RATE 5");
    shell_do(s, "SEND u x");
    shell_refused(s, "-NOGROUP", "GROUP SET g u RATE 5");
}

static void groups_are_made_where_allowed(void **state)
{
    struct shell *s = *state;
    shell_do(s, "SEND t m QUEUE 0");
    s->policy.auto_create_groups = false;
    shell_refused(s, "-NOGROUP", "POP g t");
    shell_refused(s, "-NOTOPIC", "POP g nowhere");
    shell_expect(s, "[]", "GROUP LIST");
    shell_expect(s, "OK", "GROUP CREATE g t");
    shell_expect(s, "[t:0:0#1=m]", "POP g t");
    shell_do(s, "SEND u m QUEUE 0");
    shell_refused(s, "-NOGROUP", "POP g t u");
    s->policy.auto_create_groups = true;
    shell_expect(s, "[u:0:0#1=m]", "POP g t u");
}

int main(void)
{
    const struct CMUnitTest tests[] = {SHELL_TEST(rate_is_never_exceeded), SHELL_TEST(rate_says_when),
                                       SHELL_TEST(rate_of_one_topic), SHELL_TEST(inflight_is_kept),
                                       SHELL_TEST(pause_and_resume), SHELL_TEST(what_was_said_last_counts),
                                       SHELL_TEST(set_changes_what_is_given), SHELL_TEST(groups_are_made_where_allowed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
