/*
 * service.c: the list of a client's services, and the driver's walk over it; see service.h.
 *
 * The walk releases the lock while it is inside a service, and marks that one busy, so that it is not removed
 * meanwhile.
 */
#include "clients/c/client/service.h"

#include "clients/c/client/client_inner.h"
#include "clients/c/client/watch.h"

void service_add(struct hmq_client *c, struct service *s)
{
    pthread_mutex_lock(&c->lock);
    s->busy = false;
    TAILQ_INSERT_TAIL(&c->services, s, link);
    watch_wake_locked(c, s->due_ms);
    pthread_mutex_unlock(&c->lock);
}

void service_remove(struct hmq_client *c, struct service *s)
{
    pthread_mutex_lock(&c->lock);
    while (s->busy)
        pthread_cond_wait(&c->changed, &c->lock);
    TAILQ_REMOVE(&c->services, s, link);
    pthread_mutex_unlock(&c->lock);
}

void service_at(struct hmq_client *c, struct service *s, int64_t due_ms)
{
    pthread_mutex_lock(&c->lock);
    if (due_ms < s->due_ms)
        s->due_ms = due_ms;
    watch_wake_locked(c, s->due_ms);
    pthread_mutex_unlock(&c->lock);
}

void service_kick(struct hmq_client *c, struct service *s)
{
    service_at(c, s, CORE_NOW);
}

bool service_any(struct hmq_client *c, bool (*is)(struct service *s, void *arg), void *arg)
{
    bool any = false;
    pthread_mutex_lock(&c->lock);
    for (struct service *s = TAILQ_FIRST(&c->services); s && !any; s = TAILQ_NEXT(s, link))
        any = is(s, arg);
    if (any)
        watch_wake_locked(c, CORE_NOW);
    pthread_mutex_unlock(&c->lock);
    return any;
}

bool service_visit(struct hmq_client *c, bool (*visit)(struct service *s, void *arg), void *arg)
{
    bool taken = false;
    c->inside++;
    pthread_mutex_lock(&c->lock);
    for (struct service *s = TAILQ_FIRST(&c->services); s && !taken; s = TAILQ_NEXT(s, link)) {
        s->busy = true;
        pthread_mutex_unlock(&c->lock);
        taken = visit(s, arg);
        pthread_mutex_lock(&c->lock);
        s->busy = false;
        c->changes++;
        pthread_cond_broadcast(&c->changed);
    }
    pthread_mutex_unlock(&c->lock);
    c->inside--;
    return taken;
}
