/* kv_space.c: compacts what was deleted (kv_space.h). */
#include "storage/disk/kv_space.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/limits.h"
#include "storage/disk/keys.h"
#include "storage/disk/kv_setup.h"

#define SPACE_FORCE 2       /* RocksDB's kForce: the C interface has no name for it */
#define SPACE_FEW 4         /* so many topics are compacted one by one; more as one range */
#define SPACE_ROWS_MIN MIB(1) /* rows of a topic that are worth a compaction */
#define SPACE_GARBAGE_MIN MIB(8)
#define SPACE_GARBAGE_SHARE 8 /* garbage is collected from one part in so many on; ... */
#define SPACE_PASS_BYTES ((uint64_t)MIB(256)) /* a pass empties files of so many bytes, ... */
#define SPACE_URGENT_PASSES 16
#define SPACE_CUT_MIN ((uint64_t)MIB(32)) /* a round for what was cut off: from so many bytes on, ... */
#define SPACE_CUT_SHARE 16                /* ... and one part in so many of all */
#define SPACE_PASSES 8                        /* ... or one part in so many of all */

static const enum kv_family space_logs[] = {KV_LOG, KV_LOG_LZ4, KV_LOG_ZSTD};
#define SPACE_LOGS (sizeof(space_logs) / sizeof(space_logs[0]))

static uint64_t space_number(struct kv *kv, enum kv_family f, const char *name)
{
    uint64_t n = 0;
    return rocksdb_property_int_cf(kv->db, kv_handle(kv, f), name, &n) == 0 ? n : 0;
}

static bool space_stopped(const struct kv *kv)
{
    return atomic_load(&kv->space_stop) || atomic_load(&kv->dead);
}

void kv_space_compact(struct kv *kv, enum kv_family f, struct slice from, struct slice to)
{
    if (space_stopped(kv))
        return;
    rocksdb_compactoptions_t *o = rocksdb_compactoptions_create();
    rocksdb_compactoptions_set_exclusive_manual_compaction(o, 0);
    rocksdb_compactoptions_set_bottommost_level_compaction(o, SPACE_FORCE);
    rocksdb_compact_range_cf_opt(kv->db, kv_handle(kv, f), o, (const char *)from.data, from.len,
                                 (const char *)to.data, to.len);
    rocksdb_compactoptions_destroy(o);
}

/* ---- deleted topics ---- */

static void space_compact_records(struct kv *kv, uint64_t first, uint64_t last)
{
    struct key from = key_log(first, 0, 0), to = key_log(last + 1, 0, 0);
    for (size_t i = 0; i < SPACE_LOGS; i++) {
        if (kv_has(kv, space_logs[i]))
            kv_space_compact(kv, space_logs[i], key_slice(&from), key_slice(&to));
    }
}

/* Compacts the rows that belong to a topic's messages, where they are many. */
static void space_compact_rows(struct kv *kv, uint64_t topic)
{
    static const char kinds[] = {'B', 'D', 'E', 'I', 'L', 'd'};
    for (size_t i = 0; i < sizeof(kinds); i++) {
        struct key from = key_of_id(kinds[i], topic), to = key_after(&from);
        const char *starts[] = {(const char *)from.bytes}, *ends[] = {(const char *)to.bytes};
        const size_t start_sizes[] = {from.len}, end_sizes[] = {to.len};
        uint64_t bytes = 0;
        char *failure = NULL;
        rocksdb_approximate_sizes_cf(kv->db, kv_handle(kv, KV_STATE), 1, starts, start_sizes, ends, end_sizes, &bytes,
                                     &failure);
        rocksdb_free(failure);
        if (bytes >= SPACE_ROWS_MIN)
            kv_space_compact(kv, KV_STATE, key_slice(&from), key_slice(&to));
    }
}

/* Compacts what was deleted since the last round. The first compaction flushes all write buffers, so that the deletions
 * are in tables. rows: rows that were deleted, too; where only the oldest were, they wait for RocksDB's own compactions. */
static uint32_t space_compact_topics(struct kv *kv, struct kv_freed *freed, bool rows)
{
    uint64_t topics[KV_FREED_MAX], first = UINT64_MAX, last = 0;
    uint32_t n = 0;
    while (n < KV_FREED_MAX && kv_freed_take(freed, &topics[n])) {
        first = topics[n] < first ? topics[n] : first;
        last = topics[n] > last ? topics[n] : last;
        n++;
    }
    if (n > SPACE_FEW)
        space_compact_records(kv, first, last);
    for (uint32_t i = 0; i < n; i++) {
        if (n <= SPACE_FEW)
            space_compact_records(kv, topics[i], topics[i]);
        if (rows)
            space_compact_rows(kv, topics[i]);
    }
    return n;
}

/* ---- tables ---- */

