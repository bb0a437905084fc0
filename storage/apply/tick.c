/*
 * tick.c: TICK fires the rows of the timer indexes that are due (timer.h), kind by kind.
 *
 *   W kind due what ──► GT      leases of a group on a topic end, waiting messages come due
 *                       TXN     a transaction is parked, or gets another check-back
 *                       DELAY   a delayed message becomes visible
 *                       TOPIC_GONE, GROUP_GONE   the rows of what was deleted go on being deleted
 *                       CUT     the oldest messages of a topic are deleted
 *
 *   one kind's rows, by due time:   floor ... fired, fired │ left to the next TICK │ now │ later ...
 *                                                     ▲ quota: rows, and bytes read and written
 *
 * A scan ends TICK_LOOKAHEAD_MS after now, and the next one begins where it ended, so that it does not read again the
 * deletion marks of rows that were deleted long before they fell due, nor, where many are due at the same time, of
 * those that the TICKs before it have fired. Where a quota is used up, the answer says so
 * (retry_at_ms), and the next TICK is submitted at once; commands of clients come between the two.
 *
 * Where the disk is nearly used up (policy.disk_spent), only the kinds that free some of it are fired: all others write. Their
 * rows wait, and what they remind of is late, until there is room.
 *
 * Invariants: a row is deleted when its work was done, or is put again for later; never is it lost. A row that fails
 * does not keep the ones behind it from being fired, nor does a block of rows that cannot be read (scan.h). To add a kind: a function and a line in the table below.
 */
#include "storage/apply/handlers.h"
#include "storage/model/cut.h"
#include "storage/model/scan.h"
#include "storage/model/delay.h"
#include "storage/group/gone.h"
#include "storage/group/lease.h"
#include "storage/model/timer.h"
#include "storage/model/txn.h"

#define TICK_LOOKAHEAD_MS 1000
#define TICK_KEY_WIDTH 24 /* due u64, and what, or the beginning of it */

static enum status tick_gt(struct state *st, const struct stamp *stamp, int64_t due_ms, struct slice what)
{
    const uint8_t *zero = what.len ? memchr(what.data, 0, what.len) : NULL;
    if (!zero)
        return ST_GONE;
    struct slice group = slice_of(what.data, (size_t)(zero - what.data));
    struct slice topic = slice_of(zero + 1, what.len - group.len - 1);
    struct gt *gt = NULL;
    enum status s = group_get(st, group, topic, &gt);
    if (s != ST_OK || (gt->timer_ms != due_ms && due_ms != TIMER_FIRST_UNKNOWN))
        return s;
    gt->timer_ms = 0;
    lease_tick(st, stamp, gt);
    return ST_OK;
}

static enum status tick_txn(struct state *st, const struct stamp *stamp, int64_t due_ms, struct slice what)
{
    (void)due_ms;
    return what.len == 8 ? txn_tick_pending(st, stamp, key_read_u64(what.data)) : ST_GONE;
}

static enum status tick_delay(struct state *st, const struct stamp *stamp, int64_t due_ms, struct slice what)
{
    if (what.len != 16)
        return ST_GONE;
    return delay_tick(st, stamp, due_ms, key_read_u64(what.data), key_read_u64(what.data + 8));
}

static enum status tick_topic_gone(struct state *st, const struct stamp *stamp, int64_t due_ms, struct slice what)
{
    (void)stamp;
    (void)due_ms;
    gone_tick_topic(st, what);
    return ST_OK;
}

static enum status tick_group_gone(struct state *st, const struct stamp *stamp, int64_t due_ms, struct slice what)
{
    (void)stamp;
    (void)due_ms;
    gone_tick_group(st, what);
    return ST_OK;
}

static enum status tick_cut(struct state *st, const struct stamp *stamp, int64_t due_ms, struct slice what)
{
    (void)stamp;
    return cut_tick(st, due_ms, what);
}

/* Does what a row reminds of. due_ms: when it was due at first, or TIMER_FIRST_UNKNOWN. ST_GONE: there is nothing to do any
 * more. Anything else but ST_OK: nothing was changed, and it is to be tried again later. */
typedef enum status tick_fn(struct state *st, const struct stamp *stamp, int64_t due_ms, struct slice what);

/* Measured on one core at 2 GHz: a row takes 7 to 15 us, a MiB of messages about 2 ms. */
static const struct tick_kind {
    tick_fn *fire;
    uint32_t rows_max;
    size_t bytes_max;
    bool frees; /* disk space: it only deletes */
} tick_table[TIMER_KINDS] = {
    [TIMER_GT] = {tick_gt, 512, WORK_BYTES_MAX, false},
    [TIMER_TXN] = {tick_txn, 256, MIB(1), false},
    [TIMER_DELAY] = {tick_delay, 256, MIB(1), false},
    [TIMER_TOPIC_GONE] = {tick_topic_gone, 8, MIB(1), true}, /* a step is bounded by itself, too */
    [TIMER_GROUP_GONE] = {tick_group_gone, 8, MIB(1), true},
    [TIMER_CUT] = {tick_cut, 512, MIB(1), true},
};

/* When a row was due at first, and how often it was postponed. A value that makes no sense is told, and the row fires
 * all the same. */
