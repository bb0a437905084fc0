/*
 * unpack.h: messages from a record: the stored layout, as a stream's notification carries it, or a batch of
 * this client's own producer.
 */
#ifndef HALFMQ_CLIENTS_C_UNPACK_H
#define HALFMQ_CLIENTS_C_UNPACK_H

#include "clients/c/wire/message.h"

/* Where a record came from, and which of its messages are wanted. */
struct origin {
    struct slice topic;
    uint32_t queue, attempt; /* attempt 0: not leased */
    int64_t lease_until_ms;
    struct memory *memory; /* to take the messages from; NULL: they are not counted */
    bool asked; /* as memory_take */
    struct slice bits; /* u64 words, little-endian; empty: all messages */
    bool reuse; /* the batch's block is used again: memory_block */
};

/* The record is copied. HMQ_EPROTO: it is damaged, or none of its messages is wanted. HMQ_ENOMEM:
 * there is none, or it would be over the limit of from->memory. */
enum hmq_status unpack_record(struct slice record, const struct origin *from,
                                struct hmq_batch **ret_batch);

#endif
