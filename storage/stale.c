/* stale.c: see stale.h. Damaged rows stay, for whoever reads them to complain about. */
#include "storage/stale.h"

#include "storage/rows.h"

static bool dedup_stale(struct slice value, int64_t now_ms)
{
    struct dedup_row row;
    return dedup_decode(value, &row) == ST_OK && row.expires_ms <= now_ms;
}

static bool txn_stale(struct slice value, int64_t now_ms, int64_t keep_ms)
{
    struct txn_row row;
    if (txn_decode(value, &row) != ST_OK)
        return false;
    bool decided = row.state == TXN_COMMITTED || row.state == TXN_ROLLEDBACK;
    return decided && row.decided_ms + keep_ms <= now_ms;
}

bool row_stale(struct slice key, struct slice value, int64_t now_ms, int64_t keep_ms)
{
    switch (key.len ? key.data[0] : 0) {
    case 'D': return dedup_stale(value, now_ms);
    case 'X': return txn_stale(value, now_ms, keep_ms);
    default: return false;
    }
}
