/* kv_stall.c: asks RocksDB how near a stall is (kv_stall.h). */
#include "storage/disk/kv_stall.h"

#include <stdlib.h>

#include "storage/disk/kv_setup.h"

static uint64_t stall_number(struct kv *kv, enum kv_family f, const char *name)
{
    uint64_t n = 0;
    return rocksdb_property_int_cf(kv->db, kv_handle(kv, f), name, &n) == 0 ? n : 0;
}

/* The files in level 0. RocksDB has this number as a text only. */
static uint64_t stall_files(struct kv *kv, enum kv_family f)
{
    char *text = rocksdb_property_value_cf(kv->db, kv_handle(kv, f), "rocksdb.num-files-at-level0");
    uint64_t n = text ? strtoull(text, NULL, 10) : 0;
    rocksdb_free(text);
    return n;
}

static bool stall_look(struct kv *kv)
{
    for (int i = 0; i < KV_FAMILIES; i++) {
        enum kv_family f = (enum kv_family)i;
        if (!kv_has(kv, f))
            continue;
        if (stall_number(kv, f, "rocksdb.num-immutable-mem-table") >= KV_BUFFERS_NEAR ||
            stall_files(kv, f) >= KV_FILES_NEAR)
            return true;
    }
    return stall_number(kv, KV_STATE, "rocksdb.is-write-stopped") != 0 ||
           stall_number(kv, KV_STATE, "rocksdb.actual-delayed-write-rate") != 0;
}

bool kv_stall_near(struct kv *kv)
{
    if (!kv->stall_near && kv->unseen_bytes < kv->buffer_bytes / 8)
        return false;
    kv->unseen_bytes = 0;
    kv->stall_near = stall_look(kv);
    return kv->stall_near;
}

bool kv_is_crowded(struct kv *kv)
{
    uint64_t full = 0;
    for (int i = 0; i < KV_FAMILIES; i++) {
        enum kv_family f = (enum kv_family)i;
        if (kv_has(kv, f))
            full += stall_number(kv, f, "rocksdb.cur-size-all-mem-tables") -
                    stall_number(kv, f, "rocksdb.cur-size-active-mem-table");
    }
    return full > (KV_BUFFERS_MAX - 1) * kv->buffer_bytes;
}
