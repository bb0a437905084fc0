/*
 * kv_setup.c: how RocksDB is set up.
 *
 * Budget: a quarter of the store's memory for write buffers of all families, a quarter for the block
 * cache (which also holds index and filter blocks, so that they cannot grow beside it). The rest is
 * left to the group state above and to what a flush holds for a moment.
 *
 * Settings that matter:
 *   - several small write buffers and not three large ones: writes wait only when all are full, and a flush of one of
 *     them ends sooner. Two clients that send 1 MiB bodies made a PING wait 115 ms before, and 19 since;
 *   - recovery mode point-in-time: a torn record after a crash ends the log; nothing behind it is read;
 *   - tables and blobs go to the disk in pieces of 256 KiB, each one there before the next is begun: a sync of the
 *     log waits for one of them at most. In pieces of 1 MiB, left to the kernel, the slow syncs beside a flush took
 *     twice the time; smaller pieces cost a tenth of the speed;
 *   - no compression, unless a topic asks for it: then its records go to a family whose files RocksDB's own
 *     threads compress as they write them. Writing to the log, and so an answer, takes no longer;
 *   - with another log (redo.h) RocksDB's own is off and all families are flushed together;
 *   - the log families do not split their write buffers by topic; records of one group land together.
 */
#include "storage/disk/kv_setup.h"

#include <stdio.h>

#include "protocol/limits.h"

/* Options that the C interface has no functions for. Writes are not slowed down before they have to wait (kv_stall.h): RocksDB's
 * rate for that would be far below the disk's. */
#define EXTRA "strict_bytes_per_sync=true;delayed_write_rate=1073741824"
#define OPEN_FILES 512
#define BLOB_FILE_BYTES_MIN MIB(4)
#define LOG_BLOB_BYTES_MIN 256
#define STATE_BLOB_BYTES_MIN KIB(32)
/* Files of level 0 have rows of all kinds, so they are merged with all of the level below: a million messages that wait
 * were written anew each time while that was of 512 MB, which took as much of the processors as half of SEND. */
#define STATE_LEVEL_BYTES MIB(64)
#define COMPRESSED_BLOB_BYTES_MIN KIB(4)

/* RocksDB insists on a family called default: the rows live there. */
const struct family_line kv_setup_lines[KV_FAMILIES] = {
    [KV_LOG] = {"log", rocksdb_no_compression, false},
    [KV_LOG_LZ4] = {"log-lz4", rocksdb_lz4_compression, true},
    [KV_LOG_ZSTD] = {"log-zstd", rocksdb_zstd_compression, true},
    [KV_STATE] = {"default", rocksdb_no_compression, false},
    [KV_EMPTY] = {"empty", rocksdb_no_compression, false},
};

/*
 * Rows with a body in them (half messages, delayed ones) are large, and lie apart in blob files, too: in a table the next
 * small row shares a block with a large one, and then a look-up of it, or the end of a scan, reads both. With 24 half
 * messages of 4 MB undecided, a TICK that found nothing due took 200 ms. Garbage is collected by the compactions that
 * happen anyway, so that a transaction that stays open keeps its blob and not a file of those decided long ago.
 */
static void setup_state_blobs(const struct kv *kv, rocksdb_options_t *o)
{
    rocksdb_options_set_enable_blob_files(o, 1);
    rocksdb_options_set_min_blob_size(o, STATE_BLOB_BYTES_MIN);
    rocksdb_options_set_blob_file_size(o, kv->blob_file_bytes);
    rocksdb_options_set_enable_blob_gc(o, 1);
    rocksdb_options_set_blob_gc_age_cutoff(o, 0.5);
}

/*
 * Rows are looked up by key, and most look-ups of DEDUP ids miss: filters in the files and in the write
 * buffer answer those. Filters and indexes are cut into pieces of a block's size: whole ones would be
 * larger than the cache's shards, and every look-up would read them again.
 */
