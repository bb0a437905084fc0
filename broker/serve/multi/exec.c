/* exec.c: submits what is queued as one entry, and writes the replies one by one (exec.h). */
#include "broker/serve/multi/exec.h"

#include "broker/base/clock.h"
#include "broker/net/conn_room.h"
#include "broker/serve/answer.h"
#include "broker/serve/consumer_facts.h"
#include "broker/serve/delivery.h"
#include "broker/serve/giveback.h"
#include "broker/serve/multi/exec_sift.h"
#include "broker/serve/multi/multi.h"
#include "broker/serve/session.h"
#include "broker/serve/who/allow.h"
#include "protocol/base/reply.h"
#include "storage/query.h"

#define UNSENT_MAX ((size_t)KIB(64)) /* no further reply while more is unsent */
#define STUCK_LOOKS 12 /* a minute */
#define SLICE_NS INT64_C(1000000) /* of making replies, in a turn */
#define UNSENT_AT_ONCE_MAX ((size_t)MIB(8)) /* of replies that are made at once: further queries get BUSY */

static const struct request exec_text = {0}; /* text connections have no ids */

static struct execs *exec_all_of(struct conn *c)
{
    return &serve_of(c->loop)->execs;
}

void execs_init(struct execs *all, void (*run_local)(struct conn *c, const struct command *cmd, struct request rq))
{
    *all = (struct execs){.run_local = run_local};
}

/* ---- beginning and end ---- */

static void exec_close_view(struct multi *m)
{
    if (!m->view)
        return;
    view_close(m->view);
    m->view = NULL;
    exec_all_of(m->conn)->n_views--;
}

static bool exec_open_view(struct multi *m)
{
    struct loop *l = m->conn->loop;
    m->view = journal_view(l->env.journal, &l->client);
    if (!m->view)
        return false;
    consumer_facts_offer(l, m->view);
    exec_all_of(m->conn)->n_views++;
    return true;
}

static void exec_link(struct execs *all, struct multi *m)
{
    m->next = NULL;
    m->prev = all->last;
    *(all->last ? &all->last->next : &all->first) = m;
    all->last = m;
}

static void exec_unlink(struct execs *all, struct multi *m)
{
    *(m->prev ? &m->prev->next : &all->first) = m->next;
    *(m->next ? &m->next->prev : &all->last) = m->prev;
}

static void exec_end(struct multi *m)
{
    struct conn *c = m->conn;
    exec_close_view(m);
    if (m->answering || m->sifting)
        exec_unlink(exec_all_of(c), m);
    c->stops &= ~(unsigned)STOP_REPLY;
    conn_need(c, CONN_ANSWERS, false);
    multi_free(m);
}

void exec_drop(struct conn *c)
{
    struct multi *m = session_of(c)->multi;
    if (!m)
        return;
    for (struct entry *e; m->answering && (e = entry_pop(&m->queue));) {
        giveback_entry(c->loop, e);
        entry_free(e);
    }
    exec_end(m);
}

void exec_look(struct conn *c)
{
    struct multi *m = session_of(c)->multi;
    if (!m || !m->answering || !m->view || !conn_unsent(c) || conn_is_doomed(c))
        return;
    if (session_of(c)->long_reply) /* which is looked after by itself */
        return;
    if (++m->stuck < STUCK_LOOKS && exec_all_of(c)->n_views < EXEC_VIEWS_MAX)
        return;
    counters_add(&c->loop->counters, COUNTER_STUCK_CUT, 1);
    conn_cut(c, "closing a connection: it does not read its reply");
}

/* ---- replies ---- */

/* What an entry holds that came back. */
static size_t exec_cost(const struct entry *e)
{
    const struct outcome *out = &e->out;
    size_t reply = out->reply.borrowed ? 0 : out->reply.size;
    return e->bytes + reply + out->text.size + out->n_grants * sizeof *out->grants;
}

/* May a push come between two pieces of output? Then there must be no pieces. */
static bool exec_is_at_once(const struct multi *m)
{
    return session_of(m->conn)->subscriber.first != NULL;
}

/* The first command is answered. */
static void exec_is_answered(struct multi *m)
{
    struct entry *e = entry_pop(&m->queue);
    multi_charge(m, m->kept - exec_cost(e));
    m->stepping = m->begun = false;
    if (--m->n_queries == 0)
        exec_close_view(m);
    entry_free(e);
}

/* While connections hold too much memory a query needs a reply lane. */
static bool exec_has_memory(const struct multi *m)
{
    const struct conn *c = m->conn;
    const struct entry *e = m->queue.first;
    bool waits = e && e->cmd.info->kind == KIND_QUERY && !m->stepping && conn_memory_is_short(c) && !c->reply_lane;
    return !waits || account_has_reply_lane(&c->loop->shared->account);
}

