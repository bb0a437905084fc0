/*
 * young.h: transactions that were opened a moment ago, and so have no rows yet by which they are found.
 *
 *   HALF ─► young ─┬─ decided within YOUNG_MS: it never had a row J, K or W, and none is to delete
 *                  └─ older, or moved: settled, with K for its next check, W for its timeout, J
 *
 *   ring   txid txid txid ...      by age, which is by id; one that was taken out stays as a hole
 *          ▲ first: meta.young
 *
 * Nearly every transaction is decided within milliseconds. Such a one costs two rows: X when it is opened, O when it
 * is decided. Both are the last of their kind, so RocksDB finds their places quickly. It never has a row J, K or W.
 * Its row X is not deleted: it is marked young, and a young row is valid only while the ring has its id. Compactions
 * drop it later (stale.h).
 *
 * Where a damaged block is met then, the rows between its neighbours may be hidden: rows of other files can be read one by
 * one, but not found. Such a transaction is open as long as it has no outcome, though it is not in the ring; meta.hidden_from
 * and hidden_to say between which ids, and compactions leave these alone. The next start looks again, until it can read all.
 *
 * The ring is in memory only. When the state is loaded it is filled from the young rows from meta.young on that have
 * no outcome. While there is room, it has a copy of the X row, too, so that a COMMIT need not read the store.
 *
 * How many may be young is a fixed number, and holes do not count, so it does not depend on the memory of the process,
 * nor on restarts, whether a transaction is. Only the copies do, and they change nothing.
 *
 * Invariants: ids in the ring ascend. A pending transaction either is in the ring and marked young, or has its rows J,
 * K and W. Nothing in the ring is due for a check or a timeout before it is settled. A copy equals the row in the
 * store or in the open group.
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

/* Keeps a copy of a row X that was put, if the transaction is in the ring and there is room. */
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

/* The oldest one (there is one) cannot be settled now: it, and those behind it, are settled from due_ms on. */
void young_later(struct state *st, int64_t due_ms);

/* When the next is to be settled; INT64_MAX: none. */
int64_t young_due_ms(const struct state *st);

/* The lowest id that may be without its rows; one above last_id where there is none. */
uint64_t young_floor(const struct state *st);

#endif
