/*
 * checkback.c: asks the store for due check-backs and sends each to one subscriber, round robin.
 */
#include "broker/serve/checkback.h"

#include <assert.h>
#include <stdio.h>

#include "broker/checks/check_list.h"
#include "broker/base/json.h"
#include "broker/base/log.h"
#include "broker/serve/giveback.h"
#include "broker/serve/long_reply.h"
#include "broker/serve/pubsub.h"
#include "broker/net/conn_out.h"
#include "broker/serve/session.h"
#include "protocol/base/reply.h"

#define ASKS_SHORT 64 /* unanswered checks of a member, while connections hold too much memory */
#define RETRY_MS 1000 /* after BUSY, or while no subscriber can take one */

static void checkback_pulled(struct journal_client *owner, struct entry *e);

static void checkback_pull_later(struct channel *ch, int64_t delay_ms)
{
    int64_t due = timers_now() + delay_ms;
    if (timer_set(&ch->set->loop->timers, &ch->retry, due) != ST_OK)
        log_text(LOG_WARN,
                 "no memory for a timer; due check-backs are fetched when there is news of their producer group");
}

/* While connections hold too much memory, a member that leaves many unanswered gets no more. */
static bool checkback_can_take(struct conn *c)
{
    bool too_many = session_of(c)->asks.n >= ASKS_SHORT && conn_memory_is_short(c);
    return !too_many && !(c->stops & (STOP_STATE | STOP_EOF | STOP_OUTPUT)) && !long_reply_pushes(c);
}

static bool checkback_has_taker(const struct channel *ch)
{
    const struct subscription *s = ch->first;
    while (s && !checkback_can_take(s->conn))
        s = s->next;
    return s != NULL;
}

bool checkback_pull(struct channel *ch)
{
    if (ch->pulling || !ch->first || !journal_in_charge(ch->set->loop->env.journal))
        return false;
    if (!checkback_has_taker(ch)) {
        checkback_pull_later(ch, RETRY_MS);
        return false;
    }
    struct option count = {.id = OPT_ID_COUNT, .v = SLICE_LIT("64"), .n = PULL_COUNT};
    struct command cmd = {.info = command_info(CMD_CHECKS),
                          .n_pos = 1,
                          .n_opt = 1,
                          .pos = {ch->subject},
                          .opt = &count,
                          .has = OPT(COUNT)};
    ch->pulling = loop_submit_command(ch->set->loop, &cmd, checkback_pulled);
    if (!ch->pulling)
        checkback_pull_later(ch, RETRY_MS);
    return false;
}

/* ---- sending ---- */

static bool checkback_hand_by_rpc(struct conn *c, struct slice object)
{
    struct buf *out = conn_out(c);
    rpc_put_request(out, asks_next_id(&session_of(c)->asks), "check");
    rpc_put_list(out, 1); /* params as generic clients expect them: an array of one map */
    rpc_write_value(out, object);
    conn_pushed(c);
    return !conn_is_doomed(c);
}

static bool checkback_hand_by_text(struct conn *c, const struct channel *ch, struct slice object)
{
    struct buf json;
    buf_init(&json, REPLY_BYTES_MAX);
    bool ok = json_from_reply(object, &json) && !json.failed;
    if (ok)
        pubsub_push(c, ch, buf_slice(&json));
    buf_free(&json);
    return ok && !conn_is_doomed(c);
}

static uint32_t checkback_mark_of(const struct channel *ch)
{
    return (uint32_t)ch->node.hash;
}

static struct ask checkback_ask(const struct channel *ch, const struct check *check)
{
    struct ask ask = check->ask;
    ask.asked_as = checkback_mark_of(ch);
    return ask;
}

/* Begins to send the check of a long transaction. */
static bool checkback_hand_note(struct conn *c, const struct channel *ch, const struct check *check)
{
    const struct command checks = {.info = command_info(CMD_CHECKS), .n_pos = 1, .pos = {ch->subject}};
    return long_reply_begin_push(c, &checks, checkback_ask(ch, check));
}

/* Sends one check. It is remembered only after it was sent: a connection that is cut meanwhile has got nothing. */
static bool checkback_hand_to(struct conn *c, const struct channel *ch, const struct check *check)
{
    if (!checkback_can_take(c) || asks_reserve(&session_of(c)->asks) != ST_OK)
        return false;
    if (check->is_note)
        return checkback_hand_note(c, ch, check);
    bool taken = conn_is_text(c) ? checkback_hand_by_text(c, ch, check->object)
                                 : checkback_hand_by_rpc(c, check->object);
    if (taken) {
        asks_add(&session_of(c)->asks, checkback_ask(ch, check));
        counters_add(&c->loop->counters, COUNTER_CHECKS_HANDED, 1);
    }
    session_charge(c);
    return taken;
}

