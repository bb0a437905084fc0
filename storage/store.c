/*
 * store.c: opens the database, brings it up to the end of its log, and closes it (store.h).
 *
 *   kv_open ─► index of the last batch in the files ─► kv_replay: what the log has behind it
 *                                                        └─► a long log: close and open again, so that all of it
 *                                                            is in files and the log is short from here on
 */
#include "storage/store.h"

#include <stdio.h>
#include <stdlib.h>

#include "storage/disk/kv.h"
#include "storage/disk/kv_stall.h"
#include "storage/disk/meta.h"
#include "storage/disk/stale.h"

static enum status store_index(struct store *s, uint64_t *ret_index, char *err, size_t err_size)
{
    struct meta_row meta = {0};
    enum status status = meta_read(s->kv, s->path, &meta, err, err_size);
    *ret_index = meta.index;
    return status;
}

/* Puts all that was replayed into files: closing flushes. Closing does not report a flush that failed. If the disk is
 * full, the database opens again without what was replayed, and must not be used so. */
static enum status store_flush_replayed(struct store *s, const struct kv_options *opt, char *err, size_t err_size)
{
    uint64_t replayed = 0, flushed = 0;
    enum status status = store_index(s, &replayed, err, err_size);
    kv_close(s->kv);
    s->kv = NULL;
    if (status == ST_OK)
        status = kv_open(opt, &s->kv, err, err_size);
    if (status == ST_OK)
        status = store_index(s, &flushed, err, err_size);
    if (status != ST_OK || flushed == replayed)
        return status;
    snprintf(err, err_size, "the replayed log cannot be flushed to files in %s: is the disk full?", s->path);
    return ST_IO;
}

static enum status store_replay(struct store *s, const struct kv_options *opt, char *err, size_t err_size)
{
    uint64_t index = 0;
    bool long_log = false;
    enum status status = store_index(s, &index, err, err_size);
    if (status != ST_OK || !opt->redo)
        return status;
    status = kv_replay(s->kv, index, &long_log, err, err_size);
    return status == ST_OK && long_log ? store_flush_replayed(s, opt, err, err_size) : status;
}

enum status store_open(const struct store_options *opt, struct store **ret_store, char *err, size_t err_size)
{
    const struct kv_options ko = {.path = opt->path,
                                  .memory_bytes = opt->memory_bytes,
                                  .stale = row_stale,
                                  .redo = opt->redo,
                                  .damaged = opt->damaged,
                                  .damaged_arg = opt->damaged_arg};
    struct store *s = calloc(1, sizeof(*s));
    char *path = strdup(opt->path);
    if (!s || !path) {
        snprintf(err, err_size, "no memory to open %s", opt->path);
        free(path);
        free(s);
        return ST_NOMEM;
    }
    s->path = path;
    s->memory_bytes = opt->memory_bytes;
    enum status status = kv_open(&ko, &s->kv, err, err_size);
    if (status == ST_OK)
        status = store_replay(s, &ko, err, err_size);
    if (status == ST_OK)
        *ret_store = s;
    else
        store_close(s);
    return status;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    kv_close(s->kv);
    free(s->path);
    free(s);
}

enum status store_apply(struct store *s, struct slice batch, char *err, size_t err_size)
{
    return kv_apply(s->kv, batch, err, err_size);
}

uint64_t store_stored(struct store *s)
{
    return meta_stored(s->kv);
}

enum status store_sync(struct store *s, char *err, size_t err_size)
{
    return kv_sync(s->kv, err, err_size);
}

uint64_t store_damaged(const struct store *s)
{
    return kv_damage_count(s->kv);
}

bool store_stalls(struct store *s)
{
    return kv_stall_near(s->kv);
}

size_t store_memory(const struct store *s)
{
    return kv_memory(s->kv);
}
