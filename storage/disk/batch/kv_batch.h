/*
 * kv_batch.h: what a finished write batch holds, read from its bytes, without a database.
 *
 *   sequence u64 │ count u32 │ entries: tag u8 │ [family varint32] │ key, sized │ [value, sized]
 *
 * These are RocksDB's bytes: redo.append was given them, and a log keeps them.
 */
#ifndef HALFMQ_STORAGE_KV_BATCH_H
#define HALFMQ_STORAGE_KV_BATCH_H

#include <stdbool.h>

#include "protocol/base/slice.h"

/* Finds the last value that the batch puts under that key in the family default (KV_STATE). Takes any bytes: what is
 * behind a bad entry is not looked at. *ret_value points into batch. */
bool kv_batch_find(struct slice batch, struct slice key, struct slice *ret_value);

#endif
