/*
 * unpack.c: turns a record into messages that applications can read; see unpack.h.
 *
 *   block  [hmq_batch, items][parts][keys][properties][topic NUL][the record, copied once][room for names]
 *
 * Whoever owns the record's bytes need not have them copied (unpack_in_place): topic and record are not in the block then.
 *
 * Most messages have a body only, and most records have no others. Such a record is decoded in one pass, into items alone;
 * only where another message turns up, all are counted first, as those have parts as well.
 *
 * halfmq.h promises a NUL behind every text and body, but the record has none. Behind each of them there is a byte, though,
 * that belongs to no text: the length of the next text, the first byte of the next message, or the first of the starts. A
 * message with a body only begins with a NUL, and so do the starts: where there are no others, nothing is to be written.
 * Otherwise those bytes are overwritten, from the last message to the first: so a message is decoded before its first byte
 * is lost to the one before it.
 *
 * Invariant: each text of a message is in the record, or in its copy, where it was.
 */
#include "clients/c/wire/unpack.h"

#include <stdlib.h>

#include "protocol/record/plain.h"
#include "protocol/record/record.h"

struct unpacking {
    struct slice record; /* the copy, as soon as there is one */
    bool in_place;
    struct record_header header;
    const struct origin *from;
    size_t n, n_rich, n_keys, n_props; /* of the messages that are wanted */
    struct hmq_batch *batch;
    struct parts *next_parts;
    struct slice *next_key;
    struct parts_prop *next_prop;
};

static inline bool unpack_is_meant(const struct unpacking *u, uint32_t i)
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

