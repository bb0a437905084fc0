/*
 * young.h: transactions that were opened a moment ago, and so need no rows to be found by.
 *
 *   HALF ─► young ─┬─ decided within YOUNG_MS: it never had a row J, K or W, and none is to delete
 *                  └─ older, or moved: settled, with K for its next check, W for its timeout, J
 *
 *   ring   txid txid txid ...      by age, which is by id; one that was taken out stays as a hole
 *          ▲ first: meta.young
 *
 * Nearly every transaction is decided within milliseconds. Those cost two rows, each put behind the last
 * of its kind, where the store finds the place at once: X when opened, O when decided. A row J, K or W
 * was never there, and X stays behind: it is marked young, and such a row counts only while the ring has
 * it. Compactions drop it (stale.h).
 *
 * The ring is memory, but never the only place of a fact: after a restart it is filled from the young rows
 * at and behind meta.young that have no outcome. As long as there is room for it, the ring has a copy of
 * the X row too, so that the COMMIT need not look for it in the store.
 *
 * Invariants: ids in the ring ascend; a pending transaction is in the ring and marked young, or neither,
 * and then has its rows; nothing in the ring is due for a check or for its timeout before it is settled; a
 * copy is what the store, or the open group, has.
 */
#ifndef HALFMQ_STORAGE_YOUNG_H
#define HALFMQ_STORAGE_YOUNG_H

#include "storage/model/core.h"

#define YOUNG_MS 500

/* Fills the ring from the store. */
enum status young_load(struct state *st) MUST_CHECK;
void young_fini(struct state *st);

/* A transaction was opened. False: it must have its rows at once. */
bool young_add(struct state *st, const struct stamp *stamp, uint64_t txid, const struct txn_row *row);

/* Row X was put: keeps a copy where the transaction is in the ring and there is room. */
void young_keep(struct state *st, uint64_t txid, struct slice row);

/* The copy; empty where there is none. */
struct slice young_row(const struct state *st, uint64_t txid);

/* Takes it out, if it is there. */
void young_take(struct state *st, uint64_t txid);

bool young_has(const struct state *st, uint64_t txid);

static inline bool young_none(const struct state *st)
{
    return st->young.first == st->young.end;
}

/* The oldest one, and when it is to be settled. False: there is none. */
bool young_oldest(const struct state *st, uint64_t *ret_txid, int64_t *ret_due_ms);

/* When the next is to be settled; INT64_MAX: none. */
int64_t young_due_ms(const struct state *st);

/* The lowest id that may be without its rows; one above last_id where there is none. */
uint64_t young_floor(const struct state *st);

#endif
