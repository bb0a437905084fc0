/* lease.c: looks up, acknowledges, gives back and ends what a group has leased (lease.h). */
#include "storage/group/lease.h"

#include "storage/group/dead.h"
#include "storage/group/ordered.h"
#include "storage/group/waiting.h"

#define DEAD_RETRY_MS 30000
#define DEAD_FAILED_ROWS 16 /* what a message that cannot be copied counts as: it may have been a long read */

/* True where the run was leased with the receipt's attempt, and the lease holds. */
static bool lease_holds(const struct run *r, const struct message_id *id, int64_t now_ms)
{
    return r->attempt == id->attempt && now_ms < r->due_ms;
}

uint64_t lease_from(const struct gt *gt, const struct message_id *first)
{
    uint64_t before = gt->runs.overlap ? COUNT_MAX - 1 : 0;
    return first->offset > before ? first->offset - before : 0;
}

/* lease_next where runs may lie across each other: *from is where the next one begins at the earliest. */
static struct run *lease_next_across(struct gt *gt, const struct message_id *first, uint64_t last, int64_t now_ms,
                                     uint64_t *from)
{
    if (first->offset == last) { /* one message is found at once, however many runs lie there */
        struct run *one = *from <= last ? run_find(&gt->runs, first->queue, last) : NULL;
        *from = last + 1;
        return one && lease_holds(one, first, now_ms) ? one : NULL;
    }
    struct run *r = *from <= last ? run_begins(&gt->runs, first->queue, *from, last) : NULL;
    while (r && !(lease_holds(r, first, now_ms) && run_live_in(r, first->offset, last) > 0))
        r = run_behind(r, last);
    *from = r ? r->base + 1 : last + 1;
    return r;
}

struct run *lease_next(struct gt *gt, const struct message_id *first, uint64_t last, int64_t now_ms,
                       uint64_t *from)
{
    if (gt->runs.overlap)
        return lease_next_across(gt, first, last, now_ms, from);
    while (*from <= last) {
        uint64_t at = *from;
        struct run *r = run_in(&gt->runs, first->queue, at, last);
        while (r && r->attempt != first->attempt) /* there may be many, if the receipt is an old one */
            r = run_behind(r, last);
        if (!r)
            return NULL;
        *from = r->base + r->count;
        bool holds = now_ms < r->due_ms;
        if (holds && run_live_in(r, at, last) > 0)
            return r;
    }
    return NULL;
}

uint64_t lease_held(struct gt *gt, const struct message_id *first, uint64_t last, int64_t now_ms)
{
    uint64_t from = lease_from(gt, first), n = 0;
    for (struct run *r; (r = lease_next(gt, first, last, now_ms, &from));)
        n += run_live_in(r, first->offset, last);
    return n;
}

uint64_t lease_ack(struct state *st, struct gt *gt, const struct message_id *first, uint64_t last,
                   int64_t now_ms)
{
    uint64_t from = lease_from(gt, first), n = 0;
    for (struct run *r; (r = lease_next(gt, first, last, now_ms, &from));) {
        if (gt->order)
            ordered_done_in(st, gt, r, first->offset, last);
        n += run_clear_in(&gt->runs, r, first->offset, last);
    }
    if (n > 0)
        group_dirty(st, gt);
    return n;
}

int64_t lease_backoff(const struct gt *gt, const struct run *r)
{
    if (gt->n_backoff == 0 || r->delivered == 0)
        return 0;
    return gt->backoff_ms[r->delivered <= gt->n_backoff ? r->delivered - 1 : gt->n_backoff - 1];
}

enum status lease_wait(struct state *st, struct gt *gt, struct run *r, uint32_t attempt, int64_t due_ms)
{
    return gt->order ? ordered_wait(st, gt, r, attempt, due_ms) : run_wait(&gt->runs, r, attempt, due_ms);
}

enum status lease_failed(struct state *st, const struct stamp *stamp, struct gt *gt, struct run *r,
                         uint64_t offset, int64_t due_ms, struct slice reason)
{
    if (r->delivered >= gt->attempts)
        return dead_letter(st, stamp, gt, r, offset, reason);
    r = run_isolate(&gt->runs, r, offset);
    enum status s = r ? lease_wait(st, gt, r, r->attempt, due_ms) : ST_NOMEM;
    if (s != ST_OK)
        return s;
    group_dirty(st, gt);
    if (due_ms <= stamp->now_ms)
        core_news(st, &gt->news, 1);
    return ST_OK;
}

struct run *lease_find(struct gt *gt, const struct message_id *id, int64_t now_ms)
{
    struct run *r = run_find(&gt->runs, id->queue, id->offset);
    return r && lease_holds(r, id, now_ms) ? r : NULL;
}

/* A message that cannot be copied to the dead letters now stays leased for a while longer, and is tried again then:
 * nobody else gets it, and its last consumer may still acknowledge it. */
static void lease_try_later(struct state *st, const struct stamp *stamp, struct gt *gt, struct run *r, uint64_t offset)
{
    r = run_isolate(&gt->runs, r, offset);
    if (!r) {
        st->sick = true;
        return;
    }
    run_extend(&gt->runs, r, stamp->now_ms + DEAD_RETRY_MS);
    st->tally.timers_postponed++;
    core_worked(st, DEAD_FAILED_ROWS, 0);
}

/* Moves the live messages of a run to the dead letters, as many as one command does: its attempts are used up. False:
 * it stopped half-way, and the next TICK goes on. */
static bool lease_end(struct state *st, const struct stamp *stamp, struct gt *gt, struct run *r)
{
    uint64_t from = r->base, bits[RUN_WORDS_MAX];
    uint32_t queue = r->queue, count = r->count;
    memcpy(bits, r->bits, run_words(count) * sizeof(*bits)); /* other runs may lie across this one */
    for (uint32_t i = 0; i < count && !st->sick; i++) {
        r = (bits[i / 64] >> i % 64) & 1 ? run_find(&gt->runs, queue, from + i) : NULL;
        if (!r)
            continue;
        if (core_spent(st))
            return false;
        core_worked(st, 1, 0);
        enum status s = dead_letter(st, stamp, gt, r, from + i, SLICE_LIT("lease ended"));
        if (s == ST_BUSY)
            return false;
        if (s == ST_NOMEM)
            st->sick = true;
        else if (s == ST_OK)
            st->tally.leases_expired++;
        else
            lease_try_later(st, stamp, gt, r, from + i);
    }
    return !st->sick;
}

static void lease_tell_ready(struct state *st, struct gt *gt, int64_t now_ms)
{
    if (gt->runs.waiting_runs && waiting_floor(&gt->runs, st, gt->id).due_ms <= now_ms)
        core_news(st, &gt->news, (uint32_t)(gt->runs.n_waiting < COUNT_MAX ? gt->runs.n_waiting : COUNT_MAX));
}

void lease_tick(struct state *st, const struct stamp *stamp, struct gt *gt)
{
    struct run *r = run_first_leased(&gt->runs);
    for (; r && r->due_ms <= stamp->now_ms && !core_spent(st); r = run_first_leased(&gt->runs)) {
        core_worked(st, 1, 0);
        if (r->delivered < gt->attempts) {
            int64_t due = stamp->now_ms + lease_backoff(gt, r);
            st->tally.leases_expired += r->live;
            st->sick = st->sick || lease_wait(st, gt, r, r->attempt, due) != ST_OK;
        } else if (!lease_end(st, stamp, gt, r)) {
            break;
        }
    }
    group_dirty(st, gt);
    lease_tell_ready(st, gt, stamp->now_ms);
    group_arm(st, gt, stamp->now_ms);
}
