/*
 * store_write.h: RocksDB's writes: of much at once, and where the disk is full.
 *
 * A value of 4 MB and more is one write of RocksDB, and its way to the disk would be one, too: a sync of the log would come behind
 * it. So a table or blob file takes STORE_WRITE_PIECE at a time, each one there before the next is begun, as RocksDB itself does it
 * with small values (kv_setup.c).
 *
 * RocksDB 7.8 does not get over a full disk. Where a compaction fails, the next flush takes over its error; after a flush
 * that failed all writes are stopped, and RocksDB's own recovery may wait for ever for a flush that nobody has asked for.
 * A line of its LOG that could not be written ends the process by an assertion. The C interface has neither DB::Resume nor
 * a file system of one's own. So RocksDB is not told. It calls write(), which this file defines in front of the C
 * library's:
 *
 *   write() ─► the kernel's write ─► ENOSPC, EDQUOT on a file of the store?
 *                                       LOG                           says that it was written: nobody needs it
 *                                       OPTIONS                       takes from the reserve, or fails: nobody needs it
 *                                       a table that is compacted     takes from the reserve only while a deletion
 *                                                                     gives space back; then it waits for room
 *                                       a flush, the list of files    takes from the reserve (reserve.h); then it waits
 *
 * Writes wait as long as store_write_waits(true) says so. That costs nobody anything until all write buffers are full.
 * Whatever is not a file of the store is written as ever. Meanwhile no compaction begins by itself (store_compact_alone),
 * so that none stands in the way of those that give space back.
 *
 * Threads: any.
 */
#ifndef HALFMQ_BROKER_STORE_WRITE_H
#define HALFMQ_BROKER_STORE_WRITE_H

#include <stdbool.h>

#define STORE_WRITE_PIECE (256 * 1024)

/* From here on the files in this folder are the store's; it may not be there yet. It is kept in mind for the process.
 * False: its path is too long, or the folder above it cannot be read; then no write is changed. */
bool store_write_begin(const char *data);

/* Does a write wait for room, or fail? It fails until this is called, and again while the broker stops. */
void store_write_waits(bool waits);

/* May a compaction use the reserve? A third of it, so that a flush has the rest. */
void store_write_lends(bool lends);

/* Does a write wait for room now? */
bool store_write_stuck(void);

#endif
