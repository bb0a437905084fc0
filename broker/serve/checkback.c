/*
 * checkback.c: pulls due check-backs and deals them out, round robin.
 */
#include "broker/serve/checkback.h"

#include <assert.h>
#include <stdio.h>

#include "broker/checks/check_list.h"
#include "broker/base/json.h"
#include "broker/base/log.h"
#include "broker/net/loop_inner.h"

#define RETRY_MS 1000 /* after BUSY, or when every taker is choked */

static void pulled(struct journal_client *owner, struct entry *e);

static void pull_later(struct channel *ch, int64_t delay_ms)
{
    int64_t due = timers_now() + delay_ms;
    if (timer_set(&ch->loop->timers, &ch->retry, due) != ST_OK)
        log_text(LOG_WARN, "no memory to pull check-backs later; the next news does it");
}

static bool can_take(const struct conn *c)
{
    return !c->doomed && !c->shut && !c->eof && conn_unsent(c) < OUT_SOFT_MAX;
}

static bool has_taker(const struct channel *ch)
{
    const struct subscription *s = ch->first;
    while (s && !can_take(s->conn))
        s = s->next;
    return s != NULL;
}

void checkback_pull(struct channel *ch)
{
    if (ch->pulling || !ch->first || !journal_in_charge(ch->loop->server->journal))
        return;
    if (!has_taker(ch)) {
        pull_later(ch, RETRY_MS);
        return;
    }
    struct option count = {.id = OPT_ID_COUNT, .v = SLICE_LIT("64"), .n = PULL_COUNT};
    struct command cmd = {.info = command_info(CMD_CHECKS),
                          .n_pos = 1,
                          .n_opt = 1,
                          .pos = {ch->subject},
                          .opt = &count,
                          .has = OPT(COUNT)};
    ch->pulling = loop_submit_command(ch->loop, &cmd, pulled);
    if (!ch->pulling)
        pull_later(ch, RETRY_MS);
}

/* ---- handing over ---- */

static bool hand_by_rpc(struct conn *c, struct slice object)
{
    struct buf *out = conn_out(c);
    rpc_put_request(out, asks_next_id(&c->asks), "check");
    rpc_put_list(out, 1); /* params as generic clients expect them: an array of one map */
    rpc_write_value(out, object);
    conn_pushed(c);
    return !c->doomed;
}

static bool hand_by_text(struct conn *c, const struct channel *ch, struct slice object)
{
    struct buf json;
    buf_init(&json, REPLY_BYTES_MAX);
    bool ok = json_from_reply(object, &json) && !json.failed;
    if (ok)
        pubsub_push(c, ch, buf_slice(&json));
    buf_free(&json);
    return ok && !c->doomed;
}

static void move_to_end(struct channel *ch, struct subscription *s)
{
    if (s == ch->last)
        return;
    *(s->prev ? &s->prev->next : &ch->first) = s->next;
    s->next->prev = s->prev;
    s->prev = ch->last;
    s->next = NULL;
    ch->last->next = s;
    ch->last = s;
}

/* Remembered last: one that is cut in the middle was handed nothing. */
static bool hand_to(struct conn *c, const struct channel *ch, const struct check *check)
{
    if (!can_take(c) || asks_reserve(&c->asks) != ST_OK)
        return false;
    bool taken = c->dialect == DIALECT_RPC ? hand_by_rpc(c, check->object)
                                           : hand_by_text(c, ch, check->object);
    if (taken)
        asks_add(&c->asks, check->ask);
    return taken;
}

static bool hand_over(struct channel *ch, const struct check *check)
{
    for (struct subscription *s = ch->first; s; s = s->next) {
        if (!hand_to(s->conn, ch, check))
            continue;
        move_to_end(ch, s);
        counters_add(&ch->loop->counters, COUNTER_CHECKS_HANDED, 1);
        return true;
    }
    return false;
}

/* ---- taking back ---- */

static void taken_back(struct journal_client *owner, struct entry *e)
{
    (void)owner;
    if (e->fate != ST_OK)
        log_text(LOG_DEBUG, "could not take back check-backs; they are asked again later");
    entry_free(e);
}

