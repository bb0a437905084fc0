/*
 * wal.h: the log on disk that every group of writes goes to first, and is acknowledged by.
 *
 *   <data>/wal/00000001.wal  00000002.wal ...     segments of one size, used again and again
 *
 *     ┌────────┬────────┬────────┬─── ─ ─ ─ ───┐
 *     │ header │ record │ record │ older bytes │   header: serial, number of the batch before
 *     └────────┴────────┴────────┴─── ─ ─ ─ ───┘   record: check, length, number, number before, batch
 *
 *   spare ──(the writer needs one)──► now ──(full)──► live ──(its batches are in RocksDB's files)──► spare
 *
 * Why not RocksDB's log: a file that grows makes each sync write its new length into the file system's
 * journal as well. To write over blocks that are there already is half the time (170 for 350 us with ext4 on
 * the disk this was measured on), and a flush that writes tables beside it holds it up less.
 *
 * What ends the log: a record that is torn, or is not the one behind the last (numbers are chained). With
 * fsync=always nothing behind that was acknowledged; in the other modes that is what their names promise.
 *
 * Invariants
 *   1. A segment is used again only when each of its batches is in RocksDB's files.
 *   2. A synced append: all before it is synced as well, whatever the mode was then.
 *   3. Bytes behind the end never come back to life: serials ascend, each use of a file has a salt that its
 *      records are checked with, and what replay left out is set aside.
 *
 * Threads: append by the journal's leader, sync by any; one thread here (the keeper) makes and gathers spare
 * segments. It asks the store what it may forget.
 */
#ifndef HALFMQ_BROKER_WAL_H
#define HALFMQ_BROKER_WAL_H

#include "protocol/limits.h"
#include "storage/redo.h"

struct wal;
struct store;

struct wal_options {
    const char *path;     /* folder, copied; made where it is missing. The folder above it must be locked. */
    size_t segment_bytes; /* WAL_SEGMENT_MIN.. ; a larger record gets a larger segment */
    size_t bytes_max;     /* spare files beyond this are deleted; a start with more ends in a flush */
};

#define WAL_SEGMENT_MIN KIB(64)

/* err says what and what to do. Nothing is written yet but the folder. */
enum status wal_open(const struct wal_options *opt, struct wal **ret_w, char *err, size_t err_size) MUST_CHECK;

/* What store_open is given. Lives as long as w. */
const struct redo *wal_redo(struct wal *w);

/* Starts the keeper; st was opened with wal_redo(w). Without it nothing is ever used again. ST_NOMEM. */
enum status wal_keep(struct wal *w, struct store *s) MUST_CHECK;

/* Ends the keeper: before store_close. */
void wal_rest(struct wal *w);

/* After store_close. Syncs nothing: the journal did. */
void wal_close(struct wal *w);

/* Any thread. w NULL: zeros. */
struct wal_figures {
    uint64_t segments, spare;  /* files; of which wait for use */
    uint64_t bytes;            /* of all files */
    uint64_t replayed;         /* batches at the start */
    uint64_t dropped;          /* segments at the start behind a gap: *.lost now */
};
void wal_figures(struct wal *w, struct wal_figures *ret_figures);

#endif
