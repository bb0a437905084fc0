/*
 * store.c: opens the database, brings it up to the end of its log, and closes it (store.h).
 *
 *   kv_open ─► index of the last batch in the files ─► redo.replay: what the log has behind it, by kv_apply
 *                                                        └─► a long log: kv_flush, so that all of it is in files and
 *                                                            the log is short from here on
 */
#include "storage/store.h"

#include <stdio.h>
#include <stdlib.h>

#include "storage/disk/kv.h"
#include "storage/disk/kv_apply.h"
#include "storage/disk/batch/kv_short.h"
#include "storage/disk/kv_space.h"
#include "storage/disk/kv_stale.h"
#include "storage/disk/kv_stall.h"
#include "storage/disk/meta.h"
#include "storage/disk/stale.h"

#define LOOK_MEMORY_BYTES MIB(4)
#define LOOK_FILES_MAX 64
#define REPLAY_FLUSH_BYTES MIB(256) /* of batches: write buffers may be much larger, and a kill loses what is in them */

static enum status store_index(struct store *s, uint64_t *ret_index, char *err, size_t err_size)
{
    struct meta_row meta = {0};
    enum status status = meta_read(s->kv, s->path, &meta, err, err_size);
    *ret_index = meta.index;
    return status;
}

/* RocksDB does not say that a flush failed, but then its files do not have the last command. */
enum status store_flush(struct store *s, char *err, size_t err_size)
{
    uint64_t last = 0;
    assert(s->redo);
    enum status status = store_index(s, &last, err, err_size);
    if (status != ST_OK)
        return status;
    kv_flush(s->kv);
    if (store_stored(s) >= last)
        return ST_OK;
    snprintf(err, err_size, "what is in memory cannot be flushed to files in %s: is the disk full?", s->path);
    return ST_IO;
}

struct store_taking {
    struct store *s;
    size_t bytes; /* since the last flush */
    char *err;
    size_t err_size;
};

static enum status store_take(void *arg, struct slice batch, const struct redo_parts *parts)
{
    struct store_taking *t = arg;
    enum status status = kv_apply(t->s->kv, batch, parts, t->err, t->err_size);
    t->bytes += kv_short_whole(batch);
    if (status == ST_OK && t->bytes >= REPLAY_FLUSH_BYTES) {
        t->bytes = 0;
        kv_flush(t->s->kv);
    }
    return status;
}

enum status store_replay(struct store *s, char *err, size_t err_size)
{
    uint64_t index = 0;
    bool long_log = false;
    enum status status = store_index(s, &index, err, err_size);
    if (status != ST_OK || !s->redo)
        return status;
    struct store_taking t = {.s = s, .err = err, .err_size = err_size};
    status = s->redo->replay(s->redo->self, index, store_take, &t, &long_log, err, err_size);
    return status == ST_OK && long_log ? store_flush(s, err, err_size) : status;
}

enum status store_open_files(const struct store_options *opt, struct store **ret_store, char *err, size_t err_size)
{
    const struct kv_options ko = {.path = opt->path,
                                  .memory_bytes = opt->memory_bytes,
                                  .files_max = opt->files_max,
                                  .uncompacted = opt->uncompacted,
                                  .salvage = opt->salvage,
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
    s->redo = opt->redo;
    enum status status = kv_open(&ko, &s->kv, err, err_size);
    if (status == ST_OK)
        *ret_store = s;
    else
        store_close(s);
    return status;
}

enum status store_open(const struct store_options *opt, struct store **ret_store, char *err, size_t err_size)
{
    struct store *s = NULL;
    enum status status = store_open_files(opt, &s, err, err_size);
    if (status == ST_OK)
        status = store_replay(s, err, err_size);
    if (status == ST_OK)
        *ret_store = s;
    else
        store_close(s);
    return status;
}

enum status store_look(const char *path, uint64_t *ret_index, char *err, size_t err_size)
{
    const struct kv_options opt = {.path = path, .memory_bytes = LOOK_MEMORY_BYTES, .files_max = LOOK_FILES_MAX,
                                   .read_only = true};
    struct kv *kv = NULL;
    struct meta_row meta = {0};
    enum status status = kv_open(&opt, &kv, err, err_size);
    if (status != ST_OK)
        return status;
    status = meta_read(kv, path, &meta, err, err_size);
    kv_close(kv);
    *ret_index = meta.index;
    return status;
}

enum status store_checkpoint(struct store *s, const char *path, uint64_t *ret_index, char *err, size_t err_size)
{
    enum status status = kv_checkpoint(s->kv, path, err, err_size);
    return status == ST_OK ? store_look(path, ret_index, err, err_size) : status;
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
    return kv_apply(s->kv, batch, NULL, err, err_size);
}

uint64_t store_stored(struct store *s)
{
    uint64_t now = meta_stored(s->kv), before = atomic_load(&s->stored);
    if (now <= before)
        return before;
    atomic_store(&s->stored, now); /* another thread may have stored a later one: that is only less */
    return now;
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
    return kv_stall_near(s->kv) || (s->redo && s->redo->crowded && s->redo->crowded(s->redo->self));
}

bool store_is_crowded(struct store *s)
{
    return kv_is_crowded(s->kv);
}

bool store_freed(const struct store *s, bool urgent)
{
    return kv_space_any(s->kv, urgent);
}

bool store_freed_much(const struct store *s)
{
    return kv_space_much(s->kv);
}

bool store_give_back(struct store *s, bool urgent, uint64_t room)
{
    return kv_space_give_back(s->kv, urgent, room);
}

bool store_give_back_stale(struct store *s)
{
    return kv_stale_give_back(s->kv);
}

void store_compact_alone(struct store *s, bool allowed)
{
    kv_space_alone(s->kv, allowed);
}

void store_give_back_stop(struct store *s)
{
    kv_space_stop(s->kv);
}

size_t store_memory(const struct store *s)
{
    return kv_memory(s->kv);
}
