/* txn.c: reads and writes the rows and timers of transactions (txn.h). apply/half.c opens them, apply/commit.c decides
 * them, apply/check.c asks about them. */
#include "storage/model/txn.h"

#include "storage/model/young.h"

#define YOUNG_RETRY_MS 1000
#define TXN_PINNED_BYTES KIB(32)
#define SETTLED_MAX 512 /* young ones, in one commit group; a TICK follows at once, as they are due */

static enum status txn_read(struct state *st, const struct key *key, struct buf *hold,
                            struct txn_row *ret_row)
{
    buf_reset(hold, KIB(64));
    enum status s = overlay_get(&st->overlay, key, hold);
    if (s != ST_OK)
        return s;
    return txn_decode(buf_slice(hold), ret_row) == ST_OK ? ST_OK : kv_damaged_row(st->kv, key_slice(key));
}

/* Is a row that says so a young transaction? Those that a damaged block has hidden from the start are not in the ring: they
 * are open where they have no outcome. */
static enum status txn_young_is_open(struct state *st, uint64_t txid)
{
    if (young_has(st, txid))
        return ST_OK;
    if (!meta_hides(&st->meta, txid))
        return ST_GONE;
    struct key key = key_outcome(txid);
    struct buf hold;
    buf_init(&hold, 0);
    enum status s = overlay_get(&st->overlay, &key, &hold);
    buf_free(&hold);
    return s == ST_OK ? ST_GONE : s == ST_GONE ? ST_OK : s;
}

static enum status txn_read_open(struct state *st, uint64_t txid, struct buf *hold, struct txn_row *ret_row)
{
    struct slice copy = young_row(st, txid);
    if (copy.len) {
        buf_reset(hold, KIB(64));
        buf_put_slice(hold, copy);
        if (hold->failed)
            return ST_NOMEM;
        if (txn_decode(buf_slice(hold), ret_row) == ST_OK)
            return ST_OK; /* it is what this process has encoded */
    }
    struct key key = key_txn(txid);
    enum status s = txn_read(st, &key, hold, ret_row);
    return s == ST_OK && ret_row->young ? txn_young_is_open(st, txid) : s;
}

enum status txn_get(struct state *st, const struct stamp *stamp, uint64_t txid, struct buf *hold,
                    struct txn_row *ret_row)
{
    struct txn_row row;
    enum status s = txn_read_open(st, txid, hold, &row);
    if (s == ST_GONE) {
        struct key key = key_outcome(txid);
        s = txn_read(st, &key, hold, &row);
        if (s == ST_OK && row.decided_ms + stamp->policy->txn_outcome_retention_ms <= stamp->now_ms)
            s = ST_GONE;
    } else if (s == ST_OK) {
        struct pgroup *pg = NULL;
        s = pgroup_get(st, row.pgroup, &pg); /* whoever changes an open transaction needs its producer group */
    }
    if (s == ST_OK)
        *ret_row = row;
    return s;
}

bool txn_is_long(const struct txn_row *row)
{
    return row->bytes > LONG_TXN_BYTES || row->n_messages > LONG_TXN_MESSAGES;
}

void txn_count(struct state *st, struct slice pgroup, int pending, int parked)
{
    struct pgroup *pg = pgroup_of(st, pgroup);
    pg->open.pending += (uint64_t)(int64_t)pending;
    pg->open.parked += (uint64_t)(int64_t)parked;
    st->meta.pending += (uint64_t)(int64_t)pending;
    st->meta.parked += (uint64_t)(int64_t)parked;
    st->meta_dirty = true;
    pgroup_touch(st, pg);
}

void txn_put(struct state *st, uint64_t txid, const struct txn_row *row)
{
    bool decided = row->state == TXN_COMMITTED || row->state == TXN_ROLLEDBACK;
    struct key key = decided ? key_outcome(txid) : key_txn(txid);
    buf_reset(&st->scratch2, KIB(64));
    txn_encode(&st->scratch2, row);
    overlay_put(&st->overlay, &key, core_row(st));
    if (row->young)
        young_keep(st, txid, buf_slice(&st->scratch2));
}

static struct slice txn_timer_what(uint64_t txid, uint8_t *hold)
{
    for (unsigned i = 0; i < 8; i++)
        hold[i] = (uint8_t)(txid >> (56 - 8 * i));
    return slice_of(hold, 8);
}

