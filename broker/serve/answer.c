/*
 * answer.c: writes the replies of entries. Most entries bring theirs as tokens. Three are made here: that of POP,
 * whose messages are read from the turn's view; that of CHECKS as JSON, for text connections; and the error of an entry
 * that was not applied.
 */
#include "broker/serve/answer.h"

#include <assert.h>

#include "broker/base/json.h"
#include "broker/checks/asked.h"
#include "broker/checks/check_list.h"
#include "broker/net/conn_out.h"
#include "broker/net/conn_room.h"
#include "broker/serve/delivery.h"
#include "broker/serve/giveback.h"
#include "broker/serve/long_reply.h"
#include "broker/serve/session.h"
#include "protocol/base/reply.h"
#include "storage/query.h"

#define POP_UNSENT_MAX ((size_t)MIB(8)) /* with more unsent output, POP delivers nothing */

void answer_address(struct entry *e, const struct conn *c, struct request rq)
{
    e->owner = &c->loop->client;
    e->slot = c->slot;
    e->generation = c->generation;
    e->request = rq.id | (rq.quiet ? UINT64_C(1) << 32 : 0);
}

void answer_empty(struct conn *c, struct request rq)
{
    struct buf *r = loop_reply(c->loop);
    reply_array(r, 0);
    conn_answer(c, rq, buf_slice(r));
}

static void answer_busy(struct conn *c, struct request rq, struct buf *r, const char *text)
{
    reply_error(r, ST_BUSY, "%s", text);
    conn_answer(c, rq, buf_slice(r));
}

/* Is there room for the messages of a POP? *ret_small: only for a few of them. */
static bool answer_has_room(struct conn *c, bool *ret_small)
{
    bool is_short = conn_memory_is_short(c) && !c->reply_lane;
    if (is_short || conn_unsent(c) >= OUT_SOFT_MAX)
        conn_send(c);
    *ret_small = is_short || conn_unsent(c) >= OUT_SOFT_MAX;
    return !conn_is_doomed(c) && conn_unsent(c) < POP_UNSENT_MAX && (!is_short || conn_is_read(c));
}

/* Everything that a POP was granted is damaged, and skipped: it looks again, as if it came anew. On a text connection
 * nothing else may be under way, as replies have the order of the requests. False: it cannot, nor can one of an EXEC. */
static bool answer_pop_again(struct conn *c, struct request rq, const struct entry *e)
{
    struct loop *l = c->loop;
    if (!e->done || conn_is_doomed(c) || (conn_is_text(c) && c->in_flight > 1))
        return false;
    struct entry *again = entry_new(&l->entries, &e->cmd);
    if (!again)
        return false;
    answer_address(again, c, rq);
    again->done = e->done;
    if (!loop_submit(l, again)) {
        entry_free(again);
        return false;
    }
    conn_entry_out(c, again);
    conn_wait_begins(c);
    return true;
}

/* The view to read the messages of a POP from. NULL: there is no memory for them, as is known without reading them. */
static struct view *answer_view(struct conn *c, const struct entry *e, bool *ret_small)
{
    struct view *v = answer_has_room(c, ret_small) ? loop_view(c->loop) : NULL;
    if (!v)
        return NULL;
    view_limit_replies(v, *ret_small ? SHORT_REPLY_BYTES : c->loop->reply_most);
    bool too_large = *ret_small && e->out.n_grants &&
                     query_weigh_grant(v, &e->out.grants[0]).message > SHORT_REPLY_BYTES_MAX;
    return too_large && !conn_takes_reply_lane(c) ? NULL : v;
}

/* Requeues what a POP was granted and its reply has not: the entry has only the others then. */
static void answer_give_rest(struct loop *l, struct entry *e, const struct granted *done)
{
    struct outcome *out = &e->out;
    giveback_rest(l, e, done);
    if (done->grant >= out->n_grants)
        return;
    struct grant *last = &out->grants[done->grant];
    last->count = done->offset > last->base ? (uint32_t)(done->offset - last->base) : 0;
    out->n_grants = last->count ? done->grant + 1 : done->grant;
}

/* Answers with the messages that the reply has room for; the rest is requeued, and what is damaged is skipped. */
static void answer_pop(struct conn *c, struct request rq, struct entry *e)
{
    struct loop *l = c->loop;
    bool small = false;
    struct view *v = answer_view(c, e, &small);
    struct buf *r = loop_reply(l);
    struct granted done = {0};
    if (v)
        query_grants(v, e->cmd.pos[0], &e->out, r, &done);
    bool too_large = small && r->len > SHORT_REPLY_BYTES_MAX && !conn_takes_reply_lane(c);
    if (!v || r->failed || too_large) {
        giveback_messages(l, e);
        answer_busy(c, rq, loop_reply(l), "nothing was delivered: replies take too much memory; try again");
        return;
    }
    if (giveback_lost(l, e, v) && done.n == 0 && done.grant == e->out.n_grants && answer_pop_again(c, rq, e))
        return;
    counters_add(&l->counters, COUNTER_MESSAGES_OUT, done.n);
    counters_add(&l->counters, COUNTER_BYTES_OUT, done.bytes);
    uint64_t begins = c->sent + conn_unsent(c);
    conn_answer(c, rq, buf_slice(r));
    buf_reset(r, REPLY_BYTES_KEEP);
    answer_give_rest(l, e, conn_is_doomed(c) ? &(struct granted){0} : &done);
    if (e->out.n_grants && !conn_is_doomed(c))
        delivery_keep(c, e, begins);
}

