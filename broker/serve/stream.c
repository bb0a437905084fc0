/*
 * stream.c: the life of a stream (stream.h has the picture).
 *
 * Everything that may let a stream go on - credit, an entry that came back, news, a timer, output that was
 * flushed - only touches its connection; what it then does is decided in one place, the pump, when the
 * connection is settled.
 */
#include "broker/serve/stream.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/serve/dispatch.h"
#include "broker/net/loop_inner.h"

#define TAKES_MAX 16 /* of one stream in the journal */
#define TAKE_RETRY_MS 50 /* the journal was full */
#define REFUSED_RETRY_MS 1000 /* BUSY, DISKFULL and their like: only time helps */
#define PARKED_MS INT64_C(86400000) /* a wait needs a deadline; at the end of it the stream looks again */

static void taken(struct journal_client *owner, struct entry *e);

static bool is_group(const struct stream *s)
{
    return s->cmd.info->id != CMD_READ;
}

static void retry_fires(struct timer *t, void *arg)
{
    (void)arg;
    conn_touch(((struct stream *)((char *)t - offsetof(struct stream, retry)))->conn);
}

/* ---- beginning and end ---- */

struct stream *stream_new(struct conn *c, const struct command *cmd, int64_t credit)
{
    struct stream *s = calloc(1, sizeof *s + command_clone_size(cmd));
    if (!s)
        return NULL;
    command_clone(cmd, s->mem, &s->cmd);
    s->conn = c;
    s->id = ++c->last_stream;
    s->refs = 1;
    s->credit = credit;
    s->retry.fire = retry_fires;
    s->next = c->streams;
    c->streams = s;
    c->n_streams++;
    counters_add(&c->loop->counters, COUNTER_STREAMS, 1);
    return s;
}

void stream_unref(struct stream *s)
{
    assert(s->refs > 0);
    if (--s->refs == 0)
        free(s);
}

struct stream *stream_find(struct conn *c, uint64_t id)
{
    struct stream *s = c->streams;
    while (s && !(s->id == id && s->answered))
        s = s->next;
    return s;
}

void stream_close(struct stream *s)
{
    struct conn *c = s->conn;
    struct stream **at = &c->streams;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    c->n_streams--;
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
    while (c->streams)
        stream_close(c->streams);
}

void streams_drop(struct conn *c)
{
    streams_close(c);
    marks_release(c);
}

/* By itself; the client is told why, by an answer while it does not know the id yet. */
static void end(struct stream *s, enum status why, const char *text)
{
    struct conn *c = s->conn;
    if (!s->answered)
        conn_refuse(c, s->opening, why, text);
    else
        stream_push_end(s, why, slice_str(text));
    stream_close(s);
    conn_touch(c);
}

static void retry_later(struct stream *s, int64_t delay_ms)
{
    s->flowing = false;
    if (timer_set(&s->conn->loop->timers, &s->retry, timers_now() + delay_ms) != ST_OK)
        end(s, ST_BUSY, "no memory to go on with the stream: open it again");
}

void stream_add_credit(struct stream *s, int64_t n)
{
    int64_t most = is_group(s) ? STREAM_MESSAGES_MAX : STREAM_BYTES_MAX;
    s->credit = n > most - s->credit ? most : s->credit + n;
    conn_touch(s->conn);
}

/* The output failed: nothing that is said to this client can be relied upon any more. */
static bool output_failed(struct conn *c)
{
    if (c->out.failed)
        conn_cut(c, "client cut: no room for its stream");
    return c->doomed;
}

static bool has_room(struct stream *s)
{
    s->choked = conn_unsent(s->conn) >= OUT_SOFT_MAX;
    return !s->choked;
}

/* ---- asking for a group's messages ---- */

static int64_t next_count(const struct stream *s)
{
    int64_t n = s->credit - s->asked;
    return n < COUNT_MAX ? n : COUNT_MAX;
}

/* Submits e. False: the journal is full; the entry stays the caller's. */
static bool submit(struct stream *s, struct entry *e)
{
    struct loop *l = s->conn->loop;
    int64_t n = next_count(s);
    assert(e->cmd.opt[0].id == OPT_ID_COUNT && n > 0);
    e->cmd.opt[0].n = n;
    e->owner = &l->client;
    e->done = taken;
    e->arg = s;
    if (!loop_submit(l, e))
        return false;
    s->refs++;
    s->takes++;
    s->asked += n;
    return true;
}

static bool take(struct stream *s)
{
    struct entry *e = entry_new(&s->conn->loop->entries, &s->cmd);
    if (e && submit(s, e))
        return true;
    entry_free(e);
    return false;
}

