/*
 * clock.h: the broker's *logical* time: the wall clock, or the last stored stamp plus the monotonic time since then,
 * whichever is later. So it goes on while a wall clock that was set back catches up, and stamps never go down.
 *
 * Any thread may read it; only the journal's leader moves it.
 *
 * Whoever waits does so by the monotonic clock (clock_wait).
 */
#ifndef HALFMQ_BROKER_CLOCK_H
#define HALFMQ_BROKER_CLOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct clock_state {
    _Atomic int64_t base_ms;      /* logical time at ... */
    _Atomic int64_t base_mono_ms; /* ... this monotonic time */
};

int64_t clock_wall_ms(void);
int64_t clock_mono_ns(void);
int64_t clock_thread_ns(void); /* that the calling thread has run; a system call */

/* A condition variable for clock_wait: it waits by the monotonic clock, so that a wall clock that is set back makes no
 * wait longer. False: no memory. */
bool clock_cond_new(pthread_cond_t *cond);

/* Waits until cond is signalled or ms have passed; it may return earlier. The caller holds the lock. */
void clock_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t ms);

/* Starts at the last stored stamp. */
void clock_start(struct clock_state *c, int64_t last_stamp_ms);

/* The logical time. */
int64_t clock_now_ms(const struct clock_state *c);

/* The logical time for a stamp; it is the base from now on. Never less than the stamp before. The leader only. */
int64_t clock_stamp_ms(struct clock_state *c);

#endif