static void setup_state(struct kv *kv, rocksdb_options_t *o, rocksdb_block_based_table_options_t *t)
{
    /* With a filter RocksDB also compacts files that nothing else would touch, once in 30 days. */
    if (kv->filter)
        rocksdb_options_set_compaction_filter(o, kv->filter);
    rocksdb_block_based_options_set_filter_policy(t, rocksdb_filterpolicy_create_bloom(10));
    rocksdb_block_based_options_set_partition_filters(t, 1);
    rocksdb_block_based_options_set_index_type(
        t, rocksdb_block_based_table_index_type_two_level_index_search);
    rocksdb_block_based_options_set_metadata_block_size(t, KIB(4));
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(t, 1);
    setup_state_blobs(kv, o);
    /* Small buffers make small files. A compaction of few of them would write what is below them once more each time. */
    rocksdb_options_set_level0_file_num_compaction_trigger(o, 8);
    rocksdb_options_set_memtable_whole_key_filtering(o, 1);
    rocksdb_options_set_memtable_prefix_bloom_size_ratio(o, 0.05);
}

/*
 * Records are written once and read in order. Kept in blob files, a compaction moves their keys only:
 * measured at 100-byte messages and full speed, a third of the bytes written, and half the p99 of SEND.
 * A blob file goes when nothing in it is wanted any more. RocksDB's own collection stays off: it moves
 * the oldest quarter at each compaction, wanted or not, and cost a fifth of the speed.
 *
 * Each blob is compressed by itself, so in a compressed family small records stay in the tables, where a whole
 * block is: of single messages of 300 bytes of JSON, zstd made 336 bytes a message as blobs, and 89 in blocks
 * (uncompressed: 431).
 */
static void setup_log(struct kv *kv, enum kv_family f, rocksdb_options_t *o)
{
    rocksdb_options_set_enable_blob_files(o, 1);
    rocksdb_options_set_min_blob_size(o, f == KV_LOG ? LOG_BLOB_BYTES_MIN : COMPRESSED_BLOB_BYTES_MIN);
    rocksdb_options_set_blob_compression_type(o, kv_setup_lines[f].compression);
    rocksdb_options_set_blob_file_size(o, kv->blob_file_bytes);
    rocksdb_options_set_blob_cache(o, kv->cache);
}

/* Two shards: each has room for the largest records (BATCH_BYTES_MAX), where there is memory for that. A record that does
 * not fit is read and checked again for each POP that takes a part of it: 15 ms for 8 MB. */
static rocksdb_cache_t *setup_cache(size_t bytes)
{
    rocksdb_lru_cache_options_t *o = rocksdb_lru_cache_options_create();
    rocksdb_lru_cache_options_set_capacity(o, bytes);
    rocksdb_lru_cache_options_set_num_shard_bits(o, 1);
    rocksdb_cache_t *cache = rocksdb_cache_create_lru_opts(o);
    rocksdb_lru_cache_options_destroy(o);
    return cache;
}

static void setup_family(struct kv *kv, enum kv_family f, bool uncompacted)
{
    rocksdb_options_t *o = rocksdb_options_create();
    rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();
    kv->options[f] = o;
    kv->tables[f] = t;
    rocksdb_block_based_options_set_block_cache(t, kv->cache);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 1);
    rocksdb_block_based_options_set_block_size(t, f == KV_STATE ? KIB(4) : KIB(16));
    if (f == KV_STATE)
        setup_state(kv, o, t);
    else
        setup_log(kv, f, o);
    rocksdb_options_set_block_based_table_factory(o, t);
    rocksdb_options_set_compression(o, kv_setup_lines[f].compression);
    rocksdb_options_set_write_buffer_size(o, kv->buffer_bytes);
    rocksdb_options_set_max_write_buffer_number(o, KV_BUFFERS_MAX);
    rocksdb_options_set_level0_slowdown_writes_trigger(o, KV_FILES_MAX);
    rocksdb_options_set_level0_stop_writes_trigger(o, KV_FILES_MAX);
    rocksdb_options_set_target_file_size_base(o, MIB(64));
    rocksdb_options_set_max_bytes_for_level_base(o, f == KV_STATE ? STATE_LEVEL_BYTES : MIB(512));
    rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
    rocksdb_options_set_disable_auto_compactions(o, uncompacted); /* then no number of files stops writes, either */
}

