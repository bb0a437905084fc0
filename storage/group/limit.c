/* limit.c: PAUSE, INFLIGHT and RATE (limit.h). */
#include "storage/group/limit.h"

#include "storage/group/rate.h"

bool limit_paused(const struct gt *gt)
{
    return gt->pause_ref > gt->cgroup->row.pause_ref ? (gt->flags & GROUP_PAUSED) != 0 : gt->cgroup->row.paused;
}

uint32_t limit_room(const struct gt *gt, uint64_t beside, int64_t now_ms, uint32_t want, int64_t *retry_ms)
{
    uint64_t room = limit_paused(gt) ? 0 : group_inflight_room(gt);
    if (gt->inflight)
        room = room > beside ? room - beside : 0;
    uint32_t most = room < want ? (uint32_t)room : want;
    if (most == 0 || !gt->rate)
        return most;
    most = rate_room(gt->rate, gt->rate_free_us, now_ms, most);
    int64_t due = rate_due_ms(gt->rate_free_us);
    if (most == 0 && (*retry_ms == 0 || due < *retry_ms))
        *retry_ms = due;
    return most;
}

void limit_took(struct state *st, struct gt *gt, int64_t now_ms, uint32_t n)
{
    if (!gt->rate || n == 0)
        return;
    gt->rate_free_us = rate_took(gt->rate, gt->rate_free_us, now_ms, n);
    group_dirty(st, gt);
}

/* What went before RATE was set was not counted. */
void limit_gave_back(struct state *st, struct gt *gt, int64_t took_ms, int64_t now_ms, uint32_t n)
{
    if (!gt->rate || took_ms < gt->rate_ms || took_ms > now_ms)
        return;
    gt->rate_free_us = rate_gave_back(gt->rate, gt->rate_free_us, took_ms, now_ms, n);
    group_dirty(st, gt);
}
