/*
 * wait.c: parks requests, lets them look again, and replies to them (wait.h has the picture).
 *
 * Lost wake-ups: news of an entry's group is delivered before the entry comes back, so it may have passed before the
 * request is parked. waiters_missed knows, and the request then looks again at once. A READ parks in the callback that
 * opened its view, so news of anything newer is still in the mailbox.
 *
 * To add a command that can WAIT: say in waiter.c what it waits for, and let wait_allowed know it.
 */
#include "broker/serve/wait.h"

#include <assert.h>
#include <stdio.h>

#include "broker/net/conn_room.h"
#include "broker/serve/answer.h"
#include "broker/serve/delivery.h"
#include "broker/serve/giveback.h"
#include "broker/serve/session.h"
#include "broker/serve/sieve.h"
#include "broker/serve/who/allow.h"
#include "protocol/base/reply.h"
#include "storage/query.h"

#define WAIT_BUSY_RETRY_MS 50 /* a woken waiter looks again after so long, if the journal was full */
#define WAIT_SIFT_RETRY_MS 1000 /* ... or messages that it needs to know of could not be read */

static void wait_woken(struct waiter *w, void *arg);
static void wait_expired(struct waiter *w, void *arg);

static const struct waiter_ops wait_ops = {.woken = wait_woken, .expired = wait_expired};

bool wait_allowed(const struct command *cmd)
{
    enum command_id id = cmd->info->id;
    return (id == CMD_POP || id == CMD_CHECKS || id == CMD_READ) && command_number(cmd, OPT_ID_WAIT, 0) > 0;
}

/* While connections hold too much memory, a connection may have one wait, up to a point. */
bool waits_full(struct conn *c)
{
    uint32_t most = WAITS_MAX;
    if (conn_memory_is_short(c))
        most = account_is_far_over(&c->loop->shared->account) ? 0 : 1;
    return session_of(c)->n_waits >= most;
}

/* ---- the list of a connection ---- */

static void wait_own(struct conn *c, struct waiter *w)
{
    struct session *s = session_of(c);
    w->next_mine = s->waits;
    if (s->waits)
        s->waits->prev_mine = w;
    s->waits = w;
    s->n_waits++;
    w->cost = w->entry->bytes + sizeof *w + w->n_links * sizeof *w->links;
    conn_keep(c, w->cost);
    conn_need(c, CONN_WAITS, true);
    const struct command *cmd = &w->entry->cmd;
    if (cmd->info->id == CMD_CHECKS) {
        w->member_of = news_key(NEWS_PGROUP, cmd->pos[0], slice_of(NULL, 0));
        members_join(serve_of(c->loop)->env.members, w->member_of);
    }
    counters_add(&c->loop->counters, COUNTER_WAITERS, 1);
}

static void wait_disown(struct conn *c, struct waiter *w)
{
    struct session *s = session_of(c);
    *(w->prev_mine ? &w->prev_mine->next_mine : &s->waits) = w->next_mine;
    if (w->next_mine)
        w->next_mine->prev_mine = w->prev_mine;
    w->prev_mine = w->next_mine = NULL;
    s->n_waits--;
    conn_keep_no_more(c, w->cost);
    conn_need(c, CONN_WAITS, s->n_waits > 0);
    if (w->member_of)
        members_leave(serve_of(c->loop)->env.members, w->member_of);
    counters_sub(&c->loop->counters, COUNTER_WAITERS, 1);
}

/* Ends a PARKED wait with an empty reply. */
static void wait_end_empty(struct conn *c, struct waiter *w)
{
    struct request rq = session_request_of(w->entry);
    wait_disown(c, w);
    waiter_free(w, false);
    conn_wait_over(c);
    answer_empty(c, rq);
}

void waits_end(struct conn *c)
{
    for (struct waiter *w = session_of(c)->waits, *next; w; w = next) {
        next = w->next_mine;
        if (w->state == WAITER_PARKED)
            wait_end_empty(c, w);
    }
}

void waits_revoke(struct conn *c)
{
    for (struct waiter *w = session_of(c)->waits, *next; w; w = next) {
        next = w->next_mine;
        if (w->state == WAITER_PARKED && !allow_still(c, &w->entry->cmd))
            wait_end_empty(c, w);
    }
}

void waits_drop(struct conn *c)
{
    for (struct waiter *w = session_of(c)->waits, *next; w; w = next) {
        next = w->next_mine;
        wait_disown(c, w);
        if (w->state == WAITER_RUNNING)
            w->gone = true; /* wait_back frees it */
        else
            waiter_free(w, false);
    }
}

/* ---- parking ---- */

static struct waiter *wait_begin(struct conn *c, struct entry *e, uint64_t key, int64_t retry_ms)
{
    int64_t deadline = timers_now() + command_number(&e->cmd, OPT_ID_WAIT, 0);
    struct waiter *w = waiter_park(&serve_of(c->loop)->waiters, &wait_ops, e, key, deadline, retry_ms);
    if (w)
        wait_own(c, w);
    return w;
}

bool wait_park(struct conn *c, struct entry *e)
{
    struct loop *l = c->loop;
    if (conn_is_ending(c) || session_request_of(e).quiet || waits_full(c))
        return false;
    struct waiter *w = wait_begin(c, e, 0, waiter_retry_ms(l->env.journal, e));
    if (!w)
        return false;
    if (e->out.sift || waiters_missed(&serve_of(l)->waiters, e))
        waiter_wake(w);
    return true;
}

