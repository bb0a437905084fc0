/*
 * kv.c: opening, reading and writing. Only the files kv* know RocksDB.
 *
 *   kv_setup      how RocksDB is set up          kv_inner.h    struct kv
 *   kv_stall      whether a write may wait       kv_space      gives the space of deleted records back
 *
 * With a redo log all families are flushed together, so the files are the state after one certain batch. That is why
 * nobody calls rocksdb_flush, which would flush one family. kv_flush and closing flush all.
 */
#include "storage/disk/kv.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/text.h"
#include "storage/disk/kv_inner.h"
#include "storage/disk/kv_setup.h"

#define READ_TIER_PERSISTED 2 /* the C interface has no name for it */

struct kv_snap {
    const rocksdb_snapshot_t *snap;
    rocksdb_readoptions_t *read;
};

struct kv_iter {
    struct kv *kv;
    enum kv_family family;
    rocksdb_iterator_t *it;
    rocksdb_readoptions_t *read;
    struct buf bounds; /* the bounds' bytes must outlive the iterator */
    enum status fault; /* injected; ST_OK: none */
    bool broken;       /* the fault stays when the iterator moves */
};

static bool kv_faulty(struct kv *kv, enum kv_op op)
{
    int left = atomic_load_explicit(&kv->fault[op], memory_order_relaxed);
    if (left <= 0)
        return left < 0;
    return atomic_fetch_sub(&kv->fault[op], 1) == 1;
}

void kv_fault(struct kv *kv, enum kv_op op, int countdown)
{
    assert(op < KV_OPS);
    atomic_store(&kv->fault[op], countdown);
}

/* Takes RocksDB's error text; true where there was one. */
static bool kv_failed(char *rocks, char *err, size_t err_size)
{
    if (!rocks)
        return false;
    if (err_size)
        snprintf(err, err_size, "%s", rocks);
    rocksdb_free(rocks);
    return true;
}

/* ---- what cannot be read ---- */

#define DAMAGE_TEXT_SIZE 640

/* A checksum that does not match, a sector that the disk cannot read, and a file that is gone are damage. Anything else
 * that RocksDB says may pass. */
static bool kv_is_damage(const char *rocks)
{
    return strncmp(rocks, "Corruption", 10) == 0 || strstr(rocks, "Input/output error") ||
           strstr(rocks, "No such file");
}

/* Takes the error text of a read (NULL: none), and copies it to why. */
static enum status kv_read_status(char *rocks, char *why, size_t why_size)
{
    why[0] = '\0';
    if (!kv_failed(rocks, why, why_size))
        return ST_OK;
    return kv_is_damage(why) ? ST_DAMAGED : ST_IO;
}

/* Tells of rows that a block with this text is damaged; its text says where the block is. */
static enum status kv_damaged_block(struct kv *kv, const char *why)
{
    char text[DAMAGE_TEXT_SIZE];
    snprintf(text, sizeof text, "rows of the store are damaged: %s", why);
    damage_tell(&kv->damage, text_hash(slice_str(why)), text);
    return ST_DAMAGED;
}

enum status kv_damaged_row(struct kv *kv, struct slice key)
{
    char quoted[200], text[DAMAGE_TEXT_SIZE];
    text_quote(key, 180, quoted, sizeof quoted);
    snprintf(text, sizeof text, "a row of the store is damaged: its key is '%s'", quoted);
    damage_tell(&kv->damage, text_hash(key), text);
    return ST_DAMAGED;
}

enum status kv_damaged_record(struct kv *kv, const struct kv_iter *it, struct slice topic, uint64_t topic_id,
                              uint32_t queue, uint64_t first, uint64_t last)
{
    char name[160], why[320] = "", text[DAMAGE_TEXT_SIZE];
    char *failure = NULL;
    if (it)
        rocksdb_iter_get_error(it->it, &failure);
    bool known = kv_failed(failure, why, sizeof why);
    text_quote(topic, 130, name, sizeof name);
    snprintf(text, sizeof text, "messages %s:%u:%llu-%llu are damaged%s%s", name, queue, (unsigned long long)first,
             (unsigned long long)last, known ? ": " : "", why);
    const uint64_t place[] = {topic_id, queue, last}; /* the end is known also where the begin is not */
    const struct damage_range range = {.topic = topic_id, .queue = queue, .first = first, .last = last};
    if (damage_tell(&kv->damage, text_hash(slice_of(place, sizeof place)), text))
        damage_remember(&kv->damage, &range);
    return ST_DAMAGED;
}

