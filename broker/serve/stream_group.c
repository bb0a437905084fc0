/*
 * stream_group.c: a stream of a consumer group.
 *
 *   pump ──► TAKE ──► journal ──► granted: records out, marks ──► pump
 *                        └─ nothing: parked with the POPs (waiter.h) ── woken ──► the same TAKE again
 *
 * The first command is a POP, since that makes a group that is not there; all others are TAKEs, so that a group which
 * is deleted later is not made again.
 */
#include "broker/serve/stream_group.h"

#include <assert.h>

#include "broker/net/conn_out.h"
#include "broker/serve/giveback.h"
#include "broker/serve/session.h"
#include "broker/serve/sieve.h"
#include "broker/serve/stream.h"
#include "broker/serve/stream_out.h"
#include "protocol/base/reply.h"

#define TAKES_MAX 16 /* of one stream in the journal */
#define TAKE_RETRY_MS 50 /* the journal was full */
#define TAKE_FIRST 100 /* messages, while their size is not known */
#define TAKE_OWES 32 /* messages of an ORDERED group from which on their ACK is waited for a moment */
#define TAKE_SMALL 16 /* ... while connections hold too much memory */

static void stream_group_pump(struct stream *s);
static void stream_group_woken(struct stream *s);
static void stream_group_taken(struct journal_client *owner, struct entry *e);

static const struct stream_kind stream_group_kind = {
    .credit_max = STREAM_MESSAGES_MAX, .pump = stream_group_pump, .woken = stream_group_woken};

/* ---- asking ---- */

/* What there is no room for would be requeued, so no more is asked for than is likely to fit. */
static int64_t stream_group_count_max(const struct stream *s)
{
    if (stream_room_is_small(s->conn))
        return TAKE_SMALL;
    if (!s->each)
        return TAKE_FIRST;
    uint64_t fit = OUT_SOFT_MAX / s->each + 1;
    return fit < COUNT_MAX ? (int64_t)fit : COUNT_MAX;
}

static int64_t stream_group_next_count(const struct stream *s)
{
    int64_t n = s->credit - s->asked, most = stream_group_count_max(s);
    return n < most ? n : most;
}

/* Submits e; where the group has a FILTER WHERE, after messages were looked at for it. False: the journal is full; the
 * entry stays the caller's. */
static bool stream_group_submit(struct stream *s, struct entry *e)
{
    struct loop *l = s->conn->loop;
    int64_t n = stream_group_next_count(s);
    assert(e->cmd.opt[0].id == OPT_ID_COUNT && n > 0);
    e->cmd.opt[0].n = n;
    e->owner = &l->client;
    e->done = stream_group_taken;
    e->arg = s;
    e->slot = s->conn->slot;
    e->generation = s->conn->generation;
    s->refs++;
    s->takes++;
    s->asked += n;
    if (s->sifts ? sieve_begin(l, e) : loop_submit(l, e))
        return true;
    s->refs--;
    s->takes--;
    s->asked -= n;
    return false;
}

static bool stream_group_take(struct stream *s)
{
    struct entry *e = entry_new(&s->conn->loop->entries, &s->cmd);
    if (e && stream_group_submit(s, e))
        return true;
    entry_free(e);
    return false;
}

bool stream_group_open(struct conn *c, const struct command *pop, int64_t credit, struct request rq)
{
    struct stream *s = stream_new(c, &stream_group_kind, pop, credit);
    if (!s)
        return false;
    s->opening = rq;
    bool begun = stream_group_take(s);
    s->cmd.info = command_info(CMD_TAKE); /* a group that is deleted later is not made again */
    if (!begun)
        stream_close(s);
    return begun;
}

/* May another TAKE be submitted? One may always be under way; more only while the last one brought all that there is room for and
 * the output has room for what they are likely to bring. */
static bool stream_group_may_take(struct stream *s)
{
    if (!s->answered || s->wait || timer_is_set(&s->retry) || stream_group_next_count(s) <= 0 || !stream_has_room(s))
        return false;
    if (s->takes == 0)
        return true;
    if (s->sifts) /* they would all have the same messages looked at */
        return false;
    uint64_t expected = conn_unsent(s->conn) + (uint64_t)s->asked * s->each;
    return s->flowing && s->takes < TAKES_MAX && expected < OUT_SOFT_MAX;
}

