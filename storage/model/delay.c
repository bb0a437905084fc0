/*
 * delay.c: rows of messages with DELAY or AT (delay.h). DELAYED CANCEL is in apply/cancel.c, DELAYED LIST in
 * query/query_delay.c.
 *
 *   SEND, COMMIT ─► delay_put ─► L topic due token   the message, by topic and time
 *                                N token             where that row is, for CANCEL
 *                                W due DELAY ...     the reminder
 *   TICK ─► delay_tick ─► tail_append: from now on it is a message like any other, stored at this time
 *
 * Until then it is rows only: a million of them cost disk. TICK reads those that are due, LIST those that it answers,
 * and nothing else reads them. ORDER and QUEUE take effect when it is stored.
 *
 * TTL counts from the SEND or the COMMIT, as DELAY does: the row's base time is that moment. A message
 * that has expired when its time comes is deleted and never stored: no group could get it, but it would wake every
 * waiter and be sent to every subscriber.
 *
 * The topic's row counts them, so a topic can be deleted with all of them in one step: their L rows are deleted at
 * once, and rows N and W when they fall due and find nothing. A topic that is made again under the same name has
 * another id, so it does not get them.
 *
 * Invariant: meta.delayed is the sum of what the topics count.
 */
#include "storage/model/delay.h"

#include "storage/model/enqueue.h"

static struct slice delay_what(uint64_t topic_id, uint64_t token, struct key *hold)
{
    hold->len = 0;
    key_u64(hold, topic_id);
    key_u64(hold, token);
    return key_slice(hold);
}

static void delay_count(struct state *st, struct topic *t, bool more)
{
    assert(more || (t->delayed > 0 && st->meta.delayed > 0));
    t->delayed = more ? t->delayed + 1 : t->delayed - 1;
    st->meta.delayed = more ? st->meta.delayed + 1 : st->meta.delayed - 1;
    st->meta_dirty = true;
    topic_touch(st, t);
}

static void delay_put_message(struct state *st, const struct stamp *stamp, const struct key *key,
                              const struct half_row *half, const struct message *m, bool body_stays)
{
    struct half_row row = *half;
    row.base_ms = stamp->now_ms; /* of a half message it was the time of the HALF: TTL begins now */
    buf_reset(&st->scratch2, KIB(256));
    message_encode_head(&st->scratch2, m, row.base_ms);
    row.message = core_row(st);
    row.body = m->body;
    row.delay_ms = row.at_ms = 0;
    buf_reset(&st->half, KIB(256));
    half_encode(&st->half, &row);
    st->sick = st->sick || st->half.failed;
    if (st->source)
        overlay_put_stored(&st->overlay, key, buf_slice(&st->half), m->body, st->source);
    else
        overlay_put_parts(&st->overlay, key, buf_slice(&st->half), m->body, body_stays);
}

uint64_t delay_put(struct state *st, const struct stamp *stamp, struct topic *t, int64_t due_ms,
                   const struct half_row *half, const struct message *m, bool body_stays)
{
    uint64_t token = core_next_id(st, stamp);
    struct key key = key_delayed(t->id, due_ms, token);
    delay_put_message(st, stamp, &key, half, m, body_stays);
    struct token_row where = {.topic_id = t->id, .due_ms = due_ms};
    struct key by_token = key_token(token), hold;
    buf_reset(&st->scratch2, KIB(256));
    token_encode(&st->scratch2, &where);
    overlay_put(&st->overlay, &by_token, core_row(st));
    timer_put(st, due_ms, TIMER_DELAY, delay_what(t->id, token, &hold));
    delay_count(st, t, true);
    return token;
}

/* Reads the row of a delayed message into hold, and finds its topic. ST_GONE: cancelled, stored, or its topic is
 * gone. */
static enum status delay_get(struct state *st, const struct key *key, uint64_t topic_id, struct buf *hold,
                             struct half_row *ret_half, struct topic **ret_topic)
{
    buf_reset(hold, KIB(256));
    enum status s = overlay_get(&st->overlay, key, hold);
    if (s != ST_OK)
        return s;
    if (half_decode(buf_slice(hold), ret_half) != ST_OK)
        return kv_damaged_row(st->kv, key_slice(key));
    s = topic_get(st, ret_half->topic, ret_topic);
    return s == ST_OK && (*ret_topic)->id != topic_id ? ST_GONE : s;
}

