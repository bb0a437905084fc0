/* dedup.c: remembers the first answer to a DEDUP id in a row, and finds it while that row is valid (dedup.h). */
#include "storage/model/dedup.h"

#include "storage/model/txn.h"

static enum status dedup_row(struct state *st, const struct key *key, struct dedup_row *ret_row)
{
    buf_reset(&st->scratch2, KIB(64));
    enum status s = overlay_get(&st->overlay, key, &st->scratch2);
    if (s != ST_OK)
        return s;
    return dedup_decode(buf_slice(&st->scratch2), ret_row) == ST_OK ? ST_OK : kv_damaged_row(st->kv, key_slice(key));
}

enum status dedup_find(struct state *st, const struct stamp *stamp, const struct topic *t, enum dedup_command command,
                       struct slice id, struct buf *ret_answer)
{
    struct key key = key_dedup(t->id, (char)command, id);
    struct dedup_row row;
    enum status s = dedup_row(st, &key, &row);
    if (s != ST_OK)
        return s;
    if (row.expires_ms <= stamp->now_ms)
        return ST_GONE;
    buf_put_slice(ret_answer, row.answer);
    st->tally.dedup_hits++;
    return ret_answer->failed ? ST_NOMEM : ST_OK;
}

void dedup_remember(struct state *st, const struct stamp *stamp, const struct topic *t, enum dedup_command command,
                    struct slice id, const struct buf *answer)
{
    int64_t expires = stamp->now_ms + stamp->policy->dedup_window_ms;
    struct dedup_row row = {.expires_ms = expires, .answer = buf_slice(answer)};
    st->sick = st->sick || answer->failed;
    struct key key = key_dedup(t->id, (char)command, id);
    buf_reset(&st->scratch2, KIB(64));
    dedup_encode(&st->scratch2, &row);
    overlay_put(&st->overlay, &key, core_row(st));
}

/* The topic was deleted since. ST_OK where the transaction outlived it: it is open, or was decided when the topic was
 * there again; else ST_GONE. */
static enum status dedup_half_outlived(struct state *st, const struct stamp *stamp, const struct topic *t,
                                       uint64_t txid, struct buf *hold)
{
    struct txn_row row;
    enum status s = txn_get(st, stamp, txid, hold, &row);
    if (s != ST_OK)
        return s;
    bool open = row.state == TXN_PENDING || row.state == TXN_PARKED;
    return open || (t && row.decided_ms >= t->created_ms) ? ST_OK : ST_GONE;
}

enum status dedup_half_find(struct state *st, const struct stamp *stamp, struct slice topic, const struct topic *t,
                            struct slice id, struct buf *hold, uint64_t *ret_txid)
{
    struct key key = key_dedup_half(topic, id);
    struct dedup_half_row row;
    buf_reset(hold, KIB(64));
    enum status s = overlay_get(&st->overlay, &key, hold);
    if (s != ST_OK)
        return s;
    if (dedup_half_decode(buf_slice(hold), &row) != ST_OK)
        return kv_damaged_row(st->kv, key_slice(&key));
    if (row.expires_ms <= stamp->now_ms)
        return ST_GONE;
    if (!t || t->id != row.topic_id)
        s = dedup_half_outlived(st, stamp, t, row.txid, hold);
    *ret_txid = row.txid;
    st->tally.dedup_hits += s == ST_OK;
    return s;
}

void dedup_half_remember(struct state *st, const struct stamp *stamp, const struct topic *t, struct slice id,
                         uint64_t txid)
{
    struct dedup_half_row row = {
        .expires_ms = stamp->now_ms + stamp->policy->dedup_window_ms, .txid = txid, .topic_id = t->id};
    struct key key = key_dedup_half(t->name, id);
    buf_reset(&st->scratch2, KIB(64));
    dedup_half_encode(&st->scratch2, &row);
    overlay_put(&st->overlay, &key, core_row(st));
}
