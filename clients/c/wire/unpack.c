/*
 * unpack.c: turns a record into messages that applications can read; see unpack.h.
 *
 *   block  [hmq_batch, items][parts][keys][properties][topic NUL][the record, copied once][room for names]
 *
 * Most messages have a body only. Those are decoded here, into an item alone; the others have parts as well.
 *
 * halfmq.h promises a NUL behind every text and body, but the record has none. Behind each of them there is a
 * byte, though, that belongs to no text: the length of the next text, the head of the next message, or the
 * first of the starts. So the messages are decoded from the original bytes, and in the copy those bytes are
 * overwritten with NULs. The copy is never decoded.
 *
 * Invariant: each text of a message is in the copy, where it was in the original.
 */
#include "clients/c/wire/unpack.h"

#include <stdlib.h>

#include "protocol/record/plain.h"
#include "protocol/record/record.h"

struct unpacking {
    struct slice record;
    struct record_header header;
    const struct origin *from;
    size_t n, n_rich, n_keys, n_props; /* of the messages that are wanted */
    struct hmq_batch *batch;
    uint8_t *copy;
    struct parts *next_parts;
    struct slice *next_key;
    struct parts_prop *next_prop;
};

static bool unpack_is_meant(const struct unpacking *u, uint32_t i)
{
    struct slice bits = u->from->bits;
    return bits.len == 0 || (i / 8 < bits.len && (bits.data[i / 8] >> (i % 8) & 1));
}