static enum status delay_fire(struct state *st, const struct stamp *stamp, const struct key *key,
                              const struct half_row *half, struct topic *t)
{
    struct message m;
    if (message_decode(half->message, half->base_ms, &m) != ST_OK)
        return kv_damaged_row(st->kv, key_slice(key));
    uint64_t offset = 0;
    uint32_t queue = 0;
    const uint32_t *wanted = half->has_queue ? &half->queue : NULL;
    int64_t expires_ms = enqueue_expires(half->base_ms, half->ttl_ms);
    enum status s = ST_OK;
    if (expires_ms > stamp->now_ms)
        s = enqueue_store(st, stamp, t, expires_ms, wanted, &m, &queue, &offset);
    else
        st->tally.delayed_expired++;
    if (s == ST_OK)
        delay_count(st, t, false);
    return s;
}

/* Reads where the message of a token is. ST_GONE: it is not waiting. */
static enum status delay_where(struct state *st, uint64_t token, struct token_row *ret_where)
{
    struct key key = key_token(token);
    buf_reset(&st->scratch, KIB(256));
    enum status s = overlay_get(&st->overlay, &key, &st->scratch);
    if (s != ST_OK)
        return s;
    return token_decode(buf_slice(&st->scratch), ret_where) == ST_OK ? ST_OK
                                                                     : kv_damaged_row(st->kv, key_slice(&key));
}

/* When the message of a timer whose own row does not tell is due. ST_GONE: it is not waiting. */
static enum status delay_when(struct state *st, uint64_t topic_id, uint64_t token, int64_t *ret_due_ms)
{
    struct token_row where;
    enum status s = delay_where(st, token, &where);
    if (s == ST_OK)
        *ret_due_ms = where.due_ms;
    return s == ST_OK && where.topic_id != topic_id ? ST_GONE : s;
}

enum status delay_tick(struct state *st, const struct stamp *stamp, int64_t due_ms, uint64_t topic_id,
                       uint64_t token)
{
    struct key key, by_token = key_token(token);
    struct half_row half;
    struct topic *t = NULL;
    enum status s = due_ms == TIMER_FIRST_UNKNOWN ? delay_when(st, topic_id, token, &due_ms) : ST_OK;
    if (s != ST_OK)
        return s;
    key = key_delayed(topic_id, due_ms, token);
    s = delay_get(st, &key, topic_id, &st->scratch, &half, &t);
    if (s == ST_OK)
        s = delay_fire(st, stamp, &key, &half, t);
    if (s != ST_OK && s != ST_GONE)
        return s;
    overlay_del(&st->overlay, &key);
    overlay_del(&st->overlay, &by_token);
    return s;
}

enum status delay_topic(struct state *st, uint64_t token, struct topic **ret_t)
{
    struct token_row where;
    struct half_row half;
    enum status s = delay_where(st, token, &where);
    if (s != ST_OK)
        return s;
    struct key key = key_delayed(where.topic_id, where.due_ms, token);
    return delay_get(st, &key, where.topic_id, &st->scratch, &half, ret_t);
}

enum status delay_cancel(struct state *st, uint64_t token)
{
    struct token_row where;
    struct half_row half;
    struct topic *t = NULL;
    enum status s = delay_where(st, token, &where);
    if (s != ST_OK)
        return s;
    struct key key = key_delayed(where.topic_id, where.due_ms, token), by_token = key_token(token), hold;
    s = delay_get(st, &key, where.topic_id, &st->scratch, &half, &t);
    if (s != ST_OK)
        return s;
    overlay_del(&st->overlay, &key);
    overlay_del(&st->overlay, &by_token);
    timer_del(st, where.due_ms, TIMER_DELAY, delay_what(where.topic_id, token, &hold));
    delay_count(st, t, false);
    return ST_OK;
}
