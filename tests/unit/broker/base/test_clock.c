/*
 * test_clock.c: tests that the broker's time never goes back, whatever happened to the wall clock while the broker was
 * stopped. If the wall clock was set back, the last stamp is in the future after the restart.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "broker/base/clock.h"

#define HOUR_MS INT64_C(3600000)

static void follows_the_wall_clock(void **state)
{
    (void)state;
    struct clock_state c;
    clock_start(&c, 0);
    int64_t before = clock_wall_ms(), now = clock_now_ms(&c), after = clock_wall_ms();
    assert_true(now >= before);
    assert_true(now <= after + 1);
}

static void goes_on_from_a_stamp_in_the_future(void **state)
{
    (void)state;
    struct clock_state c;
    int64_t last = clock_wall_ms() + HOUR_MS;
    clock_start(&c, last);
    int64_t mono = clock_mono_ns();
    assert_true(clock_now_ms(&c) >= last);
    /* The clock does not stand still at that time: it goes on with the monotonic clock. */
    while (clock_mono_ns() - mono < 20000000)
        continue;
    int64_t now = clock_now_ms(&c);
    assert_true(now >= last + 19);
    assert_true(now < last + HOUR_MS);
}

static void stamps_never_go_down(void **state)
{
    (void)state;
    struct clock_state c;
    clock_start(&c, clock_wall_ms() + HOUR_MS);
    int64_t last = 0;
    for (int i = 0; i < 100000; i++) {
        int64_t stamp = clock_stamp_ms(&c);
        assert_true(stamp >= last);
        last = stamp;
        assert_true(clock_now_ms(&c) >= last - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_wall_clock),
        cmocka_unit_test(goes_on_from_a_stamp_in_the_future),
        cmocka_unit_test(stamps_never_go_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
