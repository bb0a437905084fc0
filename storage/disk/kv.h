/*
 * kv.h: RocksDB behind a few functions. Nothing above this file knows that it is RocksDB.
 *
 *   family   KV_LOG        batch records, large values, written once, read in order
 *            KV_LOG_LZ4    the same, compressed when they leave the write buffer; these two are
 *            KV_LOG_ZSTD   created when somebody needs them (kv_need), and stay
 *            KV_STATE      rows: small, rewritten and deleted often
 *            KV_EMPTY      nothing, ever: see kv_flush
 *
 * One write-ahead log serves all, so that one kv_write is atomic over everything: RocksDB's own, or the one
 * that kv_open is given (redo.h); then all families go into files together. A batch goes into the log, is
 * synced, and only then readers see it: with sync=true a reader sees nothing that a power cut could take back.
 *
 * Checksums are verified on every read. Where they do not match, or the disk cannot read a file or has lost it, a read
 * answers ST_DAMAGED, and that is told (damage.h). ST_IO is a failure that may pass, as when no file can be opened.
 *
 * For tests: kv_fault makes the n-th call of a kind fail as a broken disk would. After a failed write, injected or
 * real, the store refuses every further write.
 *
 * Threads: reads, snapshots and iterators from any (an iterator stays with its thread); batch and write
 * from one at a time. Iterators and snapshots must be gone before kv_close.
 */
#ifndef HALFMQ_STORAGE_KV_H
#define HALFMQ_STORAGE_KV_H

#include "protocol/base/buf.h"
#include "protocol/status.h"
#include "storage/disk/damage.h"
#include "storage/redo.h"

struct kv;
struct kv_iter;
struct kv_snap;
struct kv_pin;

enum kv_family { KV_LOG, KV_LOG_LZ4, KV_LOG_ZSTD, KV_STATE, KV_EMPTY, KV_FAMILIES };

/* What a fault can hit. GET and ITER answer ST_IO, the latter from the making of an iterator on. The DAMAGE ones answer
 * ST_DAMAGED: a get, and one move of an iterator, until it is moved again. */
enum kv_op {
    KV_OP_WRITE,
    KV_OP_SYNC,
    KV_OP_GET,
    KV_OP_ITER,
    KV_OP_NEED,
    KV_OP_GET_DAMAGE,
    KV_OP_ITER_DAMAGE,
    KV_OP_CHECKPOINT,
    KV_OPS
};

/* What decides whether a stored row is stale (stale.h): the time, the retention, the lowest young id, and which young ones
 * may be hidden by damage. */
struct kv_kept;

struct kv_mark {
    int64_t now_ms, keep_ms;
    uint64_t floor, hidden_from, hidden_to;
    const struct kv_kept *kept; /* kv fills it in (kv_freed.h) */
};

/* True where a row of KV_STATE has no meaning any more, so that a compaction may drop it: whoever reads such a row
 * must come to the same answer as if it were gone. Called by RocksDB's threads, so it may use its arguments only. */
typedef bool kv_stale_fn(struct slice key, struct slice value, const struct kv_mark *mark);

struct kv_options {
    const char *path;
    size_t memory_bytes;
    uint32_t files_max; /* open ones, about; 0: as many as it would like */
    bool uncompacted;   /* compacts nothing, as a file is damaged; kv_space gives nothing back then */
    bool read_only;     /* nothing in the folder is changed, and nothing may be written; with redo NULL */
    bool salvage;       /* where a batch of the redo log needs a row that is damaged, kv_apply puts zeros for it */
    kv_stale_fn *stale;       /* may be NULL */
    const struct redo *redo;  /* NULL: RocksDB's own log. Outlives the kv. */
    damage_fn *damaged;       /* may be NULL; is given damaged_arg */
    void *damaged_arg;
};

/* Opens or creates the folder. ST_BUSY: another process holds it. err has the text. */
enum status kv_open(const struct kv_options *opt, struct kv **ret_kv, char *err, size_t err_size) MUST_CHECK;

/* With a redo log, flushes the write buffers to files first, so that the next start has nothing to replay. */
void kv_close(struct kv *kv);

/* With a redo log: puts what the write buffers of all families hold into files, and waits for that; the files are then
 * the state after one batch, the last one before the call or a later one. Whether that worked is seen in the files
 * (kv_get_stored). Any thread; takes as long as the disk needs. */
void kv_flush(struct kv *kv);

/* With a redo log: makes a folder, which must not be there, with what a database needs that has what is in files now, and
 * nothing of what is in write buffers: the state after one batch. Files that never change are linked, where the file system
 * can; what is removed afterwards stays there. ST_DISKFULL, ST_IO, with err; then nothing is left. Any thread. */
enum status kv_checkpoint(struct kv *kv, const char *path, char *err, size_t err_size) MUST_CHECK;

/* As kv_get, but reads the files only, not what is still in write buffers and the log. Any thread. */
enum status kv_get_stored(struct kv *kv, enum kv_family f, struct slice key, struct buf *out) MUST_CHECK;

/* Creates the family if it does not exist; only the writer may. The functions below expect families that exist.
 * ST_BAD: this RocksDB was built without that compression (KV_OP_NEED injects this, too); ST_IO. */
enum status kv_need(struct kv *kv, enum kv_family f) MUST_CHECK;
bool kv_has(const struct kv *kv, enum kv_family f);

