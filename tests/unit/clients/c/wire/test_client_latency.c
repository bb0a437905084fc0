/* test_client_latency.c: tests the histograms of libhalfmq against the exact percentiles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clients/c/wire/latency.h"

static void test_nothing(void **state)
{
    struct latencies l = {0};
    (void)state;
    hmq_latency s = latency_summary(&l);
    assert_int_equal(s.count, 0);
    assert_int_equal(s.p999_us, 0);
    assert_int_equal(s.max_us, 0);
}

/* What it says is never too small, and at most an eighth too large. */
static void expect_near(uint64_t said, uint64_t exact)
{
    assert_true(said >= exact);
    assert_true(said <= exact + exact / 8);
}

static void test_percentiles(void **state)
{
    struct latencies l = {0};
    (void)state;
    for (int64_t i = 1; i <= 100000; i++)
        latency_add(&l, i * 7, 1);
    hmq_latency s = latency_summary(&l);
    assert_int_equal(s.count, 100000);
    assert_int_equal(s.max_us, 700000);
    assert_int_equal(s.sum_us, 7 * (UINT64_C(100000) * 100001 / 2));
    expect_near(s.p50_us, 350000);
    expect_near(s.p90_us, 630000);
    expect_near(s.p99_us, 693000);
    expect_near(s.p999_us, 699300);
}

static void test_every_time_has_its_slot(void **state)
{
    uint64_t before = 0;
    (void)state;
    for (size_t slot = 0; slot < LATENCY_SLOTS; slot++) {
        struct latencies l = {0};
        uint64_t highest = latency_highest(slot);
        assert_true(slot == 0 || highest > before);
        latency_add(&l, (int64_t)highest, 1);
        latency_add(&l, (int64_t)(slot ? before + 1 : 0), 2);
        assert_int_equal(l.counts[slot], 3);
        before = highest;
    }
}

static void test_any_number(void **state)
{
    struct latencies l = {0};
    (void)state;
    latency_add(&l, -5, 1);
    latency_add(&l, INT64_MAX, 1);
    latency_add(&l, 3, 0);
    assert_int_equal(l.counts[0], 1);
    assert_int_equal(l.counts[LATENCY_SLOTS - 1], 1);
    assert_int_equal(latency_summary(&l).count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_every_time_has_its_slot),
        cmocka_unit_test(test_any_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
