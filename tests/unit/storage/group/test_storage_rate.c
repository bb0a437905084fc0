/* test_storage_rate.c: RATE over random patterns of asking, giving back and steps of time: no second has more than n
 * messages that were received, and a group that is always asked gets almost n. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/group/rate.h"
#include "tests/lib/prng.h"

#define STEPS 4000
#define SECOND_MS 1000 /* two stamps that are so far apart may belong to moments of less distance */

/* Messages that went at a time, less those that were given back. */
struct batch {
    int64_t at_ms;
    uint64_t n;
};

static struct batch went[STEPS];
static uint32_t n_went;

/* Compares each second that begins with a message. */
static void no_second_has_more(uint32_t rate)
{
    uint64_t in = 0;
    for (uint32_t first = 0, last = 0; first < n_went; in -= went[first++].n) {
        for (; last < n_went && went[last].at_ms <= went[first].at_ms + SECOND_MS; last++)
            in += went[last].n;
        assert_true(in <= rate);
    }
}

/* dense: one message after the other, as soon as it may go. */
static int64_t step_of_time(struct prng *p, bool dense)
{
    if (dense)
        return prng_below(p, 3) == 0;
    switch (prng_below(p, 8)) {
    case 0: return 0;
    case 1: return (int64_t)prng_below(p, 12);
    case 2: return (int64_t)prng_below(p, 1100);
    case 3: return prng_below(p, 50) ? 9 + (int64_t)prng_below(p, 3) : INT64_C(3600000);
    default: return (int64_t)prng_below(p, 3);
    }
}

/* Gives back some of what went a short while ago, or longer. */
static void give_back(struct prng *p, uint32_t rate, int64_t *free_us, int64_t now_ms)
{
    if (n_went == 0)
        return;
    struct batch *b = &went[n_went - 1 - prng_below(p, n_went < 20 ? n_went : 20)];
    uint64_t n = prng_below(p, 2) ? b->n : prng_below(p, b->n + 1);
    *free_us = rate_gave_back(rate, *free_us, b->at_ms, now_ms, n);
    b->n -= n;
}

static void history(struct prng *p, uint32_t rate)
{
    int64_t free_us = 0, now_ms = INT64_C(1795501800000);
    bool greedy = prng_below(p, 2) == 0, dense = prng_below(p, 3) == 0;
    n_went = 0;
    while (n_went < STEPS) {
        now_ms += step_of_time(p, dense);
        uint32_t want = greedy && !dense ? UINT32_MAX : dense ? 1 + rate / 3000 : 1 + (uint32_t)prng_below(p, 1 + rate / 50);
        uint32_t n = rate_room(rate, free_us, now_ms, want);
        assert_true(n <= want && (n > 0) == (free_us <= now_ms * 1000));
        assert_int_equal(n > 0, rate_due_ms(free_us) <= now_ms);
        if (n)
            free_us = rate_took(rate, free_us, now_ms, n);
        went[n_went++] = (struct batch){now_ms, n};
        if (prng_below(p, 6) == 0)
            give_back(p, rate, &free_us, now_ms);
    }
    no_second_has_more(rate);
}

static void never_more(void **state)
{
    (void)state;
    struct prng p = prng_start();
    static const uint32_t rates[] = {1, 2, 3, 7, 50, 99, 100, 101, 250, 1000, 2000, 12345, 1000000, INT32_MAX};
    for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++)
        for (int times = 0; times < 20; times++)
            history(&p, rates[i]);
    for (int times = 0; times < 200; times++)
        history(&p, 1 + (uint32_t)prng_below(&p, 5000));
}

/* Whoever asks every some milliseconds, at most ten late, gets 98 of 100; one who never asked gets a hundredth at once. */
static void almost_as_many(void **state)
{
    (void)state;
    struct prng p = prng_start();
    static const uint32_t rates[] = {1, 10, 100, 999, 2000, 50000, 1000000};
    for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
        uint64_t sum = 0;
        int64_t free_us = 0, now_ms = 1000000;
        assert_true(rate_room(rates[i], 0, now_ms, UINT32_MAX) <= rates[i] / 100 + 1);
        while (now_ms < 1000000 + 100000) {
            uint32_t n = rate_room(rates[i], free_us, now_ms, UINT32_MAX);
            if (n)
                free_us = rate_took(rates[i], free_us, now_ms, n);
            sum += n;
            int64_t due = rate_due_ms(free_us);
            now_ms = (due > now_ms ? due : now_ms + 1) + (int64_t)prng_below(&p, 9);
        }
        assert_true(sum >= (uint64_t)rates[i] * 98);
    }
}

/* What was not received does not count: the next one may go at once. */
static void given_back(void **state)
{
    (void)state;
    int64_t free_us = rate_took(1, 0, 5000, 1);
    assert_int_equal(rate_room(1, free_us, 5900, 9), 0);
    assert_int_equal(rate_due_ms(free_us), 6001);
    free_us = rate_gave_back(1, free_us, 5000, 5900, 1);
    assert_int_equal(rate_room(1, free_us, 5900, 9), 1);
    assert_int_equal(rate_gave_back(5, 0, 0, 0, UINT64_MAX), 0);
    assert_int_equal(rate_gave_back(1, 7, 1000, 3000, 1), 7); /* too long ago */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_more), cmocka_unit_test(almost_as_many), cmocka_unit_test(given_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
