/*
 * wal.h: the write-ahead log: each group of commands is written to it first, and may be acknowledged from then on.
 *
 *   <data>/wal/00000001.wal  00000002.wal ...     segments of one size, used again and again
 *
 *     ┌────────┬────────┬──────────┬───────────┬─── ─ ─ ─ ───┐
 *     │ header │ header │ record ░░│ record ░░░│ older bytes │   header: serial, number of the batch before, store
 *     └────────┴────────┴──────────┴───────────┴─── ─ ─ ─ ───┘   record: checks, number, number before, synced, batch
 *     └─ block ┴─ block ┴── block ─┴── block ──┘                 ░ nothing: what was synced is not written again
 *
 * Of a large batch the bytes come first, in parts (redo.part), each of them a record. The batch behind them, in the same file,
 * says where they are; batches of others may be in between.
 *
 *   spare ──(the writer needs one)──► now ──(full)──► live ──(its batches are in RocksDB's files)──► spare
 *
 * Why not RocksDB's log: when a file grows, each sync writes its new length into the file system's journal as well.
 * Writing over blocks that exist already takes half the time (170 us instead of 350 with ext4 on the disk where this
 * was measured), and is held up less by a flush that writes tables at the same time.
 *
 * The log ends where the next record is not sound (each has the number of the one before). Each record also says how
 * far everything was synced when it was written. So a start can tell the end that a power cut has torn, of which
 * nothing was acknowledged as synced, from damage in what was: then it is refused, with a sentence.
 *
 * The very last record of the log has none behind it that would say that it was synced, until half a second passes in
 * which nothing is written: then a small one is added that says so. Damage in a last record without one looks like a
 * torn end; the start says in its log that a record was torn, where enough of it is left to be seen.
 *
 * Invariants
 *   1. A segment is used again only when RocksDB's files hold each of its batches.
 *   2. When a synced append returns, everything before it is synced as well, whatever the mode was then.
 *   3. Bytes behind the end of the log are never taken for records later: serials ascend, each use of a file has a salt
 *      that its checksums include, each file says where the one before it ends, and a start goes on in a file of its
 *      own, whose header is synced before anything is acknowledged.
 *   4. No block that was synced is written again before RocksDB's files hold what is in it.
 *   5. A start that is refused has changed nothing. One with --salvage deletes nothing.
 *   6. What a start has to replay is bounded: the keeper tells the store to flush before it is too much.
 *
 * Threads: append by the journal's leader, sync by any. One thread of its own, the keeper, makes spare segments and
 * gathers those that may be used again; it asks the store which those are.
 */
#ifndef HALFMQ_BROKER_WAL_H
#define HALFMQ_BROKER_WAL_H

#include "protocol/limits.h"
#include "storage/redo.h"

struct wal;
struct store;

struct wal_options {
    const char *path;     /* folder, copied; is created. The caller has locked the folder above it. */
    size_t segment_bytes; /* WAL_SEGMENT_MIN or more; a record that is larger gets a larger segment */
    size_t bytes_max;     /* of batches; with more than four times this spare files are deleted */
    size_t replay_max;    /* with half of that to replay, the store is told to flush; 0: never */
    bool salvage;         /* go on where something acknowledged is lost, instead of refusing (wal_salvage.h) */
};

#define WAL_SEGMENT_MIN KIB(64)

/* Creates the folder where it is missing, and opens it; reads and writes nothing else. On failure err says why. */
enum status wal_open(const struct wal_options *opt, struct wal **ret_w, char *err, size_t err_size) MUST_CHECK;

/* The log as store_open wants it. Lives as long as w. */
const struct redo *wal_redo(struct wal *w);

/* Makes a replay end soon, with ST_BUSY. Any thread, at any time. */
void wal_stop_replay(struct wal *w);

/* Starts the keeper; s was opened with wal_redo(w). Without it no segment is used again. ST_NOMEM: no thread. */
enum status wal_keep(struct wal *w, struct store *s) MUST_CHECK;

/* Stops the keeper. To be called before store_close. */
void wal_rest(struct wal *w);

/* To be called after store_close, where everything that was appended is synced: notes where the log ends (wal_note.h). */
void wal_leave_note(struct wal *w);

/* To be called after store_close. Syncs nothing: the journal has done that. */
void wal_close(struct wal *w);

/* Any thread, once the start is over (wal_keep). w NULL: zeros. */
struct wal_figures {
    uint64_t segments, spare; /* all files; those that wait for use */
    uint64_t bytes;           /* of all files */
    uint64_t replayed;        /* batches at the start */
    uint64_t dropped;         /* segments that the start has set aside as *.lost */
};
void wal_figures(struct wal *w, struct wal_figures *ret_figures);

/* Any thread, during the start as well. How many bytes of files have been replayed, and of how many; both 0: that is not
 * known yet, or w is NULL. */
struct wal_progress {
    uint64_t done, all;
};
struct wal_progress wal_progress(const struct wal *w);

#endif
