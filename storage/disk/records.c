/* records.c: finds batch records by topic, queue and offset (records.h). */
#include "storage/disk/records.h"

#include "storage/disk/keys.h"

enum kv_family records_family(enum compress compress)
{
    static const enum kv_family families[] = {
        [COMPRESS_NONE] = KV_LOG, [COMPRESS_LZ4] = KV_LOG_LZ4, [COMPRESS_ZSTD] = KV_LOG_ZSTD};
    return families[compress];
}

struct kv_iter *records_iter(struct kv *kv, const struct kv_snap *snap, enum compress compress, uint64_t topic,
                             uint32_t queue)
{
    struct key from = key_log(topic, queue, 0), to = key_log(topic, queue + 1, 0);
    return kv_iter_new(kv, records_family(compress), snap, key_slice(&from), key_slice(&to));
}

enum status records_header(const struct kv_iter *it, struct record_header *ret_h)
{
    if (!kv_iter_valid(it)) {
        enum status s = kv_iter_status(it);
        return s == ST_OK ? ST_GONE : s;
    }
    struct slice key = kv_iter_key(it);
    bool read = record_header_read(kv_iter_value(it), ret_h) == ST_OK;
    return read && key.len == LOG_KEY_BYTES && key_read_u64(key.data + 12) == ret_h->base ? ST_OK : ST_DAMAGED;
}

enum status records_seek(struct kv_iter *it, uint64_t topic, uint32_t queue, uint64_t offset,
                         struct record_header *ret_h)
{
    struct key key = key_log(topic, queue, offset);
    kv_iter_floor(it, key_slice(&key));
    enum status s = records_header(it, ret_h);
    bool behind = s == ST_GONE || (s == ST_OK && offset >= ret_h->base + ret_h->count);
    if (!behind)
        return s;
    kv_iter_seek(it, key_slice(&key));
    return records_header(it, ret_h);
}

enum status records_seek_on(struct kv_iter *it, uint64_t topic, uint32_t queue, uint64_t offset, struct record_header *h)
{
    uint64_t end = h->base + h->count;
    if (h->count > 0 && offset >= end && offset - end < h->count) { /* it is mostly the next one */
        kv_iter_next(it);
        struct record_header next;
        if (records_header(it, &next) == ST_OK && offset >= next.base && offset - next.base < next.count) {
            *h = next;
            return ST_OK;
        }
    }
    return records_seek(it, topic, queue, offset, h);
}