bool kv_damaged_range(const struct kv *kv, uint64_t topic_id, size_t *at, struct damage_range *ret_range)
{
    return damage_range_of(&kv->damage, topic_id, at, ret_range);
}

uint64_t kv_damage_count(const struct kv *kv)
{
    return damage_count(&kv->damage);
}

/* ---- rows that are over ---- */

static void kv_filter_free(void *arg)
{
    (void)arg;
}

bool kv_marked_get(struct kv_marked *m, struct kv_mark *ret_mark)
{
    if (!atomic_load(&m->set))
        return false;
    ret_mark->now_ms = atomic_load_explicit(&m->now_ms, memory_order_relaxed);
    ret_mark->keep_ms = atomic_load_explicit(&m->keep_ms, memory_order_relaxed);
    ret_mark->floor = atomic_load_explicit(&m->floor, memory_order_relaxed);
    ret_mark->hidden_from = atomic_load_explicit(&m->hidden_from, memory_order_relaxed);
    ret_mark->hidden_to = atomic_load_explicit(&m->hidden_to, memory_order_relaxed);
    return true;
}

static void kv_marked_set(struct kv_marked *m, const struct kv_mark *mark)
{
    atomic_store_explicit(&m->keep_ms, mark->keep_ms, memory_order_relaxed);
    atomic_store_explicit(&m->now_ms, mark->now_ms, memory_order_relaxed);
    atomic_store_explicit(&m->floor, mark->floor, memory_order_relaxed);
    atomic_store_explicit(&m->hidden_from, mark->hidden_from, memory_order_relaxed);
    atomic_store_explicit(&m->hidden_to, mark->hidden_to, memory_order_relaxed);
    atomic_store(&m->set, true);
}

bool kv_told(struct kv *kv, struct kv_mark *ret_mark)
{
    ret_mark->kept = &kv->kept;
    return kv_marked_get(&kv->told, ret_mark);
}

static unsigned char kv_filter_drops(void *arg, int level, const char *key, size_t key_len, const char *value,
                                     size_t value_len, char **new_value, size_t *new_len,
                                     unsigned char *value_changed)
{
    struct kv *kv = arg;
    (void)level, (void)new_value, (void)new_len;
    *value_changed = 0;
    struct kv_mark mark;
    bool stale = kv_told(kv, &mark) &&
                 kv->stale(slice_of(key, key_len), slice_of(value, value_len), &mark);
    atomic_fetch_add_explicit(&kv->filtered, 1, memory_order_release); /* see kv_free */
    return stale;
}

static const char *kv_filter_name(void *arg)
{
    (void)arg;
    return "halfmq.stale";
}

void kv_set_mark(struct kv *kv, const struct kv_mark *mark, bool synced)
{
    kv_marked_set(&kv->written, mark);
    if (synced)
        kv_marked_set(&kv->told, mark);
}

static struct kv *kv_new(const struct kv_options *opt)
{
    struct kv *kv = calloc(1, sizeof(*kv));
    if (!kv)
        return NULL;
    kv->redo = opt->redo;
    kv->read_only = opt->read_only;
    kv->salvage = opt->salvage;
    kv->stale = opt->stale;
    kv->damage.tell = opt->damaged;
    kv->damage.arg = opt->damaged_arg;
    if (kv->stale)
        kv->filter = rocksdb_compactionfilter_create(kv, kv_filter_free, kv_filter_drops, kv_filter_name);
    kv_setup_families(kv, opt);
    kv->write_sync = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(kv->write_sync, 1);
    kv->write_fast = rocksdb_writeoptions_create();
    if (kv->redo)
        rocksdb_writeoptions_disable_WAL(kv->write_fast, 1);
    kv->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(kv->read, 1);
    kv->read_stored = rocksdb_readoptions_create();
    rocksdb_readoptions_set_read_tier(kv->read_stored, READ_TIER_PERSISTED);
    kv->batch = rocksdb_writebatch_create();
    kv_short_init(&kv->shorter);
    kv_parts_init(&kv->parts, opt->redo, &kv->shorter);
    return kv;
}

/* RocksDB has ended its background jobs, but with locks that a thread sanitizer does not see. The acquire on
 * `filtered` shows it that whatever the filter read was read before this. */
