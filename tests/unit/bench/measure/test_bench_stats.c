/*
 * test_bench_stats.c: tests medians, confidence intervals, the figures of each second, the search for a rate, and the
 * limits of --assert.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/base/chance.h"
#include "bench/measure/series.h"
#include "bench/measure/stats.h"
#include "bench/modes/search.h"
#include "bench/report/assertion.h"

static void medians(void **state)
{
    (void)state;
    double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2}, one[] = {7};
    assert_true(fabs(stats_median(odd, 3) - 2) < 1e-12);
    assert_true(fabs(stats_median(even, 4) - 2.5) < 1e-12);
    assert_true(fabs(stats_median(one, 1) - 7) < 1e-12);
    assert_true(fabs(stats_mean(even, 4) - 2.5) < 1e-12);
}

static void fill(double *v, size_t n, double middle, double spread, uint64_t seed)
{
    struct chance c = chance_from(seed, 0);
    for (size_t i = 0; i < n; i++)
        v[i] = middle + spread * (2 * chance_unit(&c) - 1);
}

static void a_difference_is_seen(void **state)
{
    (void)state;
    enum { N = 60 };
    double a[N], b[N];
    struct interval r;
    fill(a, N, 1000, 100, 1);
    fill(b, N, 1200, 100, 2);
    assert_true(stats_ratio(a, N, b, N, 1, &r));
    assert_true(r.low > 1 && r.low < r.middle && r.middle < r.high);
    assert_true(r.middle > 1.1 && r.middle < 1.3);
}

static void no_difference_is_claimed_where_there_is_none(void **state)
{
    (void)state;
    enum { N = 60 };
    double a[N], b[N];
    struct interval r;
    unsigned claimed = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        fill(a, N, 1000, 300, 2 * seed);
        fill(b, N, 1000, 300, 2 * seed + 1);
        assert_true(stats_ratio(a, N, b, N, seed, &r));
        claimed += r.low > 1 || r.high < 1;
    }
    assert_in_range(claimed, 0, 6); /* 95 %: two of forty are expected */
}

static void intervals_of_little(void **state)
{
    (void)state;
    double one[] = {5}, nothing[] = {0};
    struct interval r;
    assert_true(stats_interval(one, 1, 1, &r));
    assert_true(fabs(r.low - 5) < 1e-12 && fabs(r.high - 5) < 1e-12);
    assert_false(stats_interval(one, 0, 1, &r));
    assert_false(stats_ratio(nothing, 1, one, 1, 1, &r));
}

static void bring(struct series *s, unsigned worker, struct meter *m, uint64_t messages, int64_t ns)
{
    meter_time(m, LAT_send, 0, ns, messages);
    METER_COUNT(m, messages, messages);
    series_bring(s, worker, m);
}

static void seconds_wait_for_all_workers(void **state)
{
    (void)state;
    struct series s;
    struct meter a, b;
    struct second row;
    assert_true(series_init(&s, 2) && meter_init(&a, LAT_send) && meter_init(&b, LAT_send));
    bring(&s, 0, &a, 10, 1000);
    bring(&s, 0, &a, 20, 1000);
    assert_false(series_row(&s, 0, &row));
    bring(&s, 1, &b, 5, 2000);
    assert_true(series_row(&s, 0, &row));
    assert_int_equal(row.tally.messages, 15);
    assert_int_equal(row.count, 15);
    assert_int_equal(row.p50, 1000);
    assert_int_equal(row.max, 2000);
    assert_false(series_row(&s, 1, &row));
    series_leave(&s, 1, &b); /* a worker that has ended does not delay the others */
    assert_true(series_row(&s, 1, &row));
    assert_int_equal(row.tally.messages, 20);
    series_leave(&s, 0, &a);
    series_end(&s, 2.75);
    assert_int_equal(s.n_rows, 3);
    assert_true(fabs(s.rows[2].length_s - 0.75) < 1e-9);
    assert_int_equal(a.total.messages, 30);
    meter_fini(&a);
    meter_fini(&b);
    series_fini(&s);
}

