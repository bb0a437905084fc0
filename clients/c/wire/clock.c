/* clock.c: monotonic time, condition variables that wait by it, and random bits, all from the system. */
#include "clients/c/wire/clock.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>
#include <time.h>

#define FAR_MS \
    INT64_C(1000000000000) /* thirty years of uptime; the kernel refuses far later times */

static int64_t clock_read(clockid_t clock)
{
    struct timespec t;
    int failed = clock_gettime(clock, &t);
    assert(failed == 0);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_ms(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

/* The kernel moves this clock on with each tick of its timer, of which there are at least a hundred in a second. */
int64_t clock_late_ms(void)
{
    return clock_read(CLOCK_MONOTONIC_COARSE) + CLOCK_LATE_MS;
}

int64_t clock_us(void)
{
    struct timespec t;
    int failed = clock_gettime(CLOCK_MONOTONIC, &t);
    assert(failed == 0);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_unix_ms(void)
{
    return clock_read(CLOCK_REALTIME);
}

bool clock_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return false;
    bool made = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(cond, &attr) == 0;
    pthread_condattr_destroy(&attr);
    return made;
}

bool clock_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_ms)
{
    if (deadline_ms > FAR_MS)
        deadline_ms = FAR_MS;
    struct timespec until = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};
    return pthread_cond_timedwait(cond, lock, &until) != ETIMEDOUT;
}

bool clock_random(uint64_t *ret_bits)
{
    ssize_t n;
    do
        n = getrandom(ret_bits, sizeof *ret_bits, 0);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof *ret_bits;
}