void txn_timer_put(struct state *st, int64_t due_ms, enum timer_kind kind, uint64_t txid)
{
    uint8_t hold[8];
    timer_put(st, due_ms, kind, txn_timer_what(txid, hold));
}

void txn_timer_del(struct state *st, int64_t due_ms, enum timer_kind kind, uint64_t txid)
{
    uint8_t hold[8];
    timer_del(st, due_ms, kind, txn_timer_what(txid, hold));
}

void txn_schedule(struct state *st, const struct stamp *stamp, uint64_t txid, const struct txn_row *row)
{
    struct pgroup *pg = pgroup_of(st, row->pgroup);
    if (row->checks >= pgroup_check_max(&pg->own, stamp->policy)) {
        txn_timer_put(st, row->next_check_ms, TIMER_TXN, txid);
        return;
    }
    struct key key = key_check(row->pgroup, row->next_check_ms, txid);
    core_put(st, &key, slice_of(NULL, 0));
    if (row->next_check_ms < pg->floor_ms)
        pg->floor_ms = row->next_check_ms;
    if (pg->fresh_group != st->group || row->next_check_ms < pg->fresh_ms)
        pg->fresh_ms = row->next_check_ms;
    pg->fresh_group = st->group;
    if (row->next_check_ms >= pg->armed_ms)
        return;
    pg->armed_ms = row->next_check_ms;
    core_news(st, &pg->news, 1);
}

void txn_unschedule(struct state *st, const struct stamp *stamp, uint64_t txid, const struct txn_row *row)
{
    /* check_max may have been changed since, so it may be a row of either kind: both are deleted. */
    bool parks = row->checks > 0 || row->checks >= stamp->policy->check_max;
    if (parks && row->next_check_ms != row->timeout_ms)
        txn_timer_del(st, row->next_check_ms, TIMER_TXN, txid);
    struct key key = key_check(row->pgroup, row->next_check_ms, txid);
    core_del(st, &key);
}

void txn_settle(struct state *st, const struct stamp *stamp, uint64_t txid, struct txn_row *row)
{
    young_take(st, txid);
    struct key key = key_pending(row->pgroup, txid);
    row->young = false;
    core_put(st, &key, slice_of(NULL, 0));
    txn_timer_put(st, row->timeout_ms, TIMER_TXN, txid);
    txn_schedule(st, stamp, txid, row);
}

/* The rows J and W of a young one whose producer group cannot be read: its timer schedules the check when it can. */
static void txn_settle_blind(struct state *st, uint64_t txid, struct txn_row *row)
{
    young_take(st, txid);
    struct key key = key_pending(row->pgroup, txid);
    row->young = false;
    core_put(st, &key, slice_of(NULL, 0));
    txn_timer_put(st, row->timeout_ms, TIMER_TXN, txid);
    txn_timer_put(st, row->next_check_ms, TIMER_TXN, txid);
}

static void txn_settle_young(struct state *st, const struct stamp *stamp, uint64_t txid)
{
    struct txn_row row;
    struct pgroup *pg = NULL;
    enum status s = txn_read_open(st, txid, &st->scratch, &row);
    enum status own = s == ST_OK ? pgroup_get(st, row.pgroup, &pg) : ST_OK;
    if (s == ST_NOMEM || own == ST_NOMEM) {
        st->sick = true;
    } else if (s == ST_IO || own == ST_IO) {
        young_later(st, stamp->now_ms + YOUNG_RETRY_MS);
        st->tally.timers_postponed++;
    } else if (s != ST_OK) { /* damaged, so nobody can be asked about it, nor decide it */
        young_take(st, txid);
    } else {
        if (own == ST_OK)
            txn_settle(st, stamp, txid, &row);
        else
            txn_settle_blind(st, txid, &row);
        txn_put(st, txid, &row);
    }
}

void txn_tick_young(struct state *st, const struct stamp *stamp)
{
    uint64_t txid = 0;
    int64_t due_ms = 0;
    while (!st->sick && st->group_settled < SETTLED_MAX && young_oldest(st, &txid, &due_ms) &&
           due_ms <= stamp->now_ms) {
        st->group_settled++;
        st->meta_dirty = true;
        txn_settle_young(st, stamp, txid);
    }
}

