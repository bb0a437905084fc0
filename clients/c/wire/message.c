/*
 * message.c: batches of messages, and what an application reads from a message, wherever its bytes lie
 * (message.h).
 */
#include "clients/c/wire/message.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/record/message.h"

static const struct parts none; /* of a message with a body only */

static bool message_in_record(const hmq_message *m)
{
    return m && !m->batch->reply;
}

/* Of a record's message: what few have. */
static const struct parts *message_rare(const hmq_message *m)
{
    return m->parts ? m->parts : &none;
}

struct parts message_parts(const struct hmq_message *m)
{
    const struct hmq_batch *batch = m->batch;
    struct parts p = *message_rare(m);
    p.topic = batch->topic;
    p.body = m->body;
    p.len = m->len;
    p.offset = batch->base + m->index;
    p.stored_ms = batch->stored_ms;
    p.born_ms = m->born_ms;
    p.lease_until_ms = batch->lease_until_ms;
    p.queue = batch->queue;
    p.attempt = batch->attempt;
    return p;
}

/* Takes over its id and its receipt. False: they are too long. */
static bool message_take_names(struct hmq_message *m, const char *receipt)
{
    const struct hmq_batch *batch = m->batch;
    char *id = batch->names + 2 * message_number(m) * batch->name_bytes;
    size_t n = strlen(receipt);
    if (n >= batch->name_bytes)
        return false;
    memcpy(id + batch->name_bytes, receipt, n + 1);
    memcpy(id, receipt, n + 1);
    id[strcspn(receipt, "#")] = '\0';
    return true;
}

static bool message_init(struct hmq_message *m, const struct hmq_batch *batch, const struct hmq_reply *map)
{
    *m = (struct hmq_message){.batch = batch, .map = map, .naming = MESSAGE_NAMED};
    const struct hmq_reply *attributes = hmq_reply_get(map, "attributes");
    m->attributes = (struct hmq_reply *)(uintptr_t)attributes; /* only read: the reply owns it */
    m->properties = hmq_reply_get(map, "properties");
    const struct hmq_reply *id = hmq_reply_get(map, "id");
    const char *receipt = hmq_reply_text(id);
    if (hmq_reply_type(hmq_reply_get(map, "body")) != HMQ_BYTES)
        return false;
    if (id && hmq_reply_type(id) == HMQ_NIL) { /* a half message has none yet */
        m->naming = MESSAGE_NAMELESS;
        return true;
    }
    return receipt && message_take_names(m, receipt);
}

enum hmq_status batch_of(struct hmq_reply *reply, struct hmq_batch **ret_batch)
{
    struct hmq_batch *batch = NULL;
    enum hmq_status status = batch_of_part(reply, reply, &batch);
    for (size_t i = 0; status == HMQ_OK && i < batch->n; i++)
        if (batch->items[i].naming == MESSAGE_NAMELESS)
            status = HMQ_EPROTO;
    if (status == HMQ_OK)
        *ret_batch = batch;
    else
        free(batch); /* the reply is the caller's */
    return status;
}

enum hmq_status batch_of_part(struct hmq_reply *reply, const struct hmq_reply *list, struct hmq_batch **ret_batch)
{
    size_t n = hmq_reply_len(list);
    if (hmq_reply_type(list) != HMQ_LIST)
        return HMQ_EPROTO;
    struct hmq_batch *batch = malloc(sizeof *batch + n * (sizeof *batch->items + 2 * HMQ_ID_SIZE));
    if (!batch)
        return HMQ_ENOMEM;
    *batch = (struct hmq_batch){.reply = reply, .n = n, .name_bytes = HMQ_ID_SIZE};
    batch->names = (char *)&batch->items[n];
    for (size_t i = 0; i < n; i++) {
        if (!message_init(&batch->items[i], batch, hmq_reply_at(list, i))) {
            free(batch);
            return HMQ_EPROTO;
        }
    }
    *ret_batch = batch;
    return HMQ_OK;
}

size_t message_reply_bytes(const struct hmq_message *m)
{
    size_t bytes = MESSAGE_BYTES_FIX, len;
    hmq_message_body(m, &len);
    bytes += len;
    for (size_t i = 0; i < hmq_reply_len(m->properties); i++) {
        hmq_reply_bytes(hmq_reply_at(m->properties, i), &len);
        bytes += len;
    }
    return bytes;
}

size_t hmq_batch_count(const hmq_batch *batch)
{
    return batch ? batch->n : 0;
}

const hmq_message *hmq_batch_at(const hmq_batch *batch, size_t i)
{
    return i < hmq_batch_count(batch) ? &batch->items[i] : NULL;
}

uint64_t hmq_batch_gap(const hmq_batch *batch)
{
    return batch ? batch->gap : 0;
}

