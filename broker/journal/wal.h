/*
 * wal.h: the write-ahead log: each group of commands is written to it first, and may be acknowledged from then on.
 *
 *   <data>/wal/00000001.wal  00000002.wal ...     segments of one size, used again and again
 *
 *     ┌────────┬────────┬────────┬─── ─ ─ ─ ───┐
 *     │ header │ record │ record │ older bytes │   header: serial, number of the batch before
 *     └────────┴────────┴────────┴─── ─ ─ ─ ───┘   record: checksum, length, number, number before, batch
 *
 *   spare ──(the writer needs one)──► now ──(full)──► live ──(its batches are in RocksDB's files)──► spare
 *
 * Why not RocksDB's log: when a file grows, each sync writes its new length into the file system's journal as well.
 * Writing over blocks that exist already takes half the time (170 us instead of 350 with ext4 on the disk where this
 * was measured), and is held up less by a flush that writes tables at the same time.
 *
 * The log ends at the first record that is torn, or that does not follow the one before it (each record has the number
 * of the one before). With fsync=always nothing behind that point was acknowledged. With `interval` and `never`
 * something may have been: that is the risk those modes take.
 *
 * Invariants
 *   1. A segment is used again only when RocksDB's files hold each of its batches.
 *   2. When a synced append returns, everything before it is synced as well, whatever the mode was then.
 *   3. Bytes behind the end of the log are never taken for records later: serials ascend, each use of a file has a salt
 *      that its checksums include, and files that replay does not take are set aside.
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
    size_t bytes_max;     /* with more than this spare files are deleted, and a start flushes the store */
};

#define WAL_SEGMENT_MIN KIB(64)

/* Creates the folder where it is missing, and opens it; reads and writes nothing else. On failure err says why. */
enum status wal_open(const struct wal_options *opt, struct wal **ret_w, char *err, size_t err_size) MUST_CHECK;

/* The log as store_open wants it. Lives as long as w. */
const struct redo *wal_redo(struct wal *w);

/* Starts the keeper; s was opened with wal_redo(w). Without it no segment is used again. ST_NOMEM: no thread. */
enum status wal_keep(struct wal *w, struct store *s) MUST_CHECK;

/* Stops the keeper. To be called before store_close. */
void wal_rest(struct wal *w);

/* To be called after store_close. Syncs nothing: the journal has done that. */
void wal_close(struct wal *w);

/* Any thread. w NULL: zeros. */
struct wal_figures {
    uint64_t segments, spare; /* all files; those that wait for use */
    uint64_t bytes;           /* of all files */
    uint64_t replayed;        /* batches at the start */
    uint64_t dropped;         /* segments that the start has set aside as *.lost */
};
void wal_figures(struct wal *w, struct wal_figures *ret_figures);

#endif