/* Counts what the messages have. HMQ_EPROTO: one is not whole, or none is wanted. */
static enum hmq_status unpack_count(struct unpacking *u)
{
    struct message m;
    u->n = 0;
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

/* These bytes of the record, with a NUL behind them. */
static const char *unpack_moved(struct slice s)
{
    uint8_t *at = (uint8_t *)(uintptr_t)s.data; /* of the copy, or the caller's own */
    at[s.len] = '\0';
    return (const char *)at;
}

static struct slice unpack_kept(struct slice s)
{
    return slice_of(unpack_moved(s), s.len);
}

static const char *unpack_moved_if(bool there, struct slice s)
{
    return there ? unpack_moved(s) : NULL;
}

/* All are read before a NUL is written: it takes the place of the length of the next one. */
static void unpack_props(struct unpacking *u, const struct message *m, struct parts *p)
{
    struct cursor c = cursor_of(m->props);
    struct slice name, value;
    p->props = u->next_prop;
    while (message_prop(&c, &name, &value))
        p->props[p->n_props++] = (struct parts_prop){name, value};
    u->next_prop += p->n_props;
    for (size_t i = 0; i < p->n_props; i++) {
        (void)unpack_moved(p->props[i].name);
        (void)unpack_moved(p->props[i].value);
    }
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
    unpack_props(u, m, p);
    p->keys = u->next_key;
    for (uint32_t k = 0; k < m->n_keys; k++)
        *u->next_key++ = unpack_kept(m->keys[k]);
    p->tag = unpack_moved_if(m->fields & MSG_TAG, m->tag);
    if (m->fields & MSG_ORDER)
        p->order = unpack_kept(m->order);
    p->group = unpack_moved_if(m->fields & MSG_GROUP, m->group);
    if (m->fields & MSG_REASON)
        p->reason = unpack_kept(m->reason);
    p->origin = unpack_moved_if(m->fields & MSG_ORIGIN, m->origin);
    return p;
}

static inline void unpack_item(const struct unpacking *u, uint32_t i, struct hmq_message *to)
{
    to->batch = u->batch;
    to->parts = NULL;
    atomic_init(&to->attributes, NULL);
    to->index = i;
    atomic_init(&to->naming, MESSAGE_UNNAMED);
}

/* Message i, which has a body only; the byte behind that is not written. False: it is not whole. */
static inline bool unpack_plain(const struct unpacking *u, uint32_t i, struct slice bytes, struct hmq_message *to)
{
    struct slice body;
    if (!plain_decode(bytes, u->header.stored_ms, &to->born_ms, &body))
        return false;
    unpack_item(u, i, to);
    to->body = body.data;
    to->len = (uint32_t)body.len; /* below header.bytes */
    to->bytes = (uint32_t)bytes.len;
    return true;
}

/* Message i, whatever it has. False: it is not whole. */
static bool unpack_one(struct unpacking *u, uint32_t i, struct hmq_message *to)
{
    struct slice bytes = unpack_bytes(u, i);
    struct message m;
    if (plain_is(bytes)) {
        bool whole = unpack_plain(u, i, bytes, to);
        if (whole)
            (void)unpack_moved(slice_of(to->body, to->len));
        return whole;
    }
    if (message_decode(bytes, u->header.stored_ms, &m) != ST_OK)
        return false;
    unpack_item(u, i, to);
    to->parts = unpack_parts(u, &m);
    to->born_ms = m.born_ms;
    to->body = unpack_moved(m.body);
    to->len = (uint32_t)m.body.len;
    to->bytes = (uint32_t)bytes.len;
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

/* Where the record is copied: its copy and that of the topic, from `at` on. Returns where they end. */
static uint8_t *unpack_copy(struct unpacking *u, uint8_t *at)
{
    struct slice topic = u->from->topic;
    u->batch->topic = (const char *)at;
    if (topic.len)
        memcpy(at, topic.data, topic.len);
    at[topic.len] = '\0';
    at += topic.len + 1;
    memcpy(at, u->record.data, u->record.len);
    u->record.data = at;
    return at + u->record.len;
}

/* Places the parts of the block, from `at` on. */
static void unpack_place(struct unpacking *u, uint8_t *at)
{
    u->next_parts = (struct parts *)(void *)at;
    u->next_key = (struct slice *)(void *)(u->next_parts + u->n_rich);
    u->next_prop = (struct parts_prop *)(void *)(u->next_key + u->n_keys);
    at = (uint8_t *)(u->next_prop + u->n_props);
    if (u->in_place)
        u->batch->topic = (const char *)u->from->topic.data;
    else
        at = unpack_copy(u, at);
    u->batch->names = (char *)at;
}

/* Allocates the block. False: no memory. */
static bool unpack_lay_out(struct unpacking *u)
{
    const struct origin *from = u->from;
    size_t items = sizeof(struct hmq_batch) + u->n * sizeof(struct hmq_message);
    size_t rare = u->n_rich * sizeof(struct parts) + u->n_keys * sizeof *u->next_key + u->n_props * sizeof *u->next_prop;
    size_t copied = u->in_place ? 0 : from->topic.len + 1 + u->record.len;
    size_t name_bytes = from->topic.len + PARTS_NAME_BYTES;
    size_t size = items + rare + copied + u->n * 2 * name_bytes;
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

/* A record without any other messages than plain ones, into u->batch. HMQ_EAGAIN: there is another one, and nothing was
 * written into the record. */
static enum hmq_status unpack_all_plain(struct unpacking *all)
{
    const struct unpacking u = *all; /* the compiler sees that no message is a part of it */
    struct hmq_message *to = u.batch->items;
    for (uint32_t i = 0; i < u.header.count; i++) {
        struct slice bytes = unpack_bytes(&u, i);
        if (!plain_is(bytes)) /* one that is not wanted too: its first byte is behind a body */
            return HMQ_EAGAIN;
        if (unpack_is_meant(&u, i) && !unpack_plain(&u, i, bytes, to++))
            return HMQ_EPROTO;
    }
    return HMQ_OK;
}

static enum hmq_status unpack_all(struct unpacking *u)
{
    size_t n = u->n;
    for (uint32_t i = u->header.count; i-- > 0;)
        if (unpack_is_meant(u, i) && !unpack_one(u, i, &u->batch->items[--n]))
            return HMQ_EPROTO;
    return HMQ_OK;
}

static enum hmq_status unpack_into_block(struct unpacking *u, enum hmq_status (*all)(struct unpacking *u))
{
    if (!unpack_lay_out(u))
        return HMQ_ENOMEM;
    enum hmq_status status = all(u);
    if (status != HMQ_OK)
        batch_free_block(u->batch);
    return status;
}

uint32_t unpack_wanted(struct slice bits, uint32_t count)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < count && i / 8 < bits.len; i++)
        n += bits.data[i / 8] >> (i % 8) & 1;
    return bits.len == 0 ? count : n;
}

static enum hmq_status unpack(struct slice record, const struct origin *from, bool in_place, struct hmq_batch **ret_batch)
{
    struct unpacking u = {.record = record, .in_place = in_place, .from = from};
    if (from->topic.len > SYSTEM_NAME_BYTES_MAX || record_verify(record, &u.header) != ST_OK)
        return HMQ_EPROTO;
    u.n = unpack_wanted(from->bits, u.header.count);
    enum hmq_status status = u.n > 0 ? HMQ_EAGAIN : HMQ_EPROTO;
    if (u.n > 0 && plain_is(unpack_bytes(&u, 0)))
        status = unpack_into_block(&u, unpack_all_plain);
    if (status == HMQ_EAGAIN) {
        u.record = record;
        status = unpack_count(&u);
        status = status == HMQ_OK ? unpack_into_block(&u, unpack_all) : status;
    }
    if (status == HMQ_OK)
        *ret_batch = u.batch;
    return status;
}

enum hmq_status unpack_record(struct slice record, const struct origin *from, struct hmq_batch **ret_batch)
{
    return unpack(record, from, false, ret_batch);
}

enum hmq_status unpack_in_place(struct slice record, const struct origin *from, struct hmq_batch **ret_batch)
{
    return unpack(record, from, true, ret_batch);
}
