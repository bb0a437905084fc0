/*
 * dispatch.c: has each command done (at once, by a query, or by the journal), and sorts the entries that come back.
 *
 * To add a command: LOCAL ones go to local/; QUERY and WRITE need nothing here, unless they WAIT (wait.c).
 */
#include "broker/serve/dispatch.h"

#include <assert.h>
#include <stdio.h>

#include "broker/net/conn_in.h"
#include "broker/net/conn_room.h"
#include "broker/serve/answer.h"
#include "broker/serve/delivery.h"
#include "broker/serve/giveback.h"
#include "broker/serve/local/local.h"
#include "broker/serve/login/audit.h"
#include "broker/serve/login/secrets.h"
#include "broker/serve/long_reply.h"
#include "broker/serve/multi/exec.h"
#include "broker/serve/multi/multi.h"
#include "broker/serve/session.h"
#include "broker/serve/sieve.h"
#include "broker/serve/stream.h"
#include "broker/serve/wait.h"
#include "broker/serve/who/allow.h"
#include "protocol/base/reply.h"
#include "storage/access/rule.h"
#include "storage/query.h"

#define SMALL_REPLY_BYTES 4096
#define TAKEN_LEAST ((size_t)MIB(1))
#define LARGE_RECORD_BYTES ((size_t)KIB(64)) /* some hundred of them in a turn would be felt */
#define CLIENT_LIST_LINE 160 /* bytes a connection, about */

/* ---- the way back ---- */

/* Has messages looked at for a POP without WAIT, or submits it again. */
static bool dispatch_again(struct loop *l, struct entry *e)
{
    if (e->out.sift && e->sift_failed)
        e->fate = ST_BUSY;
    if (e->out.sift)
        return !e->sift_failed && !e->sifted_all && sieve_begin(l, e);
    if (!e->out.retry_at_ms || e->out.retry_at_ms > journal_now_ms(l->env.journal))
        return false;
    entry_sift_over(e);
    entry_again(e);
    if (!loop_submit(l, e))
        e->fate = ST_BUSY;
    return e->fate == ST_OK;
}

/* A POP without WAIT has come back with nothing, but not come to the end of what it may look at: it goes on. Messages
 * are looked at for it, if that is what it needs, but not again once that was done with all that there was a moment ago. */
static bool dispatch_goes_on(struct conn *c, struct entry *e)
{
    struct session *s = session_of(c);
    if (e->cmd.info->id != CMD_POP || e->fate != ST_OK || !e->out.nothing)
        return false;
    s->going_on = conn_is_text(c) ? e : NULL; /* before, since it may come back at once */
    bool again = dispatch_again(c->loop, e);
    if (!again)
        s->going_on = NULL;
    return again;
}

/* Whose turn to be replied to it is: replies, or parks it. */
static void dispatch_back(struct conn *c, struct entry *e)
{
    if (conn_is_doomed(c)) {
        giveback_entry(c->loop, e);
        conn_entry_back(c, e);
        entry_free(e);
        return;
    }
    bool waits = wait_allowed(&e->cmd), parks = waits && e->fate == ST_OK && e->out.nothing;
    if (!waits && dispatch_goes_on(c, e))
        return;
    if (parks && wait_park(c, e)) {
        conn_entry_back(c, e);
        return;
    }
    if (parks && waits_full(c) && !conn_is_ending(c))
        e->fate = ST_BUSY; /* an empty reply would make the client ask again at once */
    if (waits)
        wait_answer(c, e);
    else
        answer_entry(c, e);
    if (long_reply_has(c, e)) /* it is in flight until its end */
        return;
    conn_entry_back(c, e);
    delivery_free(e);
}

/* Does something have to be replied to before the entry that is still under way? On a text connection, what came before it;
 * on any, a long reply before another one. */
