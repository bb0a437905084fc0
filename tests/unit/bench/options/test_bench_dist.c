/*
 * test_bench_dist.c: tests parsing numbers as people write them, and drawing random sizes and keys.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "bench/base/units.h"
#include "bench/options/dist.h"
#include "bench/options/keys.h"

#define DRAWS 200000

static void durations(void **state)
{
    (void)state;
    int64_t ns = -1;
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {{"500us", 500000},
                {"5ms", 5000000},
                {"1.5s", 1500000000},
                {"2", 2000000000},
                {"0", 0},
                {"2m", INT64_C(120000000000)},
                {"1h", INT64_C(3600000000000)},
                {".5ms", 500000}};
    static const char *const bad[] = {"",    "ms",  "-5ms", "5 ms", "5x",
                                      "0x5", "inf", "nan",  " 5",   "1e400s"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(units_duration(good[i].text, &ns));
        assert_int_equal(ns, good[i].ns);
    }
    ns = 77;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(units_duration(bad[i], &ns));
    assert_int_equal(ns, 77);
}

static void counts_sizes_shares(void **state)
{
    (void)state;
    uint64_t n;
    double share;
    assert_true(units_count("50k", &n) && n == 50000);
    assert_true(units_count("2.5M", &n) && n == 2500000);
    assert_false(units_count("1.5", &n));
    assert_false(units_count("50q", &n));
    assert_true(units_size("4k", &n) && n == 4096);
    assert_true(units_size("1MiB", &n) && n == 1048576);
    assert_true(units_share("5%", &share) && fabs(share - 0.05) < 1e-12);
    assert_true(units_share("0.25", &share) && fabs(share - 0.25) < 1e-12);
    assert_false(units_share("101%", &share));
}

static void numbers_for_people(void **state)
{
    (void)state;
    char text[24];
    assert_string_equal(units_put_duration(412e3, text, sizeof text), "412us");
    assert_string_equal(units_put_duration(3.214e6, text, sizeof text), "3.21ms");
    assert_string_equal(units_put_duration(999.7e6, text, sizeof text), "1.00s");
    assert_string_equal(units_put_count(812, text, sizeof text), "812");
    assert_string_equal(units_put_count(81234, text, sizeof text), "81.2k");
    assert_string_equal(units_put_count(999999, text, sizeof text), "1.00M");
}

static double mean_of(const struct dist *d, uint64_t *ret_least, uint64_t *ret_most)
{
    struct chance c = chance_from(1, 2);
    double sum = 0;
    *ret_least = UINT64_MAX;
    *ret_most = 0;
    for (int i = 0; i < DRAWS; i++) {
        uint64_t v = dist_draw(d, &c);
        sum += (double)v;
        *ret_least = v < *ret_least ? v : *ret_least;
        *ret_most = v > *ret_most ? v : *ret_most;
    }
    return sum / DRAWS;
}

static void sizes_are_drawn_as_said(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t least, most;
        double mean;
    } cases[] = {{"100", 100, 100, 100},
                 {"50-150", 50, 150, 100},
                 {"exp:1000", 0, 16000, 1000},
                 {"mix:100=90,4k=10", 100, 4096, 499.6}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dist d;
        uint64_t least, most;
        assert_true(dist_parse(cases[i].text, units_size, &d));
        double mean = mean_of(&d, &least, &most);
        assert_true(least >= cases[i].least && most <= cases[i].most);
        assert_true(most <= dist_max(&d));
        assert_true(fabs(mean - cases[i].mean) < 0.02 * cases[i].mean);
        assert_true(fabs(dist_mean(&d) - cases[i].mean) < 0.001 * cases[i].mean);
    }
}

static void distributions_that_are_none(void **state)
{
    (void)state;
    static const char *const bad[] = {"",      "x",    "5-",    "-5",      "9-5",      "exp:",
                                      "exp:x", "mix:", "mix:5", "mix:5=0", "mix:5=1,", "norm:5"};
    struct dist d;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(dist_parse(bad[i], units_size, &d));
}

/* Checks that keys are drawn in proportion to their weights. */
static void zipf_follows_its_law(void **state)
{
    (void)state;
    enum { KEYS = 100 };
    struct keys_plan plan;
    struct keys k;
    struct chance c = chance_from(3, 4);
    unsigned seen[KEYS] = {0};
    double sum = 0;
    assert_true(keys_parse("zipf:1", &plan));
    assert_true(keys_init(&k, &plan, KEYS));
    for (int i = 0; i < DRAWS; i++)
        seen[keys_draw(&k, &c)]++;
    for (int i = 1; i <= KEYS; i++)
        sum += 1.0 / i;
    for (int i = 1; i <= KEYS; i++) {
        double expected = DRAWS / sum / i;
        assert_true(fabs(seen[i - 1] - expected) < 6 * sqrt(expected));
    }
    keys_fini(&k);
}

static void uniform_keys_are_even(void **state)
{
    (void)state;
    struct keys_plan plan;
    struct keys k;
    struct chance c = chance_from(5, 6);
    unsigned seen[10] = {0};
    assert_true(keys_parse("uniform", &plan));
    assert_true(keys_init(&k, &plan, 10));
    for (int i = 0; i < DRAWS; i++)
        seen[keys_draw(&k, &c)]++;
    for (int i = 0; i < 10; i++)
        assert_in_range(seen[i], DRAWS / 10 - 1000, DRAWS / 10 + 1000);
    keys_fini(&k);
    assert_true(keys_parse("none", &plan) && plan.kind == KEYS_NONE);
    assert_false(keys_parse("zipf:x", &plan));
    assert_false(keys_parse("zipfy", &plan));
}

static void a_seed_gives_one_sequence(void **state)
{
    (void)state;
    struct chance a = chance_from(1, 1), b = chance_from(1, 1), other = chance_from(1, 2);
    unsigned same = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t v = chance_next(&a);
        assert_int_equal(v, chance_next(&b));
        same += v == chance_next(&other);
        double u = chance_unit(&a);
        assert_true(u >= 0 && u < 1);
        chance_unit(&b);
    }
    assert_int_equal(same, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations),
        cmocka_unit_test(counts_sizes_shares),
        cmocka_unit_test(numbers_for_people),
        cmocka_unit_test(sizes_are_drawn_as_said),
        cmocka_unit_test(distributions_that_are_none),
        cmocka_unit_test(zipf_follows_its_law),
        cmocka_unit_test(uniform_keys_are_even),
        cmocka_unit_test(a_seed_gives_one_sequence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
