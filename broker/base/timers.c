/*
 * timers.c: sets, clears and fires the deadlines of a loop. The order is kept by protocol/base/heap.c.
 */
#include "broker/base/timers.h"

#include <assert.h>
#include <time.h>

void timers_init(struct timers *ts)
{
    *ts = (struct timers){0};
}

void timers_fini(struct timers *ts)
{
    heap_free(&ts->heap);
}

int64_t timers_now(void)
{
    struct timespec t;
    int bad = clock_gettime(CLOCK_MONOTONIC, &t);
    assert(bad == 0);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

enum status timer_set(struct timers *ts, struct timer *t, int64_t due_ms)
{
    return heap_set(&ts->heap, &t->node, due_ms) ? ST_OK : ST_NOMEM;
}

void timer_clear(struct timers *ts, struct timer *t)
{
    heap_remove(&ts->heap, &t->node);
}

int64_t timers_next(const struct timers *ts)
{
    const struct heap_node *first = heap_first(&ts->heap);
    return first ? first->due : INT64_MAX;
}

void timers_run(struct timers *ts, int64_t now_ms, void *arg)
{
    /* What fires may set timers that are due at once; the count keeps this call from chasing them. */
    for (uint32_t left = ts->heap.n; left > 0 && timers_next(ts) <= now_ms; left--) {
        struct timer *t = (struct timer *)heap_first(&ts->heap);
        heap_remove(&ts->heap, &t->node);
        t->fire(t, arg);
    }
}