static bool dispatch_holds(struct conn *c, const struct entry *e)
{
    const struct session *s = session_of(c);
    if (e->cmd.info->id == CMD_CHECKS && !e->out.nothing && long_reply_holds_checks(c))
        return true;
    bool in_order = conn_is_text(c) && !e->arg && s->going_on != e;
    return in_order && (s->going_on || (s->long_reply && !long_reply_pushes(c)));
}

void dispatch_go_on(struct conn *c)
{
    struct session *s = session_of(c);
    while (s->behind.first && !dispatch_holds(c, s->behind.first)) {
        struct entry *e = entry_pop(&s->behind);
        if (e->arg)
            wait_back(c->loop, e);
        else
            dispatch_back(c, e);
    }
}

/* An entry of a connection came back from the journal: reply, or park it, or go on with its waiter. On a text connection
 * replies have the order of the requests, so it may have to wait for an earlier one that goes on. */
static void dispatch_done(struct journal_client *owner, struct entry *e)
{
    struct loop *l = loop_of(owner);
    struct conn *c = conn_at(l, e->slot, e->generation);
    struct session *s = c ? session_of(c) : NULL;
    bool behind = s && s->behind.first && conn_is_text(c) && !e->arg && s->going_on != e;
    if (behind || (c && !conn_is_doomed(c) && dispatch_holds(c, e))) {
        entry_push(&s->behind, e);
        return;
    }
    if (e->arg) {
        wait_back(l, e);
        return;
    }
    if (!c) {
        giveback_entry(l, e);
        conn_entry_lost(l, e);
        entry_free(e);
        return;
    }
    s->going_on = NULL;
    dispatch_back(c, e);
    dispatch_go_on(c);
}

void dispatch_drop(struct conn *c)
{
    struct session *s = session_of(c);
    for (struct entry *e; (e = entry_pop(&s->behind));) {
        if (e->arg) {
            wait_back(c->loop, e);
            continue;
        }
        giveback_entry(c->loop, e);
        conn_entry_lost(c->loop, e);
        entry_free(e);
    }
}

/* ---- the way in ---- */

#define MSEND_ID_BYTES 40 /* one id of its reply without the topic: queue, offset and framing */

/* How large a reply may be while connections hold too much memory. */
enum reply_size {
    REPLY_TINY,
    REPLY_LIMITED, /* it can be made small, or turns out to be so */
    REPLY_LARGE,
};

static enum reply_size dispatch_size_of(size_t bytes)
{
    return bytes <= SMALL_REPLY_BYTES ? REPLY_TINY : bytes <= SHORT_REPLY_BYTES_MAX ? REPLY_LIMITED : REPLY_LARGE;
}

static enum reply_size dispatch_reply_size(struct conn *c, const struct command *cmd)
{
    if (c->wants_lane)
        return REPLY_LARGE;
    switch (cmd->info->id) {
    case CMD_POP: return REPLY_LIMITED;
    case CMD_CHECKS:
    case CMD_COMMAND: return REPLY_LARGE;
    case CMD_EXEC: return multi_is_small(c) ? REPLY_TINY : REPLY_LARGE;
    case CMD_CLIENT:
        return slice_equal_nocase(cmd->rest[0], SLICE_LIT("LIST"))
                   ? dispatch_size_of(atomic_load(&c->loop->shared->connections) * CLIENT_LIST_LINE)
                   : REPLY_TINY;
    case CMD_PING:
    case CMD_ECHO: return dispatch_size_of(cmd->n_pos > 0 ? cmd->pos[0].len : 0);
    case CMD_MSEND: return dispatch_size_of(cmd->n_rest * (cmd->pos[0].len + MSEND_ID_BYTES));
    default: return cmd->info->kind == KIND_QUERY ? REPLY_LIMITED : REPLY_TINY;
    }
}

/* While connections hold too much memory: may the command begin? */
static bool dispatch_may_begin(struct conn *c, const struct command *cmd)
{
    enum reply_size size = dispatch_reply_size(c, cmd);
    c->wants_lane = size == REPLY_LARGE;
    if (size == REPLY_LARGE && !conn_takes_reply_lane(c))
        return false;
    c->wants_lane = false;
    return size != REPLY_LIMITED || c->reply_lane || conn_is_read(c);
}

