/*
 * journal_parts.h: gives the log the bytes of a very large command before it is applied (storage/disk/batch/kv_parts.h).
 *
 *   heavy turns   │ part │       │ part │       │ ... │ apply: a batch that says where its bytes are │
 *   light turns          │ group │      │ group │
 *
 * A disk may need a quarter of a second for 31 MB. So everybody else waits for a part at most. It is worth that only where
 * each group is synced: without, the kernel takes the bytes as quickly as they are copied.
 *
 * Threads: the journal's leader.
 */
#ifndef HALFMQ_BROKER_JOURNAL_PARTS_H
#define HALFMQ_BROKER_JOURNAL_PARTS_H

#include "broker/journal/entry.h"

#define PARTS_LEAST_BYTES ((size_t)MIB(5)) /* of a command: one message of the default size is written at once */
#define PARTS_STEP_BYTES ((size_t)MIB(2))

struct journal_parts {
    const struct entry *entry; /* of which there are some; NULL: none */
    size_t done;               /* bytes of it that the log has */
    bool given_up;             /* the log does not take the rest */
};

enum parts_step { PARTS_MORE, PARTS_OVER, PARTS_FAILED };

/* Writes the next bytes of the entry, which comes again with the same ones, to the log, synced. PARTS_MORE: it has. PARTS_OVER:
 * nothing is left to be written, or the command is not one of those; apply it. PARTS_FAILED, with err: the store is dead. */
enum parts_step journal_parts_step(struct journal_parts *p, struct state *st, const struct entry *e, char *err,
                                   size_t err_size) MUST_CHECK;

/* Is it large enough, if it is one of those commands? */
static inline bool journal_parts_wanted(const struct entry *e)
{
    return e->bytes >= PARTS_LEAST_BYTES;
}

/* The entry was applied, and its group is in the log. */
void journal_parts_end(struct journal_parts *p, struct state *st);

#endif
