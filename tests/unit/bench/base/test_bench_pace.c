/*
 * test_bench_pace.c: tests when requests are scheduled to start, and how a stall of the server shows in the figures of
 * an open and of a closed loop. The server is simulated, with a clock of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "bench/base/pace.h"
#include "bench/measure/hist.h"

#define MS INT64_C(1000000)
#define SERVICE_NS (1 * MS / 10)
#define STALL_FROM_NS (500 * MS)
#define STALL_NS (200 * MS)
#define RUN_NS (1000 * MS)

/* It handles one request at a time, in a tenth of a millisecond; from 500 ms to 700 ms it does nothing. */
struct server {
    int64_t free_ns;
};

static int64_t served(struct server *s, int64_t asked_ns)
{
    int64_t begin = asked_ns > s->free_ns ? asked_ns : s->free_ns;
    if (begin >= STALL_FROM_NS && begin < STALL_FROM_NS + STALL_NS)
        begin = STALL_FROM_NS + STALL_NS;
    s->free_ns = begin + SERVICE_NS;
    return s->free_ns;
}

/* Schedules 1000 requests a second; each latency counts from the scheduled start. */
static void run_open(struct hist *h)
{
    struct server s = {0};
    struct pace p = {.per_s = 1000};
    for (int64_t due; (due = pace_due(&p)) < RUN_NS; pace_step(&p))
        hist_record(h, served(&s, due) - due, 1);
}

/* One request at a time, 1000 a second if the server keeps up: the next one starts a millisecond after the start of the
 * last one, or when that has ended. */
static void run_closed(struct hist *h)
{
    struct server s = {0};
    for (int64_t now = 0; now < RUN_NS;) {
        int64_t end = served(&s, now);
        hist_record(h, end - now, 1);
        now = end > now + MS ? end : now + MS;
    }
}

static void an_open_loop_reports_a_stall_that_a_closed_one_hides(void **state)
{
    (void)state;
    struct hist open, closed;
    assert_true(hist_init(&open) && hist_init(&closed));
    run_open(&open);
    run_closed(&closed);

    /* All thousand requests were started, and each one during the stall has a high latency. */
    assert_int_equal(open.total, 1000);
    assert_in_range(hist_above(&open, 100 * MS), 100, 125);
    assert_in_range(hist_above(&open, 10 * MS), 190, 225);
    assert_in_range(hist_quantile(&open, 0.99), 190 * MS, 201 * MS);
    assert_in_range(hist_quantile(&open, 0.90), 100 * MS, 130 * MS);

    /* The closed loop has waited for the server: only one request was slow, and 99 % look as if there was no stall. */
    assert_in_range(closed.total, 795, 805);
    assert_int_equal(hist_above(&closed, 10 * MS), 1);
    assert_in_range(hist_quantile(&closed, 0.99), 0, MS);
    assert_true(closed.max >= 199 * MS);
    hist_fini(&open);
    hist_fini(&closed);
}

static void starts_are_evenly_spaced(void **state)
{
    (void)state;
    struct pace p = {.per_s = 4, .origin_ns = 1000, .phase = 0.5};
    assert_int_equal(pace_due(&p), 1000 + 125 * MS);
    pace_step(&p);
    assert_int_equal(pace_due(&p), 1000 + 375 * MS);
    p.next = 4000000;
    assert_int_equal(pace_due(&p), 1000 + 125 * MS + INT64_C(1000000) * 1000 * MS);
    assert_false(pace_is_open(&(struct pace){0}));
}

/* During a ramp of 2 s to 1000 a second, half as many requests start as without one; then the rate is reached. */
static void a_ramp_rises_to_the_rate(void **state)
{
    (void)state;
    struct pace p = {.per_s = 1000, .ramp_s = 2};
    unsigned in_ramp = 0, after = 0;
    int64_t last = -1;
    for (int64_t due; (due = pace_due(&p)) < 3000 * MS; pace_step(&p)) {
        assert_true(due >= last);
        last = due;
        in_ramp += due < 2000 * MS;
        after += due >= 2000 * MS;
    }
    assert_in_range(in_ramp, 999, 1001);
    assert_in_range(after, 999, 1001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_open_loop_reports_a_stall_that_a_closed_one_hides),
        cmocka_unit_test(starts_are_evenly_spaced),
        cmocka_unit_test(a_ramp_rises_to_the_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
