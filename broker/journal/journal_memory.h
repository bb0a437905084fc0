/*
 * journal_memory.h: gets the memory of a very large command's group ready before the command is applied.
 *
 *   heavy turns   │ touch 2 MiB │       │ touch 2 MiB │       │ ... │ the write batch │       │ apply, log, write buffers │
 *   light turns                 │ group │             │ group │                       │ group │
 *
 * A group of 31 MB takes 62 MB of memory that the process may not have touched before, and 31 pages of 2 MiB take up to 11
 * milliseconds each where a virtual machine's host has to find them. Others do not wait for all of them together this way. So it is
 * with a large value that is read for the command before.
 *
 * Threads: the writer thread. No other thread leads heavy turns, except the one that stops the journal.
 */
#ifndef HALFMQ_BROKER_JOURNAL_MEMORY_H
#define HALFMQ_BROKER_JOURNAL_MEMORY_H

#include "broker/journal/entry.h"
#include "storage/need.h"
#include "storage/state.h"

struct journal_memory {
    size_t large;        /* of the value for the reading of which memory is ready */
    uint32_t large_ready; /* its prefaulted blocks */
    const struct entry *entry; /* whose group it is for; NULL: none */
    struct need need;
    uint32_t ready; /* prefaulted blocks: the batch's is the first one */
    bool reserved;  /* the batch has its memory */
};

/* A value of so many bytes is to be read next (state_ahead): gets some of the memory ready for that. The same as m->large: it
 * was read; gives back what that did not take. Before the first journal_memory_step. */
void journal_memory_large(struct journal_memory *m, size_t bytes);

/* Gets some more of it ready. The entry comes again with the same bytes. False: all is ready, or the group will not need
 * much. Not while a group is open. */
bool journal_memory_step(struct journal_memory *m, struct state *st, const struct policy *policy, const struct entry *e);

/* The group is about to begin: its batch gets the memory. */
void journal_memory_use(struct journal_memory *m, struct state *st);

/* The group is in the store: gives back what it did not need. */
void journal_memory_end(struct journal_memory *m, struct state *st);

#endif
