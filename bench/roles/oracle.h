/*
 * oracle.h: what verify remembers of every message, and what it concludes.
 *
 *   producer: sent(key, seq) ─► broker's answer: answered(key, seq, id) ─┐
 *                                                                        ├─► judge
 *   consumer: took(key, seq, id) ─► ACK answered: acked(key, seq) ───────┘
 *
 *   lost       answered, never taken
 *   doubled    the same message under two ids, or taken again after its ACK was confirmed
 *   reordered  a later one of its key lies before it in the queue (or in another queue)
 *   damaged    wrong checksum, or a message that was never sent
 *
 * Taken again without a confirmed acknowledgement is `redelivered': what a broker must do when a
 * lease ends, no fault. What was sent and not answered when the run ends may be there or not; it is
 * never lost.
 *
 * Eight bytes a message, kept until the end. Any thread may call; one lock.
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

/* n messages of a key are about to be sent: gives the first one's seq. False: no memory, or more
 * than 2^31. */
bool oracle_send(struct oracle *o, uint32_t key, uint32_t n, uint64_t *ret_seq);

/* The order of these is not the broker's fault any more: it refused one of a batch, which was then
 * repeated. */
void oracle_excuse(struct oracle *o, uint32_t key, uint64_t seq, uint32_t n);

/* The broker says it is stored there. */
void oracle_answered(struct oracle *o, uint32_t key, uint64_t seq, uint32_t queue, uint64_t offset);

/* It was handed out. whole: its checksum is right. True: for the first time. */
bool oracle_took(struct oracle *o, uint32_t key, uint64_t seq, uint32_t queue, uint64_t offset,
                 bool whole);

/* Its acknowledgement was confirmed. */
void oracle_acked(struct oracle *o, uint32_t key, uint64_t seq);

/* Looks through everything. */
void oracle_judge(struct oracle *o, struct oracle_verdict *ret_verdict);

#endif
