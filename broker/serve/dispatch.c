/*
 * dispatch.c: who does a command, what becomes of an entry that came back, and the life of a wait.
 *
 *   first answer `nothing`, WAIT left      woken: news, time            comes back
 *   ──────────────► waiter PARKED ────────► loop_submit (same entry) ──► something: answer, free
 *                       │  ▲                                             nothing: news was missed?
 *             deadline, │  └─────────────────────────────────────────── submit again, else park
 *             EOF: empty answer
 *
 * To add a command: LOCAL ones go to local.c; QUERY and WRITE need nothing here, unless they WAIT.
 */
#include "broker/serve/dispatch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/serve/checkback.h"
#include "broker/serve/local.h"
#include "broker/base/log.h"
#include "broker/net/loop_inner.h"
#include "broker/checks/members.h"
#include "broker/serve/stream.h"
#include "broker/webhook/webhook.h"
#include "protocol/base/text.h"

#define BUSY_RETRY_MS 50 /* a woken waiter that met a full journal */
#define POP_UNSENT_MAX ((size_t)MIB(32)) /* more unread answers, and POP hands out nothing */

static void done(struct journal_client *owner, struct entry *e);

static bool may_wait(const struct command *cmd)
{
    return command_number(cmd, OPT_ID_WAIT, 0) > 0;
}

static bool can_park(const struct command *cmd)
{
    return (cmd->info->id == CMD_POP || cmd->info->id == CMD_CHECKS) && may_wait(cmd);
}

/* ---- the waits of a connection ---- */

static void own_wait(struct conn *c, struct waiter *w)
{
    w->next_mine = c->waits;
    if (c->waits)
        c->waits->prev_mine = w;
    c->waits = w;
    c->n_waits++;
    const struct command *cmd = &w->entry->cmd;
    if (cmd->info->id == CMD_CHECKS) {
        w->member_of = news_key(NEWS_PGROUP, cmd->pos[0], slice_of(NULL, 0));
        members_join(c->loop->server->members, w->member_of);
    }
    counters_add(&c->loop->counters, COUNTER_WAITERS, 1);
}

static void disown_wait(struct conn *c, struct waiter *w)
{
    *(w->prev_mine ? &w->prev_mine->next_mine : &c->waits) = w->next_mine;
    if (w->next_mine)
        w->next_mine->prev_mine = w->prev_mine;
    w->prev_mine = w->next_mine = NULL;
    c->n_waits--;
    if (w->member_of)
        members_leave(c->loop->server->members, w->member_of);
    counters_sub(&c->loop->counters, COUNTER_WAITERS, 1);
}

static struct request request_of(const struct entry *e)
{
    return (struct request){.id = e->request & UINT32_MAX, .quiet = (e->request >> 32) != 0};
}

static void set_request(struct entry *e, const struct conn *c, struct request rq)
{
    e->owner = &c->loop->client;
    e->done = done;
    e->slot = c->slot;
    e->generation = c->generation;
    e->request = rq.id | (rq.quiet ? UINT64_C(1) << 32 : 0);
}

static void answer_empty(struct conn *c, struct request rq)
{
    struct buf *r = loop_reply(c->loop);
    reply_array(r, 0);
    conn_answer(c, rq, buf_slice(r));
}

/* Ends a PARKED wait with an empty answer. */
static void end_empty(struct conn *c, struct waiter *w)
{
    struct request rq = request_of(w->entry);
    disown_wait(c, w);
    waiter_free(w, false);
    c->blocked = false;
    answer_empty(c, rq);
}

void dispatch_expire(struct waiter *w, void *arg)
{
    struct loop *l = arg;
    if (w->stream) { /* it has no deadline of its own: it looks again */
        waiter_wake(w);
        return;
    }
    struct conn *c = conn_at(l, w->entry->slot, w->entry->generation);
    assert(c && w->state == WAITER_PARKED);
    end_empty(c, w);
}

void dispatch_end_waits(struct conn *c)
{
    for (struct waiter *w = c->waits, *next; w; w = next) {
        next = w->next_mine;
        if (w->state == WAITER_PARKED)
            end_empty(c, w);
    }
}

