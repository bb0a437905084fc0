/*
 * oracle.h: what verify remembers of every message, and the faults it finds at the end.
 *
 *   producer: sent(key, seq) ─► broker's answer: answered(key, seq, id) ─┐
 *                                                                        ├─► judge
 *   consumer: took(key, seq, id) ─► ACK answered: acked(key, seq) ───────┘
 *
 *   lost       answered, never delivered
 *   doubled    the same message under two ids, or delivered again after its ACK was confirmed
 *   reordered  a later message of its key lies before it in the queue (or in another queue)
 *   damaged    wrong checksum, or a message that was never sent
 *
 * A message that is delivered again without a confirmed acknowledgement is `redelivered', which is not a fault: the
 * broker must do that when a lease ends. A message that was not answered when the run ends may have been stored or
 * not; it never counts as lost.
 *
 * It takes eight bytes a message, kept until the end. Any thread may call; there is one lock.
 */
#ifndef HALFMQ_BENCH_ORACLE_H
#define HALFMQ_BENCH_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

struct oracle;

struct oracle_verdict {
    uint64_t sent, answered, taken, acked;
    uint64_t lost, doubled, reordered, damaged, redelivered;
};

struct oracle *oracle_new(uint32_t keys); /* NULL: no memory */
void oracle_free(struct oracle *o);

/* Call before n messages of a key are sent; gives the sequence number of the first. False: no memory, or the key has
 * more than 2^31 messages. */
bool oracle_send(struct oracle *o, uint32_t key, uint32_t n, uint64_t *ret_seq);

/* Leaves these messages out of the check of the order: the broker refused one of a batch, which was then repeated. */
void oracle_excuse(struct oracle *o, uint32_t key, uint64_t seq, uint32_t n);

/* The broker has answered that the message is stored there. */
void oracle_answered(struct oracle *o, uint32_t key, uint64_t seq, uint32_t queue, uint64_t offset);

/* The message was delivered. whole: its checksum is right. True: it was delivered for the first time. */
bool oracle_took(struct oracle *o, uint32_t key, uint64_t seq, uint32_t queue, uint64_t offset,
                 bool whole);

/* Its acknowledgement was confirmed. */
void oracle_acked(struct oracle *o, uint32_t key, uint64_t seq);

/* Goes through all messages and counts the faults. */
void oracle_judge(struct oracle *o, struct oracle_verdict *ret_verdict);

#endif