static void stream_group_pump(struct stream *s)
{
    while (stream_group_may_take(s)) {
        if (!stream_group_take(s)) {
            stream_retry_later(s, TAKE_RETRY_MS);
            return;
        }
    }
}

/* ---- what came back ---- */

/* What was sent of one grant. */
struct stream_granted {
    struct stream *stream;
    uint64_t messages, bytes;
    bool damaged;
    bool no_room; /* for the part that begins at `rest` */
    uint64_t rest;
    const struct grant *grant;
};

static bool stream_group_push_granted(void *arg, const struct part *p)
{
    struct stream_granted *sum = arg;
    size_t bytes = 0;
    sum->no_room = !stream_has_room_for(sum->stream, record_cut_size(p->record, p->h, p->from, p->n));
    sum->rest = p->h->base + p->from;
    sum->grant = p->grant;
    if (sum->no_room)
        return false;
    sum->damaged = !stream_push(sum->stream, p, &bytes);
    if (sum->damaged)
        return false;
    sum->messages += p->n_granted;
    sum->bytes += bytes;
    return stream_has_room(sum->stream);
}

/* Gives back what there was no room for. */
static void stream_group_give_rest(struct stream *s, const struct entry *e, const struct stream_granted *sum,
                                   struct granted *done)
{
    if (sum->no_room)
        *done = (struct granted){.grant = (uint32_t)(sum->grant - e->out.grants), .offset = sum->rest};
    if (done->grant < e->out.n_grants)
        giveback_rest(s->conn->loop, e, done);
    if (sum->no_room)
        stream_retry_later(s, STREAM_LANE_RETRY_MS);
}

/* Is there room for the first message that was granted? It is asked before the message is read, as it may be large. */
static bool stream_group_first_fits(struct stream *s, struct view *v, const struct entry *e)
{
    if (!stream_room_is_small(s->conn) || !e->out.n_grants)
        return true;
    return stream_has_room_for(s, query_weigh_grant(v, &e->out.grants[0]).message);
}

/* Sends what was granted, as far as there is room. Each message that was appended to the output has a mark. If anything
 * fails after that, only marked messages are requeued, and the leases of the others expire by themselves: so none is
 * requeued twice. */
static void stream_group_hand_out(struct stream *s, const struct entry *e)
{
    struct conn *c = s->conn;
    struct stream_granted sum = {.stream = s};
    s->popped_ms = e->out.popped_ms;
    struct view *v = loop_view(c->loop);
    if (!v) {
        giveback_messages(c->loop, e);
        stream_retry_later(s, STREAM_REFUSED_RETRY_MS);
        return;
    }
    if (!stream_has_room(s)) {
        giveback_messages(c->loop, e);
        return;
    }
    if (!stream_group_first_fits(s, v, e)) {
        giveback_messages(c->loop, e);
        stream_retry_later(s, STREAM_LANE_RETRY_MS);
        return;
    }
    struct granted done;
    stream_limit_parts(s, v);
    view_keep_records(v, e->out.in_order ? serve_of(c->loop)->records : NULL);
    enum status st = query_grant_parts(v, &e->out, stream_group_push_granted, &sum, &done);
    (void)giveback_lost(c->loop, e, v);
    if (e->out.in_order && sum.messages >= TAKE_OWES)
        stream_owes(s, true);
    s->credit -= (int64_t)sum.messages;
    s->flowing = sum.messages > 0 && ((int64_t)sum.messages >= e->cmd.opt[0].n || e->out.more);
    s->each = sum.messages ? sum.bytes / sum.messages + 1 : 0;
    if (stream_output_failed(c))
        return;
    if (st != ST_OK || sum.damaged)
        stream_end(s, sum.damaged ? ST_DAMAGED : ST_ERR, "a record cannot be read");
    else
        stream_group_give_rest(s, e, &sum, &done);
}

/* Nothing was found because nobody knows which messages match: has them looked at. False: that does not help now. */
static bool stream_group_sift(struct stream *s, struct entry *e)
{
    s->sifts = true;
    if (e->sift_failed || stream_group_next_count(s) <= 0)
        return false;
    return stream_group_submit(s, e);
}