void txn_retire(struct state *st, const struct stamp *stamp, uint64_t txid, const struct txn_row *row)
{
    if (row->young) {
        young_take(st, txid);
        return;
    }
    struct key key = key_pending(row->pgroup, txid);
    core_del(st, &key);
    txn_unschedule(st, stamp, txid, row);
    txn_timer_del(st, row->timeout_ms, TIMER_TXN, txid);
}

void txn_close(struct state *st, const struct stamp *stamp, uint64_t txid, struct txn_row *row, enum txn_state state)
{
    if (row->state == TXN_PENDING) {
        txn_retire(st, stamp, txid, row);
        txn_count(st, row->pgroup, -1, 0);
    } else {
        txn_count(st, row->pgroup, 0, -1);
    }
    for (uint32_t i = row->first.len ? 1 : 0; i < row->n_messages; i++) {
        struct key key = key_txn_message(txid, i);
        overlay_del(&st->overlay, &key);
    }
    if (!row->young || meta_hides(&st->meta, txid)) { /* a young row is left for a compaction (young.h) */
        struct key key = key_txn(txid);
        overlay_del(&st->overlay, &key);
    }
    row->young = false;
    row->first = slice_of(NULL, 0);
    row->state = state;
    row->decided_ms = stamp->now_ms;
    txn_put(st, txid, row);
}

void txn_move_check(struct state *st, const struct stamp *stamp, uint64_t txid, struct txn_row *row,
                    int64_t due_ms)
{
    if (!row->young)
        txn_unschedule(st, stamp, txid, row);
    row->next_check_ms = due_ms;
    row->answered = true;
    if (row->young)
        txn_settle(st, stamp, txid, row);
    else
        txn_schedule(st, stamp, txid, row);
}

enum status txn_message_pinned(struct state *st, uint64_t txid, const struct txn_row *row, uint32_t n, struct buf *out,
                               struct kv_pin **ret_pin, struct slice *ret_value)
{
    *ret_pin = NULL;
    if (n == 0 && row->first.len) {
        buf_put_slice(out, row->first);
        return out->failed ? ST_NOMEM : ST_OK;
    }
    struct key key = key_txn_message(txid, n);
    enum status s = overlay_get_pinned(&st->overlay, &key, TXN_PINNED_BYTES, out, ret_pin, ret_value);
    return s == ST_GONE ? core_bad_row(st, &key) : s; /* row X counts it */
}

enum status txn_message_decode(struct state *st, uint64_t txid, const struct txn_row *row, uint32_t n, struct slice bytes,
                               struct half_row *ret_half, struct message *ret_m)
{
    struct key key = n == 0 && row->first.len ? key_txn(txid) : key_txn_message(txid, n);
    if (half_decode(bytes, ret_half) == ST_OK && message_decode(ret_half->message, ret_half->base_ms, ret_m) == ST_OK)
        return ST_OK;
    return core_bad_row(st, &key);
}

enum status txn_tick_pending(struct state *st, const struct stamp *stamp, uint64_t txid)
{
    struct txn_row row;
    enum status s = txn_get(st, stamp, txid, &st->scratch, &row);
    if (s != ST_OK || row.state != TXN_PENDING)
        return s;
    bool due = row.next_check_ms <= stamp->now_ms;
    bool asked_out = due && row.checks >= pgroup_check_max(&pgroup_of(st, row.pgroup)->own, stamp->policy);
    bool too_old = row.timeout_ms <= stamp->now_ms;
    if (due && !asked_out && !too_old)
        txn_schedule(st, stamp, txid, &row); /* check_max was raised since: it has asks left */
    if (!asked_out && !too_old)
        return ST_OK;
    txn_retire(st, stamp, txid, &row);
    row.state = TXN_PARKED;
    txn_put(st, txid, &row);
    txn_count(st, row.pgroup, -1, 1);
    return ST_OK;
}

void txn_refuse(struct outcome *out, enum status s, uint64_t txid)
{
    if (s == ST_GONE)
        reply_error(&out->reply, ST_NOTXN, "no transaction %llu: never issued, or decided long ago and forgotten",
                    (unsigned long long)txid);
    else
        core_fail(out, s, "reading the transaction");
}
