/*
 * query_txn_messages.c: TXN MESSAGES: the messages that a transaction holds, or has made visible.
 *
 *   open         rows X and Y: each as it will be, without an id
 *   committed    the outcome has the ids and tokens; each message is read where it is now. One that is gone (purged,
 *                expired, cancelled, delivered by its delay under an id that nobody knows) has its id and no body
 *   rolled back  none
 */
#include "storage/query/handlers.h"

#include "storage/query/base/emit.h"
#include "storage/query/base/steps.h"
#include "storage/query/txn_row.h"

#define STEP_BYTES ((size_t)KIB(256)) /* of the reply in one step, and one message more */
#define MESSAGE_COST 8                /* of finding one, in rows that are walked over */

struct txn_messages {
    bool begun, committed;
    bool has_first; /* the first message is in v->steps->items; else there are the ids, sized */
    uint64_t txid;
    uint32_t i, n;
    size_t at; /* of the next id */
};

static enum status txn_messages_begin(struct view *v, struct txn_messages *t, const struct command *cmd, struct buf *reply)
{
    struct txn_row row;
    struct buf *kept = &v->steps->items;
    bool parsed = text_txid(cmd->pos[0], &t->txid);
    assert(parsed);
    enum status s = txn_row_find(v, t->txid, &row);
    if (s != ST_OK)
        return s;
    t->begun = true;
    t->committed = row.state == TXN_COMMITTED;
    t->n = row.state == TXN_ROLLEDBACK ? 0 : row.n_messages;
    t->has_first = !t->committed && row.first.len > 0;
    buf_init(kept, REQUEST_BYTES_MAX);
    buf_put_slice(kept, t->committed ? row.outcome : row.first);
    if (kept->failed)
        return ST_NOMEM;
    reply_array(reply, t->n);
    return ST_OK;
}

static enum status txn_messages_open(struct view *v, const struct txn_messages *t, struct buf *reply)
{
    struct half_row half;
    struct message m;
    bool first = t->i == 0 && t->has_first;
    struct key key = first ? key_txn(t->txid) : key_txn_message(t->txid, t->i);
    enum status s = first ? ST_OK : view_get(v, &key);
    struct slice bytes = buf_slice(first ? &v->steps->items : &v->row);
    if (s == ST_GONE || (s == ST_OK && (half_decode(bytes, &half) != ST_OK ||
                                        message_decode(half.message, half.base_ms, &m) != ST_OK)))
        s = view_damaged(v, &key);
    if (s != ST_OK)
        return s;
    m.fields |= MSG_TXN;
    m.txid = t->txid;
    emit_half(reply, &half, &m);
    return ST_OK;
}

/* A message that is still delayed. ST_GONE: it is not. */
static enum status txn_messages_delayed(struct view *v, uint64_t token, struct buf *reply)
{
    struct key by_token = key_token(token), key;
    struct token_row where;
    struct half_row half;
    struct message m;
    enum status s = view_get(v, &by_token);
    if (s == ST_OK && token_decode(buf_slice(&v->row), &where) != ST_OK)
        s = view_damaged(v, &by_token);
    if (s != ST_OK)
        return s;
    key = key_delayed(where.topic_id, where.due_ms, token);
    s = view_get(v, &key);
    if (s == ST_OK && (half_decode(buf_slice(&v->row), &half) != ST_OK ||
                       message_decode(half.message, half.base_ms, &m) != ST_OK))
        s = view_damaged(v, &key);
    if (s == ST_OK)
        emit_delayed(reply, token, where.due_ms, &half, &m);
    return s;
}

/* A message that is visible. ST_GONE: it was deleted. ST_DAMAGED. */
static enum status txn_messages_stored(struct view *v, const struct message_id *id, struct place *p, uint64_t txid,
                                       struct buf *reply)
{
    struct record_header h;
    struct message m;
    enum status s = view_topic(v, id->topic);
    if (s != ST_OK || id->queue >= v->topic.n_queues || id->offset < v->topic.floor[id->queue])
        return s == ST_OK ? ST_GONE : s;
    struct kv_iter *it = view_log(v, id->queue);
    s = it ? records_seek(it, v->topic.id, id->queue, id->offset, &h) : ST_NOMEM;
    if (s == ST_OK)
        s = id->offset < h.base ? ST_DAMAGED : record_message(kv_iter_value(it), &h, (uint32_t)(id->offset - h.base), &m);
    s = s == ST_BAD ? ST_DAMAGED : s;
    if (s == ST_OK && m.txid != txid) /* the topic was deleted and made again: this is another message */
        s = ST_GONE;
    if (s == ST_OK) {
        p->stored_ms = h.stored_ms;
        emit_message(reply, p, &m);
    }
    kv_iter_free(it);
    return s;
}

static enum status txn_messages_committed(struct view *v, struct txn_messages *t, struct buf *reply)
{
    struct slice outcome = buf_slice(&v->steps->items);
    struct cursor c = cursor_of(slice_of(outcome.data + t->at, outcome.len - t->at));
    struct slice text = cursor_sized(&c);
    struct message_id id = {0};
    uint64_t token = 0;
    bool delayed = text_token(text, &token);
    if (!delayed && !text_id(text, &id))
        return ST_DAMAGED;
    struct place p = {.topic = id.topic, .queue = id.queue, .offset = id.offset};
    enum status s = delayed ? txn_messages_delayed(v, token, reply) : txn_messages_stored(v, &id, &p, t->txid, reply);
    bool gone = s == ST_GONE || s == ST_DAMAGED; /* GET says which of the two */
    if (gone && delayed)
        emit_gone_delayed(reply, token);
    else if (gone)
        emit_gone(reply, &p);
    if (s == ST_OK || gone)
        t->at = (size_t)(c.at - outcome.data);
    return gone ? ST_OK : s;
}

static enum status txn_messages_step(struct view *v, struct txn_messages *t, struct buf *reply)
{
    size_t began = reply->len;
    for (; t->i < t->n; t->i++) {
        if (v->budget <= 0 || reply->len - began >= STEP_BYTES)
            return ST_BUSY;
        enum status s = t->committed ? txn_messages_committed(v, t, reply) : txn_messages_open(v, t, reply);
        if (s != ST_OK)
            return s;
        v->budget -= MESSAGE_COST;
    }
    return ST_OK;
}

void query_txn_messages(struct view *v, const struct command *cmd, struct buf *reply, struct query_hint *hint)
{
    (void)hint;
    struct txn_messages *t = steps_own(v, sizeof(*t));
    enum status s = t ? ST_OK : ST_NOMEM;
    if (s == ST_OK && !t->begun) {
        s = txn_messages_begin(v, t, cmd, reply);
        if (s != ST_OK) {
            txn_row_refuse(reply, s, t->txid);
            return;
        }
    }
    if (s == ST_OK)
        s = txn_messages_step(v, t, reply);
    steps_end(v, s, reply, "store", slice_of(NULL, 0));
}
