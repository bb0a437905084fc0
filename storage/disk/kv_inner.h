/*
 * kv_inner.h: struct kv, for the files kv*.c alone.
 */
#ifndef HALFMQ_STORAGE_KV_INNER_H
#define HALFMQ_STORAGE_KV_INNER_H

#include <assert.h>
#include <rocksdb/c.h>
#include <stdatomic.h>

#include "storage/disk/kv.h"
#include "storage/disk/kv_freed.h"
#include "storage/disk/batch/kv_parts.h"
#include "storage/disk/batch/kv_short.h"

/* A mark that several threads use. Whoever reads it while it is being set may see some fields of the old mark and some
 * of the new one. That is safe: a row that is stale by either of them is stale. */
struct kv_marked {
    atomic_bool set;
    atomic_int_fast64_t now_ms, keep_ms;
    atomic_uint_fast64_t floor, hidden_from, hidden_to;
};

struct kv {
    rocksdb_t *db;
    _Atomic(rocksdb_column_family_handle_t *) family[KV_FAMILIES]; /* NULL: not there yet */
    rocksdb_options_t *options[KV_FAMILIES];
    rocksdb_block_based_table_options_t *tables[KV_FAMILIES];
    rocksdb_cache_t *cache;
    rocksdb_writeoptions_t *write_sync, *write_fast;
    rocksdb_readoptions_t *read, *read_stored;
    rocksdb_writebatch_t *batch;
    size_t reserved_bytes; /* that kv_reserve gave it; 0: none */
    rocksdb_writebatch_t *ahead; /* kv_reserve_ahead: the next such batch, for so many bytes; NULL: none */
    size_t ahead_bytes;
    struct kv_shorter shorter; /* of the batch: what the redo log gets */
    struct kv_parts parts;     /* what the redo log has of the command that comes next */
    bool salvage; /* as in struct kv_options */
    const struct redo *redo;
    uint64_t number; /* of the batch; ... */
    uint64_t logged; /* ... of the last one that the redo log got */
    atomic_bool dead; /* a write failed: all later writes are refused */
    atomic_int fault[KV_OPS];
    rocksdb_compactionfilter_t *filter;
    kv_stale_fn *stale;
    atomic_uint filtered; /* rows that stale was asked about; wraps */
    struct kv_marked told, written; /* what compactions use now, and what they use after the next sync */
    struct damage damage;
    bool uncompacted, read_only; /* as in struct kv_options */
    /* ---- kv_stall ---- */
    size_t buffer_bytes; /* of a write buffer */
    size_t unseen_bytes; /* written since RocksDB was asked last */
    bool stall_near;
    /* ---- kv_space ---- */
    struct kv_freed freed; /* topics that were purged or deleted, ... */
    struct kv_kept kept;
    struct kv_freed cut;   /* ... and those whose oldest records were */
    _Atomic uint64_t cut_worth; /* a round is due when so many bytes were cut off; 0: not known yet */
    _Atomic uint64_t freed_at; /* RocksDB's number of the last deletion that was published */
    uint64_t awaited;          /* a round waits for snapshots that are older than this number; 0: no round waits */
    bool again;                /* a snapshot saw what the last round was for: another round is due */
    atomic_bool space_stop;
    uint64_t blob_file_bytes;      /* the most that a blob file has */
    bool looked;                   /* for what was deleted before the start */
    uint32_t passes[KV_FAMILIES]; /* how many more times garbage is collected */
    uint32_t stale_at;            /* kv_stale: which table is looked at next */
};

/* What compactions use now. False: nothing was told yet. */
bool kv_told(struct kv *kv, struct kv_mark *ret_mark);

/* False: it was never set. */
bool kv_marked_get(struct kv_marked *m, struct kv_mark *ret_mark);

/* After a failed write nothing more is written: what is on disk now is what the next start recovers. ST_IO. */
enum status kv_die(struct kv *kv);

/* Writes into RocksDB; sync counts only without a redo log. False, with err. */
bool kv_write_batch(struct kv *kv, rocksdb_writebatch_t *batch, bool sync, char *err, size_t err_size);

/* Expects that the family exists. */
static inline rocksdb_column_family_handle_t *kv_handle(const struct kv *kv, enum kv_family f)
{
    rocksdb_column_family_handle_t *handle = atomic_load_explicit(&kv->family[f], memory_order_acquire);
    assert(handle);
    return handle;
}

#endif
