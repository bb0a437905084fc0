/* via_loop.c: opens and drives clients on a thread's epoll set; see via_loop.h. */
#include "bench/via/via_loop.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench/base/mono.h"
#include "clients/c/adapters/halfmq_epoll.h"

#define EVENTS_MAX 64

static void via_loop_event(void *arg, enum hmq_event event, const char *text)
{
    struct via_link *v = arg;
    v->connected = v->connected || event == HMQ_EVENT_CONNECTED;
    if (event == HMQ_EVENT_CONNECTED)
        return;
    v->err.code = HMQ_EDISCONNECTED;
    snprintf(v->err.text, sizeof v->err.text, "%s", text);
}

bool via_loop_open(struct via_link *v, hmq_options *options)
{
    struct load *load = v->worker->load;
    int64_t limit_ns = mono_ns() + load->o->patience;
    hmq_options_set_event_fn(options, via_loop_event, v);
    if (hmq_epoll_new(v->worker->epoll, options, &v->adapter, &v->client, &v->err) != HMQ_OK)
        return false;
    while (!v->connected && !atomic_load(&load->abort) && mono_ns() < limit_ns)
        via_loop_run(v->thread, mono_ns() + VIA_LOOK_MS * NS_PER_MS);
    return v->connected;
}

static void via_loop_handle(struct via_thread *t, const struct epoll_event *e)
{
    uint64_t count;
    if (!e->data.ptr) { /* worker_wake */
        ssize_t n = read(t->worker->wake, &count, sizeof count);
        (void)n;
    }
    for (unsigned i = 0; e->data.ptr && i < t->n; i++)
        if (t->links[i].adapter && hmq_epoll_handle(t->links[i].adapter, e))
            return;
}

void via_loop_run(struct via_thread *t, int64_t until_ns)
{
    struct epoll_event events[EVENTS_MAX];
    int64_t left_ns;
    while ((left_ns = until_ns - mono_ns()) > 0) {
        int n = epoll_wait(t->worker->epoll, events, EVENTS_MAX, (int)(left_ns / NS_PER_MS) + 1);
        for (int i = 0; i < n; i++)
            via_loop_handle(t, &events[i]);
    }
}

void via_loop_close(struct via_link *v)
{
    hmq_epoll_free(v->adapter);
    v->adapter = NULL;
}
