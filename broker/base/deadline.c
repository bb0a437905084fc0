/*
 * deadline.c: a thread that waits for its time, by the monotonic clock, or for the end of what it watches.
 *
 *   deadline_new ──► waits ──(ms have passed)──► passed()
 *                      └─────(deadline_cancel)──► ends
 *
 * It is for the case that all other threads are held up, so it shares no lock with them.
 */
#include "broker/base/deadline.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "broker/base/clock.h"

struct deadline {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool cancelled; /* under lock */
    int64_t at_ns;  /* monotonic */
    void (*passed)(void);
};

static void *deadline_run(void *arg)
{
    struct deadline *d = arg;
    pthread_mutex_lock(&d->lock);
    for (;;) {
        int64_t left_ns = d->at_ns - clock_mono_ns();
        if (d->cancelled || left_ns <= 0)
            break;
        clock_wait(&d->changed, &d->lock, left_ns / 1000000 + 1);
    }
    bool cancelled = d->cancelled;
    pthread_mutex_unlock(&d->lock);
    if (!cancelled)
        d->passed();
    return NULL;
}

static void deadline_free(struct deadline *d)
{
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->changed);
    free(d);
}

struct deadline *deadline_new(int64_t ms, void (*passed)(void))
{
    struct deadline *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->at_ns = clock_mono_ns() + ms * 1000000;
    d->passed = passed;
    if (!clock_cond_new(&d->changed)) {
        free(d);
        return NULL;
    }
    pthread_mutex_init(&d->lock, NULL);
    if (pthread_create(&d->thread, NULL, deadline_run, d) == 0)
        return d;
    deadline_free(d);
    return NULL;
}

void deadline_cancel(struct deadline *d)
{
    if (!d)
        return;
    pthread_mutex_lock(&d->lock);
    d->cancelled = true;
    pthread_cond_signal(&d->changed);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->thread, NULL);
    deadline_free(d);
}
