/*
 * state.h: the replicated state: everything that two replicas must agree on, and nothing else.
 *
 *   stamp + command ──► state_apply ──► rows touched (in memory) + outcome
 *                          ...
 *                       state_write ──► ONE RocksDB WriteBatch, one sync ──► effects
 *
 * A *group* is the commands between two state_write calls. Within a group a later command sees what an earlier one
 * did; nobody else sees anything of it before state_write has returned. The result depends on state, stamp and
 * command only: no clock, no randomness, no environment. The same commands and stamps give the same bytes.
 *
 * The state is memory over a store (store.h). It can be dropped at any time and loaded again; nobody will notice,
 * unless a group was open.
 *
 * Threads: one at a time may call state_apply, state_write and the other functions here (the journal's
 * leader, whoever that is). storage/query.h is for all threads.
 *
 * Invariants
 *   1. A command that cannot be done is answered with an error and changes nothing, not even in part.
 *   2. If a group cannot be written, state_write fails, nothing of the group may be acknowledged, and every later
 *      call fails. The process ends, and the next start recovers. The same where memory runs out in state_apply, at
 *      whatever place: how much of it there is must not decide what a command comes to.
 *   3. The applied index and the last stamp are in each group's batch.
 */
#ifndef HALFMQ_STORAGE_STATE_H
#define HALFMQ_STORAGE_STATE_H

#include "protocol/command/command.h"
#include "storage/disk/news.h"
#include "storage/need.h"
#include "storage/outcome.h"
#include "storage/store.h"

struct state;

/* Loads the state of a store: its own row and the youngest transactions at once, all else when a command first
 * touches it. The store has no other state, and outlives this one. ST_IO, ST_BAD, ST_NOMEM: err says what. */
enum status state_load(struct store *store, struct state **ret_state, char *err, size_t err_size) MUST_CHECK;

/* Forgets all of it. What was written stays in the store; an open group is lost, as if it had never been applied.
 * After state_log without state_settle the store does not have what its log has: then close it, too. NULL: nothing
 * is done. */
void state_drop(struct state *st);

/* Index and time of the last command applied. The journal's clock and count go on from there. */
void state_last(const struct state *st, uint64_t *ret_index, int64_t *ret_now_ms);

/* The highest id of a connection that was ever given a lease (struct command's client): later ones are to be higher. */
uint64_t state_holders(const struct state *st);

/* Applies one WRITE or INNER command. Always fills the outcome. The caller keeps the bytes of the command where they are until
 * state_write or state_drop: the state refers to large bodies until then. */
void state_apply(struct state *st, const struct stamp *stamp, const struct command *cmd,
                 struct outcome *out);

/* From now on a command that has much more to do than it has brought (COMMIT of large transactions,
 * LONG_TXN_BYTES) is not applied: out->too_long is set, and it is to be applied in another group. For a thread that has
 * other things to do. Off when the state is loaded. */
void state_spare(struct state *st, bool on);

/* True where the command has a DEDUP id that is known: it is answered as state_apply would, with its first answer or an
 * error. Nothing is changed, so it needs no place in the log: for a store that must not grow. Of the stamp only the time
 * and the policy count. */
bool state_repeated(struct state *st, const struct stamp *stamp, const struct command *cmd, struct outcome *out);

/* Reads some of what a command needs that has much more to do than it has brought, so that applying it takes less long. ST_BUSY:
 * there is more to be read; others may be applied meanwhile. Else it is to be applied, whatever this is; that it was read
 * changes nothing of what it comes to. Not while a group is open.
 *
 * large: the caller says for values of how many bytes it has memory ready. Where the next one has more, about, and more than
 * NEED_LARGE_BYTES, nothing is read, and its size is put there. */
enum status state_ahead(struct state *st, const struct policy *policy, const struct command *cmd, size_t *large);

/* Is something in memory that state_ahead has read? */
bool state_ahead_any(const struct state *st);

/* Which blocks of memory the group of a large command will take, about: adds them to *need; need_end comes last. Not while a group
 * is open. */
void state_need(struct state *st, const struct policy *policy, const struct command *cmd, struct need *need);

/* Gets the memory of a write batch of so many bytes ready, which takes some milliseconds; 0: gives it back. The next state_reserve
 * gives it to the open group, which must be empty still. */
void state_reserve_ahead(struct state *st, size_t bytes);
void state_reserve(struct state *st);

/* The bytes of a large command, in parts, before it is applied (disk/batch/kv_parts.h): then its group does not bring them to the
 * log at once. They stay as they are until state_parts_end. whole: this is the first part of so many bytes; 0: one more.
 * ST_BUSY: there is no log that takes parts, or not now; the command is applied as it is. ST_IO, with err: the store is dead.
 * Not while a group is open. */
enum status state_part(struct state *st, struct slice bytes, size_t whole, bool sync, char *err, size_t err_size) MUST_CHECK;
void state_parts_end(struct state *st);

/* About how many bytes the open group will write. */
size_t state_group_bytes(const struct state *st);

/* True where the group has grown to a size at which it should be written. */
bool state_group_full(const struct state *st);

/* Writes the group: sync true means that it is on disk when this returns ST_OK. ST_IO otherwise, with
 * err; see invariant 2. fx is filled on success. */
enum status state_write(struct state *st, bool sync, struct effects *fx, char *err,
                        size_t err_size) MUST_CHECK;

/* state_write in two halves, for callers that answer before RocksDB has the group. After state_log the group is on
 * disk and may be acknowledged, but nobody sees it and nothing may be applied until state_settle. If either fails,
 * the store is not used any more; if state_settle fails, the next start finds the group in the log. ST_DISKFULL of
 * state_settle is no failure: nothing is done until there is room, so call again. */
enum status state_log(struct state *st, bool sync, struct effects *fx, char *err, size_t err_size) MUST_CHECK;
enum status state_settle(struct state *st, char *err, size_t err_size) MUST_CHECK;

const struct tally *state_tally(const struct state *st);

#endif