/* ... and one that lasts: what it begins is kept in memory. It is refused then. */
static bool dispatch_lasts(const struct command *cmd)
{
    enum command_id id = cmd->info->id;
    return id == CMD_SUBSCRIBE || id == CMD_CHECKS_SERVE || id == CMD_STREAM_GROUP || id == CMD_STREAM_QUEUE;
}

static bool dispatch_body_too_big(struct conn *c, struct request rq, size_t bytes)
{
    size_t most = c->loop->body_max;
    if (bytes <= most)
        return false;
    char text[160];
    snprintf(text, sizeof text,
             "a body of %zu bytes is over the limit of %zu bytes: send less, or raise "
             "max_message_bytes",
             bytes, most);
    conn_refuse(c, rq, ST_TOOBIG, text);
    return true;
}

/* Refuses a message whose body is over max_message_bytes. True: it was refused. */
static bool dispatch_refuse_bodies(struct conn *c, const struct command *cmd, struct request rq)
{
    switch (cmd->info->id) {
    case CMD_SEND: return dispatch_body_too_big(c, rq, cmd->pos[1].len);
    case CMD_HALF: return dispatch_body_too_big(c, rq, cmd->pos[2].len);
    case CMD_PRODUCE: return dispatch_body_too_big(c, rq, cmd->batch.body_most);
    case CMD_MSEND:
        for (uint32_t i = 0; i < cmd->n_rest; i++) {
            if (dispatch_body_too_big(c, rq, cmd->rest[i].len))
                return true;
        }
        return false;
    default: return false;
    }
}

/* A CHECKURL that must not be called is refused where it is set. */
static bool dispatch_refuse_url(struct conn *c, const struct command *cmd, struct request rq)
{
    const struct option *o =
        cmd->info->id == CMD_PGROUP_SET ? command_option(cmd, OPT_ID_CHECKURL) : NULL;
    char err[320];
    if (!o || !o->v.len || webhook_url_ok(serve_of(c->loop)->env.webhook, o->v, err, sizeof err))
        return false;
    conn_refuse(c, rq, ST_ERR, err);
    return true;
}

/* Rules of a user are checked before they are stored. */
static bool dispatch_refuse_rules(struct conn *c, const struct command *cmd, struct request rq)
{
    char err[400];
    enum status s = ST_OK;
    if (cmd->info->id == CMD_ACL_SETUSER)
        s = rules_check(cmd->rest, cmd->n_rest, (struct complaint){err, sizeof err});
    if (s != ST_OK)
        conn_refuse(c, rq, s, err);
    return s != ST_OK;
}

/* A large command keeps the block that it came in, which is a connection's input: to copy 31 MB takes a loop 10 ms and more. */
static struct slice dispatch_take(struct conn *c, const struct command *cmd)
{
    bool large = c->in.len >= TAKEN_LEAST && command_clone_size(cmd) >= TAKEN_LEAST;
    return large ? conn_in_take(c, command_bytes(cmd, buf_slice(&c->in))) : slice_of(NULL, 0);
}

static void dispatch_submit(struct conn *c, const struct command *cmd, struct request rq)
{
    struct slice block = dispatch_take(c, cmd);
    struct entry *e = entry_new_taking(&c->loop->entries, cmd, block);
    bool submitted = false;
    if (e) {
        answer_address(e, c, rq);
        e->done = dispatch_done;
        submitted = loop_submit(c->loop, e);
    }
    if (!submitted) {
        if (block.len)
            conn_in_take_back(c);
        if (e)
            entry_let_go(e);
        entry_free(e);
        conn_refuse(c, rq, ST_BUSY, NULL);
        return;
    }
    if (cmd->info->id == CMD_ACK) {
        streams_acked(c);
        waiters_acked(&serve_of(c->loop)->waiters, cmd);
    }
    conn_entry_out(c, e);
    if (wait_allowed(cmd))
        conn_wait_begins(c);
}

