/*
 * tick.c: TICK fires the rows of the timer index that are due (timer.h).
 *
 *   W due kind what ──► GT      leases of a group on a topic end, waiting messages come due
 *                       TXN     a transaction is parked, or gets another check-back
 *                       DELAY   a delayed message becomes visible
 *
 * A scan ends TICK_LOOKAHEAD_MS after now, and the next one begins where it ended, so that it does not read again the
 * deletion marks of rows that were deleted long before they fell due. To add a kind: a function in the table below.
 */
#include "storage/apply/handlers.h"
#include "storage/model/delay.h"
#include "storage/model/lease.h"
#include "storage/model/timer.h"
#include "storage/model/txn.h"

#define TICK_LOOKAHEAD_MS 1000
#define TICK_ROWS_MAX 1000

static void tick_gt(struct state *st, const struct stamp *stamp, int64_t due_ms, struct slice what)
{
    const uint8_t *zero = what.len ? memchr(what.data, 0, what.len) : NULL;
    if (!zero)
        return;
    struct slice group = slice_of(what.data, (size_t)(zero - what.data));
    struct slice topic = slice_of(zero + 1, what.len - group.len - 1);
    struct gt *gt = NULL;
    enum status s = group_get(st, group, topic, &gt);
    if (s != ST_OK && s != ST_GONE)
        st->sick = true;
    if (s != ST_OK || gt->timer_ms != due_ms)
        return;
    gt->timer_ms = 0;
    lease_tick(st, stamp, gt);
}

static void tick_txn(struct state *st, const struct stamp *stamp, int64_t due_ms, struct slice what)
{
    (void)due_ms;
    if (what.len == 8)
        txn_tick_pending(st, stamp, key_read_u64(what.data));
}

static void tick_delay(struct state *st, const struct stamp *stamp, int64_t due_ms, struct slice what)
{
    if (what.len == 16)
        delay_tick(st, stamp, due_ms, key_read_u64(what.data), key_read_u64(what.data + 8));
}

typedef void tick_fn(struct state *st, const struct stamp *stamp, int64_t due_ms, struct slice what);

static tick_fn *const tick_table[TIMER_KINDS] = {
    [TIMER_GT] = tick_gt,
    [TIMER_TXN] = tick_txn,
    [TIMER_DELAY] = tick_delay,
};

/* Deletes the row (W, due u64, kind u8, what) and does what it reminds of. */
static void tick_fire(struct state *st, const struct stamp *stamp, struct slice row, int64_t due_ms)
{
    struct key key = {.len = 0};
    key_bytes(&key, row);
    core_del(st, &key);
    uint8_t kind = row.len > 9 ? row.data[9] : 0;
    if (kind < TIMER_KINDS && tick_table[kind])
        tick_table[kind](st, stamp, due_ms, slice_of(key.bytes + 10, key.len - 10));
}

/* Fires what is due; returns when to look again. */
static int64_t tick_scan(struct state *st, const struct stamp *stamp, struct kv_iter *it)
{
    uint32_t fired = 0;
    int64_t due = INT64_MAX;
    for (kv_iter_first(it); kv_iter_valid(it); kv_iter_next(it)) {
        struct slice row = kv_iter_key(it);
        due = (int64_t)key_read_u64(row.data + 1);
        bool full = fired == TICK_ROWS_MAX || (fired > 0 && core_full(st));
        if (due > stamp->now_ms || full || st->sick)
            break;
        tick_fire(st, stamp, row, due);
        due = INT64_MAX;
        fired++;
    }
    st->timer_floor_ms = due < stamp->now_ms ? due : stamp->now_ms;
    return due < stamp->now_ms + TICK_LOOKAHEAD_MS ? due : stamp->now_ms + TICK_LOOKAHEAD_MS;
}

void apply_tick(struct state *st, const struct stamp *stamp, const struct command *cmd,
                struct outcome *out)
{
    (void)cmd;
    struct key from = key_timer(st->timer_floor_ms, 0, slice_of(NULL, 0));
    struct key to = key_timer(stamp->now_ms + TICK_LOOKAHEAD_MS, 0, slice_of(NULL, 0));
    struct kv_iter *it = kv_iter_new(st->kv, KV_STATE, NULL, key_slice(&from), key_slice(&to));
    if (!it) {
        core_fail(out, ST_NOMEM, "TICK");
        return;
    }
    /* Rows of the open group are not in the store yet, so the scan does not see them. */
    int64_t fresh = st->timer_fresh_ms;
    st->timer_fresh_ms = INT64_MAX;
    st->next_due_ms = INT64_MAX;
    int64_t next = tick_scan(st, stamp, it);
    if (kv_iter_status(it) != ST_OK)
        st->sick = true;
    kv_iter_free(it);
    if (fresh < st->timer_fresh_ms)
        st->timer_fresh_ms = fresh;
    if (st->timer_fresh_ms < st->timer_floor_ms)
        st->timer_floor_ms = st->timer_fresh_ms;
    if (st->timer_fresh_ms < next)
        next = st->timer_fresh_ms;
    st->next_due_ms = next;
    reply_ok(&out->reply);
}
