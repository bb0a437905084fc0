/*
 * test_bench_hist.c: tests the load tester's histogram: every value is exact to a thousandth, percentiles are those of
 * a sorted list, and its text has the format that other tools read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "bench/measure/hist.h"
#include "bench/measure/hist_text.h"
#include "tests/lib/prng.h"

static void slots_are_within_a_thousandth(void **state)
{
    (void)state;
    struct prng p = prng_start();
    for (int i = 0; i < 200000; i++) {
        int64_t v = (int64_t)(prng_next(&p) >> (22 + prng_below(&p, 42)));
        uint32_t slot = hist_slot(v);
        assert_true(slot < HIST_SLOTS);
        int64_t low = hist_slot_lowest(slot), high = hist_slot_highest(slot);
        assert_true(low <= v && v <= high);
        assert_true((high - low) * 1000 <= low || low < 2048);
        assert_true(low >= 2048 || low == high);
    }
}

static void slots_follow_one_another(void **state)
{
    (void)state;
    for (uint32_t i = 0; i + 1 < HIST_SLOTS; i++)
        assert_int_equal(hist_slot_highest(i) + 1, hist_slot_lowest(i + 1));
    assert_int_equal(hist_slot_highest(HIST_SLOTS - 1), HIST_VALUE_MAX);
}

static void quantiles_are_what_counting_finds(void **state)
{
    (void)state;
    struct hist h;
    assert_true(hist_init(&h));
    for (int64_t v = 1; v <= 1000; v++)
        hist_record(&h, v, 1);
    assert_int_equal(hist_quantile(&h, 0), 1);
    assert_int_equal(hist_quantile(&h, 0.5), 500);
    assert_int_equal(hist_quantile(&h, 0.99), 990);
    assert_int_equal(hist_quantile(&h, 0.999), 999);
    assert_int_equal(hist_quantile(&h, 0.99999), 1000);
    assert_int_equal(hist_quantile(&h, 1), 1000);
    assert_int_equal(hist_above(&h, 990), 10);
    assert_true(hist_mean(&h) > 500.4 && hist_mean(&h) < 500.6);
    hist_fini(&h);
}

static void the_maximum_is_exact(void **state)
{
    (void)state;
    struct hist h;
    assert_true(hist_init(&h));
    hist_record(&h, 123456789, 3);
    assert_int_equal(hist_quantile(&h, 1), 123456789);
    assert_int_equal(hist_quantile(&h, 0.5), 123456789);
    hist_record(&h, HIST_VALUE_MAX + 5, 1);
    hist_record(&h, -7, 1);
    assert_int_equal(h.over, 1);
    assert_int_equal(h.min, 0);
    assert_int_equal(h.total, 5);
    hist_reset(&h);
    assert_int_equal(h.total, 0);
    assert_int_equal(hist_quantile(&h, 0.5), 0);
    hist_record(&h, 10, 1);
    assert_int_equal(hist_quantile(&h, 1), 10);
    hist_fini(&h);
}

static void adding_is_recording_both(void **state)
{
    (void)state;
    struct prng p = prng_from(7);
    struct hist a, b, both;
    assert_true(hist_init(&a) && hist_init(&b) && hist_init(&both));
    for (int i = 0; i < 10000; i++) {
        int64_t v = (int64_t)prng_below(&p, 1u << 30);
        hist_record(i % 3 ? &a : &b, v, 1);
        hist_record(&both, v, 1);
    }
    hist_add(&a, &b);
    assert_int_equal(a.total, both.total);
    assert_int_equal(a.max, both.max);
    assert_memory_equal(a.counts, both.counts, HIST_SLOTS * sizeof *a.counts);
    hist_fini(&a);
    hist_fini(&b);
    hist_fini(&both);
}

static void the_curve_rises_to_the_maximum(void **state)
{
    (void)state;
    struct hist h;
    struct hist_walk w;
    struct hist_step s, last = {-1, 0, 0};
    assert_true(hist_init(&h));
    hist_walk_begin(&w, &h, 5);
    assert_false(hist_walk_next(&w, &s));
    for (int64_t v = 1; v <= 100000; v++)
        hist_record(&h, v * 1000, 1);
    hist_walk_begin(&w, &h, 5);
    int steps = 0;
    while (hist_walk_next(&w, &s)) {
        assert_true(s.share > last.share && s.value >= last.value && s.count >= last.count);
        assert_true((double)s.count >= s.share * (double)h.total - 1e-6);
        last = s;
        steps++;
    }
    assert_int_equal(last.value, 100000 * 1000);
    assert_int_equal(last.count, 100000);
    assert_true(last.share >= 1 && steps > 40 && steps < 100);
    hist_fini(&h);
}

static void the_text_is_what_tools_read(void **state)
{
    (void)state;
    struct hist h;
    struct buf b;
    assert_true(hist_init(&h));
    buf_init(&b, 0);
    hist_record(&h, 1000000, 9);
    hist_record(&h, 2000000, 1);
    hist_text_put(&b, &h);
    buf_put_u8(&b, 0);
    const char *text = (const char *)b.data;
    assert_non_null(strstr(text, "Value     Percentile TotalCount 1/(1-Percentile)\n\n"));
    assert_non_null(strstr(text, "       2.000 1.000000000000           10\n"));
    assert_non_null(strstr(text, "#[Mean    =        1.100, StdDeviation   =        0.300]\n"));
    assert_non_null(strstr(text, "#[Max     =        2.000, Total count    =           10]\n"));
    buf_free(&b);
    hist_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_within_a_thousandth),
        cmocka_unit_test(slots_follow_one_another),
        cmocka_unit_test(quantiles_are_what_counting_finds),
        cmocka_unit_test(the_maximum_is_exact),
        cmocka_unit_test(adding_is_recording_both),
        cmocka_unit_test(the_curve_rises_to_the_maximum),
        cmocka_unit_test(the_text_is_what_tools_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
