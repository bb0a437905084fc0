/*
 * query_check.c: reads a long transaction for whoever asks about it, message by message. It has been asked about, so it is
 * not young (storage/model/young.h): where it has no row X, it is decided.
 */
#include "storage/query/base/view.h"

#define ROW_BYTES_KEEP KIB(256) /* between two messages: many views may be open */

static enum status check_row(struct view *v, uint64_t txid, struct txn_row *ret_row)
{
    struct key key = key_txn(txid);
    enum status s = view_get(v, &key);
    if (s == ST_OK && txn_decode(buf_slice(&v->row), ret_row) != ST_OK)
        s = view_damaged(v, &key);
    return s;
}

enum status query_check_begin(struct view *v, uint64_t txid, struct check_reader *ret_r, struct check_head *ret_head)
{
    struct txn_row row;
    enum status s = check_row(v, txid, &row);
    if (s != ST_OK)
        return s;
    *ret_r = (struct check_reader){.txid = txid, .n = row.n_messages};
    *ret_head = (struct check_head){
        .txid = txid, .pgroup = row.pgroup, .attempt = row.checks, .created_ms = row.created_ms};
    return ST_OK;
}

/* Finds the next message: in row X, or in a row of its own. */
static enum status check_message(struct view *v, const struct check_reader *r, struct key *ret_key, struct slice *ret_half)
{
    struct txn_row row;
    *ret_key = key_txn(r->txid);
    enum status s = r->at == 0 ? check_row(v, r->txid, &row) : ST_OK;
    if (s == ST_OK && r->at == 0 && row.first.len) {
        *ret_half = row.first;
        return ST_OK;
    }
    if (s == ST_OK) {
        *ret_key = key_txn_message(r->txid, r->at);
        s = view_get(v, ret_key);
        *ret_half = buf_slice(&v->row);
    }
    return s;
}

enum status query_check_next(struct view *v, struct check_reader *r, struct buf *reply)
{
    struct key key;
    struct slice bytes = {0};
    struct half_row half;
    struct message m;
    assert(r->at < r->n);
    enum status s = check_message(v, r, &key, &bytes);
    if (s == ST_GONE || (s == ST_OK && (half_decode(bytes, &half) != ST_OK ||
                                        message_decode(half.message, half.base_ms, &m) != ST_OK)))
        s = view_damaged(v, &key); /* row X counts it */
    if (s == ST_OK) {
        check_object_put_message(reply, half.topic, &m);
        r->at++;
    }
    buf_reset(&v->row, ROW_BYTES_KEEP);
    return s;
}
