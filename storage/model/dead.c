/*
 * dead.c: deliveries that failed, leases that ended, and the dead letters (group.h).
 *
 * A dead letter is a copy in the topic %DLQ%<group>, with its reason, its origin and how often it was
 * delivered; copy and removal from the group are in one write. Its expiry is dropped: a dead letter
 * waits for a person.
 */
#include <stdio.h>

#include "storage/model/group.h"
#include "storage/model/tail.h"
#include "storage/model/log.h"

#define TICK_MESSAGES_MAX 10000

struct slice dlq_name(struct slice group, uint8_t *out)
{
    memcpy(out, "%DLQ%", 5);
    memcpy(out + 5, group.data, group.len);
    return slice_of(out, group.len + 5);
}

int64_t gt_backoff(const struct gt *gt, uint32_t attempt)
{
    if (gt->n_backoff == 0 || attempt == 0)
        return 0;
    return gt->backoff_ms[attempt <= gt->n_backoff ? attempt - 1 : gt->n_backoff - 1];
}

/* The group's dead-letter topic; one queue, so that they stay in order. */
static enum status dlq_need(struct state *st, int64_t now_ms, struct slice group, struct topic **ret_t)
{
    uint8_t hold[NAME_BYTES_MAX + 8];
    struct slice name = dlq_name(group, hold);
    static const struct topic_settings set = {.n_queues = 1};
    enum status s = topic_get(st, name, ret_t);
    return s == ST_GONE ? topic_create(st, now_ms, name, &set, ret_t) : s;
}

static void letter_make(const struct gt *gt, const struct run *r, struct slice origin,
                        struct slice reason, struct message *m)
{
    m->fields &= ~(uint32_t)MSG_TTL;
    m->fields |= MSG_GROUP | MSG_ORIGIN | MSG_ATTEMPTS;
    m->group = gt->group;
    m->origin = origin;
    m->attempts = r->attempt;
    if (reason.len) {
        m->fields |= MSG_REASON;
        m->reason = reason;
    }
}

enum status gt_dead(struct state *st, const struct stamp *stamp, struct gt *gt, struct run *r,
                    uint64_t offset, struct slice reason)
{
    struct topic *dlq = NULL;
    struct message m;
    enum status s = log_read(st, gt->topic, r->queue, offset, &st->props, &m);
    if (s == ST_GONE) { /* purged meanwhile: nothing to keep */
        run_clear(&gt->runs, st, r, offset);
        gt_dirty(st, gt);
        return ST_OK;
    }
    if (s == ST_OK)
        s = dlq_need(st, stamp->now_ms, gt->group, &dlq);
    if (s != ST_OK)
        return s;
    char origin[NAME_BYTES_MAX + 48];
    int n = snprintf(origin, sizeof(origin), "%.*s:%u:%llu", (int)gt->topic->name.len,
                     (const char *)gt->topic->name.data, r->queue, (unsigned long long)offset);
    letter_make(gt, r, slice_of(origin, (size_t)n), reason, &m);
    uint64_t at = 0;
    s = tail_append(st, stamp->now_ms, dlq, 0, &m, &at);
    if (s != ST_OK)
        return s;
    run_clear(&gt->runs, st, r, offset);
    gt_dirty(st, gt);
    st->tally.messages_dead++;
    return ST_OK;
}

enum status gt_failed(struct state *st, const struct stamp *stamp, struct gt *gt, struct run *r,
                      uint64_t offset, int64_t due_ms, struct slice reason)
{
    if (r->attempt >= gt->attempts)
        return gt_dead(st, stamp, gt, r, offset, reason);
    r = run_isolate(&gt->runs, st, r, offset);
    if (!r)
        return ST_NOMEM;
    run_move(&gt->runs, r, RUN_WAITING, r->attempt, due_ms);
    gt_dirty(st, gt);
    if (due_ms <= stamp->now_ms)
        state_news(st, &gt->news, 1);
    return ST_OK;
}

struct run *gt_leased(struct gt *gt, const struct message_id *id, int64_t now_ms)
{
    struct run *r = run_find(&gt->runs, id->queue, id->offset);
    bool holds = r && r->state == RUN_LEASED && r->attempt == id->attempt && now_ms < r->due_ms;
    return holds ? r : NULL;
}

/* Every live message of a run whose attempts are used up. */
static enum status run_dead(struct state *st, const struct stamp *stamp, struct gt *gt, struct run *r)
{
    uint64_t from = r->base;
    uint32_t queue = r->queue, count = r->count;
    for (uint32_t i = 0; i < count; i++) {
        r = run_find(&gt->runs, queue, from + i);
        if (!r)
            continue;
        enum status s = gt_dead(st, stamp, gt, r, from + i, SLICE_LIT("lease ended"));
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

/* The same for the timer. False: not now, the next TICK goes on. */
static bool run_end(struct state *st, const struct stamp *stamp, struct gt *gt, struct run *r)
{
    enum status s = run_dead(st, stamp, gt, r);
    if (s != ST_OK && s != ST_BUSY)
        st->sick = true;
    return s == ST_OK;
}

static void gt_tell_ready(struct state *st, struct gt *gt, int64_t now_ms)
{
    const struct run *first = run_first_due(&gt->runs, RUN_WAITING);
    if (first && first->due_ms <= now_ms)
        state_news(st, &gt->news, (uint32_t)(gt->runs.n_waiting < COUNT_MAX ? gt->runs.n_waiting : COUNT_MAX));
}

void gt_tick(struct state *st, const struct stamp *stamp, struct gt *gt)
{
    uint32_t done = 0;
    struct run *r = run_first_due(&gt->runs, RUN_LEASED);
    for (; r && r->due_ms <= stamp->now_ms && done < TICK_MESSAGES_MAX && !state_group_full(st);
         r = run_first_due(&gt->runs, RUN_LEASED)) {
        uint32_t live = r->live;
        done += live;
        if (r->attempt < gt->attempts) {
            int64_t due = stamp->now_ms + gt_backoff(gt, r->attempt);
            run_move(&gt->runs, r, RUN_WAITING, r->attempt, due);
        } else if (!run_end(st, stamp, gt, r)) {
            break;
        }
        st->tally.leases_expired += live;
    }
    gt_dirty(st, gt);
    gt_tell_ready(st, gt, stamp->now_ms);
    gt_arm(st, gt, stamp->now_ms);
}
