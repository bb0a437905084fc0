/*
 * redo.h: THE OTHER SEAM: a write-ahead log in place of RocksDB's own.
 *
 *   kv_write:   batch ──► redo.append (and sync) ──► RocksDB's write buffers ──(flush, later)──► its files
 *   after a stop:         redo.replay ─────────────► RocksDB's write buffers
 *
 *   large bytes ──► redo.part, redo.part ... ──► batch that says where they are ──► redo.append      (disk/batch/kv_parts.h)
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

/* Reads a part that a batch refers to, by what redo.part has told of it. ST_DAMAGED. The bytes are good during the take. */
struct redo_parts {
    const void *self;
    enum status (*read)(const void *self, uint64_t at, struct slice *ret_bytes);
};

/* Is given one batch of a replay, and the parts of the log (NULL: it has none); the bytes are the caller's. Anything but ST_OK
 * ends the replay with that status, and the text that take wrote is the err of the replay. */
typedef enum status redo_take_fn(void *arg, struct slice batch, const struct redo_parts *parts);

struct redo {
    void *self;
    /* sync: it, and all before it, is on disk when this returns. ST_IO, with err: the store is dead. */
    enum status (*append)(void *self, uint64_t number, struct slice batch, bool sync, char *err,
                          size_t err_size);
    enum status (*sync)(void *self, char *err, size_t err_size);
    /* True where the next append may wait until the store has flushed, since the log is too long. NULL: never. The
     * thread that appends. */
    bool (*crowded)(void *self);
    /* ---- parts: all of these, or NULL where the log has none ---- */
    /* Writes bytes that a later batch refers to; batches may come in between. whole: this is the first part of so many bytes,
     * which ends those before; 0: one more of them. *ret_at: what redo_parts.read is asked for. ST_BUSY: the log has gone on in
     * another file, or cannot take parts now, so a batch has to bring all of its bytes. ST_IO, with err: the store is dead.
     * The thread that appends. */
    enum status (*part)(void *self, struct slice bytes, size_t whole, bool sync, uint64_t *ret_at, char *err,
                        size_t err_size);
    /* True where a batch of so many bytes may refer to all parts, if it is the next thing that is appended. */
    bool (*has_parts)(void *self, size_t bytes);
    /* No batch will refer to them any more. */
    void (*parts_end)(void *self);
    /* ---- ---- */
    /* Every batch behind `after`, in order and without a gap. Batches behind a gap were never
     * acknowledged as synced and are dropped for good. ST_BAD, with err: something that was acknowledged is damaged.
     * ST_BUSY, with err: it was told to stop, and nothing was dropped.
     * *ret_long: the store must put all that it took into its files before it goes on, since the log may not have it
     * on disk for certain. */
    enum status (*replay)(void *self, uint64_t after, redo_take_fn *take, void *arg, bool *ret_long, char *err,
                          size_t err_size);
};

#endif