static enum verdict dispatch_write(struct conn *c, const struct command *cmd, struct request rq)
{
    bool waits = wait_allowed(cmd);
    if (waits && c->in_flight && conn_is_text(c))
        return STALL;
    if (conn_work(cmd) && account_has_work(&c->loop->shared->account))
        return STALL_WORK;
    if (dispatch_refuse_bodies(c, cmd, rq) || dispatch_refuse_url(c, cmd, rq) || dispatch_refuse_rules(c, cmd, rq))
        return GO_ON;
    if (waits && waits_full(c)) {
        conn_refuse(c, rq, ST_BUSY, "too many commands with WAIT are parked: wait until some have ended");
        return GO_ON;
    }
    if (secrets_are_in(cmd)) {
        if (c->in_flight && conn_is_text(c))
            return STALL;
        secrets_begin(c, cmd, rq, dispatch_submit);
        return GO_ON;
    }
    dispatch_submit(c, cmd, rq);
    return GO_ON;
}

/* A reply was made small; is it too large all the same, or must it not end early? Only the client of a READ goes on
 * where it ended. */
static bool dispatch_needs_lane(const struct command *cmd, const struct buf *r, const struct query_hint *hint)
{
    return r->len > SHORT_REPLY_BYTES_MAX || (hint->cut && cmd->info->id != CMD_READ);
}

/* A single message may be as large as a record. Where that matters now, it is asked before it is read. GO_ON: read it. */
static enum verdict dispatch_weigh(struct conn *c, struct view *v, const struct command *cmd, bool small)
{
    enum command_id id = cmd->info->id;
    bool busy = loop_is_busy(c->loop);
    if ((id != CMD_GET && id != CMD_READ) || !(small || busy))
        return GO_ON;
    struct query_weight w = query_weigh(v, cmd);
    if (small && w.message > SHORT_REPLY_BYTES_MAX) {
        c->wants_lane = true;
        return STALL_MEMORY;
    }
    return busy && w.record > LARGE_RECORD_BYTES ? STALL_SLICE : GO_ON;
}

static enum verdict dispatch_query(struct conn *c, const struct command *cmd, struct request rq)
{
    struct loop *l = c->loop;
    bool small = conn_memory_is_short(c) && !c->reply_lane;
    struct view *v = loop_view_now(l);
    if (!v) {
        conn_refuse(c, rq, ST_BUSY, NULL);
        return GO_ON;
    }
    enum verdict weighed = dispatch_weigh(c, v, cmd, small);
    if (weighed != GO_ON)
        return weighed;
    view_limit_replies(v, small ? SHORT_REPLY_BYTES : l->reply_most);
    struct buf *r = loop_reply(l);
    struct query_hint hint = {0};
    struct policy policy = journal_policy(l->env.journal);
    if (query_run(v, &policy, journal_now_ms(l->env.journal), cmd, r, &hint) != QUERY_DONE) {
        buf_reset(r, REPLY_BYTES_KEEP);
        long_reply_begin(c, cmd, rq); /* with a view of its own, from the beginning */
        return GO_ON;
    }
    if (cmd->info->id == CMD_PGROUP_INFO)
        answer_put_members(l, cmd, r);
    if (small && dispatch_needs_lane(cmd, r, &hint)) {
        c->wants_lane = true;
        buf_reset(r, REPLY_BYTES_KEEP);
        return STALL_MEMORY;
    }
    if (r->failed)
        reply_error(r, ST_BUSY, "no memory for the reply: ask for less");
    else if (hint.nothing && wait_allowed(cmd) && wait_park_read(c, cmd, rq, &hint))
        return GO_ON;
    conn_answer(c, rq, buf_slice(r));
    buf_reset(r, REPLY_BYTES_KEEP);
    return GO_ON;
}

