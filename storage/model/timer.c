/* timer.c: puts, postpones and deletes rows of the timer indexes (timer.h). apply/tick.c fires them. */
#include "storage/model/timer.h"

static void timer_put_row(struct state *st, int64_t due_ms, enum timer_kind kind, struct slice what,
                          struct slice value)
{
    struct key key = key_timer((uint8_t)kind, due_ms, what);
    core_put(st, &key, value);
    struct timer_index *index = &st->timers[kind];
    if (due_ms < index->next_ms)
        index->next_ms = due_ms;
    if (due_ms <= index->floor_ms) {
        index->floor_ms = due_ms;
        index->passed.len = 0;
    }
    if (due_ms < index->fresh_ms)
        index->fresh_ms = due_ms;
}

void timer_put(struct state *st, int64_t due_ms, enum timer_kind kind, struct slice what)
{
    timer_put_row(st, due_ms, kind, what, slice_of(NULL, 0));
}

void timer_del(struct state *st, int64_t due_ms, enum timer_kind kind, struct slice what)
{
    struct key key = key_timer((uint8_t)kind, due_ms, what);
    core_del(st, &key);
}

static int64_t timer_pause(uint32_t postponed)
{
    int64_t pause = postponed < 20 ? TIMER_PAUSE_MIN_MS << postponed : TIMER_PAUSE_MAX_MS;
    return pause < TIMER_PAUSE_MAX_MS ? pause : TIMER_PAUSE_MAX_MS;
}

void timer_postpone(struct state *st, int64_t now_ms, enum timer_kind kind, const struct timer_row *was,
                    struct slice what)
{
    struct timer_row row = {.postponed = was->postponed < UINT32_MAX ? was->postponed + 1 : UINT32_MAX,
                            .first_ms = was->first_ms};
    buf_reset(&st->scratch2, KIB(64));
    timer_encode(&st->scratch2, &row);
    timer_put_row(st, now_ms + timer_pause(was->postponed), kind, what, core_row(st));
    st->tally.timers_postponed++;
}

int64_t timers_next_ms(const struct state *st)
{
    int64_t next = INT64_MAX;
    for (int kind = TIMER_GT; kind < TIMER_KINDS; kind++)
        if (st->timers[kind].next_ms < next)
            next = st->timers[kind].next_ms;
    return next;
}

void timers_begin_group(struct state *st)
{
    for (int kind = TIMER_GT; kind < TIMER_KINDS; kind++)
        st->timers[kind].fresh_ms = INT64_MAX;
}
