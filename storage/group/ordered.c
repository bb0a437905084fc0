/* ordered.c: what becomes of a fresh message of an ordered group, of one that is done, and of one that failed
 * (ordered.h). Becoming ordered, and ceasing to be so, is in ordered_switch.c. */
#include "storage/group/ordered.h"

#include "storage/model/log.h"

/* True where the group has as many messages under way as an ordered one may have. */
static bool ordered_full(const struct gt *gt)
{
    return gt->runs.n_leased + gt->runs.n_waiting >= ORDERED_HELD_MAX;
}

/* How many messages of one queue may be skipped: each queue has its part, so that one with a busy key does not stop the
 * others. */
static uint32_t ordered_share(const struct gt *gt)
{
    uint32_t share = ORDERED_SKIPPED_MAX / gt->n_queues;
    return share > ORDERED_SKIPPED_MIN ? share : ORDERED_SKIPPED_MIN;
}

/* The same while consumers have enough to do. */
static uint32_t ordered_share_near(const struct gt *gt)
{
    uint32_t share = ORDER_NEAR / gt->n_queues;
    return share > ORDER_NEAR_MIN ? share : ORDER_NEAR_MIN;
}

/* True where no other message of the queue may be skipped now. */
static bool ordered_far(struct gt *gt, uint32_t queue)
{
    uint32_t skipped = skips_in(&gt->order->skips, queue);
    bool near = skipped >= ordered_share_near(gt) && gt->runs.n_leased >= ORDER_ENOUGH;
    gt->order->held_back = gt->order->held_back || near;
    return near || skipped >= ordered_share(gt);
}

static void ordered_fail(struct state *st, enum status s)
{
    st->sick = st->sick || s != ST_OK;
}

static void ordered_tell(struct state *st, struct gt *gt, uint32_t ready)
{
    if (ready)
        core_news(st, &gt->news, ready);
}

enum ordered_fate ordered_meet(struct state *st, struct gt *gt, uint32_t queue, const struct record_info *info,
                               uint64_t offset, uint32_t key)
{
    struct order *o = gt->order;
    struct ring_place p = order_place(st, info, queue, offset, key);
    if (key && keyring_knows(&o->ring, queue, key)) {
        if (ordered_far(gt, queue))
            return ORDERED_FULL;
        ordered_fail(st, order_skip(o, &p, (struct skip_past){group_attempt_base(gt, queue, offset), 0}));
        return ORDERED_PASS;
    }
    if (ordered_full(gt))
        return ORDERED_FULL;
    if (key)
        ordered_fail(st, keyring_hold(&o->ring, &p));
    return ORDERED_TAKE;
}

void ordered_take(struct state *st, struct gt *gt, struct ring_message *m, bool drop)
{
    /* Whoever found the queue full finds room again. */
    uint32_t skipped = skips_in(&gt->order->skips, m->queue);
    bool full = skipped == ordered_share(gt) || skipped == ordered_share_near(gt);
    ordered_tell(st, gt, order_take(gt->order, m, drop) || full);
}

void ordered_done(struct state *st, struct gt *gt, uint32_t queue, uint64_t offset)
{
    bool full = ordered_full(gt);
    ordered_tell(st, gt, order_done(gt->order, queue, offset) || full);
}

void ordered_done_in(struct state *st, struct gt *gt, const struct run *r, uint64_t first, uint64_t last)
{
    bool full = ordered_full(gt);
    uint64_t from = first > r->base ? first - r->base : 0;
    uint64_t to = last - r->base < r->count ? last - r->base : r->count - 1; /* within the run there are some */
    for (uint64_t w = from / 64; w <= to / 64; w++) {
        uint64_t bits = r->bits[w];
        bits &= w == from / 64 ? UINT64_MAX << from % 64 : UINT64_MAX;
        bits &= w == to / 64 ? UINT64_MAX >> (63 - to % 64) : UINT64_MAX;
        uint32_t ready = order_done_some(gt->order, r->queue, r->base + w * 64, bits);
        ordered_tell(st, gt, full ? (uint32_t)__builtin_popcountll(bits) : ready);
    }
}

/* Puts those messages of a leased run among the skipped ones that must not be the next ones of their keys.
 * *ret_rest: the run of the others, NULL: there are none. */
static enum status ordered_untangle(struct state *st, struct gt *gt, struct run *r, uint32_t attempt,
                                    struct run **ret_rest)
{
    uint64_t bits[RUN_WORDS_MAX] = {0}, any = 0;
    struct skip_past past = {attempt, r->delivered - (r->attempt - attempt)};
    enum status s = ST_OK;
    for (uint32_t i = 0; i < r->count && s == ST_OK; i++) {
        struct ring_message *m = run_has(r, r->base + i) ? keyring_find(&gt->order->ring, r->queue, r->base + i) : NULL;
        if (!m || m->block || keyring_first(&gt->order->ring, m))
            continue;
        bits[i / 64] |= UINT64_C(1) << (i % 64);
        any |= bits[i / 64];
        ordered_tell(st, gt, order_demote(gt->order, m, past, &s));
    }
    *ret_rest = r;
    return s == ST_OK && any ? run_give(&gt->runs, r, bits, ret_rest) : s;
}

/* Finds the first message of the run that expires before due_ms. *ret_ms INT64_MAX: there is none. */
static enum status ordered_expires(struct state *st, struct gt *gt, const struct run *r, int64_t due_ms,
                                   uint64_t *ret_offset, int64_t *ret_ms)
{
    *ret_ms = INT64_MAX;
    for (uint32_t i = 0; i < r->count; i++) {
        int64_t ms = INT64_MAX;
        enum status s = run_has(r, r->base + i) ? log_expiry(st, gt->topic, r->queue, r->base + i, &ms) : ST_OK;
        if (s == ST_NOMEM)
            return s;
        if (s != ST_OK || ms >= due_ms)
            continue; /* what cannot be read waits as the others do */
        *ret_offset = r->base + i;
        *ret_ms = ms;
        return ST_OK;
    }
    return ST_OK;
}

enum status ordered_wait(struct state *st, struct gt *gt, struct run *r, uint32_t attempt, int64_t due_ms)
{
    enum status s = ST_OK;
    if (gt->order->ring.tangled)
        s = ordered_untangle(st, gt, r, attempt, &r);
    bool may_expire = (gt->topic->flags & TOPIC_HAS_TTL) && due_ms > st->now_ms;
    while (s == ST_OK && r && may_expire) {
        uint64_t offset = 0;
        int64_t ms = 0;
        s = ordered_expires(st, gt, r, due_ms, &offset, &ms);
        if (s != ST_OK || ms == INT64_MAX)
            break;
        uint64_t i = offset - r->base, bits[RUN_WORDS_MAX] = {0};
        struct run_past past = {attempt, r->delivered - (r->attempt - attempt)};
        struct run *one = run_add(&gt->runs, r->queue, offset, 1, RUN_WAITING, past, ms > st->now_ms ? ms : st->now_ms, NULL);
        bits[i / 64] = UINT64_C(1) << (i % 64);
        s = one ? run_give(&gt->runs, r, bits, &r) : ST_NOMEM;
    }
    return s == ST_OK && r ? run_wait(&gt->runs, r, attempt, due_ms) : s;
}
