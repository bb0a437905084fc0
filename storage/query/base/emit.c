/* emit.c: writes a stored or a delayed message into a reply (emit.h). */
#include "storage/query/base/emit.h"

#include "protocol/base/reply.h"

static void emit_id(struct buf *r, const struct place *p)
{
    if (p->attempt)
        reply_receipt(r, p->topic, p->queue, p->offset, p->attempt);
    else
        reply_id(r, p->topic, p->queue, p->offset);
}

/* Counts the attributes that emit_sender writes. */
static size_t emit_sender_count(const struct message *m)
{
    static const uint32_t shown = MSG_KEY | MSG_TAG | MSG_ORDER | MSG_PRIORITY | MSG_TTL | MSG_TXN;
    return (size_t)__builtin_popcount(m->fields & shown);
}

static size_t emit_count(const struct place *p, const struct message *m)
{
    static const uint32_t shown = MSG_REASON | MSG_ORIGIN | MSG_ATTEMPTS;
    size_t n = 5 + emit_sender_count(m) + (size_t)__builtin_popcount(m->fields & shown);
    n += p->attempt ? 2 : 0;
    n += p->group.len || (m->fields & MSG_GROUP) ? 1 : 0;
    return n;
}

static void emit_place(struct buf *r, const struct place *p, const struct message *m)
{
    reply_field_bytes(r, "topic", p->topic);
    reply_field_int(r, "queue", p->queue);
    reply_field_int(r, "offset", (int64_t)p->offset);
    reply_field_int(r, "born", m->born_ms);
    reply_field_int(r, "stored", p->stored_ms);
}

static void emit_sender(struct buf *r, const struct message *m)
{
    if (m->fields & MSG_KEY) {
        reply_bulk_str(r, "key");
        reply_array(r, m->n_keys);
        for (uint32_t i = 0; i < m->n_keys; i++)
            reply_bulk(r, m->keys[i]);
    }
    if (m->fields & MSG_TAG)
        reply_field_bytes(r, "tag", m->tag);
    if (m->fields & MSG_ORDER)
        reply_field_bytes(r, "order", m->order);
    if (m->fields & MSG_PRIORITY)
        reply_field_int(r, "priority", m->priority);
    if (m->fields & MSG_TTL)
        reply_field_int(r, "expires", m->expires_ms);
    if (m->fields & MSG_TXN) {
        reply_bulk_str(r, "txn");
        reply_bulk_uint(r, m->txid);
    }
}

static void emit_delivery(struct buf *r, const struct place *p, const struct message *m)
{
    if (p->attempt) {
        reply_field_int(r, "attempt", p->attempt);
        reply_field_int(r, "lease_until", p->lease_until_ms);
    }
    if (m->fields & MSG_GROUP)
        reply_field_bytes(r, "group", m->group);
    else if (p->group.len)
        reply_field_bytes(r, "group", p->group);
    if (m->fields & MSG_REASON)
        reply_field_bytes(r, "reason", m->reason);
    if (m->fields & MSG_ORIGIN)
        reply_field_bytes(r, "origin", m->origin);
    if (m->fields & MSG_ATTEMPTS)
        reply_field_int(r, "attempts", m->attempts);
}

void emit_message(struct buf *r, const struct place *p, const struct message *m)
{
    reply_message(r);
    emit_id(r, p);
    reply_bulk(r, m->body);
    reply_map(r, emit_count(p, m));
    emit_place(r, p, m);
    emit_sender(r, m);
    emit_delivery(r, p, m);
    message_reply_props(r, m);
}

void emit_delayed(struct buf *r, uint64_t token, int64_t due_ms, const struct half_row *half,
                  const struct message *m)
{
    reply_message(r);
    reply_token(r, token);
    reply_bulk(r, m->body);
    reply_map(r, 3 + (size_t)half->has_queue + (half->ttl_ms >= 0 ? 2 : 0) + emit_sender_count(m));
    reply_field_bytes(r, "topic", half->topic);
    reply_field_int(r, "born", m->born_ms);
    reply_field_int(r, "due", due_ms);
    if (half->has_queue)
        reply_field_int(r, "queue", half->queue);
    if (half->ttl_ms >= 0) {
        reply_field_int(r, "ttl", half->ttl_ms);
        reply_field_int(r, "expires", half->base_ms + half->ttl_ms);
    }
    emit_sender(r, m);
    message_reply_props(r, m);
}

void emit_half(struct buf *r, const struct half_row *half, const struct message *m)
{
    size_t n = 2 + (size_t)half->has_queue + (half->ttl_ms >= 0) + (half->delay_ms > 0) + (half->at_ms > 0);
    reply_message(r);
    reply_null(r);
    reply_bulk(r, m->body);
    reply_map(r, n + emit_sender_count(m));
    reply_field_bytes(r, "topic", half->topic);
    reply_field_int(r, "born", m->born_ms);
    if (half->has_queue)
        reply_field_int(r, "queue", half->queue);
    if (half->ttl_ms >= 0)
        reply_field_int(r, "ttl", half->ttl_ms);
    if (half->delay_ms > 0)
        reply_field_int(r, "delay", half->delay_ms);
    if (half->at_ms > 0)
        reply_field_int(r, "at", half->at_ms);
    emit_sender(r, m);
    message_reply_props(r, m);
}

void emit_gone(struct buf *r, const struct place *p)
{
    reply_message(r);
    emit_id(r, p);
    reply_null(r);
    reply_map(r, 3);
    reply_field_bytes(r, "topic", p->topic);
    reply_field_int(r, "queue", p->queue);
    reply_field_int(r, "offset", (int64_t)p->offset);
    reply_map(r, 0);
}

void emit_gone_delayed(struct buf *r, uint64_t token)
{
    reply_message(r);
    reply_token(r, token);
    reply_null(r);
    reply_map(r, 0);
    reply_map(r, 0);
}
