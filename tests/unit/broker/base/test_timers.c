/*
 * test_timers.c: the heap of deadlines: order, moves in the middle, and firing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/base/timers.h"

#define N 500

struct fired {
    int64_t last;
    unsigned n;
    struct timers *ts;
    struct timer *again; /* when it fires, it sets this one again */
};

static void note(struct timer *t, void *arg)
{
    struct fired *f = arg;
    assert_true(timer_due_ms(t) >= f->last);
    assert_false(timer_is_set(t));
    f->last = timer_due_ms(t);
    f->n++;
    if (f->again == t)
        assert_int_equal(timer_set(f->ts, t, timer_due_ms(t)), ST_OK);
}

/* Returns the next number of a fixed sequence that looks random. */
static uint32_t scramble(uint32_t *x)
{
    *x = *x * 1664525u + 1013904223u;
    return *x >> 16;
}

static void fires_in_order(void **state)
{
    (void)state;
    static struct timer nodes[N];
    struct timers ts;
    struct fired f = {0};
    uint32_t x = 1;
    timers_init(&ts);
    assert_true(timers_next(&ts) == INT64_MAX);
    for (unsigned i = 0; i < N; i++) {
        nodes[i].fire = note;
        assert_int_equal(timer_set(&ts, &nodes[i], scramble(&x) % 1000), ST_OK);
    }
    /* Move every third, take out every fifth. */
    for (unsigned i = 0; i < N; i += 3)
        assert_int_equal(timer_set(&ts, &nodes[i], scramble(&x) % 1000), ST_OK);
    unsigned out = 0;
    for (unsigned i = 0; i < N; i += 5, out++)
        timer_clear(&ts, &nodes[i]);
    timer_clear(&ts, &nodes[0]);
    assert_int_equal(ts.heap.n, N - out);
    timers_run(&ts, 1000, &f);
    assert_int_equal(f.n, N - out);
    assert_int_equal(ts.heap.n, 0);
    timers_fini(&ts);
}

static void only_what_is_due(void **state)
{
    (void)state;
    struct timer a = {.fire = note}, b = {.fire = note};
    struct timers ts;
    struct fired f = {0};
    timers_init(&ts);
    assert_int_equal(timer_set(&ts, &a, 10), ST_OK);
    assert_int_equal(timer_set(&ts, &b, 20), ST_OK);
    timers_run(&ts, 9, &f);
    assert_int_equal(f.n, 0);
    timers_run(&ts, 10, &f);
    assert_int_equal(f.n, 1);
    assert_true(timers_next(&ts) == 20);
    timer_clear(&ts, &b);
    timers_fini(&ts);
}

/* A timer that sets itself again for the present time must not keep timers_run busy forever. */
static void does_not_chase(void **state)
{
    (void)state;
    struct timers ts;
    struct timer a = {.fire = note};
    struct fired f = {.ts = &ts, .again = &a};
    timers_init(&ts);
    assert_int_equal(timer_set(&ts, &a, 5), ST_OK);
    timers_run(&ts, 100, &f);
    assert_int_equal(f.n, 1);
    assert_true(timer_is_set(&a));
    timer_clear(&ts, &a);
    timers_fini(&ts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_in_order),
        cmocka_unit_test(only_what_is_due),
        cmocka_unit_test(does_not_chase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