static void setup_database(rocksdb_options_t *o, size_t memory, uint32_t files_max)
{
    rocksdb_options_set_create_if_missing(o, 1);
    rocksdb_options_set_create_missing_column_families(o, 1);
    rocksdb_options_set_db_write_buffer_size(o, memory / 4);
    rocksdb_options_set_max_total_wal_size(o, memory / 2);
    rocksdb_options_set_max_background_jobs(o, 2);
    rocksdb_options_set_bytes_per_sync(o, KIB(256));
    rocksdb_options_set_writable_file_max_buffer_size(o, KIB(256));
    rocksdb_options_set_wal_recovery_mode(o, rocksdb_point_in_time_recovery);
    rocksdb_options_set_info_log_level(o, 2);
    rocksdb_options_set_keep_log_file_num(o, 2);
    rocksdb_options_set_stats_dump_period_sec(o, 0);
    rocksdb_options_set_max_open_files(o, files_max > 0 && files_max < OPEN_FILES ? (int)files_max : OPEN_FILES);
}

/* A folder that is not there, and cannot be made, keeps RocksDB from writing its own messages beside the files. */
static void setup_read_only(rocksdb_options_t *o)
{
    rocksdb_options_set_create_if_missing(o, 0);
    rocksdb_options_set_create_missing_column_families(o, 0);
    rocksdb_options_set_db_log_dir(o, "/dev/null/none");
}

void kv_setup_families(struct kv *kv, const struct kv_options *opt)
{
    size_t memory_bytes = opt->memory_bytes;
    kv->uncompacted = opt->uncompacted;
    kv->cache = setup_cache(memory_bytes / 4);
    kv->buffer_bytes = memory_bytes / 16;
    kv->blob_file_bytes = 2 * kv->buffer_bytes > BLOB_FILE_BYTES_MIN ? 2 * kv->buffer_bytes : BLOB_FILE_BYTES_MIN;
    for (int f = 0; f < KV_FAMILIES; f++)
        setup_family(kv, (enum kv_family)f, opt->uncompacted);
}

void kv_setup_free(struct kv *kv)
{
    for (int f = 0; f < KV_FAMILIES; f++) {
        rocksdb_options_destroy(kv->options[f]);
        rocksdb_block_based_options_destroy(kv->tables[f]);
    }
    rocksdb_cache_destroy(kv->cache);
}

rocksdb_options_t *kv_setup_database(const struct kv_options *opt, char *err, size_t err_size)
{
    rocksdb_options_t *base = rocksdb_options_create(), *all = rocksdb_options_create();
    setup_database(base, opt->memory_bytes, opt->files_max);
    if (opt->read_only)
        setup_read_only(base);
    rocksdb_options_set_atomic_flush(base, opt->redo != NULL);
    char *failure = NULL;
    rocksdb_get_options_from_string(base, EXTRA, all, &failure);
    rocksdb_options_destroy(base);
    if (!failure)
        return all;
    snprintf(err, err_size, "%s", failure);
    rocksdb_free(failure);
    rocksdb_options_destroy(all);
    return NULL;
}

void kv_setup_there(const rocksdb_options_t *o, const char *path, bool there[KV_FAMILIES])
{
    size_t n = 0;
    char *failure = NULL;
    char **names = rocksdb_list_column_families(o, path, &n, &failure);
    for (int f = 0; f < KV_FAMILIES; f++) {
        there[f] = !kv_setup_lines[f].on_need;
        for (size_t i = 0; !failure && i < n; i++)
            there[f] = there[f] || strcmp(names[i], kv_setup_lines[f].name) == 0;
    }
    if (names)
        rocksdb_list_column_families_destroy(names, n); /* there is an empty list even where it failed */
    rocksdb_free(failure);
}

/* RocksDB has no call for this. But a batch that is cleared keeps its memory, so it is made of that many bytes, whatever they
 * are. */
rocksdb_writebatch_t *kv_setup_batch(size_t bytes)
{
    struct buf any;
    rocksdb_writebatch_t *batch = NULL;
    buf_init(&any, bytes);
    if (buf_room(&any, bytes)) {
        batch = rocksdb_writebatch_create_from((const char *)any.data, bytes);
        rocksdb_writebatch_clear(batch);
    }
    buf_free(&any);
    return batch;
}