void dispatch_drop_waits(struct conn *c)
{
    for (struct waiter *w = c->waits, *next; w; w = next) {
        next = w->next_mine;
        disown_wait(c, w);
        if (w->state == WAITER_RUNNING)
            w->gone = true; /* freed when its entry comes back */
        else
            waiter_free(w, false);
    }
}

/* ---- giving back ---- */

static void given_back(struct journal_client *owner, struct entry *e)
{
    (void)owner;
    if (e->fate != ST_OK)
        log_event(LOG_DEBUG, "could not give back what a client left; its lease ends by itself",
                  " command=%s", e->cmd.info->words);
    entry_free(e);
}

static uint32_t granted(const struct outcome *o)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < o->n_grants; i++)
        n += o->grants[i].count;
    return n;
}

static bool has_bit(const struct grant *g, uint32_t i)
{
    return !g->bits || (g->bits[i / 64] >> (i % 64)) & 1;
}

/* The receipts of all grants, one for each stretch without a gap, one behind the other in text; their
 * lengths go to slices. */
static uint32_t put_receipts(const struct outcome *o, struct buf *text, struct slice *slices)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < o->n_grants; i++) {
        const struct grant *g = &o->grants[i];
        for (uint32_t k = 0, first; k < g->count; k++) {
            if (!has_bit(g, k))
                continue;
            for (first = k; k + 1 < g->count && has_bit(g, k + 1); k++)
                ;
            size_t before = text->len;
            text_put_receipt_range(text, g->topic, g->queue, g->base + first, g->base + k, g->attempt);
            slices[n++] = slice_of(NULL, text->len - before);
        }
    }
    const uint8_t *at = text->data;
    for (uint32_t i = 0; i < n; i++) {
        slices[i].data = at;
        at += slices[i].len;
    }
    return n;
}

void dispatch_give_back(struct loop *l, struct slice group, struct slice *receipts, uint32_t n)
{
    struct command cmd = {.info = command_info(CMD_RELEASE),
                          .n_pos = 1,
                          .n_rest = n,
                          .pos = {group},
                          .rest = receipts};
    if (!n || !loop_submit_command(l, &cmd, given_back))
        log_text(LOG_DEBUG, "no room to release messages; their lease ends by itself");
}

void dispatch_release(struct loop *l, const struct entry *e)
{
    uint32_t most = granted(&e->out);
    if (!most)
        return;
    struct buf text;
    buf_init(&text, 0);
    struct slice *slices = malloc(most * sizeof *slices);
    if (slices) {
        uint32_t n = put_receipts(&e->out, &text, slices);
        if (!text.failed)
            dispatch_give_back(l, e->cmd.pos[0], slices, n);
    }
    free(slices);
    buf_free(&text);
}

/* An entry whose caller is not there to take the answer. */
static void abandon(struct loop *l, const struct entry *e)
{
    if (e->fate != ST_OK || e->out.nothing)
        return;
    if (e->cmd.info->id == CMD_POP)
        dispatch_release(l, e);
    else if (e->cmd.info->id == CMD_CHECKS)
        checkback_unask(l, buf_slice(&e->out.reply));
}

/* ---- answers of entries ---- */

static void answer_pop(struct conn *c, struct request rq, const struct entry *e)
{
    struct loop *l = c->loop;
    struct view *v = conn_unsent(c) < POP_UNSENT_MAX ? loop_view(l) : NULL;
    if (!v) {
        dispatch_release(l, e);
        struct buf *r = loop_reply(l);
        reply_error(r, ST_BUSY, "read the answers that wait for you first; nothing was handed out");
        conn_answer(c, rq, buf_slice(r));
        return;
    }
    struct buf *r = loop_reply(l);
    uint64_t n = 0, bytes = 0;
    query_grants(v, e->cmd.pos[0], &e->out, r, &n, &bytes);
    if (r->failed) {
        dispatch_release(l, e);
        reply_error(r, ST_BUSY, "no memory for the messages; nothing was handed out, try again");
        conn_answer(c, rq, buf_slice(r));
        return;
    }
    counters_add(&l->counters, COUNTER_MESSAGES_OUT, n);
    counters_add(&l->counters, COUNTER_BYTES_OUT, bytes);
    conn_answer(c, rq, buf_slice(r));
    if (c->doomed)
        dispatch_release(l, e);
}

