/*
 * kv_setup.h: how RocksDB is set up: families, write buffers, caches, files.
 */
#ifndef HALFMQ_STORAGE_KV_SETUP_H
#define HALFMQ_STORAGE_KV_SETUP_H

#include "storage/disk/kv_inner.h"

/* Of each family so many write buffers may be full before writes wait, and so many files may lie in level 0; from NEAR on
 * they are near that. */
#define KV_BUFFERS_MAX 5
#define KV_BUFFERS_NEAR 2
#define KV_FILES_MAX 36
#define KV_FILES_NEAR 16

struct family_line {
    const char *name;
    int compression;
    bool on_need; /* made by kv_need; the others are always there */
};
extern const struct family_line kv_setup_lines[KV_FAMILIES];

/* Makes the cache, and each family's options; kv->filter is set before. Freed with kv_setup_free. */
void kv_setup_families(struct kv *kv, const struct kv_options *opt);
void kv_setup_free(struct kv *kv);

/* The options of the database. The caller destroys them. NULL, with err: RocksDB does not know one of them. */
rocksdb_options_t *kv_setup_database(const struct kv_options *opt, char *err, size_t err_size);

/* Finds out which families the store has. Where there is no store yet, or that cannot be read: those that every store has. If
 * that matters, opening fails and says why. */
void kv_setup_there(const rocksdb_options_t *o, const char *path, bool there[KV_FAMILIES]);

/* An empty batch with memory for so many bytes. NULL: no memory. */
rocksdb_writebatch_t *kv_setup_batch(size_t bytes);

#endif