bool stream_begin(struct stream *s, struct request rq)
{
    s->opening = rq;
    bool begun = take(s);
    s->cmd.info = command_info(CMD_TAKE); /* a group that is deleted later is not made again */
    return begun;
}

/* May another TAKE go out? The first one always; more while the last brought all it asked for, as long as
 * the output has room for what they are likely to bring. */
static bool may_take(struct stream *s)
{
    if (!s->answered || s->wait || timer_is_set(&s->retry) || next_count(s) <= 0 || !has_room(s))
        return false;
    if (s->takes == 0)
        return true;
    uint64_t expected = conn_unsent(s->conn) + (uint64_t)s->asked * s->each;
    return s->flowing && s->takes < TAKES_MAX && expected < OUT_SOFT_MAX;
}

static void pump_group(struct stream *s)
{
    while (may_take(s)) {
        if (!take(s)) {
            retry_later(s, TAKE_RETRY_MS);
            return;
        }
    }
}

/* ---- what came back ---- */

/* What a portion came to. */
struct portion {
    struct stream *stream;
    uint64_t messages, bytes;
    bool damaged;
};

static bool push_granted(void *arg, const struct part *p)
{
    struct portion *sum = arg;
    size_t bytes = 0;
    sum->damaged = !stream_push(sum->stream, p, &bytes);
    if (sum->damaged)
        return false;
    sum->messages += p->n_granted;
    sum->bytes += bytes;
    return true;
}

/* Messages that were pushed have their marks: whatever else fails here, only those are given back, and the
 * leases of the others end by themselves. Nobody's lease is ever given back twice. */
static void hand_out(struct stream *s, const struct entry *e)
{
    struct conn *c = s->conn;
    struct portion sum = {.stream = s};
    struct view *v = loop_view(c->loop);
    if (!v) {
        dispatch_release(c->loop, e);
        retry_later(s, REFUSED_RETRY_MS);
        return;
    }
    enum status st = query_grant_parts(v, &e->out, push_granted, &sum);
    s->credit -= (int64_t)sum.messages;
    s->flowing = sum.messages > 0 && (int64_t)sum.messages >= e->cmd.opt[0].n;
    s->each = sum.messages ? sum.bytes / sum.messages + 1 : 0;
    if (output_failed(c))
        return;
    if (st != ST_OK || sum.damaged)
        end(s, ST_ERR, "the store cannot be read: see the broker's log");
}

static struct waiter *park(struct stream *s, struct entry *e, uint64_t key, int64_t retry_ms)
{
    struct waiters *ws = &s->conn->loop->waiters;
    s->wait = waiter_park(ws, e, key, timers_now() + PARKED_MS, retry_ms);
    if (s->wait)
        s->wait->stream = s;
    return s->wait;
}

/* Nothing is ready: the entry is parked with the stream's waiter, which keeps its place among the POPs. */
static void found_nothing(struct stream *s, struct entry *e)
{
    struct loop *l = s->conn->loop;
    int64_t retry_ms = dispatch_retry_ms(l, e);
    s->flowing = false;
    if (s->takes > 0) { /* the last one of them parks */
        entry_free(e);
        return;
    }
    e->cmd.info = s->cmd.info;
    bool parked = s->wait ? waiter_park_again(s->wait, e, retry_ms) == ST_OK
                          : park(s, e, 0, retry_ms) != NULL;
    if (!parked) {
        entry_free(e);
        retry_later(s, REFUSED_RETRY_MS);
    } else if (waiters_missed(&l->waiters, e)) {
        waiter_wake(s->wait);
    }
}

static void refused(struct stream *s, struct entry *e)
{
    enum status why = e->fate;
    struct token t = {.bytes = slice_of(NULL, 0)};
    struct cursor c = cursor_of(buf_slice(&e->out.reply));
    if (why == ST_OK && reply_next(&c, &t))
        why = t.status;
    if (s->answered && status_retryable(why)) {
        retry_later(s, REFUSED_RETRY_MS);
        return;
    }
    char text[256];
    size_t n = t.bytes.len < sizeof text - 1 ? t.bytes.len : sizeof text - 1;
    if (n)
        memcpy(text, t.bytes.data, n);
    text[n] = '\0';
    end(s, why, n ? text : status_text(why));
}

/* The client learns the id with the first answer of the journal. */
static void tell_id(struct stream *s)
{
    struct buf *r = loop_reply(s->conn->loop);
    reply_int(r, (int64_t)s->id);
    s->answered = true;
    conn_answer(s->conn, s->opening, buf_slice(r));
}

