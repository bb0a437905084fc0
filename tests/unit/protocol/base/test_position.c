/* test_position.c: tests which positions in a queue are accepted, and that a refused one changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/position.h"

static void accepted(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        struct position want;
    } good[] = {{"0", {POSITION_OFFSET, 0}},
                {"17", {POSITION_OFFSET, 17}},
                {"9223372036854775807", {POSITION_OFFSET, INT64_MAX}},
                {"earliest", {POSITION_OFFSET, 0}},
                {"EarLiest", {POSITION_OFFSET, 0}},
                {"latest", {POSITION_BEFORE_END, 0}},
                {"LATEST", {POSITION_BEFORE_END, 0}},
                {"-0", {POSITION_BEFORE_END, 0}},
                {"-5", {POSITION_BEFORE_END, 5}},
                {"-9223372036854775807", {POSITION_BEFORE_END, INT64_MAX}},
                {"@0", {POSITION_TIME, 0}},
                {"@1795501800000", {POSITION_TIME, 1795501800000}},
                {"@1970-01-01T00:00:01.5Z", {POSITION_TIME, 1500}},
                {"@1969-12-31T23:59:59Z", {POSITION_TIME, -1000}}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct position p = {POSITION_TIME, 99};
        assert_true(position_parse(slice_str(good[i].text), &p));
        assert_int_equal(p.kind, good[i].want.kind);
        assert_int_equal(p.n, good[i].want.n);
    }
}

static void refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",  "-",     "+1", "x",  "1x", "--1", "@",  "@x", "@-1", "latest ", " 1",
                                      "earlies", "-9223372036854775808", "9223372036854775808", "@9223372036854775808"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct position p = {POSITION_TIME, 99};
        assert_false(position_parse(slice_str(bad[i]), &p));
        assert_true(p.kind == POSITION_TIME && p.n == 99);
    }
    struct position p;
    assert_false(position_parse(slice_of(NULL, 0), &p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(accepted), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