static bool checkback_hand_over(struct channel *ch, const struct check *check)
{
    for (struct subscription *s = ch->first; s; s = s->next) {
        if (!checkback_hand_to(s->conn, ch, check))
            continue;
        channel_move_to_end(ch, s);
        return true;
    }
    return false;
}

/* ---- pulling ---- */

/* Sends each check of the reply to a subscriber; those that nobody can take are undone. True: all were taken. */
static bool checkback_deal_out(struct loop *l, struct channel *ch, struct slice reply)
{
    struct check_list list;
    struct check check;
    struct unask u;
    bool all = true;
    if (!check_list_open(reply, &list))
        return false;
    unask_init(&u);
    while (check_list_next(&list, &check)) {
        if (ch && checkback_hand_over(ch, &check))
            continue;
        giveback_ask(l, &u, check.ask);
        all = false;
    }
    giveback_unask(l, &u);
    unask_fini(&u);
    return all;
}

static void checkback_pulled_nothing(struct channel *ch, const struct entry *e)
{
    struct loop *l = ch->set->loop;
    if (waiters_missed(&serve_of(l)->waiters, e)) {
        checkback_pull(ch);
    } else if (e->out.retry_at_ms) {
        int64_t delay = e->out.retry_at_ms - journal_now_ms(l->env.journal);
        checkback_pull_later(ch, delay > 0 ? delay : 1);
    }
}

/* A CHECKS of ours came back. Meanwhile the channel may have ended, or ended and been made anew. */
static void checkback_pulled(struct journal_client *owner, struct entry *e)
{
    struct loop *l = loop_of(owner);
    struct channel *ch = channel_find(&serve_of(l)->channels, CHANNEL_CHECK, e->cmd.pos[0]);
    if (ch)
        ch->pulling = false;
    if (e->fate != ST_OK || reply_is_error(buf_slice(&e->out.reply), NULL)) {
        if (ch)
            checkback_pull_later(ch, RETRY_MS);
    } else if (e->out.nothing) {
        if (ch)
            checkback_pulled_nothing(ch, e);
    } else if (!checkback_deal_out(l, ch, buf_slice(&e->out.reply))) {
        if (ch)
            checkback_pull_later(ch, RETRY_MS);
    } else if (ch) {
        checkback_pull(ch);
    }
    entry_free(e);
}

void checkback_pushed(struct loop *l, struct slice pgroup, bool settled)
{
    struct channel *ch = channel_find(&serve_of(l)->channels, CHANNEL_CHECK, pgroup);
    if (ch && settled)
        checkback_pull(ch);
    else if (ch)
        checkback_pull_later(ch, RETRY_MS);
}

/* ---- answers ---- */

static void checkback_decided(struct journal_client *owner, struct entry *e)
{
    (void)owner;
    entry_free(e);
}

static enum command_id checkback_decision_of(const struct rpc_frame *f)
{
    struct slice word;
    if (!rpc_bytes(f->result, &word))
        return CMD_UNKNOWN;
    if (slice_equal_nocase(word, SLICE_LIT("commit")))
        return CMD_COMMIT;
    if (slice_equal_nocase(word, SLICE_LIT("rollback")))
        return CMD_ROLLBACK;
    return CMD_UNKNOWN;
}

/* An error in place of an answer: this client does not answer for the producer group any more. It leaves, and the ask is
 * undone, so that another member is asked at once. */
static void checkback_not_a_member(struct conn *c, struct ask ask)
{
    struct subscription *s = session_of(c)->subscriber.first, *next;
    for (; s; s = next) {
        next = s->next_mine;
        if (s->channel->kind == CHANNEL_CHECK && checkback_mark_of(s->channel) == ask.asked_as)
            channel_leave(s->who, s->channel);
    }
    giveback_one_ask(c->loop, ask);
}

void checkback_answer(struct conn *c, const struct rpc_frame *f)
{
    struct ask ask;
    if (!asks_take(&session_of(c)->asks, (uint32_t)f->id, &ask))
        return;
    if (f->error) {
        checkback_not_a_member(c, ask);
        return;
    }
    char txid[24];
    snprintf(txid, sizeof txid, "%llu", (unsigned long long)ask.txid);
    struct command cmd = {
        .info = command_info(checkback_decision_of(f)), .n_pos = 1, .pos = {slice_str(txid)}};
    if (!loop_submit_command(c->loop, &cmd, checkback_decided))
        log_event(LOG_WARN, "cannot submit the answer to a check-back; it will be asked again",
                  " txid=%s", txid);
}
