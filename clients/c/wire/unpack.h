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

/* The same without a copy: the record's bytes, which may be written, are the messages' until the batch is freed, and so is
 * the topic, behind which there is a NUL. Where it fails, the record may be used for nothing any more. */
enum hmq_status unpack_in_place(struct slice record, const struct origin *from, struct hmq_batch **ret_batch);

/* What each of n messages takes of the batch, besides its bytes of the record, if it has a body only. */
static inline size_t unpack_bytes_each(const struct origin *from, size_t n)
{
    return sizeof(struct hmq_message) + 2 * (from->topic.len + PARTS_NAME_BYTES) + BATCH_BYTES_FIX / n;
}

/* How many of so many messages are wanted (origin.bits). */
uint32_t unpack_wanted(struct slice bits, uint32_t count);

#endif