static void found(struct stream *s, struct entry *e)
{
    struct conn *c = s->conn;
    struct loop *l = c->loop;
    bool waited = s->wait != NULL;
    if (waited)
        waiter_free(s->wait, true);
    s->wait = NULL;
    /* Who closed while it waited is handed nothing; the look at the socket may end the stream. */
    if (c->doomed || (waited && conn_has_closed(c)))
        dispatch_release(l, e);
    else
        hand_out(s, e);
    entry_free(e);
}

/* A POP or TAKE is back from the journal. */
static void taken(struct journal_client *owner, struct entry *e)
{
    struct stream *s = e->arg;
    s->takes--;
    s->asked -= e->cmd.opt[0].n;
    bool failed = e->fate != ST_OK || reply_is_error(buf_slice(&e->out.reply), NULL);
    bool nothing = failed || e->out.nothing;
    if (!s->conn) {
        if (!nothing)
            dispatch_release(loop_of(owner), e);
        entry_free(e);
        stream_unref(s);
        return;
    }
    struct conn *c = s->conn;
    if (failed) {
        if (s->wait)
            waiter_free(s->wait, false);
        s->wait = NULL;
        refused(s, e);
        entry_free(e);
    } else {
        if (!s->answered)
            tell_id(s);
        if (nothing)
            found_nothing(s, e);
        else
            found(s, e);
    }
    stream_unref(s);
    conn_touch(c);
}

/* ---- reading a queue ---- */

static bool push_read(void *arg, const struct part *p)
{
    struct portion *sum = arg;
    struct stream *s = sum->stream;
    size_t bytes = 0;
    sum->damaged = !stream_push(s, p, &bytes);
    if (sum->damaged)
        return false;
    s->credit -= (int64_t)bytes;
    return has_room(s) && s->credit > 0;
}

/* In the callback that opened the view: news that it has not seen is still to come. */
static void park_reader(struct stream *s)
{
    struct entry *e = entry_new(&s->conn->loop->entries, &s->cmd);
    uint64_t key = news_key(NEWS_TOPIC, s->reader.topic, slice_of(NULL, 0));
    if (e && park(s, e, key, 0))
        return;
    entry_free(e);
    retry_later(s, REFUSED_RETRY_MS);
}

static void pump_queue(struct stream *s)
{
    struct conn *c = s->conn;
    struct portion sum = {.stream = s};
    bool at_end = false;
    if (s->wait || timer_is_set(&s->retry) || s->credit <= 0 || !has_room(s))
        return;
    struct view *v = loop_view(c->loop);
    enum status st = v ? reader_parts(&s->reader, v, push_read, &sum, &at_end) : ST_NOMEM;
    if (output_failed(c))
        return;
    if (st == ST_NOMEM)
        retry_later(s, REFUSED_RETRY_MS);
    else if (st == ST_NOTOPIC)
        end(s, ST_NOTOPIC, "the topic was deleted");
    else if (st != ST_OK || sum.damaged)
        end(s, ST_ERR, "the store cannot be read: see the broker's log");
    else if (at_end)
        park_reader(s);
}

/* ---- all of a connection ---- */

void streams_pump(struct conn *c)
{
    for (struct stream *s = c->streams, *next; s && !c->doomed; s = next) {
        next = s->next;
        s->choked = false;
        if (is_group(s))
            pump_group(s);
        else
            pump_queue(s);
    }
}

bool streams_have_room(const struct conn *c)
{
    const struct stream *s = c->streams;
    while (s && !s->choked)
        s = s->next;
    return s && conn_unsent(c) < OUT_SOFT_MAX;
}

/* ---- woken ---- */

/* It cannot take its turn now: the next in line has it. */
static void pass(struct stream *s, struct waiter *w)
{
    s->wait = NULL;
    waiter_free(w, false);
    conn_touch(s->conn);
}

void stream_wake(struct waiter *w)
{
    struct stream *s = w->stream;
    struct conn *c = s->conn;
    if (!is_group(s)) {
        s->wait = NULL;
        waiter_free(w, true);
        conn_touch(c);
        return;
    }
    if (c->doomed || next_count(s) <= 0 || !has_room(s)) {
        pass(s, w);
        return;
    }
    struct entry *e = w->entry;
    w->entry = NULL;
    entry_again(e);
    if (submit(s, e))
        return;
    if (waiter_park_again(w, e, timers_now() + TAKE_RETRY_MS) == ST_OK)
        return;
    entry_free(e);
    pass(s, w);
}
