/*
 * journal_queue.h: what waits for the journal, and which of it the next commit group gets.
 *
 *   queue_push ──► waiting ──────────── light turn: up to QUEUE_SHARE_BYTES of each connection ──► group
 *                     │ too large, or behind such a one of the same connection                     ▲
 *                     └──► put off ──── heavy turn: in the order in which they were put off ───────┘
 *
 * One command may bring 32 MB, and writing that takes a tenth of a second. So light and heavy turns alternate: whoever
 * wants little waits for one such command at most, however many of them are in the queue. Where all that waits is one
 * connection's, nobody would gain by that, and nothing is put off.
 *
 * A loop leads small light turns only (queue_wants_writer); all else is the writer thread's.
 *
 * Invariants
 *   1. Entries of one connection (owner, slot, generation) keep their order: from the first one that is put off on, all
 *      are, until the last of those is done.
 *   2. Every entry is in one of the two lists, or in the turn of the thread that leads.
 *
 * Threads: a turn belongs to the leader, as do `behind` and `taken`; the lists are under the journal's lock, and so are
 * the functions that say so.
 */
#ifndef HALFMQ_BROKER_JOURNAL_QUEUE_H
#define HALFMQ_BROKER_JOURNAL_QUEUE_H

#include "broker/journal/entry.h"

#define QUEUE_SHARE_BYTES MIB(1) /* of large entries, for a connection in a light turn; what a loop may lead */
#define QUEUE_PLACES 256         /* connections are told apart by a hash: two of one place only share what they get */

struct journal_queue {
    struct entry_list waiting, put_off;
    bool heavy_next;
    uint32_t behind[QUEUE_PLACES]; /* entries of such connections that are put off */
    size_t taken[QUEUE_PLACES];    /* bytes that this light turn has taken from them */
};

struct queue_turn {
    struct entry_list group; /* to be applied; at the end: those that were */
    struct entry_list rest;  /* not applied, and the first ones of the next turn of this kind */
    struct entry_list off;   /* of a light turn: put off */
    bool heavy;
    bool was_off; /* its entries had been put off */
    bool weighs; /* entries may have to be put off by their bytes, or because others were */
};

/* Under the lock. */
static inline void queue_push(struct journal_queue *q, struct entry *e)
{
    entry_push(&q->waiting, e);
}

/* Under the lock. True: something waits. */
static inline bool queue_any(const struct journal_queue *q)
{
    return q->waiting.first || q->put_off.first;
}

/* Bytes of large entries: beyond the block that a small one has, too. */
static inline size_t queue_weight(const struct entry_list *l)
{
    return l->bytes - l->n * (size_t)ENTRY_SMALL_BYTES;
}

/* Under the lock. True: the next turn takes too long for a loop. */
static inline bool queue_wants_writer(const struct journal_queue *q)
{
    return q->put_off.first || queue_weight(&q->waiting) > (size_t)QUEUE_SHARE_BYTES;
}

/* Under the lock. Fills in the turn: what may be its group. may_be_heavy: the caller is no loop. */
void queue_take(struct journal_queue *q, struct queue_turn *t, bool may_be_heavy);

/* The next entry of the turn that is to be applied now; NULL: there is none. */
struct entry *queue_next(struct journal_queue *q, struct queue_turn *t);

/* Puts off an entry of a light turn that turned out to be too much for it. */
void queue_put_off(struct journal_queue *q, struct queue_turn *t, struct entry *e);

/* Puts back the entry that queue_next returned last: it is the first one of the next turn of this kind. The turn ends. */
void queue_again(struct journal_queue *q, struct queue_turn *t, struct entry *e);

/* Under the lock. Takes back what the turn has not applied: rest and off. */
void queue_give_back(struct journal_queue *q, struct queue_turn *t);

#endif
