/*
 * conn.c: what sessions and dialects do to a connection: replies, the steps to its end, what is in flight.
 *
 * Nothing here reads, sends or frees. What follows from a change is decided in one place, conn_settle, once a turn
 * and connection. So every function here may be called in the middle of any other.
 */
#include "broker/net/conn.h"

#include <assert.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>

#include "broker/base/log.h"
#include "protocol/base/reply.h"

#define POP_COST ((size_t)KIB(64))

/* ---- states ---- */

void conn_become(struct conn *c, enum conn_state state)
{
    assert(state > c->state);
    c->state = state;
    c->stops |= STOP_STATE;
}

void conn_touch(struct conn *c)
{
    if (c->touched)
        return;
    struct loop *l = c->loop;
    c->touched = true;
    c->active = true;
    c->next_touched = NULL;
    if (l->touched)
        l->touched_last->next_touched = c;
    else
        l->touched = c;
    l->touched_last = c;
}

void conn_shut(struct conn *c)
{
    if (c->state != CONN_OPEN)
        return;
    conn_become(c, CONN_SHUT);
    c->loop->env.sessions->shut(c);
    conn_touch(c);
}

void conn_dismiss(struct conn *c)
{
    c->loop->env.sessions->input_ended(c);
    conn_shut(c);
}

void conn_doom(struct conn *c)
{
    if (conn_is_doomed(c))
        return;
    conn_become(c, CONN_DOOMED);
    c->loop->env.sessions->doomed(c);
    buf_free(&c->out); /* what is unsent stays so: others may need the memory before this connection is freed */
    c->out_at = 0;
    conn_account(c);
    c->next_doomed = c->loop->doomed;
    c->loop->doomed = c;
}

void conn_cut(struct conn *c, const char *why)
{
    log_event(LOG_WARN, why, " client=%" PRIu64 " unsent_bytes=%zu", c->id, conn_unsent(c));
    conn_doom(c);
}

void conn_end_input(struct conn *c)
{
    if (c->stops & STOP_EOF)
        return;
    c->stops |= STOP_EOF;
    c->loop->env.sessions->input_ended(c);
    conn_touch(c);
}

bool conn_has_closed(struct conn *c)
{
    struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};
    if (!(c->stops & STOP_EOF) && poll(&p, 1, 0) == 1)
        conn_end_input(c);
    return (c->stops & STOP_EOF) != 0;
}

enum status conn_set_text(struct conn *c, char **text, struct slice value)
{
    char *copy = NULL;
    if (value.len) {
        copy = strndup((const char *)value.data, value.len);
        if (!copy)
            return ST_NOMEM;
    }
    pthread_mutex_lock(&c->loop->slots.lock);
    char *old = *text;
    *text = copy;
    pthread_mutex_unlock(&c->loop->slots.lock);
    free(old);
    return ST_OK;
}

void conn_trim(struct conn *c)
{
    if (c->in.len == 0 && !c->skipping)
        resp_reader_free(&c->resp);
    if (c->in.len == 0 && c->rpc) {
        rpc_reader_free(c->rpc);
        c->rpc = NULL;
    }
    c->loop->env.sessions->trim(c);
    conn_account(c);
}

void conn_keep(struct conn *c, size_t bytes)
{
    c->kept += bytes;
    conn_account(c);
}

void conn_keep_no_more(struct conn *c, size_t bytes)
{
    c->kept -= bytes;
    conn_account(c);
}

/* ---- answers ---- */

struct buf *conn_out(struct conn *c)
{
    if (!c->out.data)
        bufs_take(&c->loop->bufs, &c->out, OUT_HARD_MAX);
    return &c->out;
}

/* There was no memory to make the whole of a reply in the loop's buffer. A part of one, or none, would make the client
 * take the next reply for this one. */
static bool conn_reply_is_cut(const struct loop *l, struct slice tokens)
{
    return l->reply.failed && tokens.data == l->reply.data;
}

void conn_answer(struct conn *c, struct request rq, struct slice tokens)
{
    struct loop *l = c->loop;
    if (conn_is_doomed(c))
        return;
    counters_add(&l->counters, COUNTER_COMMANDS, 1);
    if (rq.quiet)
        return;
    enum status s;
    bool cut = conn_reply_is_cut(l, tokens);
    if (!cut && tokens.len && tokens.data[0] == TOK_ERROR && reply_is_error(tokens, &s))
        counters_error(&l->counters, s);
    conn_out(c);
    const struct dialect *d = c->dialect;
    if (!cut)
        d->answer(c, rq, tokens);
    if (cut || c->out.failed)
        conn_cut(c, "closing a connection: no memory for its replies");
    conn_grew(c);
    conn_touch(c);
}

void conn_answer_piece(struct conn *c, struct request rq, struct slice tokens, bool first)
{
    if (conn_is_doomed(c))
        return;
    if (first)
        counters_add(&c->loop->counters, COUNTER_COMMANDS, 1);
    conn_out(c);
    const struct dialect *d = c->dialect;
    d->piece(c, rq, tokens, first);
    if (c->out.failed)
        conn_cut(c, "closing a connection: no memory for its replies");
    conn_grew(c);
    conn_touch(c);
}

