/*
 * young.h: transactions that were opened a moment ago, and so need no rows to be found by.
 *
 *   HALF ─► young ─┬─ decided within YOUNG_MS: it never had a row K, nor a W, and none is to delete
 *                  └─ older, or moved: settled, with K for its next check and W for its timeout
 *
 *   ring   txid txid txid ...      by age, which is by id; a hole (0) where one was taken out
 *          ▲ first: meta.young
 *
 * Nearly every transaction is decided within milliseconds. Those cost two rows (X when opened, X when
 * decided) instead of six, and leave no deletions for scans to wade through.
 *
 * The ring is memory, but never the only place of a fact: X has it all. After a restart the ring is
 * filled from the X rows at and behind meta.young; such entries may have rows already ("known": false),
 * so taking one out says no.
 *
 * Invariants: ids in the ring ascend; a pending transaction is in the ring or has its rows; nothing in the
 * ring is due for a check or for its timeout before it is settled.
 */
#ifndef HALFMQ_STORAGE_YOUNG_H
#define HALFMQ_STORAGE_YOUNG_H

#include "storage/core.h"

#define YOUNG_MS 500

/* Fills the ring from the store. */
enum status young_load(struct state *st) MUST_CHECK;
void young_fini(struct state *st);

/* A transaction was opened. False: it must have its rows at once. */
bool young_add(struct state *st, const struct stamp *stamp, uint64_t txid, const struct txn_row *row);

/* Takes it out. True: it was there, and has no rows. */
bool young_take(struct state *st, uint64_t txid);

/* Settles those that are old enough; before each command. */
void young_tick(struct state *st, const struct stamp *stamp);

/* When the next is to be settled; INT64_MAX: none. */
int64_t young_due_ms(const struct state *st);

/* The lowest id that may be without its rows; one above last_id where there is none. */
uint64_t young_floor(const struct state *st);

#endif
