/*
 * kv_stall.h: whether RocksDB is about to make its writer wait.
 *
 * It does so when too many write buffers wait to be flushed, or too many files lie in level 0: then a write returns only
 * when a flush or a compaction has ended, which can take a second. Whoever writes asks before, and lets a thread write
 * that may wait.
 *
 *   write buffers:   being filled │ full │ full │ full ◄── here a stall is near │ full │ full ◄── here writes wait
 *
 * One write fills one buffer at most, so whoever asks after each write is told in time. RocksDB is asked once for each
 * eighth of a buffer that was written, and after each write while a stall is near.
 *
 * Thread: the writer's.
 */
#ifndef HALFMQ_STORAGE_KV_STALL_H
#define HALFMQ_STORAGE_KV_STALL_H

#include "storage/disk/kv.h"

/* True where the next writes may have to wait. */
bool kv_stall_near(struct kv *kv);

/*
 * True while full write buffers hold more than all of them should: a large record makes a buffer as large as
 * itself, whatever its size is meant to be, so their number says little about memory then. It is so for as long as the
 * flush takes that has begun. Any thread.
 */
bool kv_is_crowded(struct kv *kv);

#endif
