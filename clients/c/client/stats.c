/* stats.c: collects the statistics of a client and its roles; see stats.h. */
#include "clients/c/client/stats.h"

#include <inttypes.h>
#include <string.h>

#include "clients/c/client/client_inner.h"
#include "clients/c/wire/sized.h"

#define N_OF(table) (sizeof(table) / sizeof *(table))

static const struct stats_field stats_fields[] = {
    STATS_FIELD(hmq_client_stats, connects),         STATS_FIELD(hmq_client_stats, requests),
    STATS_FIELD(hmq_client_stats, resent),           STATS_FIELD(hmq_client_stats, responses),
    STATS_FIELD(hmq_client_stats, checks),           STATS_FIELD(hmq_client_stats, bytes_out),
    STATS_FIELD(hmq_client_stats, bytes_in),         STATS_FIELD(hmq_client_stats, pending),
    STATS_FIELD(hmq_client_stats, pending_bytes),    STATS_FIELD(hmq_client_stats, disconnects),
    STATS_FIELD(hmq_client_stats, connect_failures), STATS_FIELD(hmq_client_stats, unknown),
};

static const char *const stats_kinds[STATS_KINDS] = {
    [STATS_PRODUCER] = "producers", [STATS_TXN_PRODUCER] = "txn_producers", [STATS_CONSUMER] = "consumers",
    [STATS_READER] = "readers", [STATS_SUBSCRIPTION] = "subscriptions"};

void stats_add(struct hmq_client *c, struct stats_source *s)
{
    pthread_mutex_lock(&c->stats_lock);
    LIST_INSERT_HEAD(&c->stats_sources, s, link);
    pthread_mutex_unlock(&c->stats_lock);
}

void stats_remove(struct hmq_client *c, struct stats_source *s)
{
    pthread_mutex_lock(&c->stats_lock);
    LIST_REMOVE(s, link);
    pthread_mutex_unlock(&c->stats_lock);
}

static void stats_put_one(struct buf *to, const void *structure, const struct stats_field *field, const char *end)
{
    uint64_t value;
    memcpy(&value, (const char *)structure + field->offset, sizeof value);
    buf_printf(to, "\"%s\": %" PRIu64 "%s", field->name, value, end);
}

void stats_put(struct buf *to, const void *structure, const struct stats_field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++)
        stats_put_one(to, structure, &fields[i], ", ");
}

void stats_put_last(struct buf *to, const void *structure, const struct stats_field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++)
        stats_put_one(to, structure, &fields[i], i + 1 < n ? ", " : "");
}

void stats_put_text(struct buf *to, const char *name, const char *text)
{
    buf_printf(to, "\"%s\": \"", name);
    for (; *text; text++)
        buf_put_u8(to, *text < 0x20 || *text > 0x7e || *text == '"' || *text == '\\' ? '?' : (uint8_t)*text);
    buf_put_str(to, "\", ");
}

void stats_put_latency(struct buf *to, const struct latencies *l)
{
    hmq_latency s = latency_summary(l);
    const char *comma = "";
    buf_printf(to,
               "\"latency_us\": {\"count\": %" PRIu64 ", \"sum\": %" PRIu64 ", \"max\": %" PRIu64 ", \"p50\": %" PRIu64
               ", \"p90\": %" PRIu64 ", \"p99\": %" PRIu64 ", \"p999\": %" PRIu64 ", \"slots\": [",
               s.count, s.sum_us, s.max_us, s.p50_us, s.p90_us, s.p99_us, s.p999_us);
    for (size_t i = 0; i < LATENCY_SLOTS; i++) {
        if (l->counts[i] == 0)
            continue;
        buf_printf(to, "%s[%" PRIu64 ", %" PRIu64 "]", comma, latency_highest(i), l->counts[i]);
        comma = ", ";
    }
    buf_put_str(to, "]}");
}

static void stats_read(struct hmq_client *c, hmq_client_stats *s, struct latencies *ret_latency)
{
    pthread_mutex_lock(&c->lock);
    *s = (hmq_client_stats){.size = sizeof *s,
                            .connected = c->line != LINE_DOWN,
                            .connects = c->connects,
                            .requests = c->core.requests,
                            .resent = c->core.resent,
                            .responses = c->core.responses,
                            .checks = c->checks,
                            .bytes_out = c->bytes_out,
                            .bytes_in = c->bytes_in,
                            .pending = c->core.pending,
                            .pending_bytes = c->core.pending_bytes,
                            .disconnects = c->disconnects,
                            .connect_failures = c->connect_failures,
                            .unknown = c->core.unknown};
    *ret_latency = c->latency;
    pthread_mutex_unlock(&c->lock);
    s->latency = latency_summary(ret_latency);
}

enum hmq_status hmq_client_stats_get(hmq_client *c, hmq_client_stats *stats)
{
    hmq_client_stats s;
    struct latencies latency;
    stats_read(c, &s, &latency);
    return sized_write(stats, &s, sizeof s, offsetof(hmq_client_stats, connects)) ? HMQ_OK : HMQ_EINVAL;
}

static void stats_put_sources(struct hmq_client *c, enum stats_kind kind, struct buf *to)
{
    const char *comma = "";
    buf_printf(to, ", \"%s\": [", stats_kinds[kind]);
    for (struct stats_source *s = LIST_FIRST(&c->stats_sources); s; s = LIST_NEXT(s, link)) {
        if (s->kind != kind)
            continue;
        buf_printf(to, "%s{", comma);
        s->write(s, to);
        buf_put_str(to, "}");
        comma = ", ";
    }
    buf_put_str(to, "]");
}

size_t hmq_client_stats_json(hmq_client *c, char *out, size_t size)
{
    hmq_client_stats s;
    struct latencies latency;
    struct buf b;
    buf_init(&b, 0);
    stats_read(c, &s, &latency);
    buf_printf(&b, "{\"version\": \"%s\", \"connected\": %s, ", hmq_version(), s.connected ? "true" : "false");
    stats_put(&b, &s, stats_fields, N_OF(stats_fields));
    stats_put_latency(&b, &latency);
    pthread_mutex_lock(&c->stats_lock);
    for (enum stats_kind kind = 0; kind < STATS_KINDS; kind++)
        stats_put_sources(c, kind, &b);
    pthread_mutex_unlock(&c->stats_lock);
    buf_put_str(&b, "}");
    size_t len = b.failed ? 0 : b.len;
    if (size > 0) {
        size_t n = len < size ? len : size - 1;
        if (n > 0)
            memcpy(out, b.data, n);
        out[n] = '\0';
    }
    buf_free(&b);
    return len;
}
