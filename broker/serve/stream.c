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

#include "broker/serve/giveback.h"
#include "broker/serve/session.h"
#include "broker/serve/stream_inner.h"
#include "broker/serve/stream_out.h"
#include "protocol/base/reply.h"

#define TAKES_MAX 16 /* of one stream in the journal */
#define TAKE_RETRY_MS 50 /* the journal was full */
#define REFUSED_RETRY_MS 1000 /* BUSY, DISKFULL and their like: only time helps */
#define PARKED_MS INT64_C(86400000) /* a wait needs a deadline; at the end of it the stream looks again */

static void stream_taken(struct journal_client *owner, struct entry *e);
static void stream_woken(struct waiter *w, void *arg);
static void stream_expired(struct waiter *w, void *arg);

static const struct waiter_ops stream_waits = {.woken = stream_woken, .expired = stream_expired};

static bool stream_is_group(const struct stream *s)
{
    return s->cmd.info->id != CMD_READ;
}

static void stream_retry_fires(struct timer *t, void *arg)
{
    (void)arg;
    conn_touch(((struct stream *)((char *)t - offsetof(struct stream, retry)))->conn);
}

/* ---- beginning and end ---- */

static struct stream *stream_new(struct conn *c, const struct command *cmd, int64_t credit)
{
    struct stream *s = calloc(1, sizeof *s + command_clone_size(cmd));
    if (!s)
        return NULL;
    struct session *mine = session_of(c);
    command_clone(cmd, s->mem, &s->cmd);
    s->conn = c;
    s->id = ++mine->last_stream;
    s->refs = 1;
    s->credit = credit;
    s->retry.fire = stream_retry_fires;
    s->next = mine->streams;
    mine->streams = s;
    mine->n_streams++;
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

void stream_close(struct stream *s)
{
    struct conn *c = s->conn;
    struct session *mine = session_of(c);
    struct stream **at = &mine->streams;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    mine->n_streams--;
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

/* By itself; the client is told why, by an answer while it does not know the id yet. */
static void stream_end(struct stream *s, enum status why, const char *text)
{
    struct conn *c = s->conn;
    if (!s->answered)
        conn_refuse(c, s->opening, why, text);
    else
        stream_push_end(s, why, slice_str(text));
    stream_close(s);
    conn_touch(c);
}

static void stream_retry_later(struct stream *s, int64_t delay_ms)
{
    s->flowing = false;
    if (timer_set(&s->conn->loop->timers, &s->retry, timers_now() + delay_ms) != ST_OK)
        stream_end(s, ST_BUSY, "no memory to go on with the stream: open it again");
}

void stream_add_credit(struct stream *s, int64_t n)
{
    int64_t most = stream_is_group(s) ? STREAM_MESSAGES_MAX : STREAM_BYTES_MAX;
    s->credit = n > most - s->credit ? most : s->credit + n;
    conn_touch(s->conn);
}

/* The output failed: nothing that is said to this client can be relied upon any more. */
static bool stream_output_failed(struct conn *c)
{
    if (c->out.failed)
        conn_cut(c, "client cut: no room for its stream");
    return conn_is_doomed(c);
}

static bool stream_has_room(struct stream *s)
{
    s->choked = conn_unsent(s->conn) >= OUT_SOFT_MAX;
    return !s->choked;
}

/* ---- asking for a group's messages ---- */

static int64_t stream_next_count(const struct stream *s)
{
    int64_t n = s->credit - s->asked;
    return n < COUNT_MAX ? n : COUNT_MAX;
}

/* Submits e. False: the journal is full; the entry stays the caller's. */
static bool stream_submit(struct stream *s, struct entry *e)
{
    struct loop *l = s->conn->loop;
    int64_t n = stream_next_count(s);
    assert(e->cmd.opt[0].id == OPT_ID_COUNT && n > 0);
    e->cmd.opt[0].n = n;
    e->owner = &l->client;
    e->done = stream_taken;
    e->arg = s;
    if (!loop_submit(l, e))
        return false;
    s->refs++;
    s->takes++;
    s->asked += n;
    return true;
}

static bool stream_take(struct stream *s)
{
    struct entry *e = entry_new(&s->conn->loop->entries, &s->cmd);
    if (e && stream_submit(s, e))
        return true;
    entry_free(e);
    return false;
}

bool stream_open_group(struct conn *c, const struct command *pop, int64_t credit, struct request rq)
{
    struct stream *s = stream_new(c, pop, credit);
    if (!s)
        return false;
    s->opening = rq;
    bool begun = stream_take(s);
    s->cmd.info = command_info(CMD_TAKE); /* a group that is deleted later is not made again */
    if (!begun)
        stream_close(s);
    return begun;
}

/* May another TAKE go out? The first one always; more while the last brought all it asked for, as long as
 * the output has room for what they are likely to bring. */
static bool stream_may_take(struct stream *s)
{
    if (!s->answered || s->wait || timer_is_set(&s->retry) || stream_next_count(s) <= 0 || !stream_has_room(s))
        return false;
    if (s->takes == 0)
        return true;
    uint64_t expected = conn_unsent(s->conn) + (uint64_t)s->asked * s->each;
    return s->flowing && s->takes < TAKES_MAX && expected < OUT_SOFT_MAX;
}

static void stream_pump_group(struct stream *s)
{
    while (stream_may_take(s)) {
        if (!stream_take(s)) {
            stream_retry_later(s, TAKE_RETRY_MS);
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

static bool stream_push_granted(void *arg, const struct part *p)
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
static void stream_hand_out(struct stream *s, const struct entry *e)
{
    struct conn *c = s->conn;
    struct portion sum = {.stream = s};
    struct view *v = loop_view(c->loop);
    if (!v) {
        giveback_messages(c->loop, e);
        stream_retry_later(s, REFUSED_RETRY_MS);
        return;
    }
    enum status st = query_grant_parts(v, &e->out, stream_push_granted, &sum);
    s->credit -= (int64_t)sum.messages;
    s->flowing = sum.messages > 0 && (int64_t)sum.messages >= e->cmd.opt[0].n;
    s->each = sum.messages ? sum.bytes / sum.messages + 1 : 0;
    if (stream_output_failed(c))
        return;
    if (st != ST_OK || sum.damaged)
        stream_end(s, ST_ERR, "the store cannot be read: see the broker's log");
}

static struct waiter *stream_park(struct stream *s, struct entry *e, uint64_t key, int64_t retry_ms)
{
    struct waiters *ws = &serve_of(s->conn->loop)->waiters;
    s->wait = waiter_park(ws, &stream_waits, e, key, timers_now() + PARKED_MS, retry_ms);
    if (s->wait)
        s->wait->owner = s;
    return s->wait;
}

/* Nothing is ready: the entry is parked with the stream's waiter, which keeps its place among the POPs. */
static void stream_found_nothing(struct stream *s, struct entry *e)
{
    struct loop *l = s->conn->loop;
    int64_t retry_ms = waiter_retry_ms(l->env.journal, e);
    s->flowing = false;
    if (s->takes > 0) { /* the last one of them parks */
        entry_free(e);
        return;
    }
    e->cmd.info = s->cmd.info;
    bool parked = s->wait ? waiter_park_again(s->wait, e, retry_ms) == ST_OK
                          : stream_park(s, e, 0, retry_ms) != NULL;
    if (!parked) {
        entry_free(e);
        stream_retry_later(s, REFUSED_RETRY_MS);
    } else if (waiters_missed(&serve_of(l)->waiters, e)) {
        waiter_wake(s->wait);
    }
}

static void stream_refused(struct stream *s, struct entry *e)
{
    enum status why = e->fate;
    struct token t = {.bytes = slice_of(NULL, 0)};
    struct cursor c = cursor_of(buf_slice(&e->out.reply));
    if (why == ST_OK && reply_next(&c, &t))
        why = t.status;
    if (s->answered && status_retryable(why)) {
        stream_retry_later(s, REFUSED_RETRY_MS);
        return;
    }
    char text[256];
    size_t n = t.bytes.len < sizeof text - 1 ? t.bytes.len : sizeof text - 1;
    if (n)
        memcpy(text, t.bytes.data, n);
    text[n] = '\0';
    stream_end(s, why, n ? text : status_text(why));
}

/* The client learns the id with the first answer of the journal. */
static void stream_tell_id(struct stream *s)
{
    struct buf *r = loop_reply(s->conn->loop);
    reply_int(r, (int64_t)s->id);
    s->answered = true;
    conn_answer(s->conn, s->opening, buf_slice(r));
}

static void stream_found(struct stream *s, struct entry *e)
{
    struct conn *c = s->conn;
    struct loop *l = c->loop;
    bool waited = s->wait != NULL;
    if (waited)
        waiter_free(s->wait, true);
    s->wait = NULL;
    /* Who closed while it waited is handed nothing; the look at the socket may end the stream. */
    if (conn_is_doomed(c) || (waited && conn_has_closed(c)))
        giveback_messages(l, e);
    else
        stream_hand_out(s, e);
    entry_free(e);
}

/* A POP or TAKE is back from the journal. */
static void stream_taken(struct journal_client *owner, struct entry *e)
{
    struct stream *s = e->arg;
    s->takes--;
    s->asked -= e->cmd.opt[0].n;
    bool failed = e->fate != ST_OK || reply_is_error(buf_slice(&e->out.reply), NULL);
    bool nothing = failed || e->out.nothing;
    if (!s->conn) {
        if (!nothing)
            giveback_messages(loop_of(owner), e);
        entry_free(e);
        stream_unref(s);
        return;
    }
    struct conn *c = s->conn;
    if (failed) {
        if (s->wait)
            waiter_free(s->wait, false);
        s->wait = NULL;
        stream_refused(s, e);
        entry_free(e);
    } else {
        if (!s->answered)
            stream_tell_id(s);
        if (nothing)
            stream_found_nothing(s, e);
        else
            stream_found(s, e);
    }
    stream_unref(s);
    conn_touch(c);
}

/* ---- reading a queue ---- */

static bool stream_push_read(void *arg, const struct part *p)
{
    struct portion *sum = arg;
    struct stream *s = sum->stream;
    size_t bytes = 0;
    sum->damaged = !stream_push(s, p, &bytes);
    if (sum->damaged)
        return false;
    s->credit -= (int64_t)bytes;
    return stream_has_room(s) && s->credit > 0;
}

bool stream_open_queue(struct conn *c, const struct command *read, int64_t credit, const struct reader *reader,
                       uint64_t *ret_id)
{
    struct stream *s = stream_new(c, read, credit);
    if (!s)
        return false;
    s->reader = *reader;
    s->reader.topic = s->cmd.pos[0];
    s->answered = true;
    *ret_id = s->id;
    return true;
}

bool stream_is_queue(const struct stream *s)
{
    return !stream_is_group(s);
}

/* In the callback that opened the view: news that it has not seen is still to come. */
static void stream_park_reader(struct stream *s)
{
    struct entry *e = entry_new(&s->conn->loop->entries, &s->cmd);
    uint64_t key = news_key(NEWS_TOPIC, s->reader.topic, slice_of(NULL, 0));
    if (e && stream_park(s, e, key, 0))
        return;
    entry_free(e);
    stream_retry_later(s, REFUSED_RETRY_MS);
}

static void stream_pump_queue(struct stream *s)
{
    struct conn *c = s->conn;
    struct portion sum = {.stream = s};
    bool at_end = false;
    if (s->wait || timer_is_set(&s->retry) || s->credit <= 0 || !stream_has_room(s))
        return;
    struct view *v = loop_view(c->loop);
    enum status st = v ? reader_parts(&s->reader, v, stream_push_read, &sum, &at_end) : ST_NOMEM;
    if (stream_output_failed(c))
        return;
    if (st == ST_NOMEM)
        stream_retry_later(s, REFUSED_RETRY_MS);
    else if (st == ST_NOTOPIC)
        stream_end(s, ST_NOTOPIC, "the topic was deleted");
    else if (st != ST_OK || sum.damaged)
        stream_end(s, ST_ERR, "the store cannot be read: see the broker's log");
    else if (at_end)
        stream_park_reader(s);
}

/* ---- all of a connection ---- */

void streams_pump(struct conn *c)
{
    for (struct stream *s = session_of(c)->streams, *next; s && !conn_is_doomed(c); s = next) {
        next = s->next;
        s->choked = false;
        if (stream_is_group(s))
            stream_pump_group(s);
        else
            stream_pump_queue(s);
    }
}

bool streams_have_room(const struct conn *c)
{
    const struct stream *s = ((const struct session *)(const void *)c->session)->streams;
    while (s && !s->choked)
        s = s->next;
    return s && conn_unsent(c) < OUT_SOFT_MAX;
}

/* ---- woken ---- */

/* It cannot take its turn now: the next in line has it. */
static void stream_pass(struct stream *s, struct waiter *w)
{
    s->wait = NULL;
    waiter_free(w, false);
    conn_touch(s->conn);
}

static void stream_woken(struct waiter *w, void *arg)
{
    (void)arg;
    struct stream *s = w->owner;
    struct conn *c = s->conn;
    if (!stream_is_group(s)) {
        s->wait = NULL;
        waiter_free(w, true);
        conn_touch(c);
        return;
    }
    if (conn_is_doomed(c) || stream_next_count(s) <= 0 || !stream_has_room(s)) {
        stream_pass(s, w);
        return;
    }
    struct entry *e = w->entry;
    w->entry = NULL;
    entry_again(e);
    if (stream_submit(s, e))
        return;
    if (waiter_park_again(w, e, timers_now() + TAKE_RETRY_MS) == ST_OK)
        return;
    entry_free(e);
    stream_pass(s, w);
}

/* It has no deadline of its own: it looks again. */
static void stream_expired(struct waiter *w, void *arg)
{
    (void)arg;
    waiter_wake(w);
}
