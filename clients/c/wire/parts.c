/*
 * parts.c: the id, the receipt and the attributes of a record's message, which are made when they are asked
 * for: most never are. See parts.h.
 */
#include "clients/c/wire/parts.h"

#include <inttypes.h>
#include <stdio.h>

#include "clients/c/wire/request.h"
#include "protocol/record/message.h"

void parts_name(const struct parts *p, char *ret_id, char *ret_receipt)
{
    snprintf(ret_id, HMQ_ID_SIZE, "%.134s:%" PRIu32 ":%" PRIu64, p->topic, p->queue, p->offset);
    if (p->attempt)
        snprintf(ret_receipt, HMQ_ID_SIZE, "%.134s:%" PRIu32 ":%" PRIu64 "#%" PRIu32, p->topic,
                 p->queue, p->offset, p->attempt);
    else
        memcpy(ret_receipt, ret_id, strlen(ret_id) + 1);
}

/* NUMBER(name, value, there), TEXT(name, value), BYTES(name, slice): as POP's attributes have them. */
#define ATTRIBUTES(NUMBER, TEXT, BYTES)                      \
    TEXT("topic", p->topic)                                  \
    NUMBER("queue", p->queue, true)                          \
    NUMBER("offset", p->offset, true)                        \
    NUMBER("born", p->born_ms, true)                         \
    NUMBER("stored", p->stored_ms, true)                     \
    TEXT("tag", p->tag)                                      \
    BYTES("order", p->order)                                 \
    NUMBER("priority", p->priority, p->fields &MSG_PRIORITY) \
    NUMBER("expires", p->expires_ms, p->fields &MSG_TTL)     \
    TEXT("txn", txn)                                         \
    NUMBER("attempt", p->attempt, p->attempt > 0)            \
    NUMBER("lease_until", p->lease_until_ms, p->attempt > 0) \
    TEXT("group", p->group)                                  \
    BYTES("reason", p->reason)                               \
    TEXT("origin", p->origin)                                \
    NUMBER("attempts", p->attempts, p->fields &MSG_ATTEMPTS)

static void parts_put_bytes(struct buf *b, const char *name, struct slice s)
{
    rpc_put_str(b, slice_str(name));
    rpc_put_str(b, s);
}

/* The attributes as a frame, so that reply.c makes the same tree of them as of a reply. */
static void put_attributes(struct buf *b, const struct parts *p)
{
    char txid[24];
    const char *txn = p->fields & MSG_TXN ? txid : NULL;
    size_t n = p->n_keys > 0;
    snprintf(txid, sizeof txid, "%" PRIu64, p->txid);
#define NUMBER(name, value, there) n += (there) != 0;
#define TEXT(name, value) n += (value) != NULL;
#define BYTES(name, slice) n += (slice).data != NULL;
    ATTRIBUTES(NUMBER, TEXT, BYTES)
#undef NUMBER
#undef TEXT
#undef BYTES
    rpc_put_notify(b, "attributes");
    rpc_put_list(b, 1);
    rpc_put_map(b, n);
#define NUMBER(name, value, there) \
    if (there)                     \
        pair_int(b, name, (int64_t)(value));
#define TEXT(name, value) \
    if (value)            \
        pair_text(b, name, value);
#define BYTES(name, slice) \
    if ((slice).data)      \
        parts_put_bytes(b, name, slice);
    ATTRIBUTES(NUMBER, TEXT, BYTES)
#undef NUMBER
#undef TEXT
#undef BYTES
    if (p->n_keys == 0)
        return;
    rpc_put_str(b, SLICE_LIT("key"));
    rpc_put_list(b, p->n_keys);
    for (size_t i = 0; i < p->n_keys; i++)
        rpc_put_str(b, p->keys[i]);
}

struct hmq_reply *parts_attributes(const struct parts *p)
{
    struct buf b;
    struct rpc_frame frame;
    struct hmq_reply *attributes = NULL;
    size_t used;
    char err[80];
    buf_init(&b, 0);
    put_attributes(&b, p);
    struct rpc_reader *reader = b.failed ? NULL : rpc_reader_new(b.len);
    if (reader && rpc_reader_next(reader, buf_slice(&b), &frame, &used, err, sizeof err) == ST_OK)
        attributes = reply_copy(frame.params);
    rpc_reader_free(reader);
    buf_free(&b);
    return attributes;
}
