/*
 * message.c: version 1 of a stored message, written and read. The picture is in message.h.
 *
 * Reading trusts nothing: what does not add up, or is not used up to its last byte, is ST_BAD.
 */
#include "protocol/record/message.h"

#include <assert.h>

#include "protocol/base/reply.h"
#include "protocol/record/plain.h"

#define FIELDS_KNOWN ((MSG_PROPS << 1) - 1)
#define PRIORITY_MAX 9

static uint64_t message_zigzag(int64_t v) { return ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0); }

/* Differences wrap, so that no time, however odd, is undefined behaviour. */
static int64_t message_minus(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }

static void message_put_attributes(struct buf *b, const struct message *m)
{
    if (m->fields & MSG_KEY) {
        buf_put_varint(b, m->n_keys);
        for (uint32_t i = 0; i < m->n_keys; i++)
            buf_put_sized(b, m->keys[i]);
    }
    if (m->fields & MSG_TAG)
        buf_put_sized(b, m->tag);
    if (m->fields & MSG_ORDER)
        buf_put_sized(b, m->order);
    if (m->fields & MSG_PRIORITY)
        buf_put_u8(b, m->priority);
}

static void message_put_history(struct buf *b, const struct message *m)
{
    if (m->fields & MSG_TXN)
        buf_put_varint(b, m->txid);
    if (m->fields & MSG_GROUP)
        buf_put_sized(b, m->group);
    if (m->fields & MSG_REASON)
        buf_put_sized(b, m->reason);
    if (m->fields & MSG_ORIGIN)
        buf_put_sized(b, m->origin);
    if (m->fields & MSG_ATTEMPTS)
        buf_put_varint(b, m->attempts);
}

void message_encode_head(struct buf *b, const struct message *m, int64_t stored_ms)
{
    assert((m->fields & ~(uint32_t)FIELDS_KNOWN) == 0 && m->n_keys <= KEYS_MAX);
    buf_put_varint(b, m->fields);
    buf_put_varint(b, m->seq);
    buf_put_varint(b, message_zigzag(message_minus(stored_ms, m->born_ms)));
    message_put_attributes(b, m);
    if (m->fields & MSG_TTL)
        buf_put_varint(b,
                       m->expires_ms > stored_ms ? (uint64_t)message_minus(m->expires_ms, stored_ms) : 0);
    message_put_history(b, m);
    if (m->fields & MSG_PROPS) {
        buf_put_varint(b, m->n_props);
        buf_put_slice(b, m->props);
    }
    buf_put_varint(b, m->body.len);
}

void message_encode(struct buf *b, const struct message *m, int64_t stored_ms)
{
    message_encode_head(b, m, stored_ms);
    buf_put_slice(b, m->body);
}

/* A varint within 1..most; bad otherwise. */
static uint32_t message_get_count(struct cursor *c, uint64_t most)
{
    uint64_t n = cursor_varint(c);
    if (n < 1 || n > most) {
        c->bad = true;
        return 0;
    }
    return (uint32_t)n;
}

static void message_get_attributes(struct cursor *c, struct message *m)
{
    if (m->fields & MSG_KEY) {
        m->n_keys = message_get_count(c, KEYS_MAX);
        for (uint32_t i = 0; i < m->n_keys; i++)
            m->keys[i] = cursor_sized(c);
    }
    if (m->fields & MSG_TAG)
        m->tag = cursor_sized(c);
    if (m->fields & MSG_ORDER)
        m->order = cursor_sized(c);
    if (m->fields & MSG_PRIORITY) {
        m->priority = cursor_u8(c);
        if (m->priority > PRIORITY_MAX)
            c->bad = true;
    }
}

static void message_get_expiry(struct cursor *c, struct message *m, int64_t stored_ms)
{
    uint64_t ttl = cursor_varint(c);
    int64_t room = stored_ms > 0 ? INT64_MAX - stored_ms : INT64_MAX;
    if (ttl > (uint64_t)room)
        c->bad = true;
    else
        m->expires_ms = stored_ms + (int64_t)ttl;
}

static void message_get_history(struct cursor *c, struct message *m)
{
    if (m->fields & MSG_TXN)
        m->txid = cursor_varint(c);
    if (m->fields & MSG_GROUP)
        m->group = cursor_sized(c);
    if (m->fields & MSG_REASON)
        m->reason = cursor_sized(c);
    if (m->fields & MSG_ORIGIN)
        m->origin = cursor_sized(c);
    if (m->fields & MSG_ATTEMPTS)
        m->attempts = message_get_count(c, UINT32_MAX);
}

/* Walks over them once, so that message_prop later meets nothing damaged. */
static void message_get_props(struct cursor *c, struct message *m)
{
    m->n_props = message_get_count(c, PROPS_MAX);
    const uint8_t *begin = c->at;
    for (uint32_t i = 0; i < 2 * m->n_props && !c->bad; i++)
        (void)cursor_sized(c);
    m->props = slice_of(begin, (size_t)(c->at - begin));
}

enum status message_decode(struct slice bytes, int64_t stored_ms, struct message *ret_m)
{
    struct cursor c = cursor_of(bytes);
    uint64_t fields = cursor_varint(&c);
    if (c.bad || fields > FIELDS_KNOWN)
        return ST_BAD;
    struct message m;
    message_clear(&m);
    m.fields = (uint32_t)fields;
    m.seq = cursor_varint(&c);
    m.born_ms = plain_born(stored_ms, cursor_varint(&c));
    message_get_attributes(&c, &m);
    if (m.fields & MSG_TTL)
        message_get_expiry(&c, &m, stored_ms);
    message_get_history(&c, &m);
    if (m.fields & MSG_PROPS)
        message_get_props(&c, &m);
    m.body = cursor_sized(&c);
    if (c.bad || cursor_left(&c) > 0)
        return ST_BAD;
    message_copy(&m, ret_m);
    return ST_OK;
}

bool message_prop(struct cursor *c, struct slice *ret_name, struct slice *ret_value)
{
    if (c->bad || cursor_left(c) == 0)
        return false;
    struct slice name = cursor_sized(c);
    struct slice value = cursor_sized(c);
    if (c->bad)
        return false;
    *ret_name = name;
    *ret_value = value;
    return true;
}

void message_reply_props(struct buf *reply, const struct message *m)
{
    reply_map(reply, m->n_props);
    struct cursor c = cursor_of(m->props);
    struct slice name, value;
    while (message_prop(&c, &name, &value)) {
        reply_bulk(reply, name);
        reply_bulk(reply, value);
    }
}
