/* via.c: a worker's thread and its connections through libhalfmq; see via.h. */
#include "bench/via/via.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "bench/base/mono.h"
#include "bench/options/library.h"
#include "bench/via/via_consume.h"
#include "bench/via/via_loop.h"
#include "bench/via/via_send.h"
#include "bench/via/via_txn.h"

#define CALL_TIMEOUT_MS 3600000

static const struct via_role *via_role_of(enum mode mode)
{
    return mode == MODE_txn ? &via_role_txn : mode == MODE_consume ? &via_role_consume : &via_role_send;
}

static bool via_set_options(struct via_link *v, hmq_options *options)
{
    const struct options *o = v->worker->load->o;
    char server[300];
    snprintf(server, sizeof server, strchr(o->host, ':') ? "[%s]:%" PRIu64 : "%s:%" PRIu64, o->host, o->port);
    int64_t patience_ms = o->patience / NS_PER_MS;
    return library_set(options, o, &v->err) && hmq_options_set(options, "servers", server, &v->err) == HMQ_OK &&
           hmq_options_set(options, "dedup", o->dedup ? "yes" : "no", &v->err) == HMQ_OK &&
           via_option(v, options, "call_timeout_ms",
                      (uint64_t)(patience_ms < CALL_TIMEOUT_MS ? patience_ms : CALL_TIMEOUT_MS)) &&
           via_option(v, options, "max_pending", 1000000) && via_option(v, options, "max_pending_bytes", 1u << 30);
}

static bool via_open_client(struct via_link *v, hmq_options *options)
{
    if (v->thread->drives)
        return via_loop_open(v, options);
    return hmq_client_new(options, &v->client, &v->err) == HMQ_OK &&
           hmq_client_wait(v->client, HMQ_DEFAULT, &v->err) == HMQ_OK;
}

static bool via_open(struct via_link *v)
{
    struct load *load = v->worker->load;
    hmq_options *options = hmq_options_new();
    bool open = options && via_set_options(v, options) && via_open_client(v, options) &&
                via_role_of(load->mode)->open(v, options);
    hmq_options_free(options);
    if (open)
        atomic_fetch_add(&load->links_up, 1);
    else
        load_fail(load, "no connection to %s port %llu: %s; is it running?", load->o->host,
                  (unsigned long long)load->o->port, v->err.text);
    return open;
}

/* Those of the load's connections that are this thread's: every n-th one. */
static bool via_open_all(struct via_thread *t)
{
    struct worker *w = t->worker;
    const struct options *o = w->load->o;
    uint64_t n_threads = o->threads, rest = o->inflight % o->connections;
    t->n = (unsigned)(o->connections / n_threads + (w->index < o->connections % n_threads));
    t->drives = t->n > 1;
    t->links = calloc(t->n, sizeof *t->links);
    if (!t->links)
        load_fail(w->load, "no memory");
    for (; t->links && t->n_open < t->n; t->n_open++) {
        struct via_link *v = &t->links[t->n_open];
        unsigned index = w->index + t->n_open * (unsigned)n_threads;
        *v = (struct via_link){.thread = t, .worker = w, .index = index, .chance = chance_from(o->seed, index)};
        v->share = o->inflight / o->connections + (index < rest);
        if (!via_open(v)) {
            t->n_open++; /* it is closed as well */
            return false;
        }
    }
    return t->links != NULL;
}

/* Lets a moment pass. */
static void via_look(struct via_thread *t)
{
    struct timespec pause = {0, VIA_LOOK_MS * NS_PER_MS};
    if (t->drives)
        via_loop_run(t, mono_ns() + pause.tv_nsec);
    else
        nanosleep(&pause, NULL);
}

/* False: the load was given up before. */
static bool via_await_start(struct via_thread *t)
{
    struct worker *w = t->worker;
    struct pollfd wake = {.fd = w->wake, .events = POLLIN};
    while (!atomic_load(&w->load->go) && !atomic_load(&w->load->abort)) {
        if (t->drives)
            via_look(t);
        else
            (void)poll(&wake, 1, 100);
    }
    w->now_ns = mono_ns();
    return !atomic_load(&w->load->abort);
}

static void via_begin(struct via_link *v)
{
    struct load *load = v->worker->load;
    const struct options *o = load->o;
    v->pace.origin_ns = load->begin_ns;
    if (o->rate > 0)
        v->pace.per_s = o->rate / (double)o->batch / (double)o->connections;
    v->pace.ramp_s = (double)o->ramp / 1e9;
    v->pace.phase = ((double)v->index + 0.5) / (double)o->connections;
    (void)via_turn(v);
    via_role_of(load->mode)->begin(v);
}

static void via_run(struct via_thread *t)
{
    const struct via_role *role = via_role_of(t->worker->load->mode);
    bool goes_on = t->n_open > 0;
    for (unsigned i = 0; i < t->n_open; i++)
        via_begin(&t->links[i]);
    while (goes_on && !atomic_load(&t->worker->load->abort)) {
        via_look(t);
        goes_on = false;
        for (unsigned i = 0; i < t->n_open; i++)
            goes_on = (via_turn(&t->links[i]) && role->goes_on(&t->links[i])) || goes_on;
    }
}

static void via_close_all(struct via_thread *t)
{
    struct worker *w = t->worker;
    for (unsigned i = 0; i < t->n_open; i++) {
        via_role_of(w->load->mode)->close(&t->links[i]);
        hmq_client_free(t->links[i].client);
        via_loop_close(&t->links[i]);
        if (atomic_load(&w->load->go))
            (void)via_turn(&t->links[i]);
    }
    if (atomic_load(&w->load->go))
        series_leave(&w->load->series, w->index, &w->meter);
    free(t->links);
}

void *via_main(void *worker)
{
    struct worker *w = worker;
    struct via_thread t = {.worker = w};
    char name[16];
    snprintf(name, sizeof name, "bench-%u", w->index);
    prctl(PR_SET_NAME, name);
    prctl(PR_SET_TIMERSLACK, 1UL);
    pthread_mutex_init(&t.lock, NULL);
    if (via_open_all(&t) && via_await_start(&t))
        via_run(&t);
    via_close_all(&t);
    pthread_mutex_destroy(&t.lock);
    sem_post(&w->load->ended);
    return NULL;
}
