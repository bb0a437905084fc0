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

enum status records_seek(struct kv_iter *it, uint64_t topic, uint32_t queue, uint64_t offset,
                         struct record_header *ret_h)
{
    struct key key = key_log(topic, queue, offset);
    kv_iter_floor(it, key_slice(&key));
    struct record_header h = {0};
    bool found = kv_iter_valid(it) && record_header_read(kv_iter_value(it), &h) == ST_OK &&
                 offset < h.base + h.count;
    if (!found) {
        kv_iter_seek(it, key_slice(&key));
        if (!kv_iter_valid(it))
            return kv_iter_status(it) == ST_OK ? ST_GONE : ST_IO;
        if (record_header_read(kv_iter_value(it), &h) != ST_OK)
            return ST_IO;
    }
    *ret_h = h;
    return ST_OK;
}