size_t conn_piece_size(struct conn *c, struct request rq, struct slice tokens, bool first)
{
    assert(conn_is_doomed(c));
    const struct dialect *d = c->dialect;
    buf_free(&c->out); /* nothing is sent any more */
    d->piece(c, rq, tokens, first);
    size_t n = c->out.failed ? 0 : c->out.len;
    buf_free(&c->out);
    return n;
}

void conn_answer_in_order(struct conn *c, struct request rq, struct slice tokens)
{
    if (c->in_flight == 0 || !conn_is_text(c)) {
        conn_answer(c, rq, tokens);
        return;
    }
    assert(!(c->stops & STOP_HELD));
    buf_put_slice(&c->held, tokens);
    conn_account(c);
    if (c->held.failed)
        conn_doom(c);
    else
        c->stops |= STOP_HELD;
}

/* The status to send for s: those that only our own functions know have no code on the wire. */
static enum status conn_on_the_wire(enum status s)
{
    if (s < ST_WIRE_COUNT)
        return s;
    return s == ST_NOMEM ? ST_BUSY : ST_ERR;
}

void conn_refuse(struct conn *c, struct request rq, enum status s, const char *text)
{
    struct buf *r = loop_reply(c->loop);
    if (text)
        reply_error(r, conn_on_the_wire(s), "%s", text);
    else
        reply_error(r, conn_on_the_wire(s), NULL);
    if (r->failed)
        conn_doom(c);
    else
        conn_answer_in_order(c, rq, buf_slice(r));
}

void conn_protocol_error(struct conn *c, const char *text)
{
    counters_add(&c->loop->counters, COUNTER_PROTOCOL_ERRORS, 1);
    conn_refuse(c, (struct request){0}, ST_ERR, text);
    conn_shut(c);
}

/* ---- in flight ---- */

static bool conn_over_bound(const struct conn *c, unsigned part)
{
    return c->in_flight >= IN_FLIGHT_MAX / part || c->in_flight_bytes >= IN_FLIGHT_BYTES_MAX / part;
}

/* What an entry counts for. A POP is small but its reply may be large, so it counts for more than its bytes. */
static size_t conn_cost(const struct entry *e)
{
    return e->bytes + (e->cmd.info->id == CMD_POP ? POP_COST : 0);
}

size_t conn_work(const struct command *cmd)
{
    size_t n = cmd->n_rest;
    if (cmd->info->id == CMD_POP || cmd->info->id == CMD_CHECKS)
        n += (size_t)command_number(cmd, OPT_ID_COUNT, 1);
    return n < WORK_SMALL ? 0 : n;
}

static size_t conn_entry_work(const struct entry *e)
{
    size_t n = conn_work(&e->cmd);
    for (const struct entry *one = e->more; one; one = one->next)
        n += conn_work(&one->cmd);
    return n;
}

static void conn_add_work(struct loop *l, size_t from, size_t to)
{
    if (from != to)
        atomic_fetch_add_explicit(&l->shared->account.work, to - from, memory_order_relaxed);
}

void conn_entry_out(struct conn *c, const struct entry *e)
{
    c->in_flight++;
    conn_add_work(c->loop, 0, conn_entry_work(e));
    c->in_flight_bytes += conn_cost(e);
    if (conn_over_bound(c, 1))
        c->stops |= STOP_THROTTLE;
}

/* Nothing is in flight any more: sends a held reply, and lets the parser go on. */
static void conn_none_in_flight(struct conn *c)
{
    bool held = c->stops & STOP_HELD;
    c->stops &= ~(unsigned)(STOP_ORDER | STOP_HELD);
    if (!held)
        return;
    conn_answer(c, (struct request){0}, buf_slice(&c->held));
    buf_free(&c->held);
    conn_account(c);
}

void conn_entry_back(struct conn *c, const struct entry *e)
{
    assert(c->in_flight > 0 && c->in_flight_bytes >= conn_cost(e));
    c->in_flight--;
    c->in_flight_bytes -= conn_cost(e);
    conn_add_work(c->loop, conn_entry_work(e), 0);
    if ((c->stops & STOP_THROTTLE) && !conn_over_bound(c, 2))
        c->stops &= ~(unsigned)STOP_THROTTLE;
    if (c->in_flight == 0)
        conn_none_in_flight(c);
    conn_touch(c);
}

void conn_entry_lost(struct loop *l, const struct entry *e)
{
    conn_add_work(l, conn_entry_work(e), 0);
}

void conn_wait_begins(struct conn *c)
{
    if (conn_is_text(c))
        c->stops |= STOP_WAIT;
}

void conn_wait_over(struct conn *c)
{
    c->stops &= ~(unsigned)STOP_WAIT;
}