static struct timer_row tick_row(struct state *st, const struct key *key, struct slice value)
{
    bool whole = key->len >= TIMER_WHAT_AT;
    struct timer_row row = {.first_ms = whole ? (int64_t)key_read_u64(key->bytes + 2) : TIMER_FIRST_UNKNOWN};
    if (key->len <= TIMER_WHAT_AT || value.len == 0 || timer_decode(value, &row) == ST_OK)
        return row;
    (void)core_bad_row(st, key);
    return (struct timer_row){.first_ms = TIMER_FIRST_UNKNOWN};
}

/* Deletes the row (W, kind u8, due u64, what) and does what it reminds of. */
static void tick_fire(struct state *st, const struct stamp *stamp, enum timer_kind kind, const struct scan *scan)
{
    struct key key = {.len = 0};
    key_bytes(&key, scan_key(scan));
    struct timer_row was = tick_row(st, &key, scan_value(scan));
    struct slice what = slice_of(key.bytes + TIMER_WHAT_AT, key.len > TIMER_WHAT_AT ? key.len - TIMER_WHAT_AT : 0);
    core_del(st, &key); /* first, as the same row may be put again */
    core_worked(st, 1, 0);
    enum status s = tick_table[kind].fire(st, stamp, was.first_ms, what);
    if (s == ST_NOMEM)
        st->sick = true;
    else if (s != ST_OK && s != ST_GONE)
        timer_postpone(st, stamp->now_ms, kind, &was, what);
}

/* Fires what is due of one kind. True: some of it is left, as the quota is used up. */
static bool tick_scan(struct state *st, const struct stamp *stamp, enum timer_kind kind, struct scan *scan)
{
    struct timer_index *index = &st->timers[kind];
    int64_t due = INT64_MAX, passed_ms = index->passed.len ? index->floor_ms : INT64_MAX;
    bool left = false;
    core_work_begin(st, tick_table[kind].rows_max, tick_table[kind].bytes_max);
    for (scan_first(scan); scan_valid(scan) && !st->sick; scan_next(scan)) {
        struct slice row = scan_key(scan);
        due = row.len < TIMER_WHAT_AT ? 0 : (int64_t)key_read_u64(row.data + 2);
        left = due <= stamp->now_ms && core_spent(st);
        if (due > stamp->now_ms || left)
            break;
        index->passed.len = 0;
        key_bytes(&index->passed, row);
        passed_ms = due;
        tick_fire(st, stamp, kind, scan);
        due = INT64_MAX;
    }
    index->floor_ms = due < stamp->now_ms ? due : stamp->now_ms;
    if (index->floor_ms != passed_ms)
        index->passed.len = 0;
    index->next_ms = due < stamp->now_ms + TICK_LOOKAHEAD_MS ? due : stamp->now_ms + TICK_LOOKAHEAD_MS;
    return left;
}

/* Takes into account the rows of the open group, which are not in the store yet, so the scan did not see them. */
static void tick_see_fresh(struct timer_index *index)
{
    if (index->fresh_ms <= index->floor_ms) {
        index->floor_ms = index->fresh_ms;
        index->passed.len = 0;
    }
    if (index->fresh_ms < index->next_ms)
        index->next_ms = index->fresh_ms;
}

/* What could not be read is looked at again by the next scans, each of which passes what is damaged. */
static void tick_see_damage(struct state *st, const struct stamp *stamp, struct timer_index *index,
                            const struct scan *scan)
{
    st->sick = st->sick || scan->status == ST_NOMEM;
    if (scan->status != ST_OK) {
        st->tally.timers_postponed++;
        index->next_ms = stamp->now_ms + TICK_LOOKAHEAD_MS;
    }
    if (scan->status == ST_OK && scan->skipped.len == 0)
        return;
    const struct key *last = scan->skipped.len ? &scan->skipped : &scan->last;
    index->floor_ms = (int64_t)key_read_u64(last->bytes + 2);
    index->passed.len = 0;
}

static enum status tick_kind(struct state *st, const struct stamp *stamp, enum timer_kind kind, bool *ret_left)
{
    struct timer_index *index = &st->timers[kind];
    struct key from = index->passed.len ? index->passed : key_timer((uint8_t)kind, index->floor_ms, slice_of(NULL, 0));
    struct key to = key_timer((uint8_t)kind, stamp->now_ms + TICK_LOOKAHEAD_MS, slice_of(NULL, 0));
    struct scan scan;
    enum status s = scan_open(&scan, st->kv, &from, &to, 2, TICK_KEY_WIDTH);
    if (s != ST_OK)
        return s;
    bool left = tick_scan(st, stamp, kind, &scan);
    tick_see_damage(st, stamp, index, &scan);
    scan_close(&scan);
    tick_see_fresh(index);
    *ret_left = *ret_left || left;
    return ST_OK;
}

void apply_tick(struct state *st, const struct stamp *stamp, const struct command *cmd,
                struct outcome *out)
{
    (void)cmd;
    bool left = false;
    for (int kind = TIMER_GT; kind < TIMER_KINDS; kind++) {
        if (st->timers[kind].next_ms > stamp->now_ms || (stamp->policy->disk_spent && !tick_table[kind].frees))
            continue;
        enum status s = tick_kind(st, stamp, (enum timer_kind)kind, &left);
        if (s != ST_OK) {
            core_fail(out, s, "TICK");
            return;
        }
    }
    out->retry_at_ms = left ? stamp->now_ms : 0;
    reply_ok(&out->reply);
}