static void kv_free(struct kv *kv)
{
    (void)atomic_load_explicit(&kv->filtered, memory_order_acquire);
    kv_setup_free(kv);
    if (kv->filter)
        rocksdb_compactionfilter_destroy(kv->filter);
    rocksdb_writeoptions_destroy(kv->write_sync);
    rocksdb_writeoptions_destroy(kv->write_fast);
    rocksdb_readoptions_destroy(kv->read);
    rocksdb_readoptions_destroy(kv->read_stored);
    rocksdb_writebatch_destroy(kv->batch);
    kv_reserve_ahead(kv, 0);
    kv_short_free(&kv->shorter);
    kv_parts_free(&kv->parts);
    free(kv);
}

static bool kv_open_families(struct kv *kv, const rocksdb_options_t *o, const char *path, char *err,
                             size_t err_size)
{
    bool there[KV_FAMILIES];
    int n = 0;
    enum kv_family which[KV_FAMILIES];
    const char *names[KV_FAMILIES];
    const rocksdb_options_t *options[KV_FAMILIES];
    rocksdb_column_family_handle_t *handles[KV_FAMILIES] = {NULL};
    kv_setup_there(o, path, there);
    for (int f = 0; f < KV_FAMILIES; f++) {
        if (!there[f])
            continue;
        which[n] = (enum kv_family)f;
        names[n] = kv_setup_lines[f].name;
        options[n++] = kv->options[f];
    }
    char *failure = NULL;
    kv->db = kv->read_only
                 ? rocksdb_open_for_read_only_column_families(o, path, n, names, options, handles, 0, &failure)
                 : rocksdb_open_column_families(o, path, n, names, options, handles, &failure);
    if (kv_failed(failure, err, err_size))
        return false;
    for (int i = 0; i < n; i++)
        atomic_store(&kv->family[which[i]], handles[i]);
    return true;
}

/* Says what RocksDB's text (in err) means. Damage needs a person: no part of the store can be trusted to be whole. */
static enum status kv_refuse(const char *path, char *err, size_t err_size)
{
    char why[400];
    snprintf(why, sizeof why, "%s", err);
    if (kv_is_damage(why) && !strstr(why, "mkdir")) { /* a folder that cannot be made is no damage */
        snprintf(err, err_size, "the store in %s is damaged: %s. Nothing was changed. " DAMAGE_WHAT_TO_DO, path,
                 why);
        return ST_DAMAGED;
    }
    return strstr(err, "lock") ? ST_BUSY : ST_IO;
}

enum status kv_open(const struct kv_options *opt, struct kv **ret_kv, char *err, size_t err_size)
{
    struct kv *kv = kv_new(opt);
    if (!kv) {
        snprintf(err, err_size, "no memory to open %s", opt->path);
        return ST_NOMEM;
    }
    rocksdb_options_t *options = kv_setup_database(opt, err, err_size);
    bool opened = options && kv_open_families(kv, options, opt->path, err, err_size);
    if (options)
        rocksdb_options_destroy(options);
    if (opened) {
        *ret_kv = kv;
        return ST_OK;
    }
    kv_free(kv);
    return kv_refuse(opt->path, err, err_size);
}

void kv_close(struct kv *kv)
{
    if (!kv)
        return;
    for (int f = 0; f < KV_FAMILIES; f++) {
        if (kv_has(kv, (enum kv_family)f))
            rocksdb_column_family_handle_destroy(kv->family[f]);
    }
    rocksdb_close(kv->db);
    kv_free(kv);
}

bool kv_has(const struct kv *kv, enum kv_family f)
{
    return atomic_load_explicit(&kv->family[f], memory_order_acquire) != NULL;
}

enum status kv_need(struct kv *kv, enum kv_family f)
{
    if (kv_has(kv, f))
        return ST_OK;
    if (kv_faulty(kv, KV_OP_NEED))
        return ST_BAD;
    if (atomic_load(&kv->dead))
        return ST_IO;
    char *failure = NULL;
    char err[256] = "";
    rocksdb_column_family_handle_t *handle =
        rocksdb_create_column_family(kv->db, kv->options[f], kv_setup_lines[f].name, &failure);
    if (kv_failed(failure, err, sizeof(err)))
        return strstr(err, "ompression") ? ST_BAD : ST_IO;
    atomic_store_explicit(&kv->family[f], handle, memory_order_release);
    return ST_OK;
}

