/* stream_out.c: see stream_out.h. */
#include "broker/serve/stream_out.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/serve/dispatch.h"
#include "broker/base/log.h"
#include "broker/net/loop_inner.h"
#include "broker/serve/stream.h"
#include "protocol/base/text.h"

#define RELEASE_RECEIPTS 1000 /* one command */

/* ---- marks ---- */

static enum status marks_grow(struct marks *ms)
{
    uint32_t size = ms->size ? ms->size * 2 : 64;
    struct mark *m = malloc(size * sizeof *m);
    if (!m)
        return ST_NOMEM;
    for (uint32_t i = 0; i < ms->n; i++)
        m[i] = ms->m[(ms->first + i) % ms->size];
    free(ms->m);
    *ms = (struct marks){.m = m, .n = ms->n, .size = size};
    return ST_OK;
}

static enum status mark_add(struct conn *c, struct mark mark)
{
    struct marks *ms = &c->marks;
    if (ms->n == ms->size && marks_grow(ms) != ST_OK)
        return ST_NOMEM;
    ms->m[(ms->first + ms->n++) % ms->size] = mark;
    mark.stream->refs++;
    return ST_OK;
}

static void mark_drop_first(struct marks *ms)
{
    stream_unref(ms->m[ms->first].stream);
    ms->first = (ms->first + 1) % ms->size;
    ms->n--;
}

void marks_sent(struct conn *c)
{
    while (c->marks.n && c->marks.m[c->marks.first].end <= c->sent)
        mark_drop_first(&c->marks);
}

/* The first n marks, all of one stream, in one RELEASE. */
static void release_first(struct conn *c, uint32_t n)
{
    struct marks *ms = &c->marks;
    const struct command *cmd = &ms->m[ms->first].stream->cmd;
    struct slice receipts[RELEASE_RECEIPTS];
    struct buf text;
    buf_init(&text, 0);
    for (uint32_t i = 0; i < n; i++) {
        const struct mark *m = &ms->m[(ms->first + i) % ms->size];
        size_t before = text.len;
        text_put_receipt_range(&text, cmd->rest[m->topic], m->queue, m->first, m->last, m->attempt);
        receipts[i] = slice_of(NULL, text.len - before);
    }
    const uint8_t *at = text.data;
    for (uint32_t i = 0; i < n; i++) {
        receipts[i].data = at;
        at += receipts[i].len;
    }
    if (!text.failed)
        dispatch_give_back(c->loop, cmd->pos[0], receipts, n);
    buf_free(&text);
    for (uint32_t i = 0; i < n; i++)
        mark_drop_first(ms);
}

void marks_release(struct conn *c)
{
    struct marks *ms = &c->marks;
    while (ms->n) {
        uint32_t n = 1;
        while (n < ms->n && n < RELEASE_RECEIPTS &&
               ms->m[(ms->first + n) % ms->size].stream == ms->m[ms->first].stream)
            n++;
        release_first(c, n);
    }
}

static bool is_granted(const struct part *p, uint32_t i)
{
    return !p->bits || (p->bits[i / 64] >> (i % 64)) & 1;
}

static uint32_t topic_place(const struct stream *s, struct slice topic)
{
    uint32_t i = 0;
    while (!slice_equal(s->cmd.rest[i], topic)) {
        i++;
        assert(i < s->cmd.n_rest);
    }
    return i;
}

/* One mark for each stretch without a gap. */
static enum status mark_part(struct stream *s, const struct part *p)
{
    struct conn *c = s->conn;
    struct mark mark = {.end = c->sent + conn_unsent(c),
                        .stream = s,
                        .topic = topic_place(s, p->grant->topic),
                        .queue = p->grant->queue,
                        .attempt = p->grant->attempt};
    uint64_t base = p->h->base + p->from;
    for (uint32_t i = 0, first; i < p->n; i++) {
        if (!is_granted(p, i))
            continue;
        for (first = i; i + 1 < p->n && is_granted(p, i + 1); i++)
            ;
        mark.first = base + first;
        mark.last = base + i;
        if (mark_add(c, mark) != ST_OK)
            return ST_NOMEM;
    }
    return ST_OK;
}

/* ---- notifications ---- */

static void put_key_uint(struct buf *out, const char *key, uint64_t v)
{
    rpc_put_str(out, slice_str(key));
    rpc_put_uint(out, v);
}

static void put_lease(struct buf *out, const struct part *p)
{
    put_key_uint(out, "attempt", p->grant->attempt);
    put_key_uint(out, "lease_until", (uint64_t)p->grant->lease_until_ms);
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
    size_t before = out->len, size = record_cut_size(p->record, p->h, p->from, p->n);
    rpc_put_notify(out, "records");
    rpc_put_list(out, 1);
    rpc_put_map(out, 4 + (p->grant ? 2u : 0u) + (p->bits ? 1u : 0u));
    put_key_uint(out, "stream", s->id);
    rpc_put_str(out, SLICE_LIT("topic"));
    rpc_put_str(out, p->grant ? p->grant->topic : s->reader.topic);
    put_key_uint(out, "queue", p->grant ? p->grant->queue : s->reader.queue);
    if (p->grant)
        put_lease(out, p);
    rpc_put_str(out, SLICE_LIT("record"));
    rpc_put_bin_head(out, size);
    if (record_cut(p->record, p->h, p->from, p->n, out) != ST_OK) {
        out->len = before;
        return false;
    }
    if (out->failed || (p->grant && mark_part(s, p) != ST_OK)) {
        out->failed = true;
        return false;
    }
    counters_add(&c->loop->counters, COUNTER_MESSAGES_OUT, p->grant ? p->n_granted : 0);
    counters_add(&c->loop->counters, COUNTER_BYTES_OUT, p->grant ? size : 0);
    *ret_bytes = size;
    return true;
}

void stream_push_end(struct stream *s, enum status why, struct slice text)
{
    struct buf *out = conn_out(s->conn);
    rpc_put_notify(out, "stream_end");
    rpc_put_list(out, 1);
    rpc_put_map(out, 2);
    put_key_uint(out, "stream", s->id);
    rpc_put_str(out, SLICE_LIT("error"));
    rpc_put_list(out, 2);
    rpc_put_str(out, slice_str(status_code(why)));
    rpc_put_str(out, text);
}