static enum query_step exec_query_begin(struct multi *m, const struct command *cmd, struct buf *r,
                                        struct query_hint *hint)
{
    struct loop *l = m->conn->loop;
    struct policy policy = journal_policy(l->env.journal);
    view_limit_replies(m->view, l->reply_most);
    return query_run(m->view, &policy, journal_now_ms(l->env.journal), cmd, r, hint);
}

/* Sends what a step of the first command's query has made. */
static void exec_send_step(struct multi *m, struct buf *r, bool is_last)
{
    struct conn *c = m->conn;
    if (is_last && !m->begun)
        conn_answer(c, exec_text, buf_slice(r));
    else if (r->len)
        conn_answer_piece(c, exec_text, buf_slice(r), false);
    m->begun = m->begun || r->len;
    buf_reset(r, REPLY_BYTES_KEEP);
}

/* One step. False: it has more, or has to wait for memory. */
static bool exec_answer_query(struct multi *m)
{
    struct conn *c = m->conn;
    const struct command *cmd = &m->queue.first->cmd;
    struct query_hint hint = {0};
    struct buf *r = loop_reply(c->loop);
    enum query_step step = m->stepping ? query_go_on(m->view, cmd, r, &hint) : exec_query_begin(m, cmd, r, &hint);
    if (step == QUERY_BROKEN || (r->failed && m->begun)) {
        conn_cut(c, "closing a connection: the rest of its reply cannot be read");
        return false;
    }
    bool is_last = step == QUERY_DONE || r->failed;
    if (r->failed)
        reply_error(r, ST_BUSY, "no memory for the reply: ask for less");
    else if (is_last && cmd->info->id == CMD_PGROUP_INFO)
        answer_put_members(c->loop, cmd, r);
    exec_send_step(m, r, is_last);
    m->stepping = !is_last;
    if (is_last)
        exec_is_answered(m);
    return is_last;
}

/* A query that is to be answered now: waits for memory, or gets BUSY where nothing may wait. */
static bool exec_try_query(struct multi *m)
{
    struct conn *c = m->conn;
    bool at_once = exec_is_at_once(m);
    bool has_lane = m->stepping || !conn_memory_is_short(c) || conn_takes_reply_lane(c);
    if (at_once && !m->stepping && (!has_lane || conn_unsent(c) >= UNSENT_AT_ONCE_MAX)) {
        conn_refuse(c, exec_text, ST_BUSY, "no memory for the reply: ask on a connection of its own, or for less");
        exec_is_answered(m);
        return true;
    }
    if (!has_lane) {
        conn_await_room(c, 0);
        return false;
    }
    return exec_answer_query(m);
}

/* Answers the first command, or a step of it. False: it has more, or has to wait. */
static bool exec_answer_first(struct multi *m)
{
    struct conn *c = m->conn;
    struct entry *e = m->queue.first;
    if (e->cmd.info->kind == KIND_QUERY)
        return exec_try_query(m);
    multi_charge(m, m->kept - exec_cost(e));
    e = entry_pop(&m->queue);
    if (e->cmd.info->kind == KIND_WRITE) {
        answer_entry(c, e);
        delivery_free(e);
        session_charge(c);
        return !session_of(c)->long_reply;
    } else {
        exec_all_of(c)->run_local(c, &e->cmd, exec_text);
        entry_free(e);
    }
    return true;
}

/* May it go on? */
static bool exec_has_room(const struct multi *m)
{
    if (m->sifting)
        return !conn_is_doomed(m->conn);
    if (session_of(m->conn)->long_reply) /* of a CHECKS */
        return false;
    return !conn_is_doomed(m->conn) && conn_unsent(m->conn) < UNSENT_MAX && exec_has_memory(m);
}

static void exec_go_on(struct multi *m)
{
    struct conn *c = m->conn;
    bool at_once = exec_is_at_once(m), more = true;
    int64_t end_ns = clock_mono_ns() + SLICE_NS;
    m->stuck = 0;
    while (more && m->queue.first && !conn_is_doomed(c))
        more = exec_answer_first(m) ? at_once || (conn_unsent(c) < UNSENT_MAX && clock_mono_ns() < end_ns) : at_once;
    if (!m->queue.first && !session_of(c)->long_reply && !conn_is_doomed(c))
        exec_end(m);
    conn_touch(c);
}

/* All is done; m->queue has what is to be answered. */
static void exec_answer(struct multi *m)
{
    struct conn *c = m->conn;
    size_t cost = sizeof *m;
    for (const struct entry *e = m->queue.first; e; e = e->next)
        cost += exec_cost(e);
    multi_charge(m, cost);
    m->answering = true;
    exec_link(exec_all_of(c), m);
    struct buf *r = loop_reply(c->loop);
    reply_array(r, m->queue.n);
    conn_answer_piece(c, exec_text, buf_slice(r), true);
    exec_go_on(m);
}

