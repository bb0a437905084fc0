/*
 * stream.c: the life of a stream: opened, closed, ended, pumped (stream.h has the picture).
 *
 * Everything that may let a stream go on (credit, an entry that came back, news, a timer, output that was
 * flushed) only touches its connection. What the stream then does is decided in one place, its pump, when the
 * connection is settled.
 *
 * To add a kind of stream: a struct stream_kind, and a function that opens it with stream_new.
 */
#include "broker/serve/stream.h"

#include <stdlib.h>

#include "broker/net/conn_room.h"
#include "broker/serve/session.h"
#include "broker/serve/stream_out.h"

#define STREAM_COST ((size_t)KIB(2)) /* what a connection is charged with for a stream and its parked TAKE */
#define STREAM_PARKED_MS INT64_C(86400000) /* a wait needs a deadline; the stream looks again then */

static void stream_woken(struct waiter *w, void *arg)
{
    (void)arg;
    struct stream *s = w->owner;
    s->kind->woken(s);
}

/* The deadline of its wait is not the client's: it looks again. */
static void stream_expired(struct waiter *w, void *arg)
{
    (void)arg;
    waiter_wake(w);
}

static const struct waiter_ops stream_waits = {.woken = stream_woken, .expired = stream_expired};

/* ---- beginning and end ---- */

static void stream_retry_fires(struct timer *t, void *arg)
{
    (void)arg;
    conn_touch(((struct stream *)((char *)t - offsetof(struct stream, retry)))->conn);
}

struct stream *stream_new(struct conn *c, const struct stream_kind *kind, const struct command *cmd, int64_t credit)
{
    struct stream *s = calloc(1, sizeof *s + command_clone_size(cmd));
    if (!s)
        return NULL;
    struct session *mine = session_of(c);
    command_clone(cmd, s->mem, &s->cmd);
    s->conn = c;
    s->kind = kind;
    s->id = ++mine->last_stream;
    s->refs = 1;
    s->credit = credit;
    s->retry.fire = stream_retry_fires;
    s->next = mine->streams;
    mine->streams = s;
    mine->n_streams++;
    conn_keep(c, STREAM_COST);
    conn_need(c, CONN_PUMPS, true);
    counters_add(&c->loop->counters, COUNTER_STREAMS, 1);
    return s;
}

struct stream *stream_find(struct conn *c, uint64_t id)
{
    struct stream *s = session_of(c)->streams;
    while (s && !(s->id == id && s->answered))
        s = s->next;
    return s;
}

void stream_owes(struct stream *s, bool owes)
{
    uint32_t *owed = &s->conn->loop->gather.owed;
    *owed = *owed + owes - s->owes;
    s->owes = owes;
}

void streams_acked(struct conn *c)
{
    for (struct stream *s = session_of(c)->streams; s; s = s->next)
        stream_owes(s, false);
}

void stream_close(struct stream *s)
{
    struct conn *c = s->conn;
    stream_owes(s, false);
    struct session *mine = session_of(c);
    struct stream **at = &mine->streams;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    mine->n_streams--;
    conn_keep_no_more(c, STREAM_COST);
    conn_need(c, CONN_PUMPS, mine->n_streams > 0);
    counters_sub(&c->loop->counters, COUNTER_STREAMS, 1);
    timer_clear(&c->loop->timers, &s->retry);
    if (s->wait)
        waiter_free(s->wait, false);
    s->wait = NULL;
    s->conn = NULL;
    stream_unref(s);
}

void streams_close(struct conn *c)
{
    while (session_of(c)->streams)
        stream_close(session_of(c)->streams);
}

void stream_end(struct stream *s, enum status why, const char *text)
{
    struct conn *c = s->conn;
    if (!s->answered)
        conn_refuse(c, s->opening, why, text);
    else
        stream_push_end(s, why, slice_str(text));
    stream_close(s);
    conn_touch(c);
}

void stream_retry_later(struct stream *s, int64_t delay_ms)
{
    s->flowing = false;
    if (timer_set(&s->conn->loop->timers, &s->retry, timers_now() + delay_ms) != ST_OK)
        stream_end(s, ST_BUSY, "no memory to continue the stream: open it again");
}

void stream_add_credit(struct stream *s, int64_t n)
{
    s->credit = n > s->kind->credit_max - s->credit ? s->kind->credit_max : s->credit + n;
    conn_touch(s->conn);
}

bool stream_output_failed(struct conn *c)
{
    if (c->out.failed)
        conn_cut(c, "closing a connection: no memory for its stream");
    return conn_is_doomed(c);
}

bool stream_room_is_small(const struct conn *c)
{
    return conn_memory_is_short(c) && !c->reply_lane;
}

static bool stream_conn_has_room(const struct conn *c)
{
    return stream_room_is_small(c) ? conn_is_read(c) : conn_unsent(c) < OUT_SOFT_MAX;
}

bool stream_has_room(struct stream *s)
{
    s->choked = !stream_conn_has_room(s->conn);
    if (s->choked && conn_memory_is_short(s->conn))
        conn_await_room(s->conn, 0);
    return !s->choked;
}

bool stream_has_room_for(struct stream *s, size_t part_bytes)
{
    s->choked = stream_room_is_small(s->conn) && part_bytes > SHORT_REPLY_BYTES_MAX && !conn_takes_reply_lane(s->conn);
    return !s->choked;
}

void stream_limit_parts(const struct stream *s, struct view *v)
{
    view_limit_replies(v, stream_room_is_small(s->conn) ? SHORT_REPLY_BYTES : s->conn->loop->reply_most);
}

int64_t stream_credit_max(const struct stream *s)
{
    return s->kind->credit_max;
}

bool stream_park(struct stream *s, struct entry *e, uint64_t key, int64_t retry_ms)
{
    struct waiters *ws = &serve_of(s->conn->loop)->waiters;
    s->wait = waiter_park(ws, &stream_waits, e, key, timers_now() + STREAM_PARKED_MS, retry_ms);
    if (s->wait)
        s->wait->owner = s;
    return s->wait != NULL;
}

/* ---- all of a connection ---- */

void streams_pump(struct conn *c)
{
    for (struct stream *s = session_of(c)->streams, *next; s && !conn_is_doomed(c); s = next) {
        next = s->next;
        s->choked = false;
        s->kind->pump(s);
    }
}

bool streams_have_room(const struct conn *c)
{
    const struct stream *s = ((const struct session *)(const void *)c->session)->streams;
    while (s && !s->choked)
        s = s->next;
    return s && stream_conn_has_room(c);
}
