/*
 * unpack.c: a record of the stored layout as messages that applications can read.
 *
 *   block  [hmq_batch, items][key pointers][properties][topic NUL][the record, copied once]
 *
 * The contract of halfmq.h puts a NUL behind every text and body, the record has none. But behind each
 * of them stands a byte that no text owns: the length of the next text, the head of the next message,
 * the first of the starts. So the messages are decoded from the bytes that came, and in the copy these
 * bytes become the NULs. Nothing decodes the copy again.
 *
 * Invariant: a pointer of a message lies in the copy, at the place it had in the original.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "clients/c/wire/message.h"
#include "clients/c/wire/request.h"
#include "protocol/record/message.h"

struct unpacking {
    struct slice record;
    struct record_header header;
    const struct origin *from;
    size_t n, n_keys, n_props; /* of the messages that are meant */
    uint8_t *copy;
    const char **next_key;
    hmq_prop *next_prop;
    const char *topic;
};

static bool is_meant(const struct unpacking *u, uint32_t i)
{
    struct slice bits = u->from->bits;
    return bits.len == 0 || (i / 8 < bits.len && (bits.data[i / 8] >> (i % 8) & 1));
}

static enum hmq_status count(struct unpacking *u)
{
    struct message m;
    if (record_verify(u->record, &u->header) != ST_OK)
        return HMQ_EPROTO;
    for (uint32_t i = 0; i < u->header.count; i++) {
        if (!is_meant(u, i))
            continue;
        if (record_message(u->record, &u->header, i, &m) != ST_OK)
            return HMQ_EPROTO;
        u->n++;
        u->n_keys += m.n_keys;
        u->n_props += m.n_props;
    }
    return u->n > 0 ? HMQ_OK : HMQ_EPROTO;
}

/* The same bytes in the copy, with a NUL behind them. */
static const char *moved(struct unpacking *u, struct slice s)
{
    uint8_t *at = u->copy + (s.data - u->record.data);
    at[s.len] = '\0';
    return (const char *)at;
}

static const char *moved_if(struct unpacking *u, bool there, struct slice s)
{
    return there ? moved(u, s) : NULL;
}

static void unpack_props(struct unpacking *u, const struct message *m, struct parts *p)
{
    struct cursor c = cursor_of(m->props);
    struct slice name, value;
    p->props = u->next_prop;
    while (message_prop(&c, &name, &value))
        p->props[p->n_props++] = (hmq_prop){moved(u, name), moved(u, value)};
    u->next_prop += p->n_props;
}

static void unpack(struct unpacking *u, uint32_t i, const struct message *m, struct hmq_message *to)
{
    struct parts *p = &to->parts;
    to->map = to->properties = NULL;
    to->attributes = NULL;
    to->id[0] = to->receipt[0] = '\0';
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
        *u->next_key++ = moved(u, m->keys[k]);
    p->tag = moved_if(u, m->fields & MSG_TAG, m->tag);
    p->order = moved_if(u, m->fields & MSG_ORDER, m->order);
    p->group = moved_if(u, m->fields & MSG_GROUP, m->group);
    p->reason = moved_if(u, m->fields & MSG_REASON, m->reason);
    p->origin = moved_if(u, m->fields & MSG_ORIGIN, m->origin);
    unpack_props(u, m, p);
    p->body = moved(u, m->body);
    p->len = m->body.len;
}

/* The one block, its parts laid out. NULL: no memory. */
static struct hmq_batch *lay_out(struct unpacking *u)
{
    size_t items = sizeof(struct hmq_batch) + u->n * sizeof(struct hmq_message);
    size_t keys = u->n_keys * sizeof *u->next_key, props = u->n_props * sizeof *u->next_prop;
    struct slice topic = u->from->topic;
    struct hmq_batch *batch = malloc(items + keys + props + topic.len + 1 + u->record.len);
    if (!batch)
        return NULL;
    batch->reply = NULL;
    batch->n = u->n;
    uint8_t *at = (uint8_t *)batch + items;
    u->next_key = (const char **)(void *)at;
    u->next_prop = (hmq_prop *)(void *)(at + keys);
    at += keys + props;
    if (topic.len)
        memcpy(at, topic.data, topic.len);
    at[topic.len] = '\0';
    u->topic = (const char *)at;
    u->copy = at + topic.len + 1;
    memcpy(u->copy, u->record.data, u->record.len);
    return batch;
}