static void answer_checks(struct conn *c, struct request rq, const struct entry *e)
{
    struct loop *l = c->loop;
    if (c->dialect == DIALECT_RPC) {
        conn_answer(c, rq, buf_slice(&e->out.reply));
    } else {
        struct buf *r = loop_reply(l);
        if (!checkback_as_json(buf_slice(&e->out.reply), r))
            reply_error(r, ST_BUSY, "no memory for the checks; they are asked again, try again");
        conn_answer(c, rq, buf_slice(r));
    }
    if (c->doomed)
        checkback_unask(l, buf_slice(&e->out.reply));
}

static void answer_fate(struct conn *c, struct request rq, enum status fate)
{
    struct buf *r = loop_reply(c->loop);
    reply_error(r, fate, NULL);
    conn_answer(c, rq, buf_slice(r));
}

static void answer_entry(struct conn *c, const struct entry *e)
{
    struct request rq = request_of(e);
    struct slice reply = buf_slice(&e->out.reply);
    enum command_id id = e->cmd.info->id;
    bool hands_out = (id == CMD_POP || id == CMD_CHECKS) && !reply_is_error(reply, NULL);
    if (e->fate != ST_OK) {
        answer_fate(c, rq, e->fate);
    } else if (!hands_out) {
        conn_answer(c, rq, reply);
    } else if (e->out.nothing) {
        answer_empty(c, rq);
    } else if (rq.quiet) {
        conn_answer(c, rq, reply);
        abandon(c->loop, e);
    } else if (id == CMD_POP) {
        answer_pop(c, rq, e);
    } else {
        answer_checks(c, rq, e);
    }
}

int64_t dispatch_retry_ms(struct loop *l, const struct entry *e)
{
    if (!e->out.retry_at_ms)
        return 0;
    int64_t delay = e->out.retry_at_ms - journal_now_ms(l->server->journal);
    return timers_now() + (delay > 0 ? delay : 1);
}

/* ---- waiting ---- */

/* Submits the same command once more. False: the journal is full. */
static bool submit_again(struct loop *l, struct entry *e)
{
    entry_again(e);
    return loop_submit(l, e);
}

/* A first `nothing`: parks the caller. False: it must be answered now. */
static bool park(struct conn *c, struct entry *e)
{
    struct loop *l = c->loop;
    struct request rq = request_of(e);
    if (c->eof || c->shut || rq.quiet || c->n_waits >= WAITS_MAX)
        return false;
    int64_t deadline = timers_now() + command_number(&e->cmd, OPT_ID_WAIT, 0);
    struct waiter *w = waiter_park(&l->waiters, e, 0, deadline, dispatch_retry_ms(l, e));
    if (!w)
        return false;
    own_wait(c, w);
    if (waiters_missed(&l->waiters, e))
        waiter_wake(w);
    return true;
}

/* A waiter's entry came back with `nothing`. False: its time is over. */
static bool wait_on(struct conn *c, struct waiter *w, struct entry *e)
{
    struct loop *l = c->loop;
    if (c->eof || c->shut || timers_now() >= w->deadline_ms)
        return false;
    if (waiter_park_again(w, e, dispatch_retry_ms(l, e)) != ST_OK)
        return false;
    if (waiters_missed(&l->waiters, e))
        waiter_wake(w);
    return true;
}

/* The end of a WAIT, even of one that found something at once. Who closed meanwhile is handed
 * nothing; a look at the socket, since that may be younger than the last read. */
static void answer_wait(struct conn *c, const struct entry *e)
{
    c->blocked = false;
    bool error = e->fate != ST_OK || reply_is_error(buf_slice(&e->out.reply), NULL);
    if (error || e->out.nothing || !conn_has_closed(c)) {
        answer_entry(c, e);
        return;
    }
    abandon(c->loop, e);
    answer_empty(c, request_of(e));
}