/* Finds the value. ST_OK: *ret_pin holds it. */
static enum status kv_find(struct kv *kv, enum kv_family f, const rocksdb_readoptions_t *read, struct slice key,
                           rocksdb_pinnableslice_t **ret_pin, struct slice *ret_value)
{
    if (kv_faulty(kv, KV_OP_GET))
        return ST_IO;
    if (kv_faulty(kv, KV_OP_GET_DAMAGE))
        return kv_damaged_row(kv, key);
    char why[400];
    char *failure = NULL;
    rocksdb_pinnableslice_t *pin = rocksdb_get_pinned_cf(kv->db, read, kv_handle(kv, f),
                                                         (const char *)key.data, key.len, &failure);
    enum status s = kv_read_status(failure, why, sizeof why);
    if (s != ST_OK)
        return s == ST_DAMAGED ? kv_damaged_block(kv, why) : s;
    if (!pin)
        return ST_GONE;
    size_t len = 0;
    const char *value = rocksdb_pinnableslice_value(pin, &len);
    *ret_pin = pin;
    *ret_value = slice_of(value, len);
    return ST_OK;
}

static enum status kv_get_as(struct kv *kv, enum kv_family f, const rocksdb_readoptions_t *read,
                             struct slice key, struct buf *out)
{
    rocksdb_pinnableslice_t *pin = NULL;
    struct slice value;
    enum status s = kv_find(kv, f, read, key, &pin, &value);
    if (s != ST_OK)
        return s;
    buf_put_slice(out, value);
    rocksdb_pinnableslice_destroy(pin);
    return out->failed ? ST_NOMEM : ST_OK;
}

enum status kv_get_pinned(struct kv *kv, enum kv_family f, struct slice key, size_t large, struct buf *out,
                          struct kv_pin **ret_pin, struct slice *ret_value)
{
    rocksdb_pinnableslice_t *pin = NULL;
    *ret_pin = NULL;
    enum status s = kv_find(kv, f, kv->read, key, &pin, ret_value);
    if (s != ST_OK)
        return s;
    if (ret_value->len >= large) {
        *ret_pin = (struct kv_pin *)pin;
        return ST_OK;
    }
    buf_put_slice(out, *ret_value);
    rocksdb_pinnableslice_destroy(pin);
    return out->failed ? ST_NOMEM : ST_OK;
}

void kv_unpin(struct kv_pin *pin)
{
    if (pin)
        rocksdb_pinnableslice_destroy((rocksdb_pinnableslice_t *)pin);
}

enum status kv_get(struct kv *kv, enum kv_family f, const struct kv_snap *snap, struct slice key,
                   struct buf *out)
{
    return kv_get_as(kv, f, snap ? snap->read : kv->read, key, out);
}

enum status kv_get_stored(struct kv *kv, enum kv_family f, struct slice key, struct buf *out)
{
    return kv_get_as(kv, f, kv->read_stored, key, out);
}

void kv_put(struct kv *kv, enum kv_family f, struct slice key, struct slice value)
{
    rocksdb_writebatch_put_cf(kv->batch, kv_handle(kv, f), (const char *)key.data, key.len,
                              (const char *)value.data, value.len);
}

void kv_put_parts(struct kv *kv, enum kv_family f, struct slice key, const struct slice *parts, int n)
{
    const char *keys[] = {(const char *)key.data}, *values[3];
    const size_t key_sizes[] = {key.len};
    size_t value_sizes[3];
    assert(n <= 3);
    for (int i = 0; i < n; i++) {
        values[i] = (const char *)parts[i].data;
        value_sizes[i] = parts[i].len;
    }
    rocksdb_writebatch_putv_cf(kv->batch, kv_handle(kv, f), 1, keys, key_sizes, n, values, value_sizes);
    if (kv->parts.n) {
        size_t end = 0;
        (void)rocksdb_writebatch_data(kv->batch, &end);
        kv_parts_put(&kv->parts, end, parts, n);
    }
}

struct kv_parts *kv_parts(struct kv *kv)
{
    return &kv->parts;
}

void kv_put_stored(struct kv *kv, enum kv_family f, struct slice key, const struct slice parts[static 3],
                   const struct kv_source *source)
{
    size_t len = 0;
    kv_put_parts(kv, f, key, parts, 3);
    (void)rocksdb_writebatch_data(kv->batch, &len);
    if (kv->redo)
        kv_short_cut(&kv->shorter, len - parts[2].len - parts[1].len, parts[1].len, source->key, source->from);
}