/* Nothing is ready: parks the entry. A waiter that is parked again keeps its place among the POPs. */
static void stream_group_found_nothing(struct stream *s, struct entry *e)
{
    struct loop *l = s->conn->loop;
    int64_t retry_ms = waiter_retry_ms(l->env.journal, e);
    s->flowing = false;
    if (s->takes > 0) { /* others are in the journal: only the last one to come back parks */
        entry_free(e);
        return;
    }
    e->cmd.info = s->cmd.info;
    if (e->out.sift && stream_group_sift(s, e))
        return;
    if (e->sift_failed)
        retry_ms = timers_now() + STREAM_REFUSED_RETRY_MS;
    entry_sift_over(e);
    bool parked = s->wait ? waiter_park_again(s->wait, e, retry_ms) == ST_OK
                          : stream_park(s, e, 0, retry_ms);
    if (!parked) {
        entry_free(e);
        stream_retry_later(s, STREAM_REFUSED_RETRY_MS);
    } else if (waiters_missed(&serve_of(l)->waiters, e)) {
        waiter_wake(s->wait);
    }
}

static void stream_group_refused(struct stream *s, struct entry *e)
{
    enum status why = e->fate;
    struct token t = {.bytes = slice_of(NULL, 0)};
    struct cursor c = cursor_of(buf_slice(&e->out.reply));
    if (why == ST_OK && reply_next(&c, &t))
        why = t.status;
    if (s->answered && status_retryable(why)) {
        stream_retry_later(s, STREAM_REFUSED_RETRY_MS);
        return;
    }
    char text[256];
    size_t n = t.bytes.len < sizeof text - 1 ? t.bytes.len : sizeof text - 1;
    if (n)
        memcpy(text, t.bytes.data, n);
    text[n] = '\0';
    stream_end(s, why, n ? text : status_text(why));
}

/* Replies to the request that opened the stream, after its first POP came back. */
static void stream_group_tell_id(struct stream *s)
{
    struct buf *r = loop_reply(s->conn->loop);
    reply_int(r, (int64_t)s->id);
    s->answered = true;
    conn_answer(s->conn, s->opening, buf_slice(r));
}

static void stream_group_found(struct stream *s, struct entry *e)
{
    struct conn *c = s->conn;
    struct loop *l = c->loop;
    bool waited = s->wait != NULL;
    if (waited)
        waiter_free(s->wait, true);
    s->wait = NULL;
    /* A client that closed the connection while it waited is delivered nothing. conn_has_closed may end s. */
    if (conn_is_doomed(c) || (waited && conn_has_closed(c)))
        giveback_messages(l, e);
    else
        stream_group_hand_out(s, e);
    /* The next messages of an ORDERED group wait for this client's ACK: it begins while those of other streams are cut. */
    if (s->conn && s->owes && !conn_is_doomed(c))
        conn_send(c);
    entry_free(e);
}

/* A POP or TAKE of a stream came back from the journal; the stream may have been closed meanwhile. */
static void stream_group_taken(struct journal_client *owner, struct entry *e)
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
        stream_group_refused(s, e);
        entry_free(e);
    } else {
        if (!s->answered)
            stream_group_tell_id(s);
        if (e->sifter)
            s->sifts = e->sifts;
        if (nothing)
            stream_group_found_nothing(s, e);
        else
            stream_group_found(s, e);
    }
    stream_unref(s);
    conn_touch(c);
}

/* ---- woken ---- */

/* It cannot use its turn: the next one in the queue has it. */
static void stream_group_pass(struct stream *s)
{
    struct waiter *w = s->wait;
    s->wait = NULL;
    waiter_free(w, false);
    conn_touch(s->conn);
}

static void stream_group_woken(struct stream *s)
{
    struct waiter *w = s->wait;
    if (conn_is_doomed(s->conn) || stream_group_next_count(s) <= 0 || !stream_has_room(s)) {
        stream_group_pass(s);
        return;
    }
    struct entry *e = w->entry;
    w->entry = NULL;
    entry_again(e);
    if (stream_group_submit(s, e))
        return;
    if (waiter_park_again(w, e, timers_now() + TAKE_RETRY_MS) == ST_OK)
        return;
    entry_free(e);
    stream_group_pass(s);
}
