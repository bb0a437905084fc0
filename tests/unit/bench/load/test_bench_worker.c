/* test_bench_worker.c: tests that the reminders of a worker are due in order, and only at their time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/load/worker.h"
#include "tests/lib/prng.h"

#define REMINDERS 1000

static void reminders_are_due_in_order(void **state)
{
    (void)state;
    static struct reminder reminders[REMINDERS];
    struct prng p = prng_start();
    struct worker w = {0};
    assert_true(heap_reserve(&w.reminders, REMINDERS));
    for (int round = 0; round < 20; round++) {
        int64_t due[REMINDERS], last = 0;
        for (uint32_t i = 0; i < REMINDERS; i++) {
            reminders[i].what = i;
            due[i] = (int64_t)prng_below(&p, 5000);
            worker_remind(&w, &reminders[i], due[i]);
        }
        w.now_ns = -1;
        assert_null(worker_due(&w));
        w.now_ns = 4999;
        for (int i = 0; i < REMINDERS; i++) {
            struct reminder *r = worker_due(&w);
            assert_non_null(r);
            assert_true(due[r->what] >= last);
            last = due[r->what];
            assert_false(reminder_set(r));
        }
        assert_null(worker_due(&w));
    }
    heap_free(&w.reminders);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reminders_are_due_in_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
