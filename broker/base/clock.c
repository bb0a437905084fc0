/*
 * clock.c: reads the wall and the monotonic clock, and makes from both the time of stamps, which never goes down
 * (clock.h).
 */
#include "broker/base/clock.h"

#include <time.h>

int64_t clock_wall_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_mono_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t clock_thread_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

bool clock_cond_new(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return false;
    bool made = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 && pthread_cond_init(cond, &attr) == 0;
    pthread_condattr_destroy(&attr);
    return made;
}

void clock_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + ms % 1000 * 1000000;
    until.tv_sec += ms / 1000 + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    (void)pthread_cond_timedwait(cond, lock, &until);
}

void clock_start(struct clock_state *c, int64_t last_stamp_ms)
{
    atomic_store(&c->base_ms, last_stamp_ms);
    atomic_store(&c->base_mono_ms, clock_mono_ns() / 1000000);
}

/*
 * The two fields are read one after the other without a lock. clock_stamp_ms moves base_mono first and then base, so a
 * reader that comes between the two sees a time that is too early, never one that is too late: nothing fires early.
 */
int64_t clock_now_ms(const struct clock_state *c)
{
    int64_t base = atomic_load(&c->base_ms);
    int64_t since = clock_mono_ns() / 1000000 - atomic_load(&c->base_mono_ms);
    int64_t logical = base + (since > 0 ? since : 0);
    int64_t wall = clock_wall_ms();
    return wall > logical ? wall : logical;
}

int64_t clock_stamp_ms(struct clock_state *c)
{
    int64_t now = clock_now_ms(c);
    atomic_store(&c->base_mono_ms, clock_mono_ns() / 1000000);
    atomic_store(&c->base_ms, now);
    return now;
}
