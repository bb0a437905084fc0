/*
 * kv_apply.h: a batch that was made before, or elsewhere, goes into the database.
 *
 *   bytes of the log ─► short? its rows are read, and put back in (batch/kv_short.h) ─► RocksDB's write buffers
 *
 * Threads: as kv_write.
 */
#ifndef HALFMQ_STORAGE_KV_APPLY_H
#define HALFMQ_STORAGE_KV_APPLY_H

#include "storage/disk/kv.h"
#include "storage/redo.h"

/* Writes a finished batch, as redo.append was given it, into the write buffers; readers see it at once. The pending
 * batch stays as it is. The store is in the state that the batch before it has left. parts: those of the log that it
 * comes from; NULL: it has none. ST_DAMAGED, with err: it needs a row or a part that cannot be read (kv_short.h). ST_IO, with err: all later writes are refused. */
enum status kv_apply(struct kv *kv, struct slice batch, const struct redo_parts *parts, char *err, size_t err_size) MUST_CHECK;

#endif
