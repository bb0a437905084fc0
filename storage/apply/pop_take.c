/* pop_take.c: makes leased runs of what POP takes (pop_take.h). */
#include "storage/apply/pop_take.h"

#include "storage/group/grants.h"
#include "storage/model/log.h"
#include "storage/model/removal.h"

static int64_t take_lease_until(const struct pop *p, const struct gt *gt)
{
    return p->stamp->now_ms + (p->lease_ms ? p->lease_ms : gt->lease_ms);
}

static void take_grant(struct pop *p, struct gt *gt, const struct run *r)
{
    grants_add(p->out, gt->topic, r);
    if (r->attempt > gt->attempt_top)
        gt->attempt_top = r->attempt;
    p->st->tally.messages_out += r->live;
    p->changed = true;
    group_dirty(p->st, gt);
}

uint32_t take_cut(struct take *take, uint32_t count)
{
    uint32_t live = take->live;
    for (uint32_t i = count; i < take->count; i++) {
        take->live -= (uint32_t)((take->bits[i / 64] >> (i % 64)) & 1);
        take->bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
    }
    take->count = count;
    return live - take->live;
}

/* True where the message was removed, or p->status. It counts as expired. */
static bool take_removed(struct pop *p, struct gt *gt, uint32_t queue, uint64_t offset)
{
    bool removed = false;
    p->status = removal_has(p->st, gt->topic, queue, offset, &removed);
    p->expired += removed;
    return removed || p->status != ST_OK;
}

bool pop_expired(struct pop *p, struct gt *gt, uint32_t queue, uint64_t offset, const struct record_info *info)
{
    if (gt->topic->flags & TOPIC_HAS_REMOVED && take_removed(p, gt, queue, offset))
        return true;
    if (!(gt->topic->flags & TOPIC_HAS_TTL))
        return false;
    bool in_record = offset >= info->base && offset - info->base < info->count;
    if (in_record && info->expires_least > p->stamp->now_ms)
        return false;
    int64_t expires = 0;
    if (!in_record || info->expires_most > p->stamp->now_ms)
        p->status = log_expiry(p->st, gt->topic, queue, offset, &expires);
    bool over = p->status != ST_OK || expires <= p->stamp->now_ms;
    p->expired += over;
    return over;
}

void pop_make_run(struct pop *p, struct gt *gt, uint32_t queue, struct take *take)
{
    struct take done = *take;
    *take = (struct take){0};
    if (done.live == 0)
        return;
    struct run_past past = {done.attempts + 1, done.delivered + 1};
    struct run *r =
        run_add(&gt->runs, queue, done.base, done.count, RUN_LEASED, past, take_lease_until(p, gt), done.bits);
    if (r) {
        r->holder = p->holder;
        take_grant(p, gt, r);
        return;
    }
    p->st->sick = true;
    p->status = ST_NOMEM;
}