void batch_hand_over(struct hmq_batch *batch)
{
    memory_give(batch->memory, batch->taken);
    batch->memory = NULL;
}

void batch_free_block(struct hmq_batch *batch)
{
    if (batch->reused) {
        memory_block_give(batch->memory, batch, batch->taken);
        return;
    }
    batch_hand_over(batch);
    free(batch);
}

void hmq_batch_free(hmq_batch *batch)
{
    if (!batch)
        return;
    if (batch->freed)
        batch->freed(batch);
    for (size_t i = 0; batch->has_attributes && i < batch->n; i++)
        hmq_reply_free(batch->items[i].attributes);
    hmq_reply_free(batch->reply);
    batch_free_block(batch);
}

static const struct hmq_reply *message_attribute(const hmq_message *m, const char *name)
{
    return m ? hmq_reply_get(m->attributes, name) : NULL;
}

/* The place of its id, which is written when it is asked for: no message is a constant in memory. NULL: it has none. */
static const char *message_names(const hmq_message *m)
{
    struct hmq_message *own = (struct hmq_message *)(uintptr_t)m;
    char *id = m->batch->names + 2 * message_number(m) * m->batch->name_bytes;
    int naming = atomic_load_explicit(&m->naming, memory_order_acquire);
    if (naming >= MESSAGE_NAMED)
        return naming == MESSAGE_NAMED ? id : NULL;
    naming = MESSAGE_UNNAMED;
    if (atomic_compare_exchange_strong(&own->naming, &naming, MESSAGE_BEING_NAMED)) {
        struct parts parts = message_parts(m);
        parts_name(&parts, id, id + m->batch->name_bytes);
        atomic_store_explicit(&own->naming, MESSAGE_NAMED, memory_order_release);
    }
    while (atomic_load_explicit(&m->naming, memory_order_acquire) != MESSAGE_NAMED)
        sched_yield();
    return id;
}

const char *hmq_message_id(const hmq_message *m)
{
    return m ? message_names(m) : NULL;
}

const char *hmq_message_receipt(const hmq_message *m)
{
    const char *names = m ? message_names(m) : NULL;
    return names ? names + m->batch->name_bytes : NULL;
}

const char *hmq_message_topic(const hmq_message *m)
{
    return message_in_record(m) ? m->batch->topic : hmq_reply_text(message_attribute(m, "topic"));
}

const void *hmq_message_body(const hmq_message *m, size_t *ret_len)
{
    if (!message_in_record(m))
        return hmq_reply_bytes(m ? hmq_reply_get(m->map, "body") : NULL, ret_len);
    if (ret_len)
        *ret_len = m->len;
    return m->body;
}

static struct slice message_slice(const struct hmq_reply *r)
{
    size_t len = 0;
    const void *data = hmq_reply_bytes(r, &len);
    return slice_of(data, data ? len : 0);
}

size_t message_n_keys(const struct hmq_message *m)
{
    return message_in_record(m) ? message_rare(m)->n_keys : hmq_reply_len(message_attribute(m, "key"));
}

struct slice message_key(const struct hmq_message *m, size_t i)
{
    if (message_in_record(m))
        return i < message_rare(m)->n_keys ? message_rare(m)->keys[i] : slice_of(NULL, 0);
    return message_slice(hmq_reply_at(message_attribute(m, "key"), i));
}

size_t message_n_props(const struct hmq_message *m)
{
    return message_in_record(m) ? message_rare(m)->n_props : m ? hmq_reply_len(m->properties) : 0;
}

struct parts_prop message_property(const struct hmq_message *m, size_t i)
{
    if (i >= message_n_props(m))
        return (struct parts_prop){0};
    if (message_in_record(m))
        return message_rare(m)->props[i];
    return (struct parts_prop){message_slice(hmq_reply_key(m->properties, i)),
                               message_slice(hmq_reply_at(m->properties, i))};
}

struct slice message_order(const struct hmq_message *m)
{
    return message_in_record(m) ? message_rare(m)->order : message_slice(message_attribute(m, "order"));
}

int64_t message_ttl_ms(const struct hmq_message *m)
{
    int64_t expires_ms = hmq_message_expires_ms(m);
    return expires_ms ? expires_ms - hmq_message_stored_ms(m) : 0;
}

static const void *message_bytes_of(struct slice s, size_t *ret_len)
{
    if (ret_len)
        *ret_len = s.len;
    return s.data;
}

size_t hmq_message_key_count(const hmq_message *m)
{
    return message_n_keys(m);
}

const void *hmq_message_key_bytes(const hmq_message *m, size_t i, size_t *ret_len)
{
    return message_bytes_of(message_key(m, i), ret_len);
}

const char *hmq_message_key(const hmq_message *m, size_t i)
{
    return (const char *)message_key(m, i).data;
}

