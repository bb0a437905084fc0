/*
 * salvage.h: a store goes on without groups that its log has lost.
 *
 *   groups   1 2 3 4 │ 5 6 7 │           lost: unreadable, or behind what is unreadable
 *                    └─ the store's last    └─ 8: the salvage, a group of its own
 *
 * What the lost groups gave out must not be given out again: offsets, ids of transactions and tokens, numbers of groups.
 * Nobody knows which queues they wrote to. So each queue of each topic gets a message that has expired already,
 * so far behind its end that the lost messages fit in between; no consumer is given it, but GET and READ show it. Before
 * it is a gap, as where a record was lost. The queues of topics that are made later begin as far on, since a lost group may have made a
 * topic of that name.
 */
#ifndef HALFMQ_STORAGE_SALVAGE_H
#define HALFMQ_STORAGE_SALVAGE_H

#include "protocol/base/slice.h"
#include "protocol/status.h"

struct state;

#define SALVAGE_MESSAGE_BYTES_MIN 4             /* each message takes more than that in a log */
#define SALVAGE_BODY "salvaged: messages before this one may be missing"
#define SALVAGE_BYTES_UNKNOWN (UINT64_C(1) << 34) /* more than any log */

/* What is known of the lost groups. */
struct salvage {
    uint64_t bytes;    /* of log that is lost, at most */
    uint64_t index;    /* the highest number that is known of one of them */
    uint64_t groups;   /* how many of them could be read */
    int64_t now_ms;    /* the time of the last of those; 0: unknown */
    uint64_t last_id, next_ref; /* as they left them */
};

/* Adds one of them, as redo.append was given it. Any bytes are fine. */
void salvage_look(struct salvage *s, struct slice batch);

/* Writes the group that the store goes on with, synced; now_ms is the clock's. The state has just been loaded. It is one
 * batch whatever the number of queues is: some 400 bytes for each. On failure the state is of no more use. ST_IO, ST_NOMEM,
 * ST_DAMAGED: err says what. *ret_jump: how many offsets each queue leaves out. */
enum status state_salvage(struct state *st, const struct salvage *lost, int64_t now_ms, uint64_t *ret_jump, char *err,
                          size_t err_size) MUST_CHECK;

#endif
