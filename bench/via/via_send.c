/*
 * via_send.c: hands messages over one by one with hmq_send_async. The library makes batches of those that come close
 * together; --inflight times --batch of them are without an answer, as on the tester's own wire.
 */
#include "bench/via/via_send.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench/base/mono.h"

/* One message under way; those that are not timed have none of their own. */
struct via_mark {
    struct via_link *via;
    int64_t begin_ns; /* 0: it is not timed */
    bool measured;
};

static bool via_send_open(struct via_link *v, hmq_options *options)
{
    uint64_t most = v->share * v->worker->load->o->batch;
    return via_option(v, options, "max_inflight", most < 1000000 ? most : 1000000) &&
           via_option(v, options, "max_inflight_bytes", 1u << 30) &&
           hmq_producer_new(v->client, options, &v->producer, &v->err) == HMQ_OK;
}

/* On the client's thread. */
static void via_send_done(void *arg, const char *id, const hmq_error *err)
{
    struct via_mark *m = arg;
    struct via_link *v = m->via;
    if (!id)
        via_trouble(v, err);
    else if (m->measured)
        via_count(&v->done, 1);
    if (m->begin_ns == 0)
        return;
    if (id && m->measured)
        via_time(v, LAT_send, m->begin_ns);
    free(m);
}

static void via_send_one(struct via_link *v, struct via_mark *shared, int64_t intended_ns, bool timed)
{
    struct worker *w = v->worker;
    hmq_send_options options = HMQ_SEND_OPTIONS;
    char order[16];
    struct via_mark *m = timed ? malloc(sizeof *m) : NULL;
    if (m)
        *m = (struct via_mark){v, pace_is_open(&v->pace) ? intended_ns : mono_ns(), shared->measured};
    if (w->load->o->keys.kind != KEYS_NONE) {
        snprintf(order, sizeof order, "k%u", keys_draw(&w->load->keys, &v->chance));
        options.order = order;
    }
    size_t size = via_body(v, intended_ns, w->space);
    enum hmq_status status = hmq_send_async(v->producer, w->load->o->topic, w->space, size, &options, HMQ_DEFAULT,
                                            via_send_done, m ? m : shared, &v->err);
    if (status == HMQ_OK && shared->measured)
        via_count(&v->bytes, size);
    if (status == HMQ_OK)
        return;
    via_trouble(v, &v->err);
    free(m);
}

static void via_send_run(struct via_link *v)
{
    struct load *load = v->worker->load;
    struct via_mark warm = {v, 0, false}, measured = {v, 0, true};
    bool open = pace_is_open(&v->pace);
    uint32_t chunk = open ? (uint32_t)load->o->batch : VIA_TIMED, n = 1;
    int64_t intended_ns;
    while (n > 0 && (intended_ns = via_next(v)) >= 0) {
        n = load_claim(load, chunk, intended_ns);
        atomic_fetch_add(&load->started, n);
        for (uint32_t i = 0; i < n; i++)
            via_send_one(v, load_measures(load, intended_ns) ? &measured : &warm, intended_ns, open || i == 0);
    }
    while (hmq_producer_flush(v->producer, 100, &v->err) == HMQ_ETIMEDOUT && via_turn(v))
        ;
    (void)via_turn(v);
    hmq_producer_close(v->producer, 0, NULL); /* the marks are here, on the stack */
    v->producer = NULL;
}

static void via_send_close(struct via_link *v)
{
    hmq_producer_close(v->producer, 0, NULL);
}

const struct via_role via_role_send = {via_send_open, via_send_run, via_send_close};
