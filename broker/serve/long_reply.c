/*
 * long_reply.c: does the steps, one a turn of the loop, and cuts clients that do not read (long_reply.h).
 */
#include "broker/serve/long_reply.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/checks/asked.h"
#include "broker/net/conn_out.h"
#include "broker/net/conn_room.h"
#include "broker/serve/consumer_facts.h"
#include "broker/serve/giveback.h"
#include "broker/serve/session.h"
#include "protocol/base/reply.h"
#include "storage/access/users.h"

#define HELD_SHORT_MAX (2 * SHORT_REPLY_BYTES_MAX) /* the buffer of a short reply may have grown to this */
#define PIECES_UNSENT_MAX ((size_t)KIB(64)) /* no further step while more is unsent */
#define LOOK_MS 250
#define STUCK_MS 500 /* ... while others wait */
#define STUCK_ALONE_MS 60000

enum long_kind { LONG_QUERY, LONG_CHECKS, LONG_PUSH };

struct long_reply {
    struct conn *conn;
    struct long_reply *prev, *next;
    struct view *view; /* NULL: queued */
    struct request rq;
    bool in_pieces;
    bool begun; /* a piece was sent */
    bool small; /* it is kept short, as connections hold too much memory ... */
    bool wants_lane; /* ... but must not be */
    struct query_hint hint; /* of the last step */
    struct buf tokens; /* gathered */
    size_t kept; /* bytes that its connection is charged with */
    uint64_t sent; /* conn->sent ... */
    int64_t moved_ms; /* ... when it changed last */
    enum long_kind kind;
    struct entry *entry; /* of a CHECKS; else NULL */
    bool in_exec;        /* the CHECKS is one of an EXEC's, which goes on behind it */
    struct asked asked;  /* of a CHECKS and of a push */
    bool made;           /* all of it is in the output */
    uint32_t ask_id;     /* of a push, once it is among the session's asks ... */
    bool settled;        /* ... so that it is not ours to take back; also where it was delivered, or nobody can be asked */
    struct policy policy;
    struct command cmd; /* points into mem */
    _Alignas(8) uint8_t mem[];
};

bool long_reply_is_usual(const struct command *cmd)
{
    switch (cmd->info->id) {
    case CMD_LAG:
    case CMD_GROUP_LIST:
    case CMD_GROUP_INFO:
    case CMD_PGROUP_LIST:
    case CMD_TOPIC_LIST: return true;
    default: return false;
    }
}

static struct long_replies *long_reply_all_of(struct loop *l)
{
    return &serve_of(l)->long_replies;
}

/* ---- the list ---- */

static void long_reply_link(struct long_replies *all, struct long_reply *r)
{
    r->next = NULL;
    r->prev = all->last;
    *(all->last ? &all->last->next : &all->first) = r;
    all->last = r;
}

static void long_reply_unlink(struct long_replies *all, struct long_reply *r)
{
    *(r->prev ? &r->prev->next : &all->first) = r->next;
    *(r->next ? &r->next->prev : &all->last) = r->prev;
}

static void long_reply_charge(struct long_reply *r, size_t bytes)
{
    conn_keep(r->conn, bytes);
    conn_keep_no_more(r->conn, r->kept);
    r->kept = bytes;
}

static struct long_reply *long_reply_new(struct conn *c, const struct command *cmd, struct request rq)
{
    struct long_reply *r = calloc(1, sizeof *r + command_clone_size(cmd));
    if (!r)
        return NULL;
    command_clone(cmd, r->mem, &r->cmd);
    if (r->cmd.user)
        users_hold(r->cmd.user->users);
    r->conn = c;
    r->rq = rq;
    r->in_pieces = !rq.quiet && !c->in_flight && !c->needs && !session_of(c)->subscriber.first;
    buf_init(&r->tokens, REPLY_BYTES_MAX);
    long_reply_link(long_reply_all_of(c->loop), r);
    long_reply_all_of(c->loop)->n_queued++;
    session_of(c)->long_reply = r;
    c->stops |= STOP_REPLY;
    conn_need(c, CONN_ANSWERS, true);
    long_reply_charge(r, sizeof *r + command_clone_size(cmd));
    return r;
}

