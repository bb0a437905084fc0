/*
 * txn.h: transactions: half messages and what becomes of them.
 *
 *             HALF                       COMMIT ──► committed   (ids kept for repeats)
 *   (none) ─────────► pending ──┬──────► ROLLBACK ─► rolledback
 *                       │ ▲     │
 *        ask, UNKNOWN,  └─┘     └─ asks used up, or timeout ─► parked ── COMMIT, ROLLBACK by hand ─► (above)
 *        EXTEND, another HALF
 *
 * Rows: X an open transaction with its first message, Y the further ones (and a first one that is large),
 * O the outcome of a decided one, K when its producer group is to be asked (by group, so that one group never has to
 * skip the stuck transactions of another), J the pending ones of a group by age, W its timeout. An open transaction is
 * rows only: it costs disk and not memory.
 *
 * The first decision stands; its row answers repeats until txn_outcome_retention is over, which the row's own time
 * decides when it is read. A compaction drops it later (stale.h).
 *
 * Invariants, but for the youngest (young.h): K exists for a pending transaction that has asks left, at its
 * next_check; after the last ask a W row parks it there. The W row of the timeout and J exist exactly while
 * it is pending.
 */
#ifndef HALFMQ_STORAGE_TXN_H
#define HALFMQ_STORAGE_TXN_H

#include "storage/model/pgroup.h"
#include "storage/model/timer.h"
#include "storage/model/topic.h"

#define CHECK_PAUSE_MAX_MS INT64_C(3600000)

/* Reads the transaction; its slices point into hold, which is reset first. ST_GONE: never issued, or forgotten. If
 * it is not decided, its producer group is in memory afterwards (pgroup_of). */
enum status txn_get(struct state *st, const struct stamp *stamp, uint64_t txid, struct buf *hold,
                    struct txn_row *ret_row) MUST_CHECK;
/* Puts row X, or O where it is decided. */
void txn_put(struct state *st, uint64_t txid, const struct txn_row *row);

/* True where deciding it takes long, or reading all its messages. */
bool txn_is_long(const struct txn_row *row);

/* Adds to the counts of pending and parked transactions of the producer group. */
void txn_count(struct state *st, struct slice pgroup, int pending, int parked);

/* Put and delete row K, or, after the last ask, the W row that parks it, for row->next_check_ms. */
void txn_schedule(struct state *st, const struct stamp *stamp, uint64_t txid, const struct txn_row *row);
void txn_unschedule(struct state *st, const struct stamp *stamp, uint64_t txid, const struct txn_row *row);

/* Puts the rows J, K and W of a young one, which is not young any more (row is not put). */
void txn_settle(struct state *st, const struct stamp *stamp, uint64_t txid, struct txn_row *row);

/* Settles the young ones that are old enough; before each command. */
void txn_tick_young(struct state *st, const struct stamp *stamp);

/* Deletes the rows J, K and W, where it has any: it is no longer pending (row is not put). */
void txn_retire(struct state *st, const struct stamp *stamp, uint64_t txid, const struct txn_row *row);

/* It is decided: its timers and messages go, row is put as its outcome, which is kept for a while. */
void txn_close(struct state *st, const struct stamp *stamp, uint64_t txid, struct txn_row *row, enum txn_state state);

/* Sets its next check to due_ms, which counts as an answer to the newest ask (row is not put). */
void txn_move_check(struct state *st, const struct stamp *stamp, uint64_t txid, struct txn_row *row,
                    int64_t due_ms);

/* Message n of an open transaction, as half_encode left it: appended to out, or, where it is large, *ret_pin holds it until
 * kv_unpin and *ret_value points to it; *ret_pin is NULL where the message is in out. ST_DAMAGED: it is not there. */
enum status txn_message_pinned(struct state *st, uint64_t txid, const struct txn_row *row, uint32_t n, struct buf *out,
                               struct kv_pin **ret_pin, struct slice *ret_value) MUST_CHECK;

/* Decodes it; *ret_m and *ret_half point into bytes. ST_DAMAGED: it makes no sense, which was told. */
enum status txn_message_decode(struct state *st, uint64_t txid, const struct txn_row *row, uint32_t n, struct slice bytes,
                               struct half_row *ret_half, struct message *ret_m) MUST_CHECK;

/* Put and delete a timer row of the transaction. */
void txn_timer_put(struct state *st, int64_t due_ms, enum timer_kind kind, uint64_t txid);
void txn_timer_del(struct state *st, int64_t due_ms, enum timer_kind kind, uint64_t txid);

/* Is called when TIMER_TXN fires: parks the transaction, or schedules its next check. ST_GONE: it is decided. If it
 * cannot be read, nothing is changed. */
enum status txn_tick_pending(struct state *st, const struct stamp *stamp, uint64_t txid) MUST_CHECK;

/* Answers that the transaction is not known (ST_GONE), or that the store failed. */
void txn_refuse(struct outcome *out, enum status s, uint64_t txid);

#endif
