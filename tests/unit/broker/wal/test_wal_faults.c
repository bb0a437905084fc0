/*
 * test_wal_faults.c: runs the write-ahead log and makes the n-th allocation fail, for every n. The log must return a
 * status and an error text, leak nothing, and replay everything that was acknowledged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/limits.h"
#include "tests/lib/fault_heap.h"
#include "tests/lib/wal_rig.h"

#define BATCH 20000 /* three of them fill a file */

/* Appends batches; *last is the last one that was acknowledged. True: all were. The rig's own allocations would fail
 * too, so they are made outside. */
static bool live(struct wal_rig *r, uint64_t *last)
{
    static uint8_t batch[BATCH];
    struct slice bytes = slice_of(batch, sizeof batch);
    fault_heap_inside(true);
    enum status s = wal_rig_try(r, 0);
    for (int i = 0; s == ST_OK && i < 10; i++) {
        memcpy(batch, &(uint64_t){*last + 1}, 8);
        memcpy(batch + 8, &(uint64_t){0}, 8);
        s = r->redo->append(r->redo->self, *last + 1, bytes, true, r->err, sizeof r->err);
        *last += s == ST_OK;
    }
    fault_heap_inside(false);
    r->status = s;
    wal_rig_stop(r);
    return s == ST_OK;
}

/* Starts the log twice; the second time an allocation fails. True: that had an effect. */
static bool short_of_memory(uint64_t n)
{
    void *state = NULL;
    wal_rig_setup(&state);
    struct wal_rig *r = state;
    uint64_t last = 0;
    assert_true(live(r, &last));
    fault_heap_fail(n, n % 2);
    bool good = live(r, &last), fired = fault_heap_fired();
    fault_heap_fail(0, false);
    assert_int_equal(good, !fired);
    if (fired) {
        assert_int_equal(r->status, ST_NOMEM);
        assert_non_null(strstr(r->err, r->folder));
    }
    wal_rig_start(r, 0);
    assert_int_equal(r->n, last);
    for (uint32_t i = 0; i < r->n; i++)
        assert_int_equal(r->got[i], i + 1);
    wal_rig_teardown(&state);
    return fired;
}

static void each_allocation_fails_once(void **state)
{
    (void)state;
    uint64_t n = 1;
    while (short_of_memory(n))
        n++;
    assert_true(n > 10); /* some allocations must have failed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_allocation_fails_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
