/*
 * batch.h: checks a client's batch: the whole record (record.h) that PRODUCE sends. Nothing else reads a batch before
 * this check has passed it.
 *
 *   header   version 1; flags, base, index, stored and seq are 0, as the client cannot know them; the checksum is that
 *            of these bytes, or 0: not given
 *   messages numbered 0, 1, 2 ... in their seq; born is in ms before the batch is stored, TTL in ms after it: both are
 *            relative, so the bytes are stored as they came
 *
 * Invariant: SEND would accept each message of a batch that passed, except for the length of its body (a setting) and
 * the queue of its ORDER key (which depends on the topic).
 */
#ifndef HALFMQ_PROTOCOL_BATCH_H
#define HALFMQ_PROTOCOL_BATCH_H

#include "protocol/base/slice.h"
#include "protocol/status.h"

/* What the check learns about the messages on its way, so that they are walked once only. */
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