/* The ask of a CHECKS or a push is taken back, unless it is settled; and the entry leaves. An entry that was parked does
 * not count as in flight. */
static void long_reply_free_check(struct long_reply *r, bool lost)
{
    struct conn *c = r->conn;
    struct entry *e = r->entry;
    if (!r->settled)
        giveback_one_ask(c->loop, r->asked.ask);
    if (!e)
        return;
    bool in_flight = !e->arg && !r->in_exec;
    if (in_flight && lost)
        conn_entry_lost(c->loop, e);
    else if (in_flight)
        conn_entry_back(c, e);
    entry_free(e);
}

static void long_reply_free(struct long_reply *r)
{
    struct conn *c = r->conn;
    struct long_replies *all = long_reply_all_of(c->loop);
    --*(r->view ? &all->n_working : &all->n_queued);
    long_reply_unlink(all, r);
    long_reply_charge(r, 0);
    if (r->cmd.user)
        users_release(r->cmd.user->users);
    view_close(r->view);
    buf_free(&r->tokens);
    session_of(c)->long_reply = NULL;
    if (!r->in_exec) {
        c->stops &= ~(unsigned)STOP_REPLY;
        conn_need(c, CONN_ANSWERS, false);
    }
    free(r);
}

void long_reply_drop(struct conn *c)
{
    struct long_reply *r = session_of(c)->long_reply;
    if (r && r->kind != LONG_QUERY)
        long_reply_free_check(r, true);
    if (r)
        long_reply_free(r);
}

/* ---- steps ---- */

static void long_reply_refuse(struct long_reply *r, const char *text)
{
    struct conn *c = r->conn;
    struct request rq = r->rq;
    long_reply_free(r);
    conn_refuse(c, rq, ST_BUSY, text);
    conn_touch(c);
}

/* The whole reply is there: it is an ordinary one. */
static void long_reply_answer(struct long_reply *r, struct slice tokens)
{
    struct conn *c = r->conn;
    conn_answer(c, r->rq, tokens);
    long_reply_free(r);
    conn_touch(c);
}

static void long_reply_send_piece(struct long_reply *r, struct slice tokens, bool is_last)
{
    struct conn *c = r->conn;
    if (tokens.len)
        conn_answer_piece(c, r->rq, tokens, !r->begun);
    r->begun = r->begun || tokens.len;
    if (is_last)
        long_reply_free(r);
    conn_touch(c);
}

static void long_reply_gather(struct long_reply *r, bool is_last)
{
    struct conn *c = r->conn;
    bool too_large = conn_memory_is_short(c) && r->tokens.len > SHORT_REPLY_BYTES_MAX && !conn_takes_reply_lane(c);
    if (too_large)
        long_reply_refuse(r, "no memory for the reply: ask on a connection of its own, or for less");
    else if (is_last)
        long_reply_answer(r, buf_slice(&r->tokens));
}

/* While connections hold too much memory: is more found than a short reply may have, and there is no lane for it? */
static bool long_reply_must_wait(struct long_reply *r)
{
    struct conn *c = r->conn;
    size_t held = view_held(r->view);
    if (r->begun || !held)
        return false;
    bool more = held > HELD_SHORT_MAX || (r->small && r->hint.cut);
    return more && (r->small || (conn_memory_is_short(c) && !conn_takes_reply_lane(c)));
}

/* Gives up what it has, and begins again when it has a lane. */
static void long_reply_again(struct long_reply *r)
{
    struct long_replies *all = long_reply_all_of(r->conn->loop);
    view_close(r->view);
    r->view = NULL;
    r->wants_lane = true;
    buf_reset(&r->tokens, 0);
    all->n_working--;
    all->n_queued++;
    long_reply_charge(r, sizeof *r);
}

static void long_reply_stepped(struct long_reply *r, enum query_step step, struct buf *out)
{
    bool is_last = step == QUERY_DONE;
    long_reply_charge(r, sizeof *r + r->tokens.size + view_held(r->view));
    if (step == QUERY_BROKEN || (out->failed && r->begun))
        conn_cut(r->conn, "closing a connection: the rest of its reply cannot be read");
    else if (out->failed)
        long_reply_refuse(r, "no memory for the reply: ask on a connection of its own, or for less");
    else if (long_reply_must_wait(r))
        long_reply_again(r);
    else if (!r->in_pieces)
        long_reply_gather(r, is_last);
    else if (is_last && !r->begun)
        long_reply_answer(r, buf_slice(out));
    else
        long_reply_send_piece(r, buf_slice(out), is_last);
}