/* Appends the value to out. ST_GONE: no such key; ST_DAMAGED, ST_IO, ST_NOMEM. snap NULL: the newest state. */
enum status kv_get(struct kv *kv, enum kv_family f, const struct kv_snap *snap, struct slice key,
                   struct buf *out) MUST_CHECK;

/* As kv_get with snap NULL. But a value of at least `large` bytes is not copied: *ret_pin holds it, until kv_unpin, and
 * *ret_value points to it. Else *ret_pin is NULL. */
enum status kv_get_pinned(struct kv *kv, enum kv_family f, struct slice key, size_t large, struct buf *out,
                          struct kv_pin **ret_pin, struct slice *ret_value) MUST_CHECK;
void kv_unpin(struct kv_pin *pin); /* NULL: nothing is done */

/* The pending batch. The writer fills it; kv_write writes all of it and empties it, also where it fails. */
void kv_put(struct kv *kv, enum kv_family f, struct slice key, struct slice value);
/* As kv_put of the parts, one behind the other (3 at most), which need not be copied together for it. */
void kv_put_parts(struct kv *kv, enum kv_family f, struct slice key, const struct slice *parts, int n);

/* What the redo log has of a command before it is applied (batch/kv_parts.h). */
struct kv_parts;
struct kv_parts *kv_parts(struct kv *kv);

/* Gives the pending batch, if nothing is in it, memory for so many bytes, where these are many: it need not grow then, which moves
 * what is in it. Without memory it grows. */
void kv_reserve(struct kv *kv, size_t bytes);

/* Gets that memory ready now, for the next kv_reserve, since to get it takes some milliseconds. 0: gives it back. */
void kv_reserve_ahead(struct kv *kv, size_t bytes);
size_t kv_reserved_ahead(const struct kv *kv); /* bytes that are ready for it; 0: none */

/* Bytes that readers find now, without the pending batch, in the value that has the key in KV_STATE, behind `from` others. */
struct kv_source {
    struct slice key;
    size_t from;
};

/* As kv_put_parts of three parts, of which the second one is what `source` says. The redo log gets that place instead of the
 * bytes (kv_short.h). */
void kv_put_stored(struct kv *kv, enum kv_family f, struct slice key, const struct slice parts[static 3],
                   const struct kv_source *source);
void kv_del(struct kv *kv, enum kv_family f, struct slice key);
void kv_del_range(struct kv *kv, enum kv_family f, struct slice from, struct slice to); /* to excluded */
bool kv_pending(const struct kv *kv);
void kv_clear(struct kv *kv); /* empties it */

/* The number that the pending batch gets in the redo log: greater than that of each batch logged before. */
void kv_number(struct kv *kv, uint64_t number);

/* The mark that `stale` gets from now on, or, where it was not synced, from the next kv_sync on: a compaction must not
 * drop a row that a power cut would make valid again. Before the first call nothing is dropped. The mark must
 * describe what is written. */
void kv_set_mark(struct kv *kv, const struct kv_mark *mark, bool synced);
enum status kv_write(struct kv *kv, bool sync, char *err, size_t err_size) MUST_CHECK;

/* kv_write in two halves. After kv_log the batch is in the log, and synced, but nobody can read it; kv_settle makes it
 * readable. Nothing may be put between them. Without a redo log kv_log does both. ST_DISKFULL of kv_settle: RocksDB could
 * not flush, and takes no batch before it could; call again, as it tries every five seconds. */
enum status kv_log(struct kv *kv, bool sync, char *err, size_t err_size) MUST_CHECK;
enum status kv_settle(struct kv *kv, char *err, size_t err_size) MUST_CHECK;
enum status kv_sync(struct kv *kv, char *err, size_t err_size) MUST_CHECK;

struct kv_snap *kv_snapshot(struct kv *kv); /* NULL: no memory */
void kv_snap_free(struct kv *kv, struct kv_snap *s);

/* An iterator over keys from <= key < to, in either direction. NULL: no memory. Its slices are good until it moves. */
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

/* ST_OK also at the end. ST_DAMAGED: what the iterator was moved to cannot be read; of rows that is told, of records
 * the caller tells it, because it knows their place. ST_IO. */
enum status kv_iter_status(const struct kv_iter *it) MUST_CHECK;

/* Tell that a value has been read and makes no sense: a row, by its key, or a record, by its place. Both return
 * ST_DAMAGED. it: the iterator that met the record; may be NULL. */
enum status kv_damaged_row(struct kv *kv, struct slice key);
enum status kv_damaged_record(struct kv *kv, const struct kv_iter *it, struct slice topic, uint64_t topic_id,
                              uint32_t queue, uint64_t first, uint64_t last);

/* How many rows (blocks of rows, where a whole block cannot be read) and records were found damaged since kv_open. */
uint64_t kv_damage_count(const struct kv *kv);

/* The next range of messages of a topic that kv_damaged_record was told of, *at of them behind the first (0 at first). False: there
 * are no more. DAMAGE_RANGES_MAX are remembered. Any thread. */
bool kv_damaged_range(const struct kv *kv, uint64_t topic_id, size_t *at, struct damage_range *ret_range);

/* Bytes of the files that hold records, about. */
uint64_t kv_record_bytes(const struct kv *kv);

/* Bytes in write buffers and block cache. */
size_t kv_memory(const struct kv *kv);

/* Compacts every file of a family now. Tests only. */
void kv_compact(struct kv *kv, enum kv_family f);

/* Makes the countdown-th call of op from now fail (1: the next one; negative: each one); 0 switches that off. Tests only. */
void kv_fault(struct kv *kv, enum kv_op op, int countdown);

#endif