/* ---- to the journal and back ---- */

static void exec_give_back(struct loop *l, struct entry *e)
{
    for (const struct entry *one = e->fate == ST_OK ? e->more : NULL; one; one = one->next)
        giveback_entry(l, one);
}

static void exec_done(struct journal_client *owner, struct entry *e)
{
    struct loop *l = loop_of(owner);
    struct conn *c = conn_at(l, e->slot, e->generation);
    enum status fate = e->fate;
    bool ends = !c || conn_is_doomed(c);
    if (ends)
        exec_give_back(l, e);
    if (c)
        conn_entry_back(c, e);
    else
        conn_entry_lost(l, e);
    if (ends) {
        entry_free(e);
        return;
    }
    struct multi *m = session_of(c)->multi;
    m->queue = entry_take_more(e);
    entry_free(e);
    if (fate == ST_OK) {
        exec_answer(m);
        return;
    }
    exec_end(m);
    conn_refuse(c, exec_text, fate, NULL);
}

/* False: the journal is full, or there is no memory. */
static bool exec_submit(struct multi *m)
{
    struct conn *c = m->conn;
    struct command cmd = {.info = command_info(CMD_EXEC)};
    struct entry *e = entry_new(&c->loop->entries, &cmd);
    if (!e)
        return false;
    entry_put_more(e, &m->queue);
    e->slow = m->slow;
    answer_address(e, c, exec_text);
    e->done = exec_done;
    if (!loop_submit(c->loop, e)) {
        entry_free(e);
        return false;
    }
    conn_entry_out(c, e);
    multi_charge(m, sizeof *m);
    return true;
}

enum verdict exec_may_begin(struct conn *c)
{
    const struct multi *m = session_of(c)->multi;
    if (!m)
        return GO_ON;
    if (m->n_queries && exec_all_of(c)->n_views >= EXEC_VIEWS_MAX)
        return STALL_MEMORY;
    bool works = false;
    for (const struct entry *e = m->queue.first; e && !works; e = e->next)
        works = conn_work(&e->cmd) > 0;
    return works && account_has_work(&c->loop->shared->account) ? STALL_WORK : GO_ON;
}

/* Submits it, or answers where nothing writes. */
static void exec_go(struct multi *m)
{
    struct conn *c = m->conn;
    if (!m->n_writes) {
        exec_answer(m);
    } else if (!exec_submit(m)) {
        exec_end(m);
        conn_refuse(c, exec_text, ST_BUSY, NULL);
    }
}

/* Goes on looking at messages for its POPs, then submits it. */
static void exec_prepare(struct multi *m)
{
    if (!exec_sift(m))
        return;
    exec_unlink(exec_all_of(m->conn), m);
    m->sifting = false;
    exec_go(m);
}

static void exec_open(struct conn *c, struct multi *m)
{
    conn_need(c, CONN_QUEUES, false);
    if (m->n_queries && !exec_open_view(m)) {
        exec_end(m);
        conn_refuse(c, exec_text, ST_BUSY, NULL);
        return;
    }
    c->stops |= STOP_REPLY;
    conn_need(c, CONN_ANSWERS, true);
    m->sifting = m->messages > 0;
    if (!m->sifting) {
        exec_go(m);
        return;
    }
    m->sift_next = m->queue.first;
    exec_link(exec_all_of(c), m);
    exec_prepare(m);
}

/* What was queued was judged then; users may have changed since. */
static bool exec_is_allowed(struct conn *c, struct multi *m)
{
    struct entry *e = allow_is_free(c) ? NULL : m->queue.first;
    while (e && allow_queued(c, e))
        e = e->next;
    return !e;
}

void exec_begin(struct conn *c, struct request rq)
{
    struct session *s = session_of(c);
    if (s->multi && !exec_is_allowed(c, s->multi)) {
        multi_reset(c);
        conn_refuse(c, rq, ST_EXECABORT, "nothing was done: the user may no longer do all of it");
        return;
    }
    if (s->multi) {
        exec_open(c, s->multi);
        return;
    }
    bool aborted = s->multi_state != MULTI_NONE;
    multi_reset(c);
    if (aborted)
        conn_refuse(c, rq, ST_EXECABORT, NULL);
    else
        conn_refuse(c, rq, ST_ERR, "EXEC without MULTI");
}

bool execs_run(struct loop *l)
{
    struct execs *all = &serve_of(l)->execs;
    struct multi *m = all->first;
    while (m && !exec_has_room(m))
        m = m->next;
    if (!m || all->turn == l->turn)
        return m != NULL;
    all->turn = l->turn;
    exec_unlink(all, m);
    exec_link(all, m);
    if (m->sifting)
        exec_prepare(m);
    else
        exec_go_on(m);
    return all->first != NULL;
}