static struct buf *long_reply_out(struct long_reply *r)
{
    return r->in_pieces ? loop_reply(r->conn->loop) : &r->tokens;
}

/* One step; may end the reply. */
static void long_reply_step(struct long_reply *r)
{
    struct buf *out = long_reply_out(r);
    long_reply_stepped(r, query_go_on(r->view, &r->cmd, out, &r->hint), out);
}

/* ---- steps of a CHECKS, and of a push ---- */

static void long_reply_end_check(struct long_reply *r)
{
    struct conn *c = r->conn;
    struct long_replies *all = long_reply_all_of(c->loop);
    uint8_t name[NAME_BYTES_MAX];
    struct slice pgroup = slice_of(name, r->cmd.pos[0].len);
    bool push = r->kind == LONG_PUSH, settled = r->settled;
    assert(pgroup.len <= sizeof name);
    memcpy(name, r->cmd.pos[0].data, pgroup.len);
    long_reply_free_check(r, false);
    long_reply_free(r);
    conn_touch(c);
    if (push)
        all->pushed(c->loop, pgroup, settled);
    all->ended(c);
}

/* It cannot be made: nothing was sent of it yet, or part of it. */
static void long_reply_fail_check(struct long_reply *r, enum status s)
{
    struct conn *c = r->conn;
    bool nobody = s == ST_GONE || s == ST_DAMAGED; /* it is decided, or nobody can be asked */
    if (r->begun) {
        r->settled = r->settled || nobody;
        conn_cut(c, "closing a connection: the rest of its reply cannot be read");
        return;
    }
    if (r->kind == LONG_PUSH && r->settled)
        (void)asks_take(&session_of(c)->asks, r->ask_id, &r->asked.ask);
    r->settled = nobody;
    struct buf *t = loop_reply(c->loop);
    if (nobody)
        reply_array(t, 0);
    else
        reply_error(t, ST_BUSY, "no memory for the checks; they are asked again, try again");
    if (r->kind == LONG_CHECKS)
        conn_answer(c, r->rq, buf_slice(t));
    r->settled = r->settled && !(r->kind == LONG_CHECKS && conn_is_doomed(c));
    long_reply_end_check(r);
}

/* The session remembers the ask of a push before it is sent, and takes it back if the connection ends. */
static enum status long_reply_add_ask(struct long_reply *r)
{
    struct session *session = session_of(r->conn);
    enum status s = asks_reserve(&session->asks);
    if (s != ST_OK)
        return s;
    r->ask_id = asks_add(&session->asks, r->asked.ask);
    r->settled = true;
    session_charge(r->conn);
    return ST_OK;
}

/* What comes before the text, which is a bulk string in an array. These bytes are RESP, and no tokens: a token would have to
 * have all of the text. */
static void long_reply_text_head(const struct long_reply *r, struct buf *out)
{
    struct slice pgroup = r->cmd.pos[0];
    unsigned long long length = r->asked.length;
    if (r->kind == LONG_CHECKS)
        buf_printf(out, "*1\r\n$%llu\r\n", length);
    else
        buf_printf(out, "%c3\r\n$7\r\nmessage\r\n$%zu\r\ncheck:%.*s\r\n$%llu\r\n", r->conn->proto >= 3 ? '>' : '*',
                   pgroup.len + 6, (int)pgroup.len, (const char *)pgroup.data, length);
}

static enum status long_reply_text_step(struct long_reply *r, struct buf *out)
{
    if (asked_is_known(&r->asked))
        long_reply_text_head(r, out);
    enum status s = asked_step(&r->asked, r->view, out);
    if (s == ST_OK)
        buf_put_str(out, "\r\n");
    return s;
}