/* Compacts the tables of a family one by one: those that have deletions, or all. */
static uint32_t space_compact_tables(struct kv *kv, enum kv_family f, bool all)
{
    const rocksdb_livefiles_t *files = rocksdb_livefiles(kv->db);
    uint32_t n = 0;
    for (int i = 0; i < rocksdb_livefiles_count(files); i++) {
        bool own = strcmp(rocksdb_livefiles_column_family_name(files, i), kv_setup_lines[f].name) == 0;
        if (!own || (!all && rocksdb_livefiles_deletions(files, i) == 0))
            continue;
        struct slice from, to;
        from.data = (const uint8_t *)rocksdb_livefiles_smallestkey(files, i, &from.len);
        to.data = (const uint8_t *)rocksdb_livefiles_largestkey(files, i, &to.len);
        kv_space_compact(kv, f, from, to);
        n++;
    }
    rocksdb_livefiles_destroy(files);
    return n;
}

static void space_compact_marked(struct kv *kv)
{
    for (size_t i = 0; i < SPACE_LOGS; i++) {
        if (kv_has(kv, space_logs[i]))
            space_compact_tables(kv, space_logs[i], false);
    }
}

/* ---- garbage in blob files ---- */

static bool space_set(struct kv *kv, enum kv_family f, bool on, double share)
{
    char text[32];
    snprintf(text, sizeof(text), "%.6f", share);
    const char *names[] = {"enable_blob_garbage_collection", "blob_garbage_collection_age_cutoff"};
    const char *values[] = {on ? "true" : "false", text};
    char *failure = NULL;
    rocksdb_set_options_cf(kv->db, kv_handle(kv, f), 2, names, values, &failure);
    bool set = failure == NULL;
    rocksdb_free(failure);
    return set;
}

/* How many of the oldest blob files a pass may empty, of `files` that hold `total` bytes. On a full disk each may be as
 * large as one can be. */
static uint64_t space_pass_files(const struct kv *kv, bool urgent, uint64_t files, uint64_t total, uint64_t room)
{
    uint64_t most = total / SPACE_PASSES > SPACE_PASS_BYTES ? total / SPACE_PASSES : SPACE_PASS_BYTES;
    uint64_t each = urgent ? kv->blob_file_bytes : total / files + 1;
    uint64_t n = (most < room ? most : room) / each;
    return n < 1 ? 1 : n > files ? files : n;
}

/* Collects garbage from the oldest blob files of a family, where there is much. True: another pass would do more. */
static bool space_collect(struct kv *kv, enum kv_family f, bool urgent, uint64_t room)
{
    uint64_t files = space_number(kv, f, "rocksdb.num-blob-files");
    uint64_t total = space_number(kv, f, "rocksdb.live-blob-file-size");
    uint64_t garbage = space_number(kv, f, "rocksdb.live-blob-file-garbage-size");
    uint64_t least = urgent ? SPACE_GARBAGE_MIN / 8 : SPACE_GARBAGE_MIN;
    bool much = garbage >= least && (urgent || garbage >= total / SPACE_GARBAGE_SHARE);
    if (files == 0 || !much || kv->passes[f] == 0)
        return false;
    if (urgent && room < kv->blob_file_bytes)
        return true; /* perhaps there is more room later */
    uint64_t n = space_pass_files(kv, urgent, files, total, room);
    uint32_t passes = (uint32_t)(files / n) + 2; /* after so many the oldest files have been new ones once */
    kv->passes[f] = (kv->passes[f] > passes ? passes : kv->passes[f]) - 1;
    /* RocksDB rounds down; a bit more than n of them is still n. */
    if (space_set(kv, f, true, n == files ? 1.0 : ((double)n + 0.01) / (double)files))
        space_compact_tables(kv, f, true);
    space_set(kv, f, false, 0.25);
    return kv->passes[f] > 0;
}

/* On a full disk a pass may have room for two small files only, and somebody waits: so many follow each other while each
 * gives something back. */
static bool space_collect_some(struct kv *kv, enum kv_family f, bool urgent, uint64_t room)
{
    uint64_t before = UINT64_MAX, garbage = space_number(kv, f, "rocksdb.live-blob-file-garbage-size");
    bool more = true;
    for (int i = 0; i < (urgent ? SPACE_URGENT_PASSES : 1) && more && garbage < before; i++) {
        before = garbage;
        more = space_collect(kv, f, urgent, room);
        garbage = space_number(kv, f, "rocksdb.live-blob-file-garbage-size");
    }
    return more;
}

/* ---- rounds ---- */

