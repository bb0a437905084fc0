/*
 * message.h: messages as an application sees them, whichever way they came.
 *
 *   reply    a LIST of MAPs id, body, attributes, properties (POP); message.c reads them where they lie
 *   record   the stored layout (a stream's notification, or a producer's own batch); unpack.c takes the
 *            bytes over in one copy, and its messages point into that
 *
 * Ids and receipts of a record's messages are written when they are asked for: most never are.
 */
#ifndef HALFMQ_CLIENTS_C_MESSAGE_H
#define HALFMQ_CLIENTS_C_MESSAGE_H

#include "clients/c/wire/reply.h"

/* What a record's message has; texts and the body have a NUL behind them, absent ones are NULL. */
struct parts {
    const char *topic, *tag, *order, *group, *reason, *origin;
    const void *body;
    size_t len;
    const char **keys;
    hmq_prop *props;
    size_t n_keys, n_props;
    uint64_t offset, txid;
    int64_t stored_ms, born_ms, expires_ms, lease_until_ms;
    uint32_t fields, queue, attempt, attempts; /* fields: MSG_* */
    uint8_t priority;
};

struct hmq_message {
    const struct hmq_reply *map, *properties; /* reply only; map NULL: a record's message */
    struct hmq_reply *attributes; /* record: made when asked for, and owned */
    struct parts parts; /* record only */
    size_t bytes; /* record only: what the message takes of it */
    char id[HMQ_ID_SIZE]; /* the receipt without its attempt; "" until asked for */
    char receipt[HMQ_ID_SIZE];
};

struct hmq_batch {
    struct hmq_reply *reply; /* owned; NULL: a record's */
    size_t n;
    struct hmq_message items[]; /* record: its bytes are in the same block, behind them */
};

/* Takes over the reply, on success only. HMQ_EPROTO: it holds no messages. HMQ_ENOMEM. */
enum hmq_status batch_of(struct hmq_reply *reply, struct hmq_batch **ret_batch);

/* Where a record came from, and which of its messages are meant. */
struct origin {
    struct slice topic;
    uint32_t queue, attempt; /* attempt 0: not leased */
    int64_t lease_until_ms;
    struct slice bits; /* u64 words, little-endian; empty: all messages */
};

/* The record is copied. HMQ_EPROTO: it is damaged, or there is no such message. HMQ_ENOMEM. */
enum hmq_status batch_of_record(struct slice record, const struct origin *from,
                                struct hmq_batch **ret_batch);

/* unpack.c: id, receipt and attributes of a record's message; false: no memory. */
void parts_name(struct hmq_message *m);
bool parts_describe(struct hmq_message *m);

/* Bytes of the message's body, properties and what keeping it costs; an estimate. */
size_t message_bytes(const struct hmq_message *m);

#endif
