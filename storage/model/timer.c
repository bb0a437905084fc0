/* timer.c: puts and deletes rows of the timer index (timer.h). apply/tick.c fires them. */
#include "storage/model/timer.h"

void timer_put(struct state *st, int64_t due_ms, enum timer_kind kind, struct slice what)
{
    struct key key = key_timer(due_ms, (uint8_t)kind, what);
    core_put(st, &key, slice_of(NULL, 0));
    if (due_ms < st->next_due_ms)
        st->next_due_ms = due_ms;
    if (due_ms < st->timer_floor_ms)
        st->timer_floor_ms = due_ms;
    if (due_ms < st->timer_fresh_ms)
        st->timer_fresh_ms = due_ms;
}

void timer_del(struct state *st, int64_t due_ms, enum timer_kind kind, struct slice what)
{
    struct key key = key_timer(due_ms, (uint8_t)kind, what);
    core_del(st, &key);
}