/* A step of tokens: of a CHECKS, which an answer is made of later, or written to out as what a request `check` has. */
static enum status long_reply_rpc_step(struct long_reply *r, struct buf *out)
{
    bool known = asked_is_known(&r->asked);
    if (r->kind == LONG_CHECKS) {
        if (known)
            reply_array(out, 1);
        return asked_step(&r->asked, r->view, out);
    }
    struct buf *tokens = loop_reply(r->conn->loop);
    enum status s = asked_step(&r->asked, r->view, tokens);
    if (s != ST_OK && s != ST_BUSY)
        return s;
    if (known) {
        rpc_put_request(out, r->ask_id, "check");
        rpc_put_list(out, 1); /* params as generic clients expect them: an array of one map */
    }
    rpc_write_more(out, buf_slice(tokens));
    return tokens->failed ? ST_NOMEM : s;
}

/* Are the bytes that are made those of the output? */
static bool long_reply_is_raw(const struct long_reply *r)
{
    return conn_is_text(r->conn) || r->kind == LONG_PUSH;
}

/* Sends what was made. In pieces it is in the output already. */
static void long_reply_send_raw(struct long_reply *r, const struct buf *made, bool is_last)
{
    struct conn *c = r->conn;
    struct buf *out = conn_out(c);
    if (made != out)
        buf_put_slice(out, buf_slice(made));
    if (!r->begun && r->kind == LONG_CHECKS)
        counters_add(&c->loop->counters, COUNTER_COMMANDS, 1);
    if (is_last && r->kind == LONG_PUSH)
        counters_add(&c->loop->counters, COUNTER_CHECKS_HANDED, 1);
    if (out->failed)
        conn_cut(c, "closing a connection: no memory for its replies");
    else if (r->kind == LONG_PUSH && !r->in_pieces)
        conn_pushed(c);
    conn_grew(c);
    conn_touch(c);
}

static void long_reply_send_check(struct long_reply *r, struct buf *made, bool is_last)
{
    struct conn *c = r->conn;
    if (long_reply_is_raw(r))
        long_reply_send_raw(r, made, is_last);
    else if (is_last && !r->begun)
        conn_answer(c, r->rq, buf_slice(made));
    else
        conn_answer_piece(c, r->rq, buf_slice(made), !r->begun);
    r->begun = true;
}

/* One step. What is raw is written straight into the output. */
static void long_reply_step_check(struct long_reply *r)
{
    struct conn *c = r->conn;
    bool put = r->asked.put, straight = r->in_pieces && long_reply_is_raw(r);
    struct buf *out = straight ? conn_out(c) : long_reply_out(r);
    enum status s = ST_OK;
    if (r->kind == LONG_PUSH && asked_is_known(&r->asked))
        s = long_reply_add_ask(r);
    if (s == ST_OK)
        s = conn_is_text(c) ? long_reply_text_step(r, out) : long_reply_rpc_step(r, out);
    long_reply_charge(r, sizeof *r + r->tokens.size);
    if (out->failed)
        s = ST_NOMEM;
    if (s != ST_OK && s != ST_BUSY) {
        r->begun = r->begun || (put && straight);
        long_reply_fail_check(r, s);
        return;
    }
    if (put && (r->in_pieces || s == ST_OK))
        long_reply_send_check(r, out, s == ST_OK);
    if (s != ST_OK)
        return;
    r->settled = r->settled || !conn_is_doomed(c); /* of a doomed one, the session has taken back that of a push */
    r->made = true;
    if (r->kind == LONG_CHECKS || !r->in_pieces)
        long_reply_end_check(r);
}

/* While connections hold too much memory, a step that appends messages needs a reply lane: one may be large. */
static bool long_reply_needs_lane(const struct long_reply *r)
{
    return r->asked.put && !r->made && conn_memory_is_short(r->conn) && !r->conn->reply_lane;
}

/* A push ends when most of it is sent, so that the member can be asked again at once. */
static void long_reply_go_on_check(struct long_reply *r)
{
    if (r->made)
        long_reply_end_check(r);
    else if (long_reply_needs_lane(r) && !conn_takes_reply_lane(r->conn))
        conn_await_room(r->conn, 0);
    else
        long_reply_step_check(r);
}

static bool long_reply_has_topics(struct conn *c)
{
    for (const struct subscription *s = session_of(c)->subscriber.first; s; s = s->next_mine) {
        if (s->channel->kind == CHANNEL_TOPIC)
            return true;
    }
    return false;
}

