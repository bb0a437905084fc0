/*
 * thread.c: runs the driver until the client is stopping; see thread.h. Signals are the application's
 * business: all are blocked here.
 */
#include "clients/c/client/thread.h"

#include <signal.h>

#include "clients/c/client/client_inner.h"
#include "clients/c/client/driver.h"

static bool thread_is_to_stop(struct hmq_client *c)
{
    pthread_mutex_lock(&c->lock);
    bool stop = c->stopping;
    pthread_mutex_unlock(&c->lock);
    return stop;
}

static void *thread_main(void *arg)
{
    struct hmq_client *c = arg;
    driver_step(c, false, false);
    while (!thread_is_to_stop(c))
        driver_poll(c, CORE_NEVER);
    driver_stop(c);
    if (c->bury)
        c->bury(c);
    return NULL;
}

bool thread_start(struct hmq_client *c)
{
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return false;
    bool started = pthread_create(&c->thread, NULL, thread_main, c) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}
