/*
 * kv_stale.h: gives the disk space of stale rows (stale.h) back.
 *
 * A stale row goes when a compaction meets it. The tables at the bottom hold most rows, and where nothing new comes
 * into their range RocksDB compacts them once in 30 days: after ten million DEDUP ids with a window of a minute their
 * 600 MB would stay. So somebody looks at the tables in turn: where the first and the last rows of a kind that turns
 * stale are mostly stale already, so are those between them (ids are in no order, or ascend with time), and that range
 * is compacted. Where they are not, looking costs a few reads and nothing is written.
 *
 * Threads: as kv_space.h.
 */
#ifndef HALFMQ_STORAGE_KV_STALE_H
#define HALFMQ_STORAGE_KV_STALE_H

#include "storage/disk/kv.h"

/* Looks at some of the tables, and compacts one of them at most. True: it has, and there may be more. */
bool kv_stale_give_back(struct kv *kv);

#endif
