/*
 * lookup.c: a name is looked up on a detached thread; see lookup.h.
 *
 * Its lock is taken before the client's. While it is held and `abandoned` is not set, the client exists.
 */
#include "clients/c/client/lookup.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/client/client_inner.h"
#include "clients/c/client/watch.h"

struct lookup_job {
    pthread_mutex_t lock;
    bool done, abandoned;
    struct hmq_client *client;
    struct endpoint endpoint;
    enum hmq_status status;
    struct addresses addresses;
    hmq_error err;
};

static void lookup_free(struct lookup_job *l)
{
    pthread_mutex_destroy(&l->lock);
    free(l->endpoint.host);
    free(l);
}

static void lookup_wake(struct hmq_client *c)
{
    pthread_mutex_lock(&c->lock);
    c->looked_up = true;
    watch_wake_locked(c, CORE_NOW);
    pthread_mutex_unlock(&c->lock);
}

static void *lookup_main(void *arg)
{
    struct lookup_job *l = arg;
    enum hmq_status status = endpoint_resolve(&l->endpoint, &l->addresses, &l->err);
    pthread_mutex_lock(&l->lock);
    l->status = status;
    l->done = true;
    bool abandoned = l->abandoned;
    if (!abandoned)
        lookup_wake(l->client);
    pthread_mutex_unlock(&l->lock);
    if (abandoned)
        lookup_free(l);
    return NULL;
}

/* No signal of the application's is handled on it. */
static bool lookup_thread(struct lookup_job *l)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;
    if (pthread_attr_init(&attr) != 0)
        return false;
    sigfillset(&all);
    bool started = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0 &&
                   pthread_sigmask(SIG_SETMASK, &all, &before) == 0;
    if (started) {
        started = pthread_create(&thread, &attr, lookup_main, l) == 0;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attr);
    return started;
}

struct lookup_job *lookup_start(struct hmq_client *c, const struct endpoint *e, hmq_error *err)
{
    struct lookup_job *l = calloc(1, sizeof *l);
    if (l && pthread_mutex_init(&l->lock, NULL) != 0) {
        free(l);
        l = NULL;
    }
    if (!l) {
        error_plain(err, HMQ_ENOMEM);
        return NULL;
    }
    l->client = c;
    l->endpoint = *e;
    l->endpoint.host = strdup(e->host);
    if (l->endpoint.host && lookup_thread(l))
        return l;
    error_set(err, HMQ_ESYSTEM, "%s: there is no thread to look it up", e->host);
    lookup_free(l);
    return NULL;
}

bool lookup_take(struct lookup_job *l, enum hmq_status *ret_status, struct addresses *ret_addresses, hmq_error *err)
{
    pthread_mutex_lock(&l->lock);
    bool done = l->done;
    pthread_mutex_unlock(&l->lock);
    if (!done)
        return false;
    *ret_status = l->status;
    *ret_addresses = l->addresses;
    *err = l->err;
    lookup_free(l);
    return true;
}

void lookup_abandon(struct lookup_job *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->abandoned = true;
    bool done = l->done;
    pthread_mutex_unlock(&l->lock);
    if (done)
        lookup_free(l);
}