/* Nothing can be sent on its connection meanwhile: replies to entries of a text connection come behind it, and so do other
 * check-backs; a push begins when nothing is in flight. */
static bool long_reply_is_alone(const struct long_reply *r)
{
    struct conn *c = r->conn;
    const uint32_t mine = r->entry && !r->entry->arg && !r->in_exec ? 1 : 0;
    bool quiet = c->in_flight == mine && !(c->needs & ~(unsigned)(CONN_ANSWERS | CONN_COUNTS_SENT));
    if (r->kind == LONG_PUSH)
        return quiet && !long_reply_has_topics(c);
    return !session_of(c)->subscriber.first && (conn_is_text(c) || quiet);
}

/* ---- beginning ---- */

/* Opens its view. False: it cannot begin now. */
static bool long_reply_open(struct long_reply *r)
{
    struct conn *c = r->conn;
    struct loop *l = c->loop;
    if (r->wants_lane && conn_memory_is_short(c) && !conn_takes_reply_lane(c))
        return false;
    r->view = journal_view(l->env.journal, &l->client);
    if (!r->view) {
        if (r->kind != LONG_QUERY)
            long_reply_fail_check(r, ST_NOMEM);
        else
            long_reply_refuse(r, NULL);
        return false;
    }
    long_reply_all_of(l)->n_queued--;
    long_reply_all_of(l)->n_working++;
    r->small = conn_memory_is_short(c) && !c->reply_lane;
    consumer_facts_offer(l, r->view);
    view_limit_replies(r->view, r->small ? SHORT_REPLY_BYTES : l->reply_most);
    r->sent = c->sent;
    r->moved_ms = timers_now();
    return true;
}

/* The first step. */
static void long_reply_start(struct long_reply *r)
{
    if (!long_reply_open(r))
        return;
    if (r->kind != LONG_QUERY) {
        r->in_pieces = long_reply_is_alone(r);
        if (!r->in_pieces && conn_memory_is_short(r->conn) && !conn_takes_reply_lane(r->conn))
            long_reply_fail_check(r, ST_NOMEM);
        else
            long_reply_step_check(r);
        return;
    }
    struct journal *j = r->conn->loop->env.journal;
    struct buf *out = long_reply_out(r);
    r->policy = journal_policy(j);
    long_reply_stepped(r, query_run(r->view, &r->policy, journal_now_ms(j), &r->cmd, out, &r->hint), out);
}

/* While connections hold too much memory. */
static bool long_reply_may_start(const struct long_reply *r)
{
    const struct conn *c = r->conn;
    if (r->wants_lane)
        return c->reply_lane || account_has_reply_lane(&c->loop->shared->account);
    return conn_is_read(c);
}

/* May it do its first step, or the next one? */
static bool long_reply_has_room(const struct long_reply *r, const struct long_replies *all)
{
    if (conn_is_doomed(r->conn) || (!r->view && r->kind == LONG_PUSH && r->conn->in_flight))
        return false;
    if (!r->view)
        return all->n_working < LONG_REPLIES_MAX && (!conn_memory_is_short(r->conn) || long_reply_may_start(r));
    if (r->kind != LONG_QUERY && long_reply_needs_lane(r) && !account_has_reply_lane(&r->conn->loop->shared->account))
        return !r->conn->awaits; /* it has to begin to */
    return !r->in_pieces || conn_unsent(r->conn) < PIECES_UNSENT_MAX;
}

static struct long_reply *long_reply_next(const struct long_replies *all)
{
    struct long_reply *r = all->first;
    while (r && !long_reply_has_room(r, all))
        r = r->next;
    return r;
}

/* ---- those who do not read ---- */

static void long_reply_look(struct long_reply *r, int64_t now_ms, bool others_wait)
{
    struct conn *c = r->conn;
    bool stuck = r->view && r->in_pieces && conn_unsent(c) && c->sent == r->sent;
    if (!stuck)
        r->moved_ms = now_ms;
    r->sent = c->sent;
    if (now_ms - r->moved_ms < (others_wait ? STUCK_MS : STUCK_ALONE_MS) || conn_is_doomed(c))
        return;
    counters_add(&c->loop->counters, COUNTER_STUCK_CUT, 1);
    conn_cut(c, "closing a connection: it does not read its reply");
}

