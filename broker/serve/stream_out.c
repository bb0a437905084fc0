/*
 * stream_out.c: `records` and `stream_end`, appended to the connection's output, and a mark for each stretch of
 * leased messages in it.
 */
#include "broker/serve/stream_out.h"

#include "broker/serve/session.h"
#include "protocol/base/bits.h"
#include "protocol/rpc/rpc.h"

/* The first message of the part, from i on, that was granted, or was not; its n: there is none. */
static uint32_t stream_next_granted(const struct part *p, uint32_t i, bool granted)
{
    if (!p->bits)
        return granted ? i : p->n;
    return bits_next(p->bits, p->n, i, granted);
}

/* Behind the last one: it is the topic of redriven messages. */
static uint32_t stream_topic_place(const struct stream *s, struct slice topic)
{
    uint32_t i = 0;
    while (i < s->cmd.n_rest && !slice_equal(s->cmd.rest[i], topic))
        i++;
    return i;
}

/* Adds a mark for each run of neighbouring offsets. */
static enum status stream_mark_part(struct stream *s, const struct part *p)
{
    struct conn *c = s->conn;
    struct mark mark = {.end = c->sent + conn_unsent(c),
                        .stream = s,
                        .topic = stream_topic_place(s, p->grant->topic),
                        .queue = p->grant->queue,
                        .attempt = p->grant->attempt,
                        .popped_ms = s->popped_ms};
    uint64_t base = p->h->base + p->from;
    for (uint32_t i = stream_next_granted(p, 0, true), end; i < p->n; i = stream_next_granted(p, end, true)) {
        end = stream_next_granted(p, i, false);
        mark.first = base + i;
        mark.last = base + end - 1;
        if (marks_add(&session_of(c)->marks, mark) != ST_OK)
            return ST_NOMEM;
    }
    session_charge(c);
    conn_need(c, CONN_COUNTS_SENT, true);
    return ST_OK;
}

/* ---- notifications ---- */

static void stream_put_key_uint(struct buf *out, const char *key, uint64_t v)
{
    rpc_put_str(out, slice_str(key));
    rpc_put_uint(out, v);
}

static void stream_put_lease(struct buf *out, const struct part *p)
{
    stream_put_key_uint(out, "attempt", p->grant->attempt);
    stream_put_key_uint(out, "lease_until", (uint64_t)p->grant->lease_until_ms);
    if (!p->bits)
        return;
    uint32_t words = (p->n + 63) / 64;
    rpc_put_str(out, SLICE_LIT("bits"));
    rpc_put_bin_head(out, words * sizeof(uint64_t));
    for (uint32_t i = 0; i < words; i++)
        buf_put_u64(out, p->bits[i]);
}

bool stream_push(struct stream *s, const struct part *p, size_t *ret_bytes)
{
    struct conn *c = s->conn;
    struct buf *out = conn_out(c);
    size_t before = out->len;
    size_t size = p->bits ? record_cut_some_size(p->record, p->h, p->from, p->n, p->bits)
                          : record_cut_size(p->record, p->h, p->from, p->n);
    rpc_put_notify(out, "records");
    rpc_put_list(out, 1);
    rpc_put_map(out, 4 + (p->grant ? 2u : 0u) + (p->bits ? 1u : 0u));
    stream_put_key_uint(out, "stream", s->id);
    rpc_put_str(out, SLICE_LIT("topic"));
    rpc_put_str(out, p->grant ? p->grant->topic : s->reader.topic);
    stream_put_key_uint(out, "queue", p->grant ? p->grant->queue : s->reader.queue);
    if (p->grant)
        stream_put_lease(out, p);
    rpc_put_str(out, SLICE_LIT("record"));
    rpc_put_bin_head(out, size);
    enum status cut = p->bits ? record_cut_some(p->record, p->h, p->from, p->n, p->bits, out)
                              : record_cut(p->record, p->h, p->from, p->n, out);
    if (cut != ST_OK) {
        out->len = before;
        return false;
    }
    if (out->failed || (p->grant && stream_mark_part(s, p) != ST_OK)) {
        out->failed = true;
        return false;
    }
    counters_add(&c->loop->counters, COUNTER_MESSAGES_OUT, p->grant ? p->n_granted : 0);
    counters_add(&c->loop->counters, COUNTER_BYTES_OUT, p->grant ? size : 0);
    conn_grew(c);
    *ret_bytes = size;
    return true;
}

void stream_push_end(struct stream *s, enum status why, struct slice text)
{
    struct buf *out = conn_out(s->conn);
    rpc_put_notify(out, "stream_end");
    rpc_put_list(out, 1);
    rpc_put_map(out, 2);
    stream_put_key_uint(out, "stream", s->id);
    rpc_put_str(out, SLICE_LIT("error"));
    rpc_put_list(out, 2);
    rpc_put_str(out, slice_str(status_code(why)));
    rpc_put_str(out, text);
    conn_grew(s->conn);
}