void kv_del(struct kv *kv, enum kv_family f, struct slice key)
{
    rocksdb_writebatch_delete_cf(kv->batch, kv_handle(kv, f), (const char *)key.data, key.len);
}

void kv_del_range(struct kv *kv, enum kv_family f, struct slice from, struct slice to)
{
    rocksdb_writebatch_delete_range_cf(kv->batch, kv_handle(kv, f), (const char *)from.data, from.len,
                                       (const char *)to.data, to.len);
    if (f != KV_STATE)
        kv_freed_add(&kv->freed, from);
}

bool kv_pending(const struct kv *kv)
{
    return rocksdb_writebatch_count(kv->batch) > 0;
}

void kv_reserve_ahead(struct kv *kv, size_t bytes)
{
    if (kv->ahead)
        rocksdb_writebatch_destroy(kv->ahead);
    kv->ahead = bytes >= BUF_LARGE ? kv_setup_batch(bytes) : NULL;
    kv->ahead_bytes = bytes;
}

size_t kv_reserved_ahead(const struct kv *kv)
{
    return kv->ahead ? kv->ahead_bytes : 0;
}

void kv_reserve(struct kv *kv, size_t bytes)
{
    if (bytes < BUF_LARGE || kv_pending(kv) || kv->reserved_bytes >= bytes)
        return;
    if (!kv->ahead || kv->ahead_bytes < bytes)
        kv_reserve_ahead(kv, bytes);
    if (!kv->ahead)
        return;
    rocksdb_writebatch_destroy(kv->batch);
    kv->batch = kv->ahead;
    kv->ahead = NULL;
    kv->reserved_bytes = kv->ahead_bytes;
}

/* Empties the batch. RocksDB keeps the memory of the largest one ever; so one that is larger than those of usual groups is
 * given up. */
static void kv_batch_empty(struct kv *kv)
{
    size_t len = 0;
    kv_short_reset(&kv->shorter);
    (void)rocksdb_writebatch_data(kv->batch, &len);
    if (len <= 2 * kv->buffer_bytes && !kv->reserved_bytes) {
        rocksdb_writebatch_clear(kv->batch);
        return;
    }
    kv->reserved_bytes = 0;
    rocksdb_writebatch_destroy(kv->batch);
    kv->batch = rocksdb_writebatch_create();
}

void kv_clear(struct kv *kv)
{
    kv_batch_empty(kv);
    kv_freed_forget(&kv->freed);
    kv_freed_forget(&kv->cut);
    kv_kept_forget(&kv->kept);
}

void kv_number(struct kv *kv, uint64_t number)
{
    assert(number > kv->logged);
    kv->number = number;
}

enum status kv_die(struct kv *kv)
{
    atomic_store(&kv->dead, true);
    return ST_IO;
}

static bool kv_may_write(struct kv *kv, bool sync, char *err, size_t err_size)
{
    if (atomic_load(&kv->dead)) {
        snprintf(err, err_size, "an earlier write to the store failed");
        return false;
    }
    if (!kv_faulty(kv, KV_OP_WRITE) && !(sync && kv_faulty(kv, KV_OP_SYNC)))
        return true;
    snprintf(err, err_size, "injected fault");
    return false;
}

/* Appends the pending batch to the redo log, where there is one. */
static bool kv_log_batch(struct kv *kv, bool sync, char *err, size_t err_size)
{
    if (!kv->redo)
        return true;
    size_t len = 0;
    const char *data = rocksdb_writebatch_data(kv->batch, &len);
    kv->logged = kv->number;
    struct slice batch = kv_parts_short(&kv->parts, slice_of(data, len));
    return kv->redo->append(kv->redo->self, kv->number, batch, sync, err, err_size) == ST_OK;
}

bool kv_write_batch(struct kv *kv, rocksdb_writebatch_t *batch, bool sync, char *err, size_t err_size)
{
    rocksdb_set_perf_level(rocksdb_disable); /* per thread: RocksDB's counters make a write 5 % slower */
    char *failure = NULL;
    size_t len = 0;
    (void)rocksdb_writebatch_data(batch, &len);
    kv->unseen_bytes += len;
    rocksdb_write(kv->db, sync && !kv->redo ? kv->write_sync : kv->write_fast, batch, &failure);
    if (kv_failed(failure, err, err_size))
        return false;
    if (kv_freed_noted(&kv->freed) || kv_freed_noted(&kv->cut)) {
        atomic_store(&kv->freed_at, rocksdb_get_latest_sequence_number(kv->db));
        kv_freed_publish(&kv->freed);
        kv_freed_publish(&kv->cut);
    }
    return true;
}

