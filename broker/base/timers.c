/*
 * timers.c: a binary heap with the place of each node written into the node, so that a deadline in
 * the middle is moved or taken out without a search.
 *
 *   heap[0]  earliest          children of i: 2i+1, 2i+2          node->place = i + 1
 */
#include "broker/base/timers.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#define FIRST_SIZE 64

void timers_init(struct timers *ts)
{
    *ts = (struct timers){0};
}

void timers_fini(struct timers *ts)
{
    free(ts->heap);
    *ts = (struct timers){0};
}

int64_t timers_now(void)
{
    struct timespec t;
    int bad = clock_gettime(CLOCK_MONOTONIC, &t);
    assert(bad == 0);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void put(struct timers *ts, uint32_t i, struct timer *t)
{
    ts->heap[i] = t;
    t->place = i + 1;
}

static void sift_up(struct timers *ts, uint32_t i)
{
    struct timer *t = ts->heap[i];
    while (i > 0) {
        uint32_t parent = (i - 1) / 2;
        if (ts->heap[parent]->due_ms <= t->due_ms)
            break;
        put(ts, i, ts->heap[parent]);
        i = parent;
    }
    put(ts, i, t);
}

static void sift_down(struct timers *ts, uint32_t i)
{
    struct timer *t = ts->heap[i];
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= ts->n)
            break;
        if (child + 1 < ts->n && ts->heap[child + 1]->due_ms < ts->heap[child]->due_ms)
            child++;
        if (ts->heap[child]->due_ms >= t->due_ms)
            break;
        put(ts, i, ts->heap[child]);
        i = child;
    }
    put(ts, i, t);
}

static enum status make_room(struct timers *ts)
{
    if (ts->n < ts->size)
        return ST_OK;
    uint32_t size = ts->size ? ts->size * 2 : FIRST_SIZE;
    struct timer **heap = realloc(ts->heap, size * sizeof *heap);
    if (!heap)
        return ST_NOMEM;
    ts->heap = heap;
    ts->size = size;
    return ST_OK;
}

enum status timer_set(struct timers *ts, struct timer *t, int64_t due_ms)
{
    if (!t->place) {
        if (make_room(ts) != ST_OK)
            return ST_NOMEM;
        t->due_ms = due_ms;
        put(ts, ts->n, t);
        ts->n++;
    } else {
        t->due_ms = due_ms;
        sift_down(ts, t->place - 1);
    }
    sift_up(ts, t->place - 1);
    return ST_OK;
}

void timer_clear(struct timers *ts, struct timer *t)
{
    if (!t->place)
        return;
    uint32_t i = t->place - 1;
    assert(i < ts->n && ts->heap[i] == t);
    t->place = 0;
    ts->n--;
    if (i == ts->n)
        return;
    put(ts, i, ts->heap[ts->n]);
    sift_down(ts, i);
    sift_up(ts, i);
}

int64_t timers_next(const struct timers *ts)
{
    return ts->n ? ts->heap[0]->due_ms : INT64_MAX;
}

void timers_run(struct timers *ts, int64_t now_ms, void *arg)
{
    /* What fires may set timers that are due at once; the count keeps this call from chasing them.
     * */
    for (uint32_t left = ts->n; left > 0 && timers_next(ts) <= now_ms; left--) {
        struct timer *t = ts->heap[0];
        timer_clear(ts, t);
        t->fire(t, arg);
    }
}
