/* kv_stale.c: finds tables that are mostly stale rows, and compacts them (kv_stale.h). */
#include "storage/disk/kv_stale.h"

#include "protocol/limits.h"
#include "storage/disk/keys.h"
#include "storage/disk/kv_inner.h"
#include "storage/disk/kv_setup.h"
#include "storage/disk/kv_space.h"

#define STALE_TABLES_MAX 32 /* that are looked at in one call */
#define STALE_TABLE_BYTES_MIN MIB(1)
#define STALE_SAMPLE 64 /* rows at each end */
#define STALE_SKIPS_MAX 4096 /* deleted rows that are passed to find them */

static const char stale_kinds[] = {'D', 'I', 'O', 'X'}; /* stale.c */

/* A stretch of keys: from <= key < to. */
struct stale_range {
    struct key from, to;
};

static struct key stale_key(const char *data, size_t len)
{
    struct key k = {.len = 0};
    key_bytes(&k, slice_of(data, len < KEY_SIZE ? len : KEY_SIZE));
    return k;
}

static bool stale_before(const struct key *a, const struct key *b)
{
    uint32_t n = a->len < b->len ? a->len : b->len;
    int order = memcmp(a->bytes, b->bytes, n);
    return order < 0 || (order == 0 && a->len < b->len);
}

/* What table i has of a kind. False: nothing, or just one row. */
static bool stale_clip(const rocksdb_livefiles_t *files, int i, char kind, struct stale_range *ret_range)
{
    size_t first_len = 0, last_len = 0;
    const char *first = rocksdb_livefiles_smallestkey(files, i, &first_len);
    const char *last = rocksdb_livefiles_largestkey(files, i, &last_len);
    struct key low = stale_key(first, first_len), high = stale_key(last, last_len);
    struct stale_range kinds;
    key_begin(&kinds.from, kind);
    kinds.to = key_after(&kinds.from);
    ret_range->from = stale_before(&low, &kinds.from) ? kinds.from : low;
    ret_range->to = stale_before(&high, &kinds.to) ? high : kinds.to;
    return stale_before(&ret_range->from, &ret_range->to);
}

/* Are at least half of the rows at one end of the range stale? A row that is damaged ends the sample. */
static bool stale_end(struct kv *kv, const struct kv_mark *mark, rocksdb_iterator_t *it, bool last)
{
    uint32_t n = 0, stale = 0;
    if (last)
        rocksdb_iter_seek_to_last(it);
    else
        rocksdb_iter_seek_to_first(it);
    for (; n < STALE_SAMPLE && rocksdb_iter_valid(it); n++) {
        size_t key_len = 0, len = 0;
        const char *key = rocksdb_iter_key(it, &key_len);
        const char *value = rocksdb_iter_value(it, &len);
        stale += kv->stale(slice_of(key, key_len), slice_of(value, len), mark);
        if (last)
            rocksdb_iter_prev(it);
        else
            rocksdb_iter_next(it);
    }
    return n > 0 && stale >= (n + 1) / 2;
}

static bool stale_range(struct kv *kv, const struct kv_mark *mark, const struct stale_range *r)
{
    rocksdb_readoptions_t *read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_iterate_lower_bound(read, (const char *)r->from.bytes, r->from.len);
    rocksdb_readoptions_set_iterate_upper_bound(read, (const char *)r->to.bytes, r->to.len);
    rocksdb_readoptions_set_max_skippable_internal_keys(read, STALE_SKIPS_MAX);
    rocksdb_readoptions_set_fill_cache(read, 0);
    rocksdb_iterator_t *it = rocksdb_create_iterator_cf(kv->db, read, kv_handle(kv, KV_STATE));
    bool stale = stale_end(kv, mark, it, false) && stale_end(kv, mark, it, true);
    rocksdb_iter_destroy(it);
    rocksdb_readoptions_destroy(read);
    return stale;
}

/* Looks at a table of rows; true: it was compacted. */
static bool stale_table(struct kv *kv, const struct kv_mark *mark, const rocksdb_livefiles_t *files, int i)
{
    for (size_t k = 0; k < sizeof(stale_kinds); k++) {
        struct stale_range r;
        if (!stale_clip(files, i, stale_kinds[k], &r) || !stale_range(kv, mark, &r))
            continue;
        kv_space_compact(kv, KV_STATE, key_slice(&r.from), key_slice(&r.to));
        return true;
    }
    return false;
}

bool kv_stale_give_back(struct kv *kv)
{
    struct kv_mark mark;
    if (!kv->stale || kv->uncompacted || !kv_told(kv, &mark))
        return false;
    const rocksdb_livefiles_t *files = rocksdb_livefiles(kv->db);
    int n = rocksdb_livefiles_count(files), looked = 0;
    bool given = false;
    for (int step = 0; step < n && looked < STALE_TABLES_MAX && !given; step++) {
        int i = (int)(kv->stale_at++ % (uint32_t)n);
        bool rows = strcmp(rocksdb_livefiles_column_family_name(files, i), kv_setup_lines[KV_STATE].name) == 0;
        if (!rows || rocksdb_livefiles_size(files, i) < (size_t)STALE_TABLE_BYTES_MIN)
            continue;
        looked++;
        given = stale_table(kv, &mark, files, i);
    }
    rocksdb_livefiles_destroy(files);
    return given;
}