enum status kv_log(struct kv *kv, bool sync, char *err, size_t err_size)
{
    bool logged = kv_may_write(kv, sync, err, err_size) && kv_log_batch(kv, sync, err, err_size);
    if (logged && kv->redo)
        return ST_OK;
    logged = logged && kv_write_batch(kv, kv->batch, sync, err, err_size);
    kv_batch_empty(kv);
    return logged ? ST_OK : kv_die(kv);
}

enum status kv_settle(struct kv *kv, char *err, size_t err_size)
{
    if (!kv_pending(kv))
        return ST_OK;
    bool written = kv_write_batch(kv, kv->batch, false, err, err_size);
    if (!written && kv->redo && strstr(err, "No space left on device"))
        return ST_DISKFULL;
    kv_batch_empty(kv);
    return written ? ST_OK : kv_die(kv);
}

enum status kv_write(struct kv *kv, bool sync, char *err, size_t err_size)
{
    enum status s = kv_log(kv, sync, err, err_size);
    return s == ST_OK ? kv_settle(kv, err, err_size) : s;
}

static bool kv_sync_log(struct kv *kv, char *err, size_t err_size)
{
    if (kv->redo)
        return kv->redo->sync(kv->redo->self, err, err_size) == ST_OK;
    char *failure = NULL;
    rocksdb_flush_wal(kv->db, 1, &failure);
    return !kv_failed(failure, err, err_size);
}

enum status kv_sync(struct kv *kv, char *err, size_t err_size)
{
    if (kv_faulty(kv, KV_OP_SYNC)) {
        snprintf(err, err_size, "injected fault");
        return kv_die(kv);
    }
    struct kv_mark mark;
    bool marked = kv_marked_get(&kv->written, &mark);
    if (!kv_sync_log(kv, err, err_size))
        return kv_die(kv);
    if (marked)
        kv_marked_set(&kv->told, &mark);
    return ST_OK;
}

/* The C interface flushes one family only. But a compaction of a whole family flushes all of them first, together where
 * atomic_flush is set, and then finds nothing to do in a family without files. It does not say whether that failed. */
void kv_flush(struct kv *kv)
{
    assert(kv->redo);
    rocksdb_compact_range_cf(kv->db, kv_handle(kv, KV_EMPTY), NULL, 0, NULL, 0);
}

/* With this as the size of RocksDB's own log, which is empty here, from which on it flushes first, it never does. */
#define CHECKPOINT_UNFLUSHED UINT64_MAX

enum status kv_checkpoint(struct kv *kv, const char *path, char *err, size_t err_size)
{
    assert(kv->redo);
    if (kv_faulty(kv, KV_OP_CHECKPOINT)) {
        snprintf(err, err_size, "injected fault");
        return ST_IO;
    }
    char *failure = NULL;
    rocksdb_checkpoint_t *c = rocksdb_checkpoint_object_create(kv->db, &failure);
    if (!failure)
        rocksdb_checkpoint_create(c, path, CHECKPOINT_UNFLUSHED, &failure);
    if (c)
        rocksdb_checkpoint_object_destroy(c);
    if (!kv_failed(failure, err, err_size))
        return ST_OK;
    return strstr(err, "No space left") || strstr(err, "quota") ? ST_DISKFULL : ST_IO;
}

struct kv_snap *kv_snapshot(struct kv *kv)
{
    struct kv_snap *s = malloc(sizeof(*s));
    if (!s)
        return NULL;
    s->snap = rocksdb_create_snapshot(kv->db);
    s->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_snapshot(s->read, s->snap);
    return s;
}

void kv_snap_free(struct kv *kv, struct kv_snap *s)
{
    if (!s)
        return;
    rocksdb_readoptions_destroy(s->read);
    rocksdb_release_snapshot(kv->db, s->snap);
    free(s);
}