static void a_short_last_second_is_dropped(void **state)
{
    (void)state;
    struct series s;
    struct meter m;
    assert_true(series_init(&s, 1) && meter_init(&m, LAT_send));
    bring(&s, 0, &m, 10, 1000);
    METER_COUNT(&m, messages, 1);
    series_leave(&s, 0, &m);
    series_end(&s, 1.1);
    assert_int_equal(s.n_rows, 1);
    assert_int_equal(s.rows[0].tally.messages, 10);
    meter_fini(&m);
    series_fini(&s);
}

static void a_worker_far_behind_holds_up_nobody(void **state)
{
    (void)state;
    struct series s;
    struct meter a, b;
    assert_true(series_init(&s, 2) && meter_init(&a, LAT_send) && meter_init(&b, LAT_send));
    for (int i = 0; i < 3 * SERIES_PENDING; i++)
        bring(&s, 0, &a, 1, 1000);
    assert_int_equal(s.n_rows, 2 * SERIES_PENDING);
    bring(&s, 1, &b, 100, 1000); /* its first second is added to the oldest one that is open */
    series_leave(&s, 0, &a);
    series_leave(&s, 1, &b);
    series_end(&s, 3 * SERIES_PENDING);
    uint64_t sum = 0;
    for (size_t i = 0; i < s.n_rows; i++)
        sum += s.rows[i].tally.messages;
    assert_int_equal(sum, 3 * SERIES_PENDING + 100);
    meter_fini(&a);
    meter_fini(&b);
    series_fini(&s);
}

/* The server keeps up with some rate: the search ends at most its precision below that rate. */
static void the_search_closes_in(void **state)
{
    (void)state;
    for (double limit = 15; limit < 1e6; limit *= 3.7) {
        double held = 0, failed = 0, rate;
        int probes = 0;
        while ((rate = search_next(1000, held, failed, 0.05)) > 0) {
            *(rate <= limit ? &held : &failed) = rate;
            assert_true(++probes < 40);
        }
        assert_true(held <= limit && held > limit / 1.06);
    }
    double nothing = 0, failed = 0, rate;
    while ((rate = search_next(1000, nothing, failed, 0.05)) > 0)
        failed = rate;
    assert_in_range((unsigned)failed, 10, 10); /* it gives up if the server keeps up with no rate */
}

static void asserts(void **state)
{
    (void)state;
    struct result r = {.elapsed_s = 2, .load = MODE_send};
    assert_true(meter_init(&r.sum, LAT_send));
    r.o.batch = 1;
    r.sum.total.messages = 1000;
    meter_time(&r.sum, LAT_send, 0, 4000000, 100);
    meter_time(&r.sum, LAT_half_commit, 0, 9000000, 1);
    static const char *const kept[] = {"p99<5ms",
                                       "p99<=4ms",
                                       "max>3ms",
                                       "messages_per_s=500",
                                       "lost=0",
                                       "errors<1",
                                       "messages_per_s>0.4k",
                                       "half_commit.p99>5ms",
                                       "half_commit.mean>=9ms"};
    static const char *const missed[] = {"p99<4ms", "p50>5ms", "messages_per_s>500",
                                         "half_commit.max<9ms"};
    static const char *const wrong[] = {
        "p99", "p99<", "p98<5ms", "<5ms", "p99<5q", "nothing.p99<5ms", "lost<x"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        assert_true(assertion_sane(kept[i]) && assertion_kept(&r, kept[i]));
    for (size_t i = 0; i < sizeof missed / sizeof *missed; i++)
        assert_true(assertion_sane(missed[i]) && !assertion_kept(&r, missed[i]));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(assertion_sane(wrong[i]));
    result_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(medians),
        cmocka_unit_test(a_difference_is_seen),
        cmocka_unit_test(no_difference_is_claimed_where_there_is_none),
        cmocka_unit_test(intervals_of_little),
        cmocka_unit_test(seconds_wait_for_all_workers),
        cmocka_unit_test(a_short_last_second_is_dropped),
        cmocka_unit_test(a_worker_far_behind_holds_up_nobody),
        cmocka_unit_test(the_search_closes_in),
        cmocka_unit_test(asserts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