void kv_space_alone(struct kv *kv, bool allowed)
{
    const char *names[] = {"disable_auto_compactions"}, *values[] = {allowed ? "false" : "true"};
    for (int i = 0; i < KV_FAMILIES && !space_stopped(kv) && !kv->uncompacted; i++) {
        char *failure = NULL;
        if (kv_has(kv, (enum kv_family)i))
            rocksdb_set_options_cf(kv->db, kv_handle(kv, (enum kv_family)i), 1, names, values, &failure);
        rocksdb_free(failure);
    }
}

void kv_space_cut_range(struct kv *kv, enum kv_family f, struct slice from, struct slice to)
{
    rocksdb_writebatch_delete_range_cf(kv->batch, kv_handle(kv, f), (const char *)from.data, from.len,
                                       (const char *)to.data, to.len);
}

void kv_space_cut(struct kv *kv, uint64_t topic, uint64_t bytes)
{
    kv_freed_cut(&kv->cut, topic, bytes);
}

void kv_space_kept(struct kv *kv, uint64_t topic, int64_t since_ms, int64_t now_ms)
{
    kv_kept_note(&kv->kept, topic, since_ms, now_ms);
}

bool kv_space_much(const struct kv *kv)
{
    uint64_t worth = atomic_load(&kv->cut_worth);
    return kv_freed_bytes(&kv->cut) >= (worth ? worth : SPACE_CUT_MIN);
}

bool kv_space_any(const struct kv *kv, bool urgent)
{
    return kv_freed_any(&kv->freed) || (urgent ? kv_freed_bytes(&kv->cut) > 0 : kv_space_much(kv));
}

/* From how many bytes on that are cut off the next round is due. */
static void space_weigh_cuts(struct kv *kv)
{
    uint64_t total = 0;
    for (size_t i = 0; i < SPACE_LOGS; i++)
        total += kv_has(kv, space_logs[i]) ? space_number(kv, space_logs[i], "rocksdb.live-blob-file-size") : 0;
    uint64_t share = total / SPACE_CUT_SHARE;
    atomic_store(&kv->cut_worth, share > SPACE_CUT_MIN ? share : SPACE_CUT_MIN);
}

/* RocksDB's number of the oldest snapshot; UINT64_MAX: there is none. */
static uint64_t space_oldest_snapshot(struct kv *kv)
{
    uint64_t oldest = space_number(kv, KV_STATE, "rocksdb.oldest-snapshot-sequence");
    return space_number(kv, KV_STATE, "rocksdb.num-snapshots") > 0 ? oldest : UINT64_MAX;
}

/* Could a snapshot still see what was deleted before the round fell due? Where readers take turns there is always one that
 * is older than the last deletion, so that is not asked. */
static bool space_is_watched(struct kv *kv, uint64_t oldest)
{
    if (kv->awaited == 0)
        kv->awaited = atomic_load(&kv->freed_at);
    if (oldest < kv->awaited)
        return true;
    kv->awaited = 0;
    return false;
}

/* What the write buffers hold: the first compaction writes it into tables. */
static uint64_t space_buffered(struct kv *kv)
{
    uint64_t n = 0;
    for (int f = 0; f < KV_FAMILIES; f++) {
        if (kv_has(kv, (enum kv_family)f))
            n += space_number(kv, (enum kv_family)f, "rocksdb.cur-size-all-mem-tables");
    }
    return n;
}

bool kv_space_give_back(struct kv *kv, bool urgent, uint64_t room)
{
    if (space_stopped(kv) || kv->uncompacted)
        return false;
    uint64_t oldest = space_oldest_snapshot(kv), freed_at = atomic_load(&kv->freed_at);
    if (space_buffered(kv) > room || space_is_watched(kv, oldest))
        return true;
    bool lost = kv_freed_take_lost(&kv->freed) || !kv->looked || kv->again;
    bool freed = space_compact_topics(kv, &kv->freed, true) > 0;
    bool cut = (urgent || kv_space_much(kv)) && kv_freed_take_bytes(&kv->cut) > 0;
    if (cut) {
        lost = kv_freed_take_lost(&kv->cut) || lost;
        lost = space_compact_topics(kv, &kv->cut, false) == 0 || lost;
    }
    if (lost)
        space_compact_marked(kv);
    space_weigh_cuts(kv);
    kv->looked = true;
    kv->again = (freed || cut || lost) && oldest < freed_at;
    bool more = false;
    for (size_t i = 0; i < SPACE_LOGS; i++) {
        enum kv_family f = space_logs[i];
        if (freed || cut || lost)
            kv->passes[f] = UINT32_MAX;
        more = (kv_has(kv, f) && space_collect_some(kv, f, urgent, room / 2)) || more;
    }
    return !space_stopped(kv) && (more || kv->again || kv_space_any(kv, urgent));
}

void kv_space_stop(struct kv *kv)
{
    atomic_store(&kv->space_stop, true);
    rocksdb_disable_manual_compaction(kv->db);
}
