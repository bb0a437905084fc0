/* txn_row.c: reads the row of a transaction (txn_row.h). */
#include "storage/query/txn_row.h"

#include "storage/access/judge.h"

bool txn_row_forgotten(const struct view *v, const struct txn_row *row)
{
    bool decided = row->state == TXN_COMMITTED || row->state == TXN_ROLLEDBACK;
    return decided && row->decided_ms + v->policy.txn_outcome_retention_ms <= v->now_ms;
}

static enum status txn_row_read(struct view *v, const struct key *key, struct txn_row *ret_row)
{
    enum status s = view_get(v, key);
    if (s != ST_OK)
        return s;
    return txn_decode(buf_slice(&v->row), ret_row) == ST_OK ? ST_OK : view_damaged(v, key);
}

enum status txn_row_meta(struct view *v, struct meta_row *ret_meta)
{
    struct key key = key_meta();
    enum status s = view_get(v, &key);
    if (s == ST_OK)
        s = meta_decode(buf_slice(&v->row), ret_meta) == ST_OK ? ST_OK : view_damaged(v, &key);
    return s;
}

/* A decided one may have left a young row, so its outcome is looked up first. */
static enum status txn_row_look(struct view *v, uint64_t txid, struct txn_row *ret_row)
{
    struct meta_row meta;
    enum status s = txn_row_meta(v, &meta);
    if (s != ST_OK)
        return s;
    struct key outcome = key_outcome(txid), open = key_txn(txid);
    s = txn_row_read(v, &outcome, ret_row);
    if (s == ST_OK && txn_row_forgotten(v, ret_row))
        return ST_GONE;
    if (s != ST_GONE)
        return s;
    s = txn_row_read(v, &open, ret_row);
    return s == ST_OK && ret_row->young && !meta_young_counts(&meta, txid) ? ST_GONE : s;
}

/* One that the user may not see is as if it were not there. */
enum status txn_row_find(struct view *v, uint64_t txid, struct txn_row *ret_row)
{
    enum status s = txn_row_look(v, txid, ret_row);
    return s == ST_OK && v->user && !judge_pgroup(v->user, ret_row->pgroup) ? ST_GONE : s;
}

void txn_row_refuse(struct buf *reply, enum status s, uint64_t txid)
{
    if (s == ST_GONE)
        reply_error(reply, ST_NOTXN, "no transaction %llu: never issued, or decided long ago and forgotten",
                    (unsigned long long)txid);
    else
        view_refuse(reply, s, "store", slice_of(NULL, 0));
}