/* The entry of a waiter that ran. */
static void waiter_back(struct loop *l, struct waiter *w, struct entry *e)
{
    struct conn *c = conn_at(l, e->slot, e->generation);
    bool nothing = e->fate == ST_OK && e->out.nothing;
    if (w->gone || !c || c->doomed) {
        abandon(l, e);
        if (c)
            disown_wait(c, w);
        waiter_free(w, !nothing);
        entry_free(e);
        return;
    }
    if (nothing && wait_on(c, w, e))
        return;
    disown_wait(c, w);
    waiter_free(w, !nothing);
    answer_wait(c, e);
    entry_free(e);
}

/* An entry of a connection is back from the journal. */
static void done(struct journal_client *owner, struct entry *e)
{
    struct loop *l = loop_of(owner);
    if (e->arg) {
        waiter_back(l, e->arg, e);
        return;
    }
    struct conn *c = conn_at(l, e->slot, e->generation);
    if (!c || c->doomed) {
        abandon(l, e);
        if (c)
            conn_entry_back(c, e);
        entry_free(e);
        return;
    }
    bool parks = can_park(&e->cmd);
    if (parks && e->fate == ST_OK && e->out.nothing && park(c, e)) {
        conn_entry_back(c, e);
        return;
    }
    if (parks)
        answer_wait(c, e);
    else
        answer_entry(c, e);
    conn_entry_back(c, e);
    entry_free(e);
}

/* READ WAIT: the query again. */
static void read_again(struct loop *l, struct waiter *w)
{
    struct entry *e = w->entry;
    struct conn *c = conn_at(l, e->slot, e->generation);
    assert(c);
    struct view *v = loop_view(l);
    struct buf *r = loop_reply(l);
    struct query_hint hint = {0};
    struct policy policy = journal_policy(l->server->journal);
    if (v)
        query_run(v, &policy, journal_now_ms(l->server->journal), &e->cmd, r, &hint);
    bool over = c->eof || c->shut || c->doomed;
    if ((!v || hint.nothing) && !over && waiter_park_again(w, e, 0) == ST_OK)
        return;
    struct request rq = request_of(e);
    disown_wait(c, w);
    waiter_free(w, true);
    c->blocked = false;
    if (!v || r->failed)
        reply_error(r, ST_BUSY, "no memory for the answer: ask for less");
    conn_answer(c, rq, buf_slice(r));
}

void dispatch_wake(struct loop *l, struct waiter *w)
{
    struct entry *e = w->entry;
    if (w->stream) {
        stream_wake(w);
        return;
    }
    if (e->cmd.info->kind == KIND_QUERY) {
        read_again(l, w);
        return;
    }
    w->entry = NULL;
    if (submit_again(l, e))
        return;
    if (waiter_park_again(w, e, timers_now() + BUSY_RETRY_MS) == ST_OK)
        return;
    e->fate = ST_BUSY;
    waiter_back(l, w, e);
}

/* ---- the way in ---- */

static bool body_too_big(struct conn *c, struct request rq, size_t bytes)
{
    size_t most = c->loop->body_max;
    if (bytes <= most)
        return false;
    char text[160];
    snprintf(text, sizeof text,
             "a body of %zu bytes is over the bound of %zu bytes: send less, or raise "
             "max_message_bytes",
             bytes, most);
    conn_refuse(c, rq, ST_TOOBIG, text);
    return true;
}

/* Refuses a message that is over the bound; true: it was refused. */
static bool refuse_bodies(struct conn *c, const struct command *cmd, struct request rq)
{
    switch (cmd->info->id) {
    case CMD_SEND: return body_too_big(c, rq, cmd->pos[1].len);
    case CMD_HALF: return body_too_big(c, rq, cmd->pos[2].len);
    case CMD_PRODUCE: return body_too_big(c, rq, cmd->batch.body_most);
    case CMD_MSEND:
        for (uint32_t i = 0; i < cmd->n_rest; i++) {
            if (body_too_big(c, rq, cmd->rest[i].len))
                return true;
        }
        return false;
    default: return false;
    }
}

