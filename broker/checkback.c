/*
 * checkback.c: pulls due check-backs and deals them out, round robin.
 */
#include "broker/checkback.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/dispatch.h"
#include "broker/json.h"
#include "broker/log.h"
#include "broker/loop_inner.h"
#include "protocol/text.h"

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
    if (ch->pulling || !ch->first)
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

/* Steps over one whole value and returns its tokens. */
static struct slice next_value(struct cursor *c)
{
    const uint8_t *start = c->at;
    uint64_t left = 1;
    struct token t;
    while (left > 0 && reply_next(c, &t)) {
        left--;
        if (t.kind == TOK_ARRAY || t.kind == TOK_PUSH)
            left += (uint64_t)t.n;
        else if (t.kind == TOK_MAP)
            left += 2 * (uint64_t)t.n;
        else if (t.kind == TOK_MESSAGE)
            left += 4;
    }
    assert(left == 0);
    return slice_of(start, (size_t)(c->at - start));
}

/* The txid of a check object (a map). Empty: it has none. */
static struct slice txid_of(struct slice object)
{
    struct cursor c = cursor_of(object);
    struct token t;
    bool ok = reply_next(&c, &t);
    assert(ok && t.kind == TOK_MAP);
    for (int64_t pairs = t.n; pairs > 0; pairs--) {
        struct cursor key = cursor_of(next_value(&c));
        struct cursor value = cursor_of(next_value(&c));
        if (!reply_next(&key, &t) || !slice_equal(t.bytes, SLICE_LIT("txid")))
            continue;
        return reply_next(&value, &t) ? t.bytes : slice_of(NULL, 0);
    }
    return slice_of(NULL, 0);
}

/* ---- handing over ---- */

static enum status remember_ask(struct conn *c, uint64_t id, uint64_t txid)
{
    if (c->n_asks == ASKS_MAX) {
        memmove(c->asks, c->asks + 1, (ASKS_MAX - 1) * sizeof *c->asks);
        c->n_asks--;
    }
    if (c->n_asks == c->asks_size) {
        uint32_t size = c->asks_size ? c->asks_size * 2 : 8;
        struct ask *asks = realloc(c->asks, size * sizeof *asks);
        if (!asks)
            return ST_NOMEM;
        c->asks = asks;
        c->asks_size = size;
    }
    c->asks[c->n_asks++] = (struct ask){id, txid};
    return ST_OK;
}

static bool hand_by_rpc(struct conn *c, struct slice object)
{
    uint64_t txid;
    if (!text_txid(txid_of(object), &txid))
        return false;
    uint64_t id = c->next_ask;
    if (remember_ask(c, id, txid) != ST_OK)
        return false;
    c->next_ask = (c->next_ask + 1) & UINT32_MAX;
    struct buf *out = conn_out(c);
    rpc_put_request(out, id, "check");
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

static bool hand_over(struct channel *ch, struct slice object)
{
    for (struct subscription *s = ch->first; s; s = s->next) {
        struct conn *c = s->conn;
        if (!can_take(c))
            continue;
        bool taken =
            c->dialect == DIALECT_RPC ? hand_by_rpc(c, object) : hand_by_text(c, ch, object);
        if (!taken)
            continue;
        move_to_end(ch, s);
        metrics_add(&ch->loop->metrics, METRIC_CHECKS_HANDED, 1);
        return true;
    }
    return false;
}

void checkback_unask(struct loop *l, struct slice reply)
{
    struct cursor c = cursor_of(reply);
    struct token t;
    if (!reply_next(&c, &t) || t.kind != TOK_ARRAY)
        return;
    for (int64_t i = 0; i < t.n; i++)
        dispatch_unask_one(l, txid_of(next_value(&c)));
}

bool checkback_as_json(struct slice reply, struct buf *out)
{
    struct cursor c = cursor_of(reply);
    struct token t;
    bool ok = reply_next(&c, &t);
    assert(ok && t.kind == TOK_ARRAY);
    reply_array(out, (size_t)t.n);
    struct buf json;
    buf_init(&json, REPLY_BYTES_MAX);
    for (int64_t i = 0; i < t.n && ok; i++) {
        buf_reset(&json, REPLY_BYTES_KEEP);
        ok = json_from_reply(next_value(&c), &json) && !json.failed;
        reply_bulk(out, buf_slice(&json));
    }
    buf_free(&json);
    return ok && !out->failed;
}

/* True where every object of the reply found a taker. */
static bool deal_out(struct loop *l, struct channel *ch, struct slice reply)
{
    struct cursor c = cursor_of(reply);
    struct token t;
    bool all = true;
    if (!reply_next(&c, &t) || t.kind != TOK_ARRAY)
        return false;
    for (int64_t i = 0; i < t.n; i++) {
        struct slice object = next_value(&c);
        if (ch && hand_over(ch, object))
            continue;
        dispatch_unask_one(l, txid_of(object));
        all = false;
    }
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
    uint32_t i = 0;
    while (i < c->n_asks && c->asks[i].id != f->id)
        i++;
    if (i == c->n_asks)
        return;
    char txid[24];
    snprintf(txid, sizeof txid, "%llu", (unsigned long long)c->asks[i].txid);
    c->asks[i] = c->asks[--c->n_asks];
    struct command cmd = {
        .info = command_info(decision_of(f)), .n_pos = 1, .pos = {slice_str(txid)}};
    if (!loop_submit_command(c->loop, &cmd, decided))
        log_event(LOG_WARN, "no room for a check-back's answer; it will be asked again", " txid=%s",
                  txid);
}