static void unask_submit(struct loop *l, struct unask *u)
{
    struct command cmd;
    bool some = u->n > 0;
    if (some && (!unask_command(u, &cmd) || !loop_submit_command(l, &cmd, taken_back)))
        log_text(LOG_DEBUG, "no room to take back check-backs; they are asked again later");
}

static void unask_one(struct loop *l, struct unask *u, struct ask ask)
{
    unask_add(u, ask);
    if (unask_full(u))
        unask_submit(l, u);
}

void checkback_unask(struct loop *l, struct slice reply)
{
    struct check_list list;
    struct check check;
    struct unask u;
    if (!check_list_open(reply, &list))
        return;
    unask_init(&u);
    while (check_list_next(&list, &check))
        unask_one(l, &u, check.ask);
    unask_submit(l, &u);
    unask_fini(&u);
}

void checkback_forsaken(struct conn *c)
{
    struct ask ask;
    struct unask u;
    if (c->asks.n == 0)
        return;
    unask_init(&u);
    while (asks_pop(&c->asks, &ask))
        unask_one(c->loop, &u, ask);
    unask_submit(c->loop, &u);
    unask_fini(&u);
}

/* ---- pulling ---- */

bool checkback_as_json(struct slice reply, struct buf *out)
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
        ok = json_from_reply(check.object, &json) && !json.failed;
        reply_bulk(out, buf_slice(&json));
    }
    buf_free(&json);
    return ok && !out->failed;
}

/* True where every object of the reply found a taker. */
static bool deal_out(struct loop *l, struct channel *ch, struct slice reply)
{
    struct check_list list;
    struct check check;
    struct unask u;
    bool all = true;
    if (!check_list_open(reply, &list))
        return false;
    unask_init(&u);
    while (check_list_next(&list, &check)) {
        if (ch && hand_over(ch, &check))
            continue;
        unask_one(l, &u, check.ask);
        all = false;
    }
    unask_submit(l, &u);
    unask_fini(&u);
    return all;
}

static void pulled_nothing(struct channel *ch, const struct entry *e)
{
    struct loop *l = ch->loop;
    if (waiters_missed(&l->waiters, e)) {
        checkback_pull(ch);
    } else if (e->out.retry_at_ms) {
        int64_t delay = e->out.retry_at_ms - journal_now_ms(l->server->journal);
        pull_later(ch, delay > 0 ? delay : 1);
    }
}

/* A CHECKS of ours came back. The channel may have ended meanwhile, or be another one by now. */
static void pulled(struct journal_client *owner, struct entry *e)
{
    struct loop *l = loop_of(owner);
    struct channel *ch = pubsub_find_check(l, e->cmd.pos[0]);
    if (ch)
        ch->pulling = false;
    if (e->fate != ST_OK || reply_is_error(buf_slice(&e->out.reply), NULL)) {
        if (ch)
            pull_later(ch, RETRY_MS);
    } else if (e->out.nothing) {
        if (ch)
            pulled_nothing(ch, e);
    } else if (!deal_out(l, ch, buf_slice(&e->out.reply))) {
        if (ch)
            pull_later(ch, RETRY_MS);
    } else if (ch) {
        checkback_pull(ch);
    }
    entry_free(e);
}

/* ---- answers ---- */

static void decided(struct journal_client *owner, struct entry *e)
{
    (void)owner;
    entry_free(e);
}

static enum command_id decision_of(const struct rpc_frame *f)
{
    struct slice word;
    if (f->error || !rpc_bytes(f->result, &word))
        return CMD_UNKNOWN;
    if (slice_equal_nocase(word, SLICE_LIT("commit")))
        return CMD_COMMIT;
    if (slice_equal_nocase(word, SLICE_LIT("rollback")))
        return CMD_ROLLBACK;
    return CMD_UNKNOWN;
}

void checkback_answer(struct conn *c, const struct rpc_frame *f)
{
    struct ask ask;
    if (!asks_take(&c->asks, (uint32_t)f->id, &ask))
        return;
    char txid[24];
    snprintf(txid, sizeof txid, "%llu", (unsigned long long)ask.txid);
    struct command cmd = {
        .info = command_info(decision_of(f)), .n_pos = 1, .pos = {slice_str(txid)}};
    if (!loop_submit_command(c->loop, &cmd, decided))
        log_event(LOG_WARN, "no room for a check-back's answer; it will be asked again", " txid=%s",
                  txid);
}