const char *hmq_message_tag(const hmq_message *m)
{
    return message_in_record(m) ? message_rare(m)->tag : hmq_reply_text(message_attribute(m, "tag"));
}

const void *hmq_message_order_bytes(const hmq_message *m, size_t *ret_len)
{
    return message_bytes_of(message_order(m), ret_len);
}

const char *hmq_message_order(const hmq_message *m)
{
    return (const char *)message_order(m).data;
}

static struct slice message_property_named(const struct hmq_message *m, const char *name)
{
    for (size_t i = 0; name && i < message_n_props(m); i++) {
        struct parts_prop prop = message_property(m, i);
        if (slice_equal(prop.name, slice_str(name)))
            return prop.value;
    }
    return slice_of(NULL, 0);
}

const char *hmq_message_prop(const hmq_message *m, const char *name)
{
    return (const char *)message_property_named(m, name).data;
}

const void *hmq_message_prop_bytes(const hmq_message *m, const char *name, size_t *ret_len)
{
    return message_bytes_of(message_property_named(m, name), ret_len);
}

size_t hmq_message_prop_count(const hmq_message *m)
{
    return message_n_props(m);
}

int hmq_message_prop_at(const hmq_message *m, size_t i, hmq_prop_bytes *ret_prop)
{
    if (i >= message_n_props(m))
        return 0;
    struct parts_prop prop = message_property(m, i);
    if (ret_prop)
        *ret_prop = (hmq_prop_bytes){prop.name.data, prop.name.len, prop.value.data, prop.value.len};
    return 1;
}

uint32_t hmq_message_queue(const hmq_message *m)
{
    return message_in_record(m) ? m->batch->queue : (uint32_t)reply_uint(message_attribute(m, "queue"));
}

uint64_t hmq_message_offset(const hmq_message *m)
{
    return message_in_record(m) ? m->batch->base + m->index : reply_uint(message_attribute(m, "offset"));
}

uint32_t hmq_message_attempt(const hmq_message *m)
{
    return message_in_record(m) ? m->batch->attempt : (uint32_t)reply_uint(message_attribute(m, "attempt"));
}

int64_t hmq_message_stored_ms(const hmq_message *m)
{
    return message_in_record(m) ? m->batch->stored_ms : hmq_reply_int(message_attribute(m, "stored"), 0);
}

int64_t hmq_message_lease_until_ms(const hmq_message *m)
{
    return message_in_record(m) ? m->batch->lease_until_ms : hmq_reply_int(message_attribute(m, "lease_until"), 0);
}

int64_t hmq_message_born_ms(const hmq_message *m)
{
    return message_in_record(m) ? m->born_ms : hmq_reply_int(message_attribute(m, "born"), 0);
}

int64_t hmq_message_expires_ms(const hmq_message *m)
{
    if (message_in_record(m))
        return message_rare(m)->fields & MSG_TTL ? message_rare(m)->expires_ms : 0;
    return hmq_reply_int(message_attribute(m, "expires"), 0);
}

int hmq_message_priority(const hmq_message *m)
{
    if (message_in_record(m))
        return message_rare(m)->fields & MSG_PRIORITY ? message_rare(m)->priority : -1;
    return (int)hmq_reply_int(message_attribute(m, "priority"), -1);
}

hmq_txid hmq_message_txid(const hmq_message *m)
{
    return message_in_record(m) ? message_rare(m)->txid : reply_uint(message_attribute(m, "txn"));
}

const char *hmq_message_group(const hmq_message *m)
{
    return message_in_record(m) ? message_rare(m)->group : hmq_reply_text(message_attribute(m, "group"));
}

const char *hmq_message_reason(const hmq_message *m)
{
    return message_in_record(m) ? (const char *)message_rare(m)->reason.data : hmq_reply_text(message_attribute(m, "reason"));
}

const char *hmq_message_origin(const hmq_message *m)
{
    return message_in_record(m) ? message_rare(m)->origin : hmq_reply_text(message_attribute(m, "origin"));
}

uint32_t hmq_message_attempts(const hmq_message *m)
{
    return message_in_record(m) ? message_rare(m)->attempts : (uint32_t)reply_uint(message_attribute(m, "attempts"));
}

const hmq_reply *hmq_message_attributes(const hmq_message *m)
{
    struct hmq_message *own = (struct hmq_message *)(uintptr_t)m; /* as in message_named */
    struct hmq_reply *attributes = m ? atomic_load(&m->attributes) : NULL;
    if (attributes || !message_in_record(m))
        return attributes;
    struct parts parts = message_parts(m);
    struct hmq_reply *made = parts_attributes(&parts);
    atomic_store(&((struct hmq_batch *)(uintptr_t)m->batch)->has_attributes, true);
    if (atomic_compare_exchange_strong(&own->attributes, &attributes, made))
        return made;
    hmq_reply_free(made); /* another thread was faster */
    return attributes;
}