struct kv_iter *kv_iter_new(struct kv *kv, enum kv_family f, const struct kv_snap *snap,
                            struct slice from, struct slice to)
{
    struct kv_iter *it = calloc(1, sizeof(*it));
    if (!it)
        return NULL;
    it->kv = kv;
    it->family = f;
    it->broken = kv_faulty(kv, KV_OP_ITER);
    it->fault = it->broken ? ST_IO : ST_OK;
    buf_init(&it->bounds, 0);
    buf_put_slice(&it->bounds, from);
    buf_put_slice(&it->bounds, to);
    if (it->bounds.failed) {
        buf_free(&it->bounds);
        free(it);
        return NULL;
    }
    it->read = rocksdb_readoptions_create();
    if (snap)
        rocksdb_readoptions_set_snapshot(it->read, snap->snap);
    const char *bounds = (const char *)it->bounds.data;
    rocksdb_readoptions_set_iterate_lower_bound(it->read, bounds, from.len);
    rocksdb_readoptions_set_iterate_upper_bound(it->read, bounds + from.len, to.len);
    it->it = rocksdb_create_iterator_cf(kv->db, it->read, kv_handle(kv, f));
    return it;
}

void kv_iter_free(struct kv_iter *it)
{
    if (!it)
        return;
    rocksdb_iter_destroy(it->it);
    rocksdb_readoptions_destroy(it->read);
    buf_free(&it->bounds);
    free(it);
}

/* Called before each move. */
static void kv_iter_moves(struct kv_iter *it)
{
    if (it->broken)
        return;
    it->fault = kv_faulty(it->kv, KV_OP_ITER_DAMAGE) ? ST_DAMAGED : ST_OK;
}

void kv_iter_first(struct kv_iter *it)
{
    kv_iter_moves(it);
    rocksdb_iter_seek_to_first(it->it);
}

void kv_iter_seek(struct kv_iter *it, struct slice key)
{
    kv_iter_moves(it);
    rocksdb_iter_seek(it->it, (const char *)key.data, key.len);
}

void kv_iter_floor(struct kv_iter *it, struct slice key)
{
    kv_iter_moves(it);
    rocksdb_iter_seek_for_prev(it->it, (const char *)key.data, key.len);
}

void kv_iter_next(struct kv_iter *it)
{
    kv_iter_moves(it);
    rocksdb_iter_next(it->it);
}

bool kv_iter_valid(const struct kv_iter *it)
{
    return it->fault == ST_OK && rocksdb_iter_valid(it->it);
}

struct slice kv_iter_key(const struct kv_iter *it)
{
    size_t len = 0;
    const char *key = rocksdb_iter_key(it->it, &len);
    return slice_of(key, len);
}

struct slice kv_iter_value(const struct kv_iter *it)
{
    size_t len = 0;
    const char *value = rocksdb_iter_value(it->it, &len);
    return slice_of(value, len);
}

enum status kv_iter_status(const struct kv_iter *it)
{
    char why[400];
    char *failure = NULL;
    if (it->fault != ST_OK)
        return it->fault;
    rocksdb_iter_get_error(it->it, &failure);
    enum status s = kv_read_status(failure, why, sizeof why);
    return s == ST_DAMAGED && it->family == KV_STATE ? kv_damaged_block(it->kv, why) : s;
}

void kv_compact(struct kv *kv, enum kv_family f)
{
    rocksdb_compact_range_cf(kv->db, kv_handle(kv, f), NULL, 0, NULL, 0);
}

static uint64_t kv_property(const struct kv *kv, enum kv_family f, const char *name)
{
    uint64_t n = 0;
    return kv_has(kv, f) && rocksdb_property_int_cf(kv->db, kv_handle(kv, f), name, &n) == 0 ? n : 0;
}

uint64_t kv_record_bytes(const struct kv *kv)
{
    uint64_t bytes = 0;
    for (enum kv_family f = KV_LOG; f <= KV_LOG_ZSTD; f++)
        bytes += kv_property(kv, f, "rocksdb.live-sst-files-size") + kv_property(kv, f, "rocksdb.live-blob-file-size") +
                 kv_property(kv, f, "rocksdb.cur-size-all-mem-tables");
    return bytes;
}

size_t kv_memory(const struct kv *kv)
{
    uint64_t buffers = 0;
    for (int f = 0; f < KV_FAMILIES; f++)
        buffers += kv_property(kv, (enum kv_family)f, "rocksdb.cur-size-all-mem-tables");
    return (size_t)buffers + rocksdb_cache_get_usage(kv->cache);
}
