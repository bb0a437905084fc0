/* meta.c: reads the store's own row (meta.h). */
#include "storage/disk/meta.h"

#include <stdio.h>

#include "protocol/base/text.h"
#include "storage/disk/keys.h"

enum status meta_read(struct kv *kv, const char *path, struct meta_row *ret_meta, char *err, size_t err_size)
{
    struct key key = key_meta();
    struct buf row;
    buf_init(&row, KIB(64));
    enum status s = kv_get(kv, KV_STATE, NULL, key_slice(&key), &row);
    if (s == ST_OK)
        s = meta_decode(buf_slice(&row), ret_meta);
    bool earlier = s == ST_BAD && row.len > 0 && row.data[0] > 0 && row.data[0] < META_VERSION;
    bool later = s == ST_BAD && row.len > 0 && row.data[0] > META_VERSION;
    unsigned version = row.len > 0 ? row.data[0] : 0;
    buf_free(&row);
    if (s == ST_GONE) {
        *ret_meta = (struct meta_row){.last_id = TXID_MIN, .next_ref = 1};
        return ST_OK;
    }
    if (earlier)
        snprintf(err, err_size,
                 "the store in %s was written by an earlier version, in format %u, which this one does not read: read it with "
                 "that version, and start this one on an empty folder",
                 path, version);
    else if (later)
        snprintf(err, err_size,
                 "the store in %s has format %u, and this version knows formats up to %u: start the version that wrote it, or a "
                 "later one. Nothing was changed",
                 path, version, META_VERSION);
    else if (s != ST_OK)
        snprintf(err, err_size, "the store in %s is damaged or of another version: its first row cannot be read. " DAMAGE_WHAT_TO_DO, path);
    return s;
}

uint64_t meta_stored(struct kv *kv)
{
    struct key key = key_meta();
    struct meta_row meta;
    struct buf row;
    buf_init(&row, KIB(64));
    bool read = kv_get_stored(kv, KV_STATE, key_slice(&key), &row) == ST_OK &&
                meta_decode(buf_slice(&row), &meta) == ST_OK;
    buf_free(&row);
    return read ? meta.index : 0;
}
