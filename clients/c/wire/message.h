/*
 * message.h: messages as an application sees them, whichever way they came.
 *
 *   reply    a LIST of MAPs id, body, attributes, properties (POP); message.c reads them where they are
 *   record   the stored layout (a stream's notification, or a producer's own batch); unpack.c copies the bytes
 *            once, and its messages point into the copy
 *
 *   hmq_batch   what the messages of a record have in common, and the place of their names
 *     └─ items  56 bytes each: body, offset, when it was born
 *          └─ parts   only where a message has keys, a tag, properties ...: most have none
 *
 * Small, because a consumer writes and reads millions of them a second: what they take of the caches is what they cost.
 *
 * The id, receipt and attributes of a record's message are made when they are asked for: most never are. Several threads
 * may ask at the same time (a handler, and the driver that extends the lease), so what is made is published once:
 *
 *   UNNAMED ──first who asks──► BEING_NAMED ──written──► NAMED      others wait meanwhile, for as long as two snprintf take
 *   NAMELESS                                                        a half message of a reply, which has no id yet
 */
#ifndef HALFMQ_CLIENTS_C_MESSAGE_H
#define HALFMQ_CLIENTS_C_MESSAGE_H

#include <stdatomic.h>

#include "clients/c/wire/memory.h"
#include "clients/c/wire/parts.h"

enum message_naming { MESSAGE_UNNAMED, MESSAGE_BEING_NAMED, MESSAGE_NAMED, MESSAGE_NAMELESS };

struct hmq_message {
    const struct hmq_batch *batch; /* that it is one of the items of */
    union {
        const void *body; /* record */
        const struct hmq_reply *map; /* reply */
    };
    union {
        const struct parts *parts; /* record: NULL: a body only. message_parts has the rest as well */
        const struct hmq_reply *properties; /* reply */
    };
    _Atomic(struct hmq_reply *) attributes; /* record: NULL until asked for, then owned */
    int64_t born_ms; /* record */
    uint32_t len; /* record: of the body */
    uint32_t index; /* record: its offset less batch->base */
    uint32_t bytes; /* record: what the message takes of it */
    _Atomic int naming; /* enum message_naming */
};

struct hmq_batch {
    struct hmq_reply *reply; /* owned; NULL: a record's */
    const char *topic; /* record; as all down to lease_until_ms */
    uint32_t queue, attempt;
    uint64_t base;
    int64_t stored_ms, lease_until_ms;
    char *names; /* of message i: its id at 2 * i * name_bytes, and its receipt name_bytes behind that; the id is the
                  * receipt without its attempt. Record: written when asked for */
    size_t name_bytes;
    _Atomic bool has_attributes; /* record: a message has some that it owns */
    bool reused; /* its block is one of memory_block */
    size_t n;
    uint64_t gap; /* reader: offsets left out before it */
    void *holder; /* what a consumer knows of it; NULL: it is none of a consumer's */
    void (*freed)(struct hmq_batch *batch); /* called before it is freed; NULL: nothing */
    void *freed_arg; /* for that */
    struct memory *memory; /* that it was taken from, until it is freed or is the application's; NULL: from none */
    size_t taken;
    struct hmq_message items[]; /* record: its bytes are in the same block, behind them */
};

/* The number of the message in its batch. */
static inline size_t message_number(const struct hmq_message *m)
{
    return (size_t)(m - m->batch->items);
}

/* The messages of a reply, which belongs to the batch on success. HMQ_EPROTO: it is no list of messages.
 * HMQ_ENOMEM. */
enum hmq_status batch_of(struct hmq_reply *reply, struct hmq_batch **ret_batch);

/* The same where they are a part of the reply, and some may have no id (NULL). */
enum hmq_status batch_of_part(struct hmq_reply *reply, const struct hmq_reply *list, struct hmq_batch **ret_batch);

/* Frees the batch's block alone, and not what its messages own. */
void batch_free_block(struct hmq_batch *batch);

/* It is the application's from now on: it is not counted any more. Not for one that is reused. */
void batch_hand_over(struct hmq_batch *batch);

/* Keys and properties with their lengths; a slice of NULL: there is none. */
size_t message_n_keys(const struct hmq_message *m);
struct slice message_key(const struct hmq_message *m, size_t i);
size_t message_n_props(const struct hmq_message *m);
struct parts_prop message_property(const struct hmq_message *m, size_t i);
struct slice message_order(const struct hmq_message *m);

/* All that a record's message has. */
struct parts message_parts(const struct hmq_message *m);

/* The TTL that it was sent with, in ms; 0: none. */
int64_t message_ttl_ms(const struct hmq_message *m);

#define MESSAGE_BYTES_FIX 1024 /* for the nodes of a reply, or for keys, properties and their names */
#define BATCH_BYTES_FIX 512 /* for what the messages of a record have in common */
size_t message_reply_bytes(const struct hmq_message *m);

/* An estimate of the memory that the message takes, but for what batch_bytes_each says. */
static inline size_t message_bytes(const struct hmq_message *m)
{
    return m->batch->reply ? message_reply_bytes(m) : m->bytes + (m->parts ? MESSAGE_BYTES_FIX : 0);
}

/* What each message of the batch takes besides, however small it is. */
static inline size_t batch_bytes_each(const struct hmq_batch *batch)
{
    return batch->reply ? 0 : sizeof(struct hmq_message) + 2 * batch->name_bytes + BATCH_BYTES_FIX / batch->n;
}

#endif
