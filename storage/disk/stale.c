/* stale.c: decides which rows a compaction may drop (stale.h). A damaged row stays, so that whoever reads it reports
 * it. */
#include "storage/disk/stale.h"

#include "storage/disk/keys.h"
#include "storage/disk/kv_freed.h"
#include "storage/disk/rows.h"

static bool dedup_stale(struct slice value, int64_t now_ms)
{
    struct dedup_row row;
    return dedup_decode(value, &row) == ST_OK && row.expires_ms <= now_ms;
}

static bool dedup_half_stale(struct slice value, int64_t now_ms)
{
    struct dedup_half_row row;
    return dedup_half_decode(value, &row) == ST_OK && row.expires_ms <= now_ms;
}

/* An outcome must stay longer than the young row that it overrides, however short the retention is. */
#define OUTCOME_KEEP_MIN_MS 10000

static bool txn_hidden(struct slice key, const struct kv_mark *mark)
{
    uint64_t txid = key.len == 9 ? key_read_u64(key.data + 1) : 0;
    return txid >= mark->hidden_from && txid <= mark->hidden_to;
}

static bool outcome_stale(struct slice value, const struct kv_mark *mark)
{
    struct txn_row row;
    int64_t keep = mark->keep_ms > OUTCOME_KEEP_MIN_MS ? mark->keep_ms : OUTCOME_KEEP_MIN_MS;
    return txn_decode(value, &row) == ST_OK && row.decided_ms <= mark->now_ms - keep;
}

static bool txn_stale(struct slice key, struct slice value, const struct kv_mark *mark)
{
    struct txn_row row;
    return key.len == 9 && key_read_u64(key.data + 1) < mark->floor && txn_decode(value, &row) == ST_OK &&
           row.young;
}

#define INDEX_KEY_STORED_AT 17 /* kind, topic u64, hash u64 */

static bool index_stale(struct slice key, const struct kv_mark *mark)
{
    if (key.len < INDEX_KEY_STORED_AT + 8 || !mark->kept)
        return false;
    uint64_t stored = key_read_u64(key.data + INDEX_KEY_STORED_AT);
    return stored <= INT64_MAX && kv_kept_gone(mark->kept, key_read_u64(key.data + 1), (int64_t)stored, mark->now_ms);
}

bool row_stale(struct slice key, struct slice value, const struct kv_mark *mark)
{
    switch (key.len ? key.data[0] : 0) {
    case 'D': return dedup_stale(value, mark->now_ms);
    case 'U': return dedup_half_stale(value, mark->now_ms);
    case 'I': return index_stale(key, mark);
    case 'O': return !txn_hidden(key, mark) && outcome_stale(value, mark);
    case 'X': return !txn_hidden(key, mark) && txn_stale(key, value, mark);
    default: return false;
    }
}
