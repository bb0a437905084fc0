/* via.c: the thread of one connection through libhalfmq; see via.h. */
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
#include "bench/via/via_send.h"
#include "bench/via/via_txn.h"

#define CALL_TIMEOUT_MS 3600000

static const struct via_role *via_role_of(enum mode mode)
{
    return mode == MODE_txn ? &via_role_txn : mode == MODE_consume ? &via_role_consume : &via_role_send;
}

static bool via_open_client(struct via_link *v, hmq_options *options)
{
    const struct options *o = v->worker->load->o;
    char server[300];
    snprintf(server, sizeof server, strchr(o->host, ':') ? "[%s]:%" PRIu64 : "%s:%" PRIu64, o->host, o->port);
    int64_t patience_ms = o->patience / NS_PER_MS;
    return library_set(options, o, &v->err) && hmq_options_set(options, "servers", server, &v->err) == HMQ_OK &&
           hmq_options_set(options, "dedup", o->dedup ? "yes" : "no", &v->err) == HMQ_OK &&
           via_option(v, options, "call_timeout_ms",
                      (uint64_t)(patience_ms < CALL_TIMEOUT_MS ? patience_ms : CALL_TIMEOUT_MS)) &&
           via_option(v, options, "max_pending", 1000000) && via_option(v, options, "max_pending_bytes", 1u << 30) &&
           hmq_client_new(options, &v->client, &v->err) == HMQ_OK &&
           hmq_client_wait(v->client, HMQ_DEFAULT, &v->err) == HMQ_OK &&
           via_role_of(v->worker->load->mode)->open(v, options);
}

static bool via_open(struct via_link *v)
{
    struct load *load = v->worker->load;
    hmq_options *options = hmq_options_new();
    bool open = options && via_open_client(v, options);
    hmq_options_free(options);
    if (open)
        atomic_fetch_add(&load->links_up, 1);
    else
        load_fail(load, "no connection to %s port %llu: %s; is it running?", load->o->host,
                  (unsigned long long)load->o->port, v->err.text);
    return open;
}

/* False: the load was given up before. */
static bool via_await_start(struct worker *w)
{
    struct pollfd wake = {.fd = w->wake, .events = POLLIN};
    while (!atomic_load(&w->load->go) && !atomic_load(&w->load->abort))
        (void)poll(&wake, 1, 100);
    w->now_ns = mono_ns();
    return !atomic_load(&w->load->abort);
}

static void via_run(struct via_link *v)
{
    struct load *load = v->worker->load;
    const struct options *o = load->o;
    v->pace.origin_ns = load->begin_ns;
    if (o->rate > 0)
        v->pace.per_s = o->rate / (double)o->batch / (double)o->connections;
    v->pace.ramp_s = (double)o->ramp / 1e9;
    v->pace.phase = ((double)v->worker->index + 0.5) / (double)o->connections;
    via_role_of(load->mode)->run(v);
}

void *via_main(void *worker)
{
    struct worker *w = worker;
    struct load *load = w->load;
    struct via_link v = {.worker = w, .chance = chance_from(load->o->seed, w->index)};
    uint64_t rest = load->o->inflight % load->o->connections;
    char name[16];
    snprintf(name, sizeof name, "bench-%u", w->index);
    prctl(PR_SET_NAME, name);
    prctl(PR_SET_TIMERSLACK, 1UL);
    v.share = load->o->inflight / load->o->connections + (w->index < rest);
    pthread_mutex_init(&v.lock, NULL);
    if (via_open(&v) && via_await_start(w))
        via_run(&v);
    via_role_of(load->mode)->close(&v);
    hmq_client_free(v.client);
    if (atomic_load(&load->go)) {
        (void)via_turn(&v);
        series_leave(&load->series, w->index, &w->meter);
    }
    pthread_mutex_destroy(&v.lock);
    sem_post(&load->ended);
    return NULL;
}
