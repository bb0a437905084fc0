/*
 * halfmq_libevent.h: a HalfMQ client on the application's libevent loop. Header only; link with
 * libevent_core (or libevent) yourself.
 *
 *     struct hmq_libevent *adapter;
 *     hmq_client *client;
 *     hmq_libevent_new(base, NULL, &adapter, &client, &err);
 *     ... event_base_dispatch(base) ...
 *     hmq_client_free(client);          -- still on the loop's thread
 *     hmq_libevent_free(adapter);
 *
 * The client keeps events in the loop as long as it lives; event_base_loopbreak or the client's end
 * let event_base_dispatch return. For another loop, write these four functions anew: two that the
 * client calls (watch, deadline), two that call the client (on_fd, on_timer).
 */
#ifndef HALFMQ_LIBEVENT_H
#define HALFMQ_LIBEVENT_H

#include <event2/event.h>
#include <halfmq.h>
#include <stdlib.h>
#include <sys/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hmq_libevent {
    struct event_base *base;
    hmq_client *client;
    struct event *timer;
    int failed; /* 1: a descriptor cannot be watched (no memory); the loop was broken off */
    struct {
        int fd; /* -1: not in use */
        struct event *event;
    } slots[2];
};

static inline void hmq_libevent_on_fd(evutil_socket_t fd, short what, void *arg)
{
    struct hmq_libevent *a = (struct hmq_libevent *)arg;
    if (!a->client)
        return;
    if (what & EV_WRITE)
        hmq_client_writable(a->client, (int)fd);
    if (what & EV_READ)
        hmq_client_readable(a->client, (int)fd);
}

static inline void hmq_libevent_on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct hmq_libevent *a = (struct hmq_libevent *)arg;
    (void)fd;
    (void)what;
    if (a->client)
        hmq_client_timeout(a->client);
}

/* The client names a descriptor: its old event goes, a new one comes. */
static inline void hmq_libevent_watch(void *arg, int fd, int want_read, int want_write)
{
    struct hmq_libevent *a = (struct hmq_libevent *)arg;
    int i = a->slots[0].fd == fd || (a->slots[1].fd != fd && a->slots[0].fd < 0) ? 0 : 1;
    short what = (short)((want_read ? EV_READ : 0) | (want_write ? EV_WRITE : 0));
    if (a->slots[i].event)
        event_free(a->slots[i].event);
    a->slots[i].event = NULL;
    a->slots[i].fd = what ? fd : -1;
    if (!what)
        return;
    a->slots[i].event = event_new(a->base, fd, (short)(what | EV_PERSIST), hmq_libevent_on_fd, a);
    if (a->slots[i].event && event_add(a->slots[i].event, NULL) == 0)
        return;
    a->failed = 1;
    event_base_loopbreak(a->base);
}

static inline void hmq_libevent_deadline(void *arg, int64_t in_ms)
{
    struct hmq_libevent *a = (struct hmq_libevent *)arg;
    struct timeval in;
    in.tv_sec = (time_t)(in_ms / 1000);
    in.tv_usec = (suseconds_t)(in_ms % 1000 * 1000);
    if (in_ms < 0)
        evtimer_del(a->timer);
    else
        evtimer_add(a->timer, &in);
}

/* After hmq_client_free. NULL is fine. */
static inline void hmq_libevent_free(struct hmq_libevent *a)
{
    int i;
    if (!a)
        return;
    for (i = 0; i < 2; i++)
        if (a->slots[i].event)
            event_free(a->slots[i].event);
    if (a->timer)
        event_free(a->timer);
    free(a);
}

/*
 * A client whose loop is base. options as for hmq_client_new. The loop belongs to the thread that
 * calls this and dispatches base. Errors as hmq_client_new_loop.
 */
static inline enum hmq_status hmq_libevent_new(struct event_base *base, const hmq_options *options,
                                               struct hmq_libevent **ret_adapter,
                                               hmq_client **ret_client, hmq_error *err)
{
    struct hmq_libevent *a = (struct hmq_libevent *)calloc(1, sizeof *a);
    enum hmq_status status = HMQ_ENOMEM;
    hmq_loop loop = HMQ_LOOP;
    if (err) {
        err->code = HMQ_ENOMEM;
        err->text[0] = '\0';
    }
    if (!a)
        return status;
    a->base = base;
    a->slots[0].fd = a->slots[1].fd = -1;
    a->timer = evtimer_new(base, hmq_libevent_on_timer, a);
    loop.arg = a;
    loop.watch = hmq_libevent_watch;
    loop.deadline = hmq_libevent_deadline;
    if (a->timer)
        status = hmq_client_new_loop(options, &loop, &a->client, err);
    if (status != HMQ_OK) {
        hmq_libevent_free(a);
        return status;
    }
    *ret_adapter = a;
    *ret_client = a->client;
    return HMQ_OK;
}

#ifdef __cplusplus
}
#endif

#endif
