/*
 * store_remove.h: files of the store are given back to the disk one by one, and large ones a part at a time.
 *
 * To remove a file of 5 MB takes the file system about 5 ms, one of 256 MB 65 ms, and a sync of the log that comes meanwhile
 * waits for most of it. Where messages were cut off, deleted or compacted, RocksDB removes many files in a row, and its thread
 * that does so is the one that flushes: write buffers get full meanwhile, and then nobody can write. RocksDB calls unlink(),
 * which this file defines in front of the C library's:
 *
 *   unlink() ─► the name goes, as ever ─► a table or blob file without another name?
 *                                            a thread shortens it by STORE_REMOVE_STEP, rests, and so on, and closes it
 *
 * A file that has another name, in a backup, is not shortened. Whoever has such a file open reads nothing in it any more: RocksDB
 * removes what no reader can see. If the process ends, the file system frees the rest at once.
 *
 * At most STORE_REMOVE_FILES are on their way, and one in 16 of the open files that the process may have; what comes then is
 * removed at once. The thread rests for four times as long as a step took, so that the disk is free for others, and not at all
 * where a write of the store waits for room (store_write.h).
 *
 * Threads: unlink from any; the rest from one.
 */
#ifndef HALFMQ_BROKER_STORE_REMOVE_H
#define HALFMQ_BROKER_STORE_REMOVE_H

#include <stdbool.h>
#include <stdint.h>

#define STORE_REMOVE_STEP  ((int64_t)8 << 20)
#define STORE_REMOVE_FILES 256 /* what is set aside for files that are no client's (server.c) has room for them */

/* Starts the thread. False: no thread; then files are removed at once, as they are before this is called. */
bool store_remove_begin(void);

/* Removes the rest at once. */
void store_remove_end(void);

#endif
