/*
 * submit.h: commands of the broker's own that requeue what a client has not received. They may come while the journal is
 * full, since that is when clients give up. They wait then, in order, and are tried again.
 *
 * Bounds: SUBMIT_LATE_MAX bytes of commands wait in a loop. What comes beyond that is dropped: leases expire by
 * themselves, and the store asks again later. Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_SUBMIT_H
#define HALFMQ_BROKER_SUBMIT_H

#include "broker/net/conn.h"

#define SUBMIT_LATE_MAX ((size_t)KIB(512))

struct submit_late {
    struct entry_list entries; /* oldest first */
    struct timer retry;
};

void submit_late_init(struct submit_late *late);
void submit_late_fini(struct submit_late *late);

/* Submits it to the loop's journal, now or later. late: the loop's. done gets the entry back and must free it. False: it
 * was dropped. */
bool submit_own(struct submit_late *late, struct loop *l, const struct command *cmd,
                void (*done)(struct journal_client *owner, struct entry *e));

#endif
