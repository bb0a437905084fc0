/*
 * webhook_pool.c: makes HTTP connections with libevent, and keeps those that may be used again in a list, the newest
 * first.
 */
#include "broker/webhook/webhook_pool.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/timers.h"

struct pool {
    struct event_base *base;
    struct event *sweep;
    struct pool_link *first, *last;
    unsigned n;
};

/* ---- one connection ---- */

static void pool_on_output(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
    struct pool_link *l = arg;
    (void)buffer;
    l->sent = l->sent || info->n_deleted > 0;
}

static void pool_on_input(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
    struct pool_link *l = arg;
    (void)buffer;
    l->heard = l->heard || info->n_added > 0;
}

static void pool_on_close(struct evhttp_connection *http, void *arg)
{
    struct pool_link *l = arg;
    (void)http;
    l->closed = true;
    if (l->waits)
        event_active(l->pool->sweep, EV_TIMEOUT, 0);
}

static struct evhttp_connection *pool_http_new(struct pool_link *l, const char *host, const char *port)
{
    struct event_base *base = l->pool->base;
    struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (!bev)
        return NULL;
    struct evhttp_connection *c = evhttp_connection_base_bufferevent_new(
        base, NULL, bev, host, (uint16_t)strtoul(port, NULL, 10));
    if (!c) {
        bufferevent_free(bev);
        return NULL;
    }
    evhttp_connection_set_retries(c, 0);
    evhttp_connection_set_max_headers_size(c, WEBHOOK_ANSWER_HEADERS_MAX);
    evhttp_connection_set_max_body_size(c, WEBHOOK_ANSWER_BODY_MAX);
    evhttp_connection_set_closecb(c, pool_on_close, l);
    evbuffer_add_cb(bufferevent_get_output(bev), pool_on_output, l);
    evbuffer_add_cb(bufferevent_get_input(bev), pool_on_input, l);
    return c;
}

struct pool_link *pool_link_new(struct pool *p, const char *authority, const struct sockaddr *to, socklen_t len)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    size_t n = strlen(authority) + 1;
    struct pool_link *l = calloc(1, sizeof *l + n);
    if (!l)
        return NULL;
    *l = (struct pool_link){.pool = p, .born_ms = timers_now()};
    memcpy(l->authority, authority, n);
    if (getnameinfo(to, len, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        l->http = pool_http_new(l, host, port);
    if (l->http)
        return l;
    free(l);
    return NULL;
}

void pool_link_free(struct pool_link *l)
{
    evhttp_connection_set_closecb(l->http, NULL, NULL);
    evhttp_connection_free(l->http); /* its request, too */
    free(l);
}

/* ---- kept connections ---- */

static void pool_unlink_waiting(struct pool *p, struct pool_link *l)
{
    *(l->prev ? &l->prev->next : &p->first) = l->next;
    *(l->next ? &l->next->prev : &p->last) = l->prev;
    l->prev = l->next = NULL;
    l->waits = false;
    p->n--;
}

static void pool_drop(struct pool *p, struct pool_link *l)
{
    pool_unlink_waiting(p, l);
    pool_link_free(l);
}

static void pool_sweep_in(struct pool *p, int64_t ms)
{
    const struct timeval tv = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    if (event_add(p->sweep, &tv) != 0) {
        while (p->last)
            pool_drop(p, p->last); /* no timer: nobody would free them later */
    }
}

static void pool_on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct pool *p = arg;
    int64_t now = timers_now();
    (void)fd, (void)what;
    for (struct pool_link *l = p->last, *prev; l; l = prev) {
        prev = l->prev;
        if (l->closed || now - l->idle_ms >= POOL_IDLE_MS)
            pool_drop(p, l);
    }
    if (p->last)
        pool_sweep_in(p, p->last->idle_ms + POOL_IDLE_MS - now);
}

struct pool_link *pool_take(struct pool *p, const char *authority)
{
    int64_t now = timers_now();
    for (struct pool_link *l = p->first, *next; l; l = next) {
        next = l->next;
        if (l->closed || strcmp(l->authority, authority) != 0)
            continue;
        if (now - l->born_ms >= POOL_AGE_MS) {
            pool_drop(p, l);
            continue;
        }
        pool_unlink_waiting(p, l);
        l->sent = l->heard = false;
        return l;
    }
    return NULL;
}

/* Is nothing left of the last request or behind its answer, which the next one would run into? */
static bool pool_is_clean(const struct pool_link *l)
{
    struct bufferevent *bev = evhttp_connection_get_bufferevent(l->http);
    return !l->closed && evbuffer_get_length(bufferevent_get_output(bev)) == 0 &&
           evbuffer_get_length(bufferevent_get_input(bev)) == 0;
}

static unsigned pool_waiting_for(const struct pool *p, const char *authority)
{
    unsigned n = 0;
    for (const struct pool_link *l = p->first; l; l = l->next)
        n += strcmp(l->authority, authority) == 0;
    return n;
}

void pool_give(struct pool_link *l)
{
    struct pool *p = l->pool;
    if (!pool_is_clean(l) || pool_waiting_for(p, l->authority) >= POOL_HOST_MAX) {
        pool_link_free(l);
        return;
    }
    if (p->n >= POOL_MAX)
        pool_drop(p, p->last);
    l->idle_ms = timers_now();
    l->waits = true;
    l->next = p->first;
    *(p->first ? &p->first->prev : &p->last) = l;
    p->first = l;
    if (p->n++ == 0)
        pool_sweep_in(p, POOL_IDLE_MS);
}

/* ---- the pool ---- */

struct pool *pool_new(struct event_base *base)
{
    struct pool *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->base = base;
    p->sweep = evtimer_new(base, pool_on_sweep, p);
    if (p->sweep)
        return p;
    free(p);
    return NULL;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    while (p->last)
        pool_drop(p, p->last);
    event_free(p->sweep);
    free(p);
}