static void long_reply_arm(struct loop *l)
{
    struct long_replies *all = long_reply_all_of(l);
    /* Without memory for the timer, the next step does it. */
    if (all->first && !timer_is_set(&all->look) && timer_set(&l->timers, &all->look, timers_now() + LOOK_MS) != ST_OK)
        return;
}

static void long_reply_look_fires(struct timer *t, void *arg)
{
    struct loop *l = arg;
    struct long_replies *all = long_reply_all_of(l);
    bool others_wait = all->n_working == LONG_REPLIES_MAX && all->n_queued;
    (void)t;
    for (struct long_reply *r = all->first; r; r = r->next)
        long_reply_look(r, timers_now(), others_wait);
    long_reply_arm(l);
}

void long_replies_init(struct long_replies *all, void (*ended)(struct conn *c),
                       void (*pushed)(struct loop *l, struct slice pgroup, bool settled))
{
    *all = (struct long_replies){.look.fire = long_reply_look_fires, .ended = ended, .pushed = pushed};
}

/* ---- from outside ---- */

void long_reply_begin(struct conn *c, const struct command *cmd, struct request rq)
{
    struct long_replies *all = long_reply_all_of(c->loop);
    struct long_reply *r = long_reply_new(c, cmd, rq);
    if (!r)
        conn_refuse(c, rq, ST_BUSY, NULL);
    else if (all->n_queued == 1 && long_reply_has_room(r, all))
        long_reply_start(r);
    long_reply_arm(c->loop);
}

/* Its first step is done by long_replies_run, when the connection has let go of the entry. stops: those that it cannot begin
 * with. */
static struct long_reply *long_reply_begin_asked(struct conn *c, const struct command *cmd, struct request rq,
                                                 struct ask ask, unsigned stops)
{
    bool busy = session_of(c)->long_reply || (c->stops & stops);
    struct long_reply *r = busy ? NULL : long_reply_new(c, cmd, rq);
    if (!r)
        return NULL;
    asked_begin(&r->asked, ask, conn_is_text(c));
    r->in_pieces = false; /* until it begins */
    long_reply_arm(c->loop);
    return r;
}

bool long_reply_begin_check(struct conn *c, struct request rq, struct entry *e, struct ask ask)
{
    bool in_exec = session_of(c)->multi != NULL; /* which has stopped the connection itself */
    struct long_reply *r = long_reply_begin_asked(c, &e->cmd, rq, ask, in_exec ? STOP_LOGIN : STOP_REPLY | STOP_LOGIN);
    if (!r)
        return false;
    r->kind = LONG_CHECKS;
    r->entry = e;
    r->in_exec = in_exec;
    e->kept = true;
    return true;
}

bool long_reply_begin_push(struct conn *c, const struct command *checks, struct ask ask)
{
    struct long_reply *r = long_reply_begin_asked(c, checks, (struct request){0}, ask, STOP_REPLY | STOP_LOGIN);
    if (!r)
        return false;
    r->kind = LONG_PUSH;
    return true;
}

bool long_reply_pushes(struct conn *c)
{
    const struct long_reply *r = session_of(c)->long_reply;
    return r && r->kind == LONG_PUSH;
}

bool long_reply_holds_checks(struct conn *c)
{
    const struct long_reply *r = session_of(c)->long_reply;
    return r && (r->kind != LONG_PUSH || r->view);
}

bool long_reply_has(struct conn *c, const struct entry *e)
{
    const struct long_reply *r = session_of(c)->long_reply;
    return r && r->entry == e;
}

bool long_replies_run(struct loop *l)
{
    struct long_replies *all = long_reply_all_of(l);
    struct long_reply *r = all->turn == l->turn ? NULL : long_reply_next(all);
    if (!r)
        return all->turn == l->turn && long_reply_next(all);
    all->turn = l->turn;
    long_reply_unlink(all, r);
    long_reply_link(all, r);
    if (r->view && r->kind != LONG_QUERY)
        long_reply_go_on_check(r);
    else if (r->view)
        long_reply_step(r);
    else
        long_reply_start(r);
    long_reply_arm(l);
    return long_reply_next(all) != NULL;
}
