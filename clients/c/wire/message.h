/*
 * message.h: messages as an application sees them, whichever way they came.
 *
 *   reply    a LIST of MAPs id, body, attributes, properties (POP); message.c reads them where they are
 *   record   the stored layout (a stream's notification, or a producer's own batch); unpack.c copies the bytes
 *            once, and its messages point into the copy
 *
 * The id, receipt and attributes of a record's message are made when they are asked for: most never are. Several threads
 * may ask at the same time (a handler, and the driver that extends the lease), so what is made is published once:
 *
 *   UNNAMED ──first who asks──► BEING_NAMED ──written──► NAMED      others wait meanwhile, for as long as two snprintf take
 */
#ifndef HALFMQ_CLIENTS_C_MESSAGE_H
#define HALFMQ_CLIENTS_C_MESSAGE_H

#include <stdatomic.h>

#include "clients/c/wire/memory.h"
#include "clients/c/wire/parts.h"

enum message_naming { MESSAGE_UNNAMED, MESSAGE_BEING_NAMED, MESSAGE_NAMED };

struct hmq_message {
    const struct hmq_reply *map, *properties; /* reply only; map NULL: a record's message */
    _Atomic(struct hmq_reply *) attributes; /* record: NULL until asked for, then owned */
    struct parts parts; /* record only */
    size_t bytes; /* record only: what the message takes of it */
    void *holder; /* what a consumer knows of it; NULL: it is none of a consumer's */
    _Atomic int naming; /* record only: enum message_naming */
    char *id; /* the receipt without its attempt; in the block of its batch. Record: written when asked for */
    char *receipt;
};

struct hmq_batch {
    struct hmq_reply *reply; /* owned; NULL: a record's */
    bool reused; /* its block is one of memory_block */
    size_t n;
    uint64_t gap; /* reader: offsets left out before it */
    void (*freed)(struct hmq_batch *batch); /* called before it is freed; NULL: nothing */
    void *freed_arg; /* for that */
    struct memory *memory; /* that it was taken from, until it is freed or is the application's; NULL: from none */
    size_t taken;
    struct hmq_message items[]; /* record: its bytes are in the same block, behind them */
};

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

/* The TTL that it was sent with, in ms; 0: none. */
int64_t message_ttl_ms(const struct hmq_message *m);

/* An estimate of the memory that the message takes. */
size_t message_bytes(const struct hmq_message *m);

#endif
