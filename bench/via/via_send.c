/*
 * via_send.c: hands messages over one by one with hmq_send_async. The library makes batches of those that come close
 * together; --inflight times --batch of them are without an answer, as on the tester's own wire.
 *
 *   closed loop   the callback of a message sends the next one, on the thread that drives the client
 *   open loop     the worker's thread sends when it is due, and waits while the library is full
 */
#include "bench/via/via_send.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench/base/mono.h"

/* A message in flight in a closed loop: when it is answered, the client's thread sends the next one in its place. */
struct via_place {
    struct via_send *send;
    int64_t begin_ns; /* 0: it is not timed */
    bool measured;
};

/* Closed loop: all of it, but for active, belongs to the client's thread from the first answer on. */
struct via_send {
    struct via_link *via;
    hmq_producer *producer;
    uint32_t allowed; /* messages claimed from the budget and not sent yet */
    uint64_t done, bytes; /* since handed_ns: not handed over yet */
    int64_t handed_ns;
    size_t n;
    bool whole; /* every place has begun */
    _Atomic size_t active;
    struct via_place places[];
};

/* One message under way in an open loop; those that are not timed have none of their own. */
struct via_mark {
    struct via_link *via;
    int64_t begin_ns; /* 0: it is not timed */
    bool measured;
};

static bool via_send_is_open(const struct via_link *v)
{
    const struct options *o = v->worker->load->o;
    return o->rate > 0 || o->keys.kind != KEYS_NONE;
}

static bool via_send_open(struct via_link *v, hmq_options *options)
{
    const struct options *o = v->worker->load->o;
    uint64_t most = v->share * o->batch;
    struct via_send *s = calloc(1, sizeof *s + (size_t)most * sizeof s->places[0]);
    if (!s)
        return false;
    v->send = s;
    s->via = v;
    s->n = (size_t)most;
    for (size_t i = 0; i < s->n; i++)
        s->places[i].send = s;
    if (!via_send_is_open(v))
        most *= 2; /* a message counts until the callbacks of its whole batch have returned, which send as many */
    return via_option(v, options, "max_inflight", most < 1000000 ? most : 1000000) &&
           via_option(v, options, "max_inflight_bytes", 1u << 30) &&
           hmq_producer_new(v->client, options, &s->producer, &v->err) == HMQ_OK;
}

/* ---- a closed loop ---- */

static void via_send_told(void *arg, const char *id, const hmq_error *err);

static void via_send_hand_over(struct via_send *s)
{
    via_count(&s->via->done, s->done);
    via_count(&s->via->bytes, s->bytes);
    s->done = s->bytes = 0;
    s->handed_ns = via_clock(s->via, false);
}

static bool via_send_claim(struct via_send *s, int64_t now_ns)
{
    struct load *load = s->via->worker->load;
    if (s->allowed == 0 && !atomic_load(&load->abort))
        s->allowed = load_claim(load, VIA_TIMED, now_ns);
    if (s->allowed == 0)
        return false;
    s->allowed--;
    return true;
}

static void via_send_end(struct via_send *s)
{
    via_send_hand_over(s);
    atomic_fetch_sub(&s->active, 1);
}

/* False: the place ends here. */
static bool via_send_next(struct via_place *p)
{
    struct via_send *s = p->send;
    struct via_link *v = s->via;
    struct worker *w = v->worker;
    hmq_error err;
    bool timed = v->seq % VIA_TIMED == 0;
    int64_t now_ns = via_clock(v, timed);
    if (!via_send_claim(s, now_ns)) {
        via_send_end(s);
        return false;
    }
    p->measured = load_measures(w->load, now_ns);
    p->begin_ns = timed ? now_ns : 0;
    size_t size = via_body(v, now_ns);
    s->bytes += p->measured ? size : 0; /* from when it is sent on, all may be another thread's */
    if (hmq_send_async(s->producer, w->load->o->topic, w->space, size, NULL, HMQ_DEFAULT, via_send_told, p, &err) ==
        HMQ_OK)
        return true;
    s->bytes -= p->measured ? size : 0;
    via_trouble(v, &err);
    via_send_end(s);
    return false;
}

static void via_send_told(void *arg, const char *id, const hmq_error *err)
{
    struct via_place *p = arg;
    struct via_send *s = p->send;
    if (!id)
        via_trouble(s->via, err);
    else
        s->done += p->measured;
    if (id && p->measured && p->begin_ns)
        via_time(s->via, LAT_send, p->begin_ns);
    if (via_clock(s->via, false) != s->handed_ns)
        via_send_hand_over(s);
    (void)via_send_next(p);
    for (size_t i = 1; !s->whole && i < s->n; i++)
        (void)via_send_next(&s->places[i]);
    s->whole = true;
}

static void via_send_begin_closed(struct via_send *s)
{
    atomic_store(&s->active, s->n);
    if (s->n > 0 && !via_send_next(&s->places[0])) /* its answer begins the others, on the thread that drives the client */
        atomic_store(&s->active, 0); /* there was nothing to send */
}

/* ---- an open loop, and keys ---- */

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
    size_t size = via_body(v, intended_ns);
    enum hmq_status status = hmq_send_async(v->send->producer, w->load->o->topic, w->space, size, &options, HMQ_DEFAULT,
                                            via_send_done, m ? m : shared, &v->err);
    if (status == HMQ_OK && shared->measured)
        via_count(&v->bytes, size);
    if (status == HMQ_OK)
        return;
    via_trouble(v, &v->err);
    free(m);
}

static void via_send_open_loop(struct via_link *v)
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
    while (hmq_producer_flush(v->send->producer, 100, &v->err) == HMQ_ETIMEDOUT && via_turn(v))
        ;
    (void)via_turn(v);
    hmq_producer_close(v->send->producer, 0, NULL); /* the marks are here, on the stack */
    v->send->producer = NULL;
}

static void via_send_begin(struct via_link *v)
{
    if (via_send_is_open(v))
        via_send_open_loop(v);
    else
        via_send_begin_closed(v->send);
}

static bool via_send_goes_on(struct via_link *v)
{
    return atomic_load(&v->send->active) > 0;
}

static void via_send_close(struct via_link *v)
{
    if (v->send)
        hmq_producer_close(v->send->producer, 0, NULL);
    free(v->send);
}

const struct via_role via_role_send = {via_send_open, via_send_begin, via_send_goes_on, via_send_close};
