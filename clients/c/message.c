/*
 * message.c: see message.h.
 */
#include "clients/c/message.h"

#include <stdio.h>
#include <stdlib.h>

#define MESSAGE_BYTES_FIX 1024 /* nodes of the tree, names of attributes */

static bool message_init(struct hmq_message *m, const struct hmq_reply *map)
{
    *m = (struct hmq_message){.map = map};
    m->attributes = hmq_reply_get(map, "attributes");
    m->properties = hmq_reply_get(map, "properties");
    m->receipt = hmq_reply_text(hmq_reply_get(map, "id"));
    if (!m->receipt || hmq_reply_type(hmq_reply_get(map, "body")) != HMQ_BYTES)
        return false;
    size_t n = strcspn(m->receipt, "#");
    if (n >= sizeof m->id)
        return false;
    memcpy(m->id, m->receipt, n);
    return true;
}

enum hmq_status batch_of(struct hmq_reply *reply, struct hmq_batch **ret_batch)
{
    size_t n = hmq_reply_len(reply);
    if (hmq_reply_type(reply) != HMQ_LIST)
        return HMQ_EPROTO;
    struct hmq_batch *batch = malloc(sizeof *batch + n * sizeof *batch->items);
    if (!batch)
        return HMQ_ENOMEM;
    batch->reply = reply;
    batch->n = n;
    for (size_t i = 0; i < n; i++) {
        if (!message_init(&batch->items[i], hmq_reply_at(reply, i))) {
            free(batch);
            return HMQ_EPROTO;
        }
    }
    *ret_batch = batch;
    return HMQ_OK;
}

size_t message_bytes(const struct hmq_message *m)
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

void hmq_batch_free(hmq_batch *batch)
{
    if (!batch)
        return;
    hmq_reply_free(batch->reply);
    free(batch);
}

static const struct hmq_reply *attribute(const hmq_message *m, const char *name)
{
    return m ? hmq_reply_get(m->attributes, name) : NULL;
}

const char *hmq_message_id(const hmq_message *m)
{
    return m ? m->id : NULL;
}

const char *hmq_message_receipt(const hmq_message *m)
{
    return m ? m->receipt : NULL;
}

const char *hmq_message_topic(const hmq_message *m)
{
    return hmq_reply_text(attribute(m, "topic"));
}

const void *hmq_message_body(const hmq_message *m, size_t *ret_len)
{
    return hmq_reply_bytes(m ? hmq_reply_get(m->map, "body") : NULL, ret_len);
}

const char *hmq_message_key(const hmq_message *m, size_t i)
{
    return hmq_reply_text(hmq_reply_at(attribute(m, "key"), i));
}

const char *hmq_message_tag(const hmq_message *m)
{
    return hmq_reply_text(attribute(m, "tag"));
}

const char *hmq_message_order(const hmq_message *m)
{
    return hmq_reply_text(attribute(m, "order"));
}

const char *hmq_message_prop(const hmq_message *m, const char *name)
{
    return hmq_reply_text(m ? hmq_reply_get(m->properties, name) : NULL);
}

uint32_t hmq_message_queue(const hmq_message *m)
{
    return (uint32_t)reply_uint(attribute(m, "queue"));
}

uint64_t hmq_message_offset(const hmq_message *m)
{
    return reply_uint(attribute(m, "offset"));
}

uint32_t hmq_message_attempt(const hmq_message *m)
{
    return (uint32_t)reply_uint(attribute(m, "attempt"));
}

int64_t hmq_message_stored_ms(const hmq_message *m)
{
    return hmq_reply_int(attribute(m, "stored"), 0);
}

int64_t hmq_message_lease_until_ms(const hmq_message *m)
{
    return hmq_reply_int(attribute(m, "lease_until"), 0);
}

const hmq_reply *hmq_message_attributes(const hmq_message *m)
{
    return m ? m->attributes : NULL;
}