/* Where message i begins; record_verify saw that the starts are there and ascend. */
static inline uint32_t unpack_start(const struct unpacking *u, uint32_t i)
{
    const uint8_t *at = u->record.data + RECORD_HEADER_BYTES + u->header.bytes + (size_t)i * 4;
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* The bytes of message i, which are not empty. */
static inline struct slice unpack_bytes(const struct unpacking *u, uint32_t i)
{
    uint32_t begin = unpack_start(u, i), end = i + 1 < u->header.count ? unpack_start(u, i + 1) : u->header.bytes;
    return slice_of(u->record.data + RECORD_HEADER_BYTES + begin, end - begin);
}

static enum hmq_status unpack_count(struct unpacking *u)
{
    struct message m;
    if (record_verify(u->record, &u->header) != ST_OK)
        return HMQ_EPROTO;
    for (uint32_t i = 0; i < u->header.count; i++) {
        if (!unpack_is_meant(u, i))
            continue;
        u->n++;
        struct slice bytes = unpack_bytes(u, i);
        if (plain_is(bytes)) /* whether it is whole, unpack_all sees */
            continue;
        if (message_decode(bytes, u->header.stored_ms, &m) != ST_OK)
            return HMQ_EPROTO;
        u->n_rich++;
        u->n_keys += m.n_keys;
        u->n_props += m.n_props;
    }
    return u->n > 0 ? HMQ_OK : HMQ_EPROTO;
}

/* These bytes in the copy, with a NUL behind them. */
static const char *unpack_moved(struct unpacking *u, struct slice s)
{
    uint8_t *at = u->copy + (s.data - u->record.data);
    at[s.len] = '\0';
    return (const char *)at;
}

static struct slice unpack_kept(struct unpacking *u, struct slice s)
{
    return slice_of(unpack_moved(u, s), s.len);
}

static const char *unpack_moved_if(struct unpacking *u, bool there, struct slice s)
{
    return there ? unpack_moved(u, s) : NULL;
}

static void unpack_props(struct unpacking *u, const struct message *m, struct parts *p)
{
    struct cursor c = cursor_of(m->props);
    struct slice name, value;
    p->props = u->next_prop;
    while (message_prop(&c, &name, &value))
        p->props[p->n_props++] = (struct parts_prop){unpack_kept(u, name), unpack_kept(u, value)};
    u->next_prop += p->n_props;
}

/* What the message has besides its body. */
static const struct parts *unpack_parts(struct unpacking *u, const struct message *m)
{
    struct parts *p = u->next_parts++;
    *p = (struct parts){.fields = m->fields, .n_keys = m->n_keys};
    p->expires_ms = m->expires_ms;
    p->txid = m->txid;
    p->attempts = m->attempts;
    p->priority = m->priority;
    p->keys = u->next_key;
    for (uint32_t k = 0; k < m->n_keys; k++)
        *u->next_key++ = unpack_kept(u, m->keys[k]);
    p->tag = unpack_moved_if(u, m->fields & MSG_TAG, m->tag);
    if (m->fields & MSG_ORDER)
        p->order = unpack_kept(u, m->order);
    p->group = unpack_moved_if(u, m->fields & MSG_GROUP, m->group);
    if (m->fields & MSG_REASON)
        p->reason = unpack_kept(u, m->reason);
    p->origin = unpack_moved_if(u, m->fields & MSG_ORIGIN, m->origin);
    unpack_props(u, m, p);
    return p;
}

/* Message i; false: it is not whole. */
static bool unpack_one(struct unpacking *u, uint32_t i, struct hmq_message *to)
{
    struct slice bytes = unpack_bytes(u, i), body;
    int64_t stored_ms = u->header.stored_ms, born_ms;
    const struct parts *parts = NULL;
    if (plain_is(bytes)) {
        if (!plain_decode(bytes, stored_ms, &born_ms, &body))
            return false;
    } else {
        struct message m;
        if (message_decode(bytes, stored_ms, &m) != ST_OK)
            return false;
        parts = unpack_parts(u, &m);
        born_ms = m.born_ms;
        body = m.body;
    }
    to->batch = u->batch;
    to->body = unpack_moved(u, body);
    to->parts = parts;
    atomic_init(&to->attributes, NULL);
    to->born_ms = born_ms;
    to->len = (uint32_t)body.len; /* below header.bytes */
    to->index = i;
    to->bytes = (uint32_t)bytes.len;
    atomic_init(&to->naming, MESSAGE_UNNAMED);
    return true;
}

/* NULL: no memory, or it would be over the limit. */
static void *unpack_block(const struct origin *from, size_t *size)
{
    if (from->reuse)
        return memory_block(from->memory, size, from->asked);
    if (!memory_take(from->memory, *size, from->asked))
        return NULL;
    void *block = malloc(*size);
    if (!block)
        memory_give(from->memory, *size);
    return block;
}

/* Places the parts of the block, from `at` on. */
static void unpack_place(struct unpacking *u, uint8_t *at)
{
    struct slice topic = u->from->topic;
    u->next_parts = (struct parts *)(void *)at;
    u->next_key = (struct slice *)(void *)(u->next_parts + u->n_rich);
    u->next_prop = (struct parts_prop *)(void *)(u->next_key + u->n_keys);
    at = (uint8_t *)(u->next_prop + u->n_props);
    u->batch->topic = (const char *)at;
    if (topic.len)
        memcpy(at, topic.data, topic.len);
    at[topic.len] = '\0';
    u->copy = at + topic.len + 1;
    memcpy(u->copy, u->record.data, u->record.len);
    u->batch->names = (char *)u->copy + u->record.len;
}

/* Allocates the block. False: no memory. */
static bool unpack_lay_out(struct unpacking *u)
{
    const struct origin *from = u->from;
    size_t items = sizeof(struct hmq_batch) + u->n * sizeof(struct hmq_message);
    size_t rare = u->n_rich * sizeof(struct parts) + u->n_keys * sizeof *u->next_key + u->n_props * sizeof *u->next_prop;
    size_t name_bytes = from->topic.len + PARTS_NAME_BYTES;
    size_t size = items + rare + from->topic.len + 1 + u->record.len + u->n * 2 * name_bytes;
    u->batch = unpack_block(from, &size);
    if (!u->batch)
        return false;
    *u->batch = (struct hmq_batch){.memory = from->memory,
                                   .taken = size,
                                   .reused = from->reuse,
                                   .n = u->n,
                                   .queue = from->queue,
                                   .attempt = from->attempt,
                                   .base = u->header.base,
                                   .stored_ms = u->header.stored_ms,
                                   .lease_until_ms = from->lease_until_ms,
                                   .name_bytes = name_bytes};
    unpack_place(u, (uint8_t *)u->batch + items);
    return true;
}

/* False: a message is not whole. */
static bool unpack_all(struct unpacking *u)
{
    size_t n = 0;
    for (uint32_t i = 0; i < u->header.count; i++)
        if (unpack_is_meant(u, i) && !unpack_one(u, i, &u->batch->items[n++]))
            return false;
    return true;
}

enum hmq_status unpack_record(struct slice record, const struct origin *from,
                                struct hmq_batch **ret_batch)
{
    struct unpacking u = {.record = record, .from = from};
    enum hmq_status status = from->topic.len > SYSTEM_NAME_BYTES_MAX ? HMQ_EPROTO : unpack_count(&u);
    if (status != HMQ_OK)
        return status;
    if (!unpack_lay_out(&u))
        return HMQ_ENOMEM;
    if (!unpack_all(&u)) {
        batch_free_block(u.batch);
        return HMQ_EPROTO;
    }
    *ret_batch = u.batch;
    return HMQ_OK;
}
