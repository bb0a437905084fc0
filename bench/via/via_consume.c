/*
 * via_consume.c: a consumer with one worker, whose handler gets up to --batch messages, looks at their bodies and
 * acknowledges them. A message counts when the broker has confirmed its acknowledgement; the consumer's statistics tell.
 */
#include "bench/via/via_consume.h"

#include <stdlib.h>

#define PREFETCH_MAX 10000u

struct via_consume {
    hmq_consumer *consumer; /* NULL: it could not be made */
    uint64_t seen; /* acknowledgements that are counted */
};

static enum hmq_verdict via_consume_handle(void *arg, const hmq_message *const *messages, size_t n, hmq_retry *retry)
{
    struct via_link *v = arg;
    size_t len, bytes = 0;
    (void)retry;
    for (size_t i = 0; i < n; i++, bytes += len)
        (void)hmq_message_body(messages[i], &len);
    via_count(&v->bytes, bytes);
    return HMQ_ACK;
}

/* The consumer itself is made when the load starts: it takes messages from then on. */
static bool via_consume_open(struct via_link *v, hmq_options *options)
{
    (void)options;
    v->consume = calloc(1, sizeof *v->consume);
    return v->consume != NULL;
}

static bool via_consume_start(struct via_link *v)
{
    const struct options *o = v->worker->load->o;
    const char *topics[] = {o->topic};
    hmq_options *options = hmq_options_new();
    bool started = options && via_option(v, options, "prefetch", o->credit < PREFETCH_MAX ? o->credit : PREFETCH_MAX) &&
                   via_option(v, options, "prefetch_bytes", 1u << 30) &&
                   via_option(v, options, "lease_ms", (uint64_t)(o->lease / NS_PER_MS)) &&
                   via_option(v, options, "batch_count", o->batch) &&
                   hmq_consumer_new_batch(v->client, o->group, topics, 1, via_consume_handle, v, options,
                                          &v->consume->consumer, &v->err) == HMQ_OK;
    hmq_options_free(options);
    return started;
}

static void via_consume_begin(struct via_link *v)
{
    if (!via_consume_start(v))
        load_fail(v->worker->load, "%s", v->err.text);
}

static bool via_consume_goes_on(struct via_link *v)
{
    struct load *load = v->worker->load;
    int64_t now_ns = v->worker->now_ns;
    hmq_consumer_stats stats = {.size = sizeof stats};
    if (!v->consume->consumer || hmq_consumer_stats_get(v->consume->consumer, &stats) != HMQ_OK)
        return false;
    uint32_t fresh = (uint32_t)(stats.acked - v->consume->seen);
    v->consume->seen = stats.acked;
    uint32_t n = load_claim(load, fresh, now_ns);
    if (load_measures(load, now_ns))
        via_count(&v->done, n);
    if (load->o->messages == 0) /* an empty queue is not a lack of progress */
        atomic_store(&load->progress_ns, now_ns);
    return via_turn(v) && n == fresh && atomic_load(&load->budget) > 0 && now_ns < load->stop_ns;
}

static void via_consume_close(struct via_link *v)
{
    if (v->consume)
        hmq_consumer_close(v->consume->consumer, HMQ_DEFAULT, NULL);
    free(v->consume);
}

const struct via_role via_role_consume = {via_consume_open, via_consume_begin, via_consume_goes_on, via_consume_close};