/* Between MULTI and EXEC. */
static void dispatch_queue(struct conn *c, const struct command *cmd, struct request rq)
{
    if (dispatch_refuse_bodies(c, cmd, rq) || dispatch_refuse_url(c, cmd, rq))
        multi_refused(c, slice_of(NULL, 0));
    else
        multi_queue(c, cmd, rq);
}

static void dispatch_here(struct conn *c, const struct command *cmd, struct request rq)
{
    if (long_reply_is_usual(cmd))
        long_reply_begin(c, cmd, rq);
    else
        local_run(c, cmd, rq);
}

/* Is it what a consumer sends? */
static bool dispatch_consumes(enum command_id id)
{
    switch (id) {
    case CMD_POP:
    case CMD_ACK:
    case CMD_NACK:
    case CMD_EXTEND:
    case CMD_REJECT:
    case CMD_STREAM_GROUP:
    case CMD_STREAM_CREDIT: return true;
    default: return false;
    }
}

static enum verdict dispatch_do(struct conn *c, const struct command *cmd, struct request rq)
{
    atomic_store_explicit(&c->last, cmd->info, memory_order_relaxed);
    if (dispatch_consumes(cmd->info->id))
        atomic_store_explicit(&c->seen_ms, timers_now(), memory_order_relaxed);
    if (session_of(c)->multi_state != MULTI_NONE && !multi_passes(cmd)) {
        dispatch_queue(c, cmd, rq);
        return GO_ON;
    }
    if (conn_memory_is_short(c)) {
        if (!dispatch_may_begin(c, cmd))
            return STALL_MEMORY;
        if (dispatch_lasts(cmd)) {
            conn_refuse(c, rq, ST_BUSY, "connections hold as much memory as they may: try again later");
            return GO_ON;
        }
    }
    if (cmd->info->kind == KIND_WRITE)
        return dispatch_write(c, cmd, rq);
    if (c->in_flight && conn_is_text(c))
        return STALL;
    if (cmd->info->kind == KIND_QUERY && !long_reply_is_usual(cmd))
        return dispatch_query(c, cmd, rq);
    enum verdict v = cmd->info->id == CMD_EXEC ? exec_may_begin(c) : GO_ON;
    if (v == GO_ON)
        dispatch_here(c, cmd, rq);
    return v;
}

static enum verdict dispatch_allowed(struct conn *c, const struct command *cmd, struct request rq)
{
    enum verdict v = dispatch_do(c, cmd, rq);
    if (cmd->info->category >= CATEGORY_MANAGE || cmd->info->id == CMD_CLIENT) {
        if (v == GO_ON)
            audit_command(c, cmd);
    }
    return v;
}

/* What the store has to judge, too. */
static enum verdict dispatch_as(struct conn *c, const struct command *cmd, struct request rq, const struct access_user *u)
{
    struct command judged = *cmd;
    judged.user = u;
    return dispatch_allowed(c, &judged, rq);
}

/* The command of a user who may not do everything. */
static enum verdict dispatch_judged(struct conn *c, const struct command *cmd, struct request rq)
{
    const struct access_user *by_store;
    enum verdict v = GO_ON;
    if (allow(c, cmd, rq, &by_store))
        v = by_store ? dispatch_as(c, cmd, rq, by_store) : dispatch_allowed(c, cmd, rq);
    else
        multi_refused(c, cmd->info->id == CMD_MULTI ? SLICE_LIT("MULTI") : slice_of(NULL, 0));
    allow_ends(c, v);
    return v;
}

enum verdict dispatch(struct conn *c, const struct command *cmd, struct request rq)
{
    if (allow_is_free(c))
        return dispatch_allowed(c, cmd, rq);
    const struct access_user *by_store;
    if (!allow_at_once(c, cmd, &by_store))
        return dispatch_judged(c, cmd, rq);
    return by_store ? dispatch_as(c, cmd, rq, by_store) : dispatch_allowed(c, cmd, rq);
}
