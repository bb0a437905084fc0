/* still_clock.c: wraps the clocks of libhalfmq, so that a test can stop them and move them. */
#include "tests/lib/still_clock.h"

#include <stdatomic.h>

int64_t __real_clock_ms(void);
int64_t __wrap_clock_ms(void);
int64_t __real_clock_us(void);
int64_t __wrap_clock_us(void);
int64_t __real_clock_late_ms(void);
int64_t __wrap_clock_late_ms(void);

static _Atomic int64_t shown_ms; /* 0: shows the system's clock */

void still_clock_stop(void)
{
    atomic_store(&shown_ms, __real_clock_ms());
}

void still_clock_pass(int64_t ms)
{
    atomic_fetch_add(&shown_ms, ms);
}

void still_clock_go(void)
{
    atomic_store(&shown_ms, 0);
}

int64_t __wrap_clock_ms(void)
{
    int64_t now_ms = atomic_load(&shown_ms);
    return now_ms ? now_ms : __real_clock_ms();
}

int64_t __wrap_clock_us(void)
{
    int64_t now_ms = atomic_load(&shown_ms);
    return now_ms ? now_ms * 1000 : __real_clock_us();
}

int64_t __wrap_clock_late_ms(void)
{
    int64_t now_ms = atomic_load(&shown_ms);
    return now_ms ? now_ms : __real_clock_late_ms();
}
