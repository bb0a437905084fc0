/*
 * redo.h: THE OTHER SEAM: a write-ahead log in place of RocksDB's own.
 *
 *   kv_write:   batch ──► redo.append (and sync) ──► RocksDB's write buffers ──(flush, later)──► its files
 *   after a stop:         redo.replay ─────────────► RocksDB's write buffers
 *
 * storage/ does no I/O of its own, so whoever opens a store may give it a log. Without one RocksDB keeps its
 * own, which is as safe but slower: each append makes its file longer, so a sync writes the file system's journal,
 * too (broker/wal/wal.h).
 *
 * A batch has a *number*: the applied index of its last command. Numbers ascend, with gaps. The number of the
 * last batch that RocksDB's files hold is read from those files; the log is asked for the batches behind it, and
 * may forget the others. All families go into files together, so one number is enough for all of them.
 *
 * Threads: append from the store's one writer; sync from any; replay before the first append.
 */
#ifndef HALFMQ_STORAGE_REDO_H
#define HALFMQ_STORAGE_REDO_H

#include "protocol/base/slice.h"
#include "protocol/status.h"

/* Is given one batch of a replay; the bytes are the caller's. Anything but ST_OK ends the replay with that status, and
 * the text that take wrote is the err of the replay. */
typedef enum status redo_take_fn(void *arg, struct slice batch);

struct redo {
    void *self;
    /* sync: it, and all before it, is on disk when this returns. ST_IO, with err: the store is dead. */
    enum status (*append)(void *self, uint64_t number, struct slice batch, bool sync, char *err,
                          size_t err_size);
    enum status (*sync)(void *self, char *err, size_t err_size);
    /* True where the next append may wait until the store has flushed, since the log is too long. NULL: never. The
     * thread that appends. */
    bool (*crowded)(void *self);
    /* Every batch behind `after`, in order and without a gap. Batches behind a gap were never
     * acknowledged as synced and are dropped for good. ST_BAD, with err: something that was acknowledged is damaged.
     * ST_BUSY, with err: it was told to stop, and nothing was dropped.
     * *ret_long: the store must put all that it took into its files before it goes on, since the log may not have it
     * on disk for certain. */
    enum status (*replay)(void *self, uint64_t after, redo_take_fn *take, void *arg, bool *ret_long, char *err,
                          size_t err_size);
};

#endif
