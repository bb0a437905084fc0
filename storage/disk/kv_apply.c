/* kv_apply.c: writes a batch into the database, whole (kv_apply.h). */
#include "storage/disk/kv_apply.h"

#include <stdio.h>

#include "protocol/limits.h"
#include "storage/disk/batch/kv_short.h"
#include "storage/disk/kv_inner.h"

struct restoring {
    struct kv *kv;
    const struct redo_parts *parts; /* NULL: none can be read */
};

static enum status kv_read_part(const struct redo_parts *parts, uint64_t part, const struct kv_short_cut *cut, struct buf *out)
{
    struct slice bytes = {0};
    enum status s = parts ? parts->read(parts->self, part, &bytes) : ST_DAMAGED;
    if (s == ST_OK && (cut->from > bytes.len || cut->len > bytes.len - cut->from))
        s = ST_DAMAGED;
    if (s == ST_OK)
        buf_put(out, bytes.data + cut->from, cut->len);
    return s;
}

static enum status kv_read_row(struct kv *kv, const struct kv_short_cut *cut, struct buf *out)
{
    struct kv_pin *pin = NULL;
    struct slice value = {0};
    enum status s = kv_get_pinned(kv, KV_STATE, cut->key, 0, NULL, &pin, &value);
    if (s == ST_OK && (cut->from > value.len || cut->len > value.len - cut->from))
        s = ST_DAMAGED;
    if (s == ST_OK)
        buf_put(out, value.data + cut->from, cut->len);
    kv_unpin(pin);
    return s;
}

/* kv_short_read_fn. In a salvage what cannot be read becomes zeros: the record, which has a checksum, is damaged then. */
static enum status kv_read_cut(void *arg, const struct kv_short_cut *cut, struct buf *out)
{
    static const uint8_t zeros[KIB(4)];
    const struct restoring *r = arg;
    uint64_t part = 0;
    enum status s = kv_short_part(cut->key, &part) ? kv_read_part(r->parts, part, cut, out) : kv_read_row(r->kv, cut, out);
    if ((s != ST_DAMAGED && s != ST_GONE) || !r->kv->salvage)
        return s;
    for (size_t n = 0; n < cut->len && !out->failed; n += sizeof zeros)
        buf_put(out, zeros, cut->len - n < sizeof zeros ? cut->len - n : sizeof zeros);
    return ST_OK;
}

static enum status kv_restore(struct restoring *r, struct slice bytes, struct buf *out, char *err, size_t err_size)
{
    enum status s = kv_short_restore(bytes, kv_read_cut, r, out);
    if (s == ST_NOMEM)
        snprintf(err, err_size, "no memory to replay the log");
    else if (s == ST_IO)
        snprintf(err, err_size, "a row that the log refers to cannot be read now");
    else if (s != ST_OK)
        snprintf(err, err_size, "a place that the log refers to is damaged, so that a message that was acknowledged cannot be "
                                "restored: restore a backup, or start with --salvage, which goes on without it");
    return s == ST_OK || s == ST_NOMEM || s == ST_IO ? s : ST_DAMAGED;
}

enum status kv_apply(struct kv *kv, struct slice bytes, const struct redo_parts *parts, char *err, size_t err_size)
{
    struct restoring r = {.kv = kv, .parts = parts};
    struct buf whole;
    if (atomic_load(&kv->dead)) {
        snprintf(err, err_size, "an earlier write to the store failed");
        return ST_IO;
    }
    buf_init(&whole, SIZE_MAX);
    enum status restored = kv_short_is(bytes) ? kv_restore(&r, bytes, &whole, err, err_size) : ST_OK;
    if (restored != ST_OK) {
        buf_free(&whole);
        return restored;
    }
    bytes = whole.len ? buf_slice(&whole) : bytes;
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create_from((const char *)bytes.data, bytes.len);
    kv_freed_scan(&kv->freed, bytes);
    bool written = kv_write_batch(kv, batch, false, err, err_size);
    rocksdb_writebatch_destroy(batch);
    buf_free(&whole);
    return written ? ST_OK : kv_die(kv);
}
