/*
 * unpack.c: turns a record into messages that applications can read; see unpack.h.
 *
 *   block  [hmq_batch, items][keys][properties][topic NUL][the record, copied once]
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

#include "protocol/record/record.h"

struct unpacking {
    struct slice record;
    struct record_header header;
    const struct origin *from;
    size_t n, n_keys, n_props; /* of the messages that are wanted */
    uint8_t *copy;
    struct slice *next_key;
    struct parts_prop *next_prop;
    const char *topic;
};

static bool unpack_is_meant(const struct unpacking *u, uint32_t i)
{
    struct slice bits = u->from->bits;
    return bits.len == 0 || (i / 8 < bits.len && (bits.data[i / 8] >> (i % 8) & 1));
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
        struct slice bytes = record_bytes(u->record, &u->header, i);
        if (bytes.len > 0 && bytes.data[0] == 0) /* it has a body only; whether that is whole, unpack_all sees */
            continue;
        if (record_message(u->record, &u->header, i, &m) != ST_OK)
            return HMQ_EPROTO;
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

static void unpack(struct unpacking *u, uint32_t i, const struct message *m, struct hmq_message *to)
{
    struct parts *p = &to->parts;
    to->map = to->properties = NULL;
    to->holder = NULL;
    atomic_init(&to->attributes, NULL);
    atomic_init(&to->naming, MESSAGE_UNNAMED);
    to->bytes = record_bytes(u->record, &u->header, i).len;
    *p = (struct parts){.topic = u->topic, .fields = m->fields, .n_keys = m->n_keys};
    p->offset = u->header.base + i;
    p->queue = u->from->queue;
    p->attempt = u->from->attempt;
    p->lease_until_ms = u->from->lease_until_ms;
    p->stored_ms = u->header.stored_ms;
    p->born_ms = m->born_ms;
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
    p->body = unpack_moved(u, m->body);
    p->len = m->body.len;
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

/* Allocates the block and places its parts. NULL: no memory. */
static struct hmq_batch *unpack_lay_out(struct unpacking *u)
{
    size_t items = sizeof(struct hmq_batch) + u->n * sizeof(struct hmq_message);
    size_t keys = u->n_keys * sizeof *u->next_key, props = u->n_props * sizeof *u->next_prop;
    struct slice topic = u->from->topic;
    size_t name = topic.len + PARTS_NAME_BYTES, names = u->n * 2 * name;
    size_t size = items + keys + props + topic.len + 1 + u->record.len + names;
    struct hmq_batch *batch = unpack_block(u->from, &size);
    if (!batch)
        return NULL;
    *batch = (struct hmq_batch){.memory = u->from->memory, .taken = size, .reused = u->from->reuse, .n = u->n};
    uint8_t *at = (uint8_t *)batch + items;
    u->next_key = (struct slice *)(void *)at;
    u->next_prop = (struct parts_prop *)(void *)(at + keys);
    at += keys + props;
    if (topic.len)
        memcpy(at, topic.data, topic.len);
    at[topic.len] = '\0';
    u->topic = (const char *)at;
    u->copy = at + topic.len + 1;
    memcpy(u->copy, u->record.data, u->record.len);
    char *at_names = (char *)u->copy + u->record.len;
    for (size_t i = 0; i < u->n; i++) {
        batch->items[i].id = at_names + 2 * i * name;
        batch->items[i].receipt = batch->items[i].id + name;
    }
    return batch;
}

/* False: a message is not whole. */
static bool unpack_all(struct unpacking *u, struct hmq_batch *batch)
{
    size_t n = 0;
    for (uint32_t i = 0; i < u->header.count; i++) {
        struct message m;
        if (!unpack_is_meant(u, i))
            continue;
        if (record_message(u->record, &u->header, i, &m) != ST_OK)
            return false;
        unpack(u, i, &m, &batch->items[n++]);
    }
    return true;
}

enum hmq_status unpack_record(struct slice record, const struct origin *from,
                                struct hmq_batch **ret_batch)
{
    struct unpacking u = {.record = record, .from = from};
    enum hmq_status status = from->topic.len > SYSTEM_NAME_BYTES_MAX ? HMQ_EPROTO : unpack_count(&u);
    if (status != HMQ_OK)
        return status;
    struct hmq_batch *batch = unpack_lay_out(&u);
    if (!batch)
        return HMQ_ENOMEM;
    if (!unpack_all(&u, batch)) {
        batch_free_block(batch);
        return HMQ_EPROTO;
    }
    *ret_batch = batch;
    return HMQ_OK;
}
