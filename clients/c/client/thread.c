/*
 * thread.c: the client's own thread, which is nothing but the driver going round. Signals are the
 * application's business: all are blocked here.
 */
#include <signal.h>

#include "clients/c/client/driver.h"

static bool stopping(struct hmq_client *c)
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
    while (!stopping(c))
        driver_poll(c, CORE_NEVER);
    driver_stop(c);
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
