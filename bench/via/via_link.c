/* via_link.c: counts and times what a connection does, and says when its next op is due; see via_link.h. */
#include "bench/via/via_link.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench/base/mono.h"

#define REST_NS NS_PER_MS

bool via_option(struct via_link *v, hmq_options *options, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    return hmq_options_set(options, name, text, &v->err) == HMQ_OK;
}

size_t via_body(struct via_link *v, int64_t intended_ns)
{
    const struct load *load = v->worker->load;
    struct body_head head = {load->id, v->index, v->seq++, intended_ns};
    size_t size = (size_t)dist_draw(&load->o->size, &v->chance);
    if (v->worker->filled)
        body_patch(&head, v->worker->space, size);
    else
        body_make(&load->pool, &head, false, v->worker->space, size);
    return size;
}

int64_t via_clock(struct via_link *v, bool exact)
{
    if (!exact)
        return atomic_load_explicit(&v->clock_ns, memory_order_relaxed);
    int64_t now_ns = mono_ns();
    atomic_store_explicit(&v->clock_ns, now_ns, memory_order_relaxed);
    return now_ns;
}

void via_time(struct via_link *v, enum latency which, int64_t begin_ns)
{
    int64_t now_ns = mono_ns();
    pthread_mutex_lock(&v->thread->lock);
    meter_time(&v->worker->meter, which, begin_ns, now_ns, 1);
    pthread_mutex_unlock(&v->thread->lock);
}

void via_trouble(struct via_link *v, const hmq_error *err)
{
    char text[TROUBLE_BYTES];
    int n = snprintf(text, sizeof text, "%s %s", hmq_status_name(err->code), err->text);
    via_count(&v->failed, 1);
    troubles_note(&v->worker->load->troubles, slice_of(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1));
}

/* Counts of the load's mode: a message sent, acknowledged, or in a transaction that was decided. */
static void via_take_over(struct via_link *v)
{
    struct worker *w = v->worker;
    struct load *load = w->load;
    uint64_t n = atomic_exchange(&v->done, 0), bytes = atomic_exchange(&v->bytes, 0);
    uint64_t failed = atomic_exchange(&v->failed, 0), rolled_back = atomic_exchange(&v->rolled_back, 0);
    pthread_mutex_lock(&v->thread->lock);
    METER_COUNT(&w->meter, messages, n);
    METER_COUNT(&w->meter, operations, n);
    METER_COUNT(&w->meter, bytes, bytes);
    METER_COUNT(&w->meter, errors, failed);
    METER_COUNT(&w->meter, sent, load->mode == MODE_consume ? 0 : n);
    METER_COUNT(&w->meter, taken, load->mode == MODE_consume ? n : 0);
    METER_COUNT(&w->meter, transactions, load->mode == MODE_txn ? n : 0);
    METER_COUNT(&w->meter, rolled_back, rolled_back);
    if (n > 0) {
        atomic_store(&load->progress_ns, w->now_ns);
        w->meter.last_ns = w->now_ns;
    }
    worker_pass_seconds(w);
    pthread_mutex_unlock(&v->thread->lock);
}

bool via_turn(struct via_link *v)
{
    struct worker *w = v->worker;
    w->now_ns = mono_ns();
    atomic_store_explicit(&v->clock_ns, w->now_ns, memory_order_relaxed);
    via_take_over(v);
    worker_watch_progress(w);
    return !atomic_load(&w->load->abort);
}

int64_t via_next(struct via_link *v)
{
    struct timespec pause = {0, REST_NS};
    struct load *load = v->worker->load;
    int64_t due = pace_is_open(&v->pace) ? pace_due(&v->pace) : v->worker->now_ns;
    while (via_turn(v) && v->worker->now_ns < due && due < load->stop_ns)
        nanosleep(&pause, NULL);
    pace_step(&v->pace);
    return atomic_load(&load->abort) || due >= load->stop_ns ? -1 : due;
}