/* Writes the reply of CHECKS, an array of maps, as an array of JSON texts. False: no memory. */
static bool answer_put_json(struct slice reply, struct buf *out)
{
    struct check_list list;
    struct check check;
    bool ok = check_list_open(reply, &list);
    assert(ok);
    reply_array(out, (size_t)list.left);
    struct buf json;
    buf_init(&json, REPLY_BYTES_MAX);
    while (ok && check_list_next(&list, &check)) {
        buf_reset(&json, REPLY_BYTES_KEEP);
        if (check.object.len >= BUF_LARGE)
            (void)buf_room(&json, check.object.len + check.object.len / 2); /* base64 takes 4/3 */
        ok = json_from_reply(check.object, &json) && !json.failed;
        reply_bulk(out, buf_slice(&json));
    }
    buf_free(&json);
    return ok && !out->failed;
}

/* Makes the reply of a CHECKS that has answered a note: whole, as nothing may come between. */
static enum status answer_whole_check(struct conn *c, struct ask ask, struct buf *reply)
{
    struct view *v = loop_view(c->loop);
    reply_array(reply, 1);
    return v ? asked_all(ask, v, reply) : ST_NOMEM;
}

/* May pushes come between two replies of an EXEC? Then these are made at once. */
static bool answer_is_at_once(struct conn *c)
{
    const struct session *s = session_of(c);
    return s->multi && s->subscriber.first;
}

/* A note of a long transaction: its object is made step by step, unless another reply is being made, or it has to be made at
 * once. True: it was replied to, or is going to be. */
static bool answer_note(struct conn *c, struct request rq, struct entry *e)
{
    struct buf whole, *r = loop_reply(c->loop);
    struct check_list list;
    struct check check;
    bool is_note = check_list_open(buf_slice(&e->out.reply), &list) && check_list_next(&list, &check) && check.is_note;
    if (!is_note)
        return false;
    if (!answer_is_at_once(c) && long_reply_begin_check(c, rq, e, check.ask))
        return true;
    buf_init(&whole, REPLY_BYTES_MAX);
    enum status s = answer_whole_check(c, check.ask, &whole);
    bool nobody = s == ST_GONE || s == ST_DAMAGED; /* it is decided, or nobody can be asked */
    if (nobody)
        reply_array(r, 0);
    else if (s == ST_OK && conn_is_text(c) && !answer_put_json(buf_slice(&whole), r))
        s = ST_NOMEM;
    if (s != ST_OK && !nobody)
        reply_error(r, ST_BUSY, "no memory for the checks; they are asked again, try again");
    conn_answer(c, rq, s == ST_OK && !conn_is_text(c) ? buf_slice(&whole) : buf_slice(r));
    buf_free(&whole);
    if (conn_is_doomed(c) || (s != ST_OK && !nobody))
        giveback_checks(c->loop, buf_slice(&e->out.reply));
    return true;
}

static void answer_checks(struct conn *c, struct request rq, struct entry *e)
{
    struct slice reply = buf_slice(&e->out.reply);
    if (answer_note(c, rq, e))
        return;
    if (conn_is_text(c)) {
        struct buf *r = loop_reply(c->loop);
        if (!answer_put_json(reply, r))
            reply_error(r, ST_BUSY, "no memory for the checks; they are asked again, try again");
        conn_answer(c, rq, buf_slice(r));
    } else {
        conn_answer(c, rq, reply);
    }
    if (conn_is_doomed(c))
        giveback_checks(c->loop, reply);
}

void answer_entry(struct conn *c, struct entry *e)
{
    struct request rq = session_request_of(e);
    struct slice reply = buf_slice(&e->out.reply);
    enum command_id id = e->cmd.info->id;
    conn_wait_over(c); /* answer_pop_again */
    bool hands_out = (id == CMD_POP || id == CMD_CHECKS) && !reply_is_error(reply, NULL);
    if (e->fate != ST_OK) {
        struct buf *r = loop_reply(c->loop);
        reply_error(r, e->fate, NULL);
        conn_answer(c, rq, buf_slice(r));
    } else if (!hands_out) {
        conn_answer(c, rq, reply);
    } else if (e->out.nothing) {
        answer_empty(c, rq);
    } else if (rq.quiet) {
        conn_answer(c, rq, reply);
        giveback_entry(c->loop, e);
    } else if (id == CMD_POP) {
        answer_pop(c, rq, e);
    } else {
        answer_checks(c, rq, e);
    }
}

void answer_put_members(struct loop *l, const struct command *cmd, struct buf *r)
{
    uint64_t key = news_key(NEWS_PGROUP, cmd->pos[0], slice_of(NULL, 0));
    if (reply_is_error(buf_slice(r), NULL))
        return;
    reply_map_more(r, 1);
    reply_field_int(r, "members", members_of(serve_of(l)->env.members, key));
}
