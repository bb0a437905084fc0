/*
 * kv.h: RocksDB behind a dozen verbs; nothing above this file knows its name.
 *
 *   family   KV_LOG        batch records, large values, written once, read in order
 *            KV_LOG_LZ4    the same, compressed when they leave the write buffer; these two are
 *            KV_LOG_ZSTD   made when somebody needs them (kv_need), and then stay
 *            KV_STATE      rows: small, rewritten and deleted often
 *
 * One write-ahead log serves all, so that one kv_write is atomic over everything: RocksDB's own, or the one
 * that kv_open is given (redo.h); then all families go into files together. A batch goes into the log, is
 * synced, and only then readers see it: with sync=true a reader sees nothing that a power cut could take back.
 *
 * The fault seam: kv_fault makes the n-th call of a kind fail as a broken disk would. After a failed
 * write the store refuses every further write, in a test as in life.
 *
 * Threads: reads, snapshots and iterators from any (an iterator stays with its thread); batch and write
 * from one at a time. Iterators and snapshots must be gone before kv_close.
 */
#ifndef HALFMQ_STORAGE_KV_H
#define HALFMQ_STORAGE_KV_H

#include "protocol/base/buf.h"
#include "protocol/status.h"
#include "storage/redo.h"

struct kv;
struct kv_iter;
struct kv_snap;

enum kv_family { KV_LOG, KV_LOG_LZ4, KV_LOG_ZSTD, KV_STATE, KV_FAMILIES };
enum kv_op { KV_OP_WRITE, KV_OP_SYNC, KV_OP_GET, KV_OP_ITER, KV_OP_NEED, KV_OPS };

/* How far the state has come, as far as stored rows may grow stale by it (stale.h). */
struct kv_mark {
    int64_t now_ms, keep_ms;
    uint64_t floor;
};

/* True where a row of KV_STATE says nothing any more, so that a compaction may drop it: whoever reads such
 * a row must come to the same answer as if it were gone. Called by RocksDB's threads: a function of its
 * arguments. */
typedef bool kv_stale_fn(struct slice key, struct slice value, const struct kv_mark *mark);

struct kv_options {
    const char *path;
    size_t memory_bytes;
    bool paranoid;            /* verify checksums on every read */
    kv_stale_fn *stale;       /* may be NULL */
    const struct redo *redo;  /* NULL: RocksDB's own log. Outlives the kv. */
};

/* Opens or creates the folder. ST_BUSY: another process holds it. err has the text. */
enum status kv_open(const struct kv_options *opt, struct kv **ret_kv, char *err, size_t err_size) MUST_CHECK;

/* With a redo log what is in write buffers goes into files first: the next start replays nothing. */
void kv_close(struct kv *kv);

/* With a redo log, before the first write: takes from it what came behind the batch of this number, the last
 * one that the files have. *ret_long: close and open again before going on (redo.h). */
enum status kv_replay(struct kv *kv, uint64_t after, bool *ret_long, char *err, size_t err_size) MUST_CHECK;

/* Writes a finished batch, as the redo log had it, into write buffers: readers see it at once. The pending batch is
 * not touched. ST_IO, with err: no more writes. */
enum status kv_apply(struct kv *kv, struct slice batch, char *err, size_t err_size) MUST_CHECK;

/* As kv_get, of what the files have: not what is only in a log and in write buffers. Any thread. */
enum status kv_get_stored(struct kv *kv, enum kv_family f, struct slice key, struct buf *out) MUST_CHECK;

/* Makes the family where it is not there; the batch's writer only. All below are asked of families that are
 * there. ST_BAD: this RocksDB cannot compress so (the fault of KV_OP_NEED, too); ST_IO. */
enum status kv_need(struct kv *kv, enum kv_family f) MUST_CHECK;
bool kv_has(const struct kv *kv, enum kv_family f);

/* Appends the value to out. ST_GONE: no such key; ST_IO; ST_NOMEM. snap NULL: the newest state. */
enum status kv_get(struct kv *kv, enum kv_family f, const struct kv_snap *snap, struct slice key,
                   struct buf *out) MUST_CHECK;

/* The pending batch: filled by the writer, written whole by kv_write, which empties it either way. */
void kv_put(struct kv *kv, enum kv_family f, struct slice key, struct slice value);
/* As kv_put of head and body one behind the other, without putting them there first. */
void kv_put2(struct kv *kv, enum kv_family f, struct slice key, struct slice head, struct slice body);
void kv_del(struct kv *kv, enum kv_family f, struct slice key);
void kv_del_range(struct kv *kv, enum kv_family f, struct slice from, struct slice to); /* to excluded */
bool kv_pending(const struct kv *kv);
void kv_clear(struct kv *kv); /* empties it */

/* The pending batch's number in the redo log: above those before. */
void kv_number(struct kv *kv, uint64_t number);

/* What stale is told from now on, or, where it was not synced, from the next kv_sync on: a compaction must not
 * drop what a power cut would bring to life again. Before the first call stale is not asked. What the mark
 * says must be written. */
void kv_set_mark(struct kv *kv, const struct kv_mark *mark, bool synced);
enum status kv_write(struct kv *kv, bool sync, char *err, size_t err_size) MUST_CHECK;

/* kv_write in two halves: in the log, and synced, but not yet to be read; then to be read. Between them nothing is
 * put. Without a redo log the first half does all. */
enum status kv_log(struct kv *kv, bool sync, char *err, size_t err_size) MUST_CHECK;
enum status kv_settle(struct kv *kv, char *err, size_t err_size) MUST_CHECK;
enum status kv_sync(struct kv *kv, char *err, size_t err_size) MUST_CHECK;

struct kv_snap *kv_snapshot(struct kv *kv); /* NULL: no memory */
void kv_snap_free(struct kv *kv, struct kv_snap *s);

/* Keys from <= key < to, in either direction. NULL: no memory, or a fault. Slices are the iterator's. */
struct kv_iter *kv_iter_new(struct kv *kv, enum kv_family f, const struct kv_snap *snap,
                            struct slice from, struct slice to);
void kv_iter_free(struct kv_iter *it);
void kv_iter_first(struct kv_iter *it);
void kv_iter_seek(struct kv_iter *it, struct slice key);  /* first at or behind key */
void kv_iter_floor(struct kv_iter *it, struct slice key); /* last at or before key */
void kv_iter_next(struct kv_iter *it);
bool kv_iter_valid(const struct kv_iter *it);
struct slice kv_iter_key(const struct kv_iter *it);
struct slice kv_iter_value(const struct kv_iter *it);
enum status kv_iter_status(const struct kv_iter *it) MUST_CHECK;

/* Bytes in write buffers and block cache. */
size_t kv_memory(const struct kv *kv);

/* Goes through every file of a family now. Tests only. */
void kv_compact(struct kv *kv, enum kv_family f);

/* The countdown-th call of op from now fails (1: the next); 0 switches off. Tests only. */
void kv_fault(struct kv *kv, enum kv_op op, int countdown);

#endif
