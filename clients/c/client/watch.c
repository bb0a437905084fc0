/*
 * watch.c: tells the application's loop what to wait for, and ends the wait; see watch.h.
 */
#include "clients/c/client/watch.h"

#include <unistd.h>

#include "clients/c/client/client_inner.h"
#include "clients/c/wire/clock.h"

void watch_socket(struct hmq_client *c, int fd, int want_read, int want_write)
{
    if (c->told_fd == fd && c->told_read == want_read && c->told_write == want_write)
        return;
    if (c->told_fd != fd && !want_read && !want_write)
        return;
    c->told_fd = want_read || want_write ? fd : -1;
    c->told_read = want_read;
    c->told_write = want_write;
    if (c->loop.watch)
        c->loop.watch(c->loop.arg, fd, want_read, want_write);
}

/* A timer that the loop has already, and that ends earlier, may stay: it ends a wait for nothing now and then, while setting
 * it anew would cost a call of the loop, mostly a system call, for each answer. */
void watch_until(struct hmq_client *c, int64_t until_ms)
{
    c->told_until_ms = until_ms;
    if (!c->loop.deadline || until_ms >= c->timer_ms)
        return;
    int64_t now_ms = clock_ms(), in_ms = until_ms - now_ms;
    in_ms = in_ms < 0 ? 0 : in_ms < WATCH_MS_MAX ? in_ms : WATCH_MS_MAX;
    c->timer_ms = now_ms + in_ms;
    c->loop.deadline(c->loop.arg, in_ms);
}

void watch_timed_out(struct hmq_client *c)
{
    c->timer_ms = CORE_NEVER;
}

void watch_stop(struct hmq_client *c)
{
    if (c->loop.watch)
        c->loop.watch(c->loop.arg, c->wake_fd, 0, 0);
    if (c->loop.deadline)
        c->loop.deadline(c->loop.arg, -1);
    c->timer_ms = CORE_NEVER;
}

void watch_wake_locked(struct hmq_client *c, int64_t due_ms)
{
    uint64_t one = 1;
    if (c->driver != DRIVER_SLEEPING || due_ms >= c->sleep_until_ms)
        return;
    c->driver = DRIVER_WOKEN;
    ssize_t n = write(c->wake_fd, &one, sizeof one);
    (void)n; /* EAGAIN would mean that the counter is at 2^64 already */
}

void watch_tell_locked(struct hmq_client *c)
{
    c->changes++;
    pthread_cond_broadcast(&c->changed);
    if (c->loop_waits)
        watch_wake_locked(c, CORE_NOW);
}
