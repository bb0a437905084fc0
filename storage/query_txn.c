/* query_txn.c: TXN INFO. */
#include "storage/view.h"

static const char *const txn_words[] = {
    [TXN_PENDING] = "pending",
    [TXN_COMMITTED] = "committed",
    [TXN_ROLLEDBACK] = "rolledback",
    [TXN_PARKED] = "parked",
};

static void put_ids(struct buf *r, const struct txn_row *row)
{
    struct cursor c = cursor_of(row->outcome);
    reply_bulk_str(r, "ids");
    reply_array(r, row->n_messages);
    for (uint32_t i = 0; i < row->n_messages; i++)
        reply_bulk(r, cursor_sized(&c));
}

static void txn_put_info(struct buf *reply, uint64_t txid, const struct txn_row *row)
{
    bool decided = row->state == TXN_COMMITTED || row->state == TXN_ROLLEDBACK;
    bool committed = row->state == TXN_COMMITTED;
    size_t pairs = 9;
    pairs += decided ? 1 : 0;
    pairs += committed ? 1 : 0;
    reply_map(reply, pairs);
    reply_bulk_str(reply, "txid");
    reply_bulk_uint(reply, txid);
    reply_bulk_str(reply, "state");
    reply_bulk_str(reply, txn_words[row->state]);
    reply_field_bytes(reply, "pgroup", row->pgroup);
    reply_field_int(reply, "created", row->created_ms);
    reply_field_int(reply, "checks", row->checks);
    reply_field_int(reply, "messages", row->n_messages);
    reply_field_int(reply, "bytes", (int64_t)row->bytes);
    reply_field_int(reply, "timeout", row->timeout_ms);
    reply_field_int(reply, "next_check", row->state == TXN_PENDING ? row->next_check_ms : 0);
    if (decided)
        reply_field_int(reply, "decided", row->decided_ms);
    if (committed)
        put_ids(reply, row);
}

static enum status read_row(struct view *v, const struct key *key, struct txn_row *ret_row)
{
    enum status s = view_get(v, key);
    if (s != ST_OK)
        return s;
    return txn_decode(buf_slice(&v->row), ret_row) == ST_OK ? ST_OK : ST_IO;
}

/* The first id whose young row counts. */
static enum status young_floor_of(struct view *v, uint64_t *ret_floor)
{
    struct meta_row meta;
    struct key key = key_meta();
    enum status s = view_get(v, &key);
    if (s == ST_OK)
        s = meta_decode(buf_slice(&v->row), &meta) == ST_OK ? ST_OK : ST_IO;
    if (s == ST_OK)
        *ret_floor = meta.young;
    return s;
}

/* A decided one may have left a young row behind: its outcome is looked for first. */
static enum status view_txn(struct view *v, uint64_t txid, struct txn_row *ret_row)
{
    uint64_t floor = 0;
    enum status s = young_floor_of(v, &floor);
    if (s != ST_OK)
        return s;
    struct key outcome = key_outcome(txid), open = key_txn(txid);
    s = read_row(v, &outcome, ret_row);
    if (s == ST_OK && ret_row->decided_ms + v->policy->txn_outcome_retention_ms <= v->now_ms)
        return ST_GONE;
    if (s != ST_GONE)
        return s;
    s = read_row(v, &open, ret_row);
    return s == ST_OK && ret_row->young && txid < floor ? ST_GONE : s;
}

void query_txn_info(struct view *v, const struct command *cmd, struct buf *reply, struct query_hint *hint)
{
    (void)hint;
    uint64_t txid = 0;
    bool parsed = text_txid(cmd->pos[0], &txid);
    assert(parsed);
    struct txn_row row;
    enum status s = view_txn(v, txid, &row);
    if (s == ST_GONE)
        reply_error(reply, ST_NOTXN, "no transaction %llu: never issued, or decided long ago and forgotten",
                    (unsigned long long)txid);
    else if (s != ST_OK)
        view_refuse(reply, s, "store", slice_of(NULL, 0));
    else
        txn_put_info(reply, txid, &row);
}