/* A copy of a READ. Where it begins at what the end was, it goes on from that offset. */
static struct entry *wait_copy_read(struct conn *c, const struct command *cmd, const struct query_hint *hint)
{
    char offset[24];
    struct command from = *cmd;
    if (hint->fixed) {
        int n = snprintf(offset, sizeof offset, "%llu", (unsigned long long)hint->at);
        from.pos[2] = slice_of(offset, (size_t)n);
    }
    return entry_new(&c->loop->entries, &from);
}

bool wait_park_read(struct conn *c, const struct command *cmd, struct request rq, const struct query_hint *hint)
{
    if (conn_is_ending(c) || rq.quiet || waits_full(c))
        return false;
    struct entry *e = wait_copy_read(c, cmd, hint);
    if (!e)
        return false;
    answer_address(e, c, rq);
    if (!wait_begin(c, e, hint->key, 0)) {
        entry_free(e);
        return false;
    }
    conn_wait_begins(c);
    return true;
}

/* A waiter's entry came back with `nothing`: parks it again. False: its deadline has passed, or it cannot be parked. */
static bool wait_goes_on(struct conn *c, struct waiter *w, struct entry *e)
{
    struct loop *l = c->loop;
    if (conn_is_ending(c) || timers_now() >= w->deadline_ms || !allow_still(c, &e->cmd))
        return false;
    if (e->out.sift && !e->sift_failed && sieve_begin(l, e))
        return true;
    int64_t retry_ms = e->out.sift ? timers_now() + WAIT_SIFT_RETRY_MS : waiter_retry_ms(l->env.journal, e);
    entry_sift_over(e);
    if (waiter_park_again(w, e, retry_ms) != ST_OK)
        return false;
    if (waiters_missed(&serve_of(l)->waiters, e))
        waiter_wake(w);
    return true;
}

/* ---- the end ---- */

void wait_answer(struct conn *c, struct entry *e)
{
    conn_wait_over(c);
    bool error = e->fate != ST_OK || reply_is_error(buf_slice(&e->out.reply), NULL);
    if (error || e->out.nothing || (allow_still(c, &e->cmd) && !conn_has_closed(c))) {
        answer_entry(c, e);
        return;
    }
    giveback_entry(c->loop, e);
    answer_empty(c, session_request_of(e));
}

void wait_back(struct loop *l, struct entry *e)
{
    struct waiter *w = e->arg;
    struct conn *c = conn_at(l, e->slot, e->generation);
    bool nothing = e->fate == ST_OK && e->out.nothing;
    if (w->gone || !c || conn_is_doomed(c)) {
        giveback_entry(l, e);
        if (c)
            wait_disown(c, w);
        waiter_free(w, !nothing);
        entry_free(e);
        return;
    }
    if (nothing && wait_goes_on(c, w, e))
        return;
    wait_disown(c, w);
    waiter_free(w, !nothing);
    wait_answer(c, e);
    delivery_free(e);
}

static void wait_expired(struct waiter *w, void *arg)
{
    struct conn *c = conn_at(arg, w->entry->slot, w->entry->generation);
    assert(c && w->state == WAITER_PARKED);
    wait_end_empty(c, w);
}

/* ---- woken ---- */

/* Limits the reply to a parked READ to what there is memory for. False: not even one message. */
static bool wait_limit_read(struct conn *c, struct view *v, const struct command *cmd)
{
    bool small = conn_memory_is_short(c) && !c->reply_lane;
    view_limit_replies(v, small ? SHORT_REPLY_BYTES : c->loop->reply_most);
    return !small || query_weigh(v, cmd).message <= SHORT_REPLY_BYTES_MAX || conn_takes_reply_lane(c);
}

/* A parked READ: runs the query again. */
static void wait_read_again(struct loop *l, struct waiter *w)
{
    struct entry *e = w->entry;
    struct conn *c = conn_at(l, e->slot, e->generation);
    assert(c);
    struct view *v = loop_view(l);
    bool has_room = !v || wait_limit_read(c, v, &e->cmd);
    struct buf *r = loop_reply(l);
    struct query_hint hint = {0};
    struct policy policy = journal_policy(l->env.journal);
    if (v && has_room)
        query_all(v, &policy, journal_now_ms(l->env.journal), &e->cmd, r, &hint);
    if ((!v || hint.nothing) && !conn_is_ending(c) && waiter_park_again(w, e, 0) == ST_OK)
        return;
    struct request rq = session_request_of(e);
    wait_disown(c, w);
    waiter_free(w, true);
    conn_wait_over(c);
    if (!v || !has_room || r->failed)
        reply_error(r, ST_BUSY, "no memory for the reply: ask for less");
    conn_answer(c, rq, buf_slice(r));
}

/* Looks again: submits the same entry once more, or runs the query again. */
static void wait_woken(struct waiter *w, void *arg)
{
    struct loop *l = arg;
    struct entry *e = w->entry;
    if (e->cmd.info->kind == KIND_QUERY) {
        wait_read_again(l, w);
        return;
    }
    w->entry = NULL;
    if ((e->sifts || e->out.sift) && sieve_begin(l, e)) /* its group has a FILTER WHERE */
        return;
    entry_again(e);
    if (loop_submit(l, e))
        return;
    if (waiter_park_again(w, e, timers_now() + WAIT_BUSY_RETRY_MS) == ST_OK)
        return;
    e->fate = ST_BUSY;
    wait_back(l, e);
}
