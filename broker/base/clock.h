/*
 * clock.h: the broker's time: the greatest of the wall clock and (last stored stamp + monotonic time
 * since). A wall clock that steps back freezes nothing and repeats nothing; `stored` never goes down.
 *
 * Any thread; the clock is moved by the journal's leader only.
 */
#ifndef HALFMQ_BROKER_CLOCK_H
#define HALFMQ_BROKER_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>

struct clock_state {
    _Atomic int64_t base_ms;      /* logical time at ... */
    _Atomic int64_t base_mono_ms; /* ... this monotonic time */
};

int64_t clock_wall_ms(void);
int64_t clock_mono_ns(void);

/* Starts at the last stored stamp. */
void clock_start(struct clock_state *c, int64_t last_stamp_ms);

int64_t clock_now_ms(const struct clock_state *c);

/* The leader stamps: now, which also becomes the base for what follows. Never less than before. */
int64_t clock_stamp_ms(struct clock_state *c);

#endif