/* A CHECKURL that must not be called is refused where it is set. */
static bool refuse_url(struct conn *c, const struct command *cmd, struct request rq)
{
    const struct option *o =
        cmd->info->id == CMD_PGROUP_SET ? command_option(cmd, OPT_ID_CHECKURL) : NULL;
    char err[320];
    if (!o || !o->v.len || webhook_url_ok(c->loop->server->webhook, o->v, err, sizeof err))
        return false;
    conn_refuse(c, rq, ST_ERR, err);
    return true;
}

static enum verdict run_write(struct conn *c, const struct command *cmd, struct request rq)
{
    bool text = c->dialect == DIALECT_RESP;
    bool parks = can_park(cmd);
    if (text && parks && c->in_flight)
        return STALL;
    if (refuse_bodies(c, cmd, rq) || refuse_url(c, cmd, rq))
        return GO_ON;
    if (parks && c->n_waits >= WAITS_MAX) {
        conn_refuse(c, rq, ST_BUSY, "too many of your WAITs are parked already: end some first");
        return GO_ON;
    }
    struct entry *e = entry_new(&c->loop->entries, cmd);
    if (!e) {
        conn_refuse(c, rq, ST_BUSY, NULL);
        return GO_ON;
    }
    set_request(e, c, rq);
    if (!loop_submit(c->loop, e)) {
        entry_free(e);
        conn_refuse(c, rq, ST_BUSY, NULL);
        return GO_ON;
    }
    conn_entry_out(c, e);
    if (text && parks)
        c->blocked = true;
    return GO_ON;
}

/* READ found nothing: parks a copy. False: answer what there is. */
static bool park_read(struct conn *c, const struct command *cmd, struct request rq, uint64_t key)
{
    struct loop *l = c->loop;
    if (c->eof || rq.quiet || c->n_waits >= WAITS_MAX)
        return false;
    struct entry *e = entry_new(&l->entries, cmd);
    if (!e)
        return false;
    set_request(e, c, rq);
    int64_t deadline = timers_now() + command_number(cmd, OPT_ID_WAIT, 0);
    struct waiter *w = waiter_park(&l->waiters, e, key, deadline, 0);
    if (!w) {
        entry_free(e);
        return false;
    }
    own_wait(c, w);
    c->blocked = c->dialect == DIALECT_RESP;
    return true;
}

/* What the store cannot know: who could be asked. */
static void put_members(struct loop *l, const struct command *cmd, struct buf *r)
{
    uint64_t key = news_key(NEWS_PGROUP, cmd->pos[0], slice_of(NULL, 0));
    if (reply_is_error(buf_slice(r), NULL))
        return;
    reply_map_more(r, 1);
    reply_field_int(r, "members", members_of(l->server->members, key));
}

static void run_query(struct conn *c, const struct command *cmd, struct request rq)
{
    struct loop *l = c->loop;
    struct view *v = loop_view_now(l);
    if (!v) {
        conn_refuse(c, rq, ST_BUSY, NULL);
        return;
    }
    struct buf *r = loop_reply(l);
    struct query_hint hint = {0};
    struct policy policy = journal_policy(l->server->journal);
    query_run(v, &policy, journal_now_ms(l->server->journal), cmd, r, &hint);
    if (cmd->info->id == CMD_PGROUP_INFO)
        put_members(l, cmd, r);
    if (r->failed)
        reply_error(r, ST_BUSY, "no memory for the answer: ask for less");
    else if (hint.nothing && may_wait(cmd) && park_read(c, cmd, rq, hint.key))
        return;
    conn_answer(c, rq, buf_slice(r));
}

enum verdict dispatch(struct conn *c, const struct command *cmd, struct request rq)
{
    atomic_store_explicit(&c->last, cmd->info, memory_order_relaxed);
    if (cmd->info->kind == KIND_WRITE)
        return run_write(c, cmd, rq);
    if (c->dialect == DIALECT_RESP && c->in_flight)
        return STALL;
    if (cmd->info->kind == KIND_QUERY) {
        run_query(c, cmd, rq);
        return GO_ON;
    }
    assert(cmd->info->kind == KIND_LOCAL);
    local_run(c, cmd, rq);
    return GO_ON;
}
