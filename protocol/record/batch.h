/*
 * batch.h: a client's batch: a whole record (record.h) that PRODUCE brings, checked before anything
 * else sees it.
 *
 *   header   as the client cannot know better: version 1, flags 0, base 0, index 0, stored 0, seq 0, and
 *            the checksum of just that, or 0: not given
 *   messages numbered 0, 1, 2 ... in their seq; born is "so many ms before it is stored", TTL counts from
 *            when it is stored: both are relative, so the bytes are stored as they came
 *
 * Invariant: what passed is what SEND would have taken, message by message, but for the length of bodies
 * (a setting) and the queue of ORDER keys (which depends on the topic).
 */
#ifndef HALFMQ_PROTOCOL_BATCH_H
#define HALFMQ_PROTOCOL_BATCH_H

#include "protocol/base/slice.h"
#include "protocol/status.h"

/* What the check came across, so that nobody walks the messages again for it. */
struct batch_facts {
    uint32_t count;
    uint32_t fields;    /* MSG_* that some message has */
    uint32_t body_most; /* bytes of the longest body */
    uint64_t body_bytes;
};

/* ST_ERR, ST_TOOBIG, ST_BADNAME, with err naming the message that is wrong. */
enum status batch_check(struct slice batch, struct batch_facts *ret_facts, char *err,
                        size_t err_size) MUST_CHECK;

#endif