enum hmq_status batch_of_record(struct slice record, const struct origin *from,
                                struct hmq_batch **ret_batch)
{
    struct unpacking u = {.record = record, .from = from};
    enum hmq_status status = from->topic.len > SYSTEM_NAME_BYTES_MAX ? HMQ_EPROTO : count(&u);
    if (status != HMQ_OK)
        return status;
    struct hmq_batch *batch = lay_out(&u);
    if (!batch)
        return HMQ_ENOMEM;
    size_t n = 0;
    for (uint32_t i = 0; i < u.header.count; i++) {
        struct message m;
        if (is_meant(&u, i) && record_message(record, &u.header, i, &m) == ST_OK)
            unpack(&u, i, &m, &batch->items[n++]);
    }
    assert(n == u.n); /* they were decoded before */
    *ret_batch = batch;
    return HMQ_OK;
}

void parts_name(struct hmq_message *m)
{
    const struct parts *p = &m->parts;
    if (m->id[0])
        return;
    snprintf(m->id, sizeof m->id, "%.134s:%" PRIu32 ":%" PRIu64, p->topic, p->queue, p->offset);
    if (p->attempt)
        snprintf(m->receipt, sizeof m->receipt, "%.134s:%" PRIu32 ":%" PRIu64 "#%" PRIu32, p->topic,
                 p->queue, p->offset, p->attempt);
    else
        memcpy(m->receipt, m->id, sizeof m->id);
}

/* NUMBER(name, value, there), TEXT(name, value): as POP's attributes have them. */
#define ATTRIBUTES(NUMBER, TEXT)                             \
    TEXT("topic", p->topic)                                  \
    NUMBER("queue", p->queue, true)                          \
    NUMBER("offset", p->offset, true)                        \
    NUMBER("born", p->born_ms, true)                         \
    NUMBER("stored", p->stored_ms, true)                     \
    TEXT("tag", p->tag)                                      \
    TEXT("order", p->order)                                  \
    NUMBER("priority", p->priority, p->fields &MSG_PRIORITY) \
    NUMBER("expires", p->expires_ms, p->fields &MSG_TTL)     \
    TEXT("txn", txn)                                         \
    NUMBER("attempt", p->attempt, p->attempt > 0)            \
    NUMBER("lease_until", p->lease_until_ms, p->attempt > 0) \
    TEXT("group", p->group)                                  \
    TEXT("reason", p->reason)                                \
    TEXT("origin", p->origin)                                \
    NUMBER("attempts", p->attempts, p->fields &MSG_ATTEMPTS)

/* The attributes as a frame, so that reply.c makes the same of them as of an answer. */
static void put_attributes(struct buf *b, const struct parts *p)
{
    char txid[24];
    const char *txn = p->fields & MSG_TXN ? txid : NULL;
    size_t n = p->n_keys > 0;
    snprintf(txid, sizeof txid, "%" PRIu64, p->txid);
#define NUMBER(name, value, there) n += (there) != 0;
#define TEXT(name, value) n += (value) != NULL;
    ATTRIBUTES(NUMBER, TEXT)
#undef NUMBER
#undef TEXT
    rpc_put_notify(b, "attributes");
    rpc_put_list(b, 1);
    rpc_put_map(b, n);
#define NUMBER(name, value, there) \
    if (there)                     \
        pair_int(b, name, (int64_t)(value));
#define TEXT(name, value) \
    if (value)            \
        pair_text(b, name, value);
    ATTRIBUTES(NUMBER, TEXT)
#undef NUMBER
#undef TEXT
    if (p->n_keys > 0)
        pair_texts(b, "key", p->keys, p->n_keys);
}

bool parts_describe(struct hmq_message *m)
{
    struct buf b;
    struct rpc_frame frame;
    size_t used;
    char err[80];
    if (m->attributes)
        return true;
    buf_init(&b, 0);
    put_attributes(&b, &m->parts);
    struct rpc_reader *reader = b.failed ? NULL : rpc_reader_new(b.len);
    if (reader && rpc_reader_next(reader, buf_slice(&b), &frame, &used, err, sizeof err) == ST_OK)
        m->attributes = reply_copy(frame.params);
    rpc_reader_free(reader);
    buf_free(&b);
    return m->attributes != NULL;
}
