/*
 * pop.c: POP leases messages. It decides *which* ones a caller gets and does not read them (query_grants does).
 *
 *   0. what was redriven, whatever the topics (storage/group/retry.h): by 1 and 2, too
 *   1. waiting runs that are due, in the order of their due times (attempt + 1)
 *   2. where the group is ORDERED, those that it has passed over and whose turn has come (pop_skipped.c)
 *   3. fresh messages, always from the queue whose head is oldest, until the caller has enough (pop_fresh.c)
 *
 * With WAIT, a topic that does not exist is waited for, unless clients may not create topics.
 *
 * TAKE is POP for a stream (broker/serve/stream.h), but it does not create a group: if it was deleted, the stream
 * ends.
 *
 * Messages that have expired are skipped: their bit in the run is not set. The caller gets fewer than COUNT rather
 * than much more than REPLY_BYTES_SOFT.
 */
#include "storage/apply/handlers.h"
#include "storage/apply/pop_fresh.h"
#include "storage/apply/pop_skipped.h"
#include "storage/group/group.h"
#include "storage/group/grants.h"
#include "storage/model/log.h"
#include "storage/group/lease.h"
#include "storage/group/limit.h"
#include "storage/group/retry.h"
#include "storage/group/run_floor.h"
#include "storage/group/ordered.h"
#include "storage/group/ranked.h"
#include "storage/group/seek.h"
#include "storage/group/waiting.h"

#define POP_TOPICS_MAX 64

/* Finds the record that a waiting run is in. *known is the one that was asked for last: many runs are in one. Its count
 * is 0 where it cannot be found. Sets p->status for want of memory only. */
static void pop_record(struct pop *p, struct gt *gt, const struct run *r, struct record_info *known,
                       uint32_t *known_queue)
{
    bool same = known->count > 0 && *known_queue == r->queue && r->base >= known->base &&
                r->base - known->base < known->count;
    enum status s = same ? ST_OK : log_locate(p->st, gt->topic, r->queue, r->base, known);
    if (s != ST_OK)
        known->count = 0;
    if (s == ST_NOMEM)
        p->status = s;
    *known_queue = r->queue;
}

/* Ends leases that are over and whose timer has not fired yet. */
static void pop_end_leases(struct pop *p, struct gt *gt)
{
    const struct run *r = run_first_leased(&gt->runs);
    if (r && r->due_ms <= p->stamp->now_ms)
        lease_tick(p->st, p->stamp, gt);
}

/* The messages of a waiting run before `at` that were not taken have expired, and hold their keys no longer. count: of
 * the take before. */
static void pop_done_expired(struct pop *p, struct gt *gt, const struct run *r, uint64_t at, const struct take *take,
                             uint32_t count)
{
    for (uint64_t i = r->base; i < at; i++, count++)
        if (run_has(r, i) && !((take->bits[count / 64] >> (count % 64)) & 1))
            ordered_done(p->st, gt, r->queue, i);
}

/* Takes the messages of a waiting run, in order, until the caller has enough. Those that have expired are dropped. */
static void pop_take_waiting(struct pop *p, struct gt *gt, struct run *r, struct take *take,
                             const struct record_info *info)
{
    uint64_t at = r->base, end = r->base + r->count;
    size_t each = info->count ? info->bytes / info->count : 0;
    uint32_t count = take->count;
    for (; at < end && pop_more(p); at++) {
        bool live = run_has(r, at) && !pop_expired(p, gt, r->queue, at, info);
        take_add(take, live);
        p->left -= live;
        p->bytes += live ? each : 0;
    }
    group_dirty(p->st, gt);
    if (p->status != ST_OK) { /* the run stays as it is */
        p->left += take_cut(take, count);
        return;
    }
    if (gt->order)
        pop_done_expired(p, gt, r, at, take, count);
    if (at == end)
        run_drop(&gt->runs, r);
    else
        p->status = run_drop_before(&gt->runs, r, at);
    p->changed = true;
}

/* The PRIORITY of a message. Where it cannot be found: the default one, and info->count is 0. Sets p->status for want of
 * memory only. */
static int pop_class_of(struct pop *p, struct gt *gt, uint32_t queue, uint64_t offset, struct record_info *info)
{
    struct columns c = {.classes = 0};
    enum status s = log_locate(p->st, gt->topic, queue, offset, info);
    if (s == ST_OK)
        s = log_columns(p->st, gt->topic, queue, info, &c);
    if (s == ST_NOMEM)
        p->status = s;
    bool there = s == ST_OK && offset >= info->base;
    info->count = there ? info->count : 0;
    return there ? columns_priority(&c, (uint32_t)(offset - info->base)) : MESSAGE_PRIORITY_DEFAULT;
}

/* The PRIORITY of a run, which that of the first message is that it still has; mostly all have it. CLASSES_MAX: all have
 * expired, or were deleted, so that it goes before all others, and nobody gets any. */
static int pop_class(struct pop *p, struct gt *gt, const struct run *r)
{
    uint64_t floor = gt->topic->queues[r->queue].floor;
    if (seek_voided(gt, r))
        return CLASSES_MAX;
    for (uint64_t at = r->base > floor ? r->base : floor; at < r->base + r->count && p->status == ST_OK; at++) {
        struct record_info info = {.count = 0};
        int class = run_has(r, at) ? pop_class_of(p, gt, r->queue, at, &info) : CLASSES_MAX;
        if (class < CLASSES_MAX && !pop_expired(p, gt, r->queue, at, &info))
            return class;
    }
    return CLASSES_MAX;
}

/* Takes waiting runs that are due, as long as they are of the class (-1: of any). Neighbours that were delivered equally
 * often become one run again, however singly they were given back. */
static void pop_waiting(struct pop *p, struct gt *gt, int class)
{
    struct take take = {0};
    struct record_info known = {.count = 0};
    uint32_t queue = 0, known_queue = 0;
    while (pop_more(p)) {
        struct run *r = NULL;
        p->status = waiting_first(&gt->runs, p->st, gt->id, &r);
        if (p->status != ST_OK || !r || r->due_ms > p->stamp->now_ms)
            break;
        if (seek_voided(gt, r)) {
            p->expired++;
            run_drop(&gt->runs, r);
            group_dirty(p->st, gt);
            continue;
        }
        if (r->base < gt->topic->queues[r->queue].floor) {
            p->status = run_floor_one(&gt->runs, r, gt->topic->queues[r->queue].floor);
            p->changed = true;
            p->expired++;
            group_dirty(p->st, gt);
            continue;
        }
        p->refused = p->refused || p->crowded;
        if (p->crowded || (class >= 0 && pop_class(p, gt, r) != class))
            break;
        bool joins = take.count && queue == r->queue && take.base + take.count == r->base &&
                     take.attempts == r->attempt && take.delivered == r->delivered &&
                     take.count + r->count <= COUNT_MAX;
        if (!joins) {
            pop_make_run(p, gt, queue, &take);
            take.base = r->base;
            take.attempts = r->attempt;
            take.delivered = r->delivered;
            queue = r->queue;
        }
        pop_record(p, gt, r, &known, &known_queue);
        pop_take_waiting(p, gt, r, &take, &known);
    }
    pop_make_run(p, gt, queue, &take);
}

/* Finds the group on a topic that POP names. *ret_gt NULL: the group does not exist there. */
static enum status pop_find(struct pop *p, struct slice group, struct slice topic, struct gt **ret_gt)
{
    struct topic *t = NULL;
    *ret_gt = NULL;
    enum status s = topic_get(p->st, topic, &t);
    if (s != ST_OK)
        return s == ST_GONE ? ST_NOTOPIC : s;
    s = group_get(p->st, group, topic, ret_gt);
    return s == ST_GONE ? ST_OK : s;
}

/* Creates it with default settings, unless this POP names the same topic twice. */
static enum status pop_create(struct pop *p, struct slice group, struct slice topic, struct gt **ret_gt)
{
    struct topic *t = NULL;
    struct group_settings set;
    group_settings_default(&set);
    enum status s = group_get(p->st, group, topic, ret_gt);
    if (s != ST_GONE)
        return s;
    s = topic_get(p->st, topic, &t);
    if (s == ST_OK)
        s = group_create(p->st, p->stamp->now_ms, group, t, &set, ret_gt);
    p->changed = p->changed || s == ST_OK;
    return s;
}

/* True where topics that do not exist are waited for. */
static bool pop_waits(const struct pop *p, const struct command *cmd)
{
    return command_number(cmd, OPT_ID_WAIT, 0) > 0 && p->stamp->policy->auto_create_topics;
}

/* Finds what was redriven. NULL: nothing ever was, or the caller names that topic itself. */
static enum status pop_redriven(struct pop *p, const struct command *cmd, struct gt *const *gts, struct gt **ret_gt)
{
    struct cgroup *cg = NULL;
    *ret_gt = NULL;
    for (uint32_t i = 0; i < cmd->n_rest && !cg; i++)
        cg = gts[i] ? gts[i]->cgroup : NULL;
    enum status s = cg ? ST_OK : cgroup_get(p->st, cmd->pos[0], &cg);
    if (s == ST_OK && cg->row.has_retry)
        s = retry_get(p->st, cg, ret_gt);
    for (uint32_t i = 0; i < cmd->n_rest && s == ST_OK; i++) {
        if (gts[i] == *ret_gt)
            *ret_gt = NULL;
    }
    return s == ST_GONE ? ST_OK : s;
}

/* Finds the group on each topic, and creates it where it is missing. Everything that can refuse is checked first. A gt is
 * NULL where its topic is waited for. */
static enum status pop_groups(struct pop *p, const struct command *cmd, struct gt **gts, struct gt **ret_redriven)
{
    uint64_t missing = 0, unknown = 0; /* bits */
    bool waits = pop_waits(p, cmd);
    for (uint32_t i = 0; i < cmd->n_rest; i++) {
        enum status s = pop_find(p, cmd->pos[0], cmd->rest[i], &gts[i]);
        unknown |= (uint64_t)(s == ST_NOTOPIC) << i;
        if (s != ST_OK && !(s == ST_NOTOPIC && waits))
            return s;
        missing += s == ST_OK && !gts[i];
    }
    if (missing && (cmd->info->id == CMD_TAKE || !p->stamp->policy->auto_create_groups))
        return ST_NOGROUP;
    if (missing && p->st->meta.groups + missing > GROUPS_MAX)
        return ST_LIMIT;
    enum status s = pop_redriven(p, cmd, gts, ret_redriven);
    for (uint32_t i = 0; i < cmd->n_rest && s == ST_OK; i++) {
        bool there = gts[i] || (unknown >> i & 1);
        s = there ? ST_OK : pop_create(p, cmd->pos[0], cmd->rest[i], &gts[i]);
    }
    return s;
}

static void pop_refuse(struct outcome *out, const struct command *cmd, enum status s)
{
    if (s == ST_NOTOPIC && cmd->n_rest == 1) {
        char name[160];
        text_quote(cmd->rest[0], 130, name, sizeof(name));
        reply_error(&out->reply, s, "no topic '%s': SEND to it or TOPIC CREATE it first", name);
    } else if (s == ST_NOTOPIC) {
        reply_error(&out->reply, s, "one of these topics does not exist: SEND to it or TOPIC CREATE it first");
    } else if (s == ST_NOGROUP && cmd->info->id == CMD_TAKE) {
        reply_error(&out->reply, s, "the group was deleted");
    } else if (s == ST_NOGROUP) {
        char name[160];
        text_quote(cmd->pos[0], 130, name, sizeof(name));
        reply_error(&out->reply, s, "no group '%s' on the topic, and auto_create_groups is off: GROUP CREATE it first", name);
    } else if (s == ST_LIMIT) {
        reply_error(&out->reply, s, "too many consumer groups: at most %d, counted for each topic", GROUPS_MAX);
    } else {
        core_fail(out, s, "POP");
    }
}

/* Takes waiting runs where the group goes by PRIORITY: fresh messages of higher classes go before each of them. */
static void pop_waiting_ranked(struct pop *p, struct gt *gt)
{
    while (pop_more(p) && !p->crowded) {
        struct run *r = NULL;
        p->status = waiting_first(&gt->runs, p->st, gt->id, &r);
        if (p->status != ST_OK || !r || r->due_ms > p->stamp->now_ms)
            return;
        int class = pop_class(p, gt, r);
        pop_fresh(p, gt, class);
        pop_waiting(p, gt, class);
    }
}

/* Is the group so far behind that the broker should move it on (ADVANCE) if this POP was the last one? */
static bool pop_leaves_much(const struct gt *gt)
{
    uint64_t behind = 0;
    for (uint32_t q = 0; q < gt->n_queues && behind < ADVANCE_LEAST; q++)
        behind += gt->topic->queues[q].end - gt->queues[q].next;
    return behind >= ADVANCE_LEAST;
}

/* Takes what is ready, as much as the caller wants. */
static void pop_ready(struct pop *p, struct gt *gt)
{
    p->crowded = !lease_room(gt);
    p->out->in_order = p->out->in_order || gt->order;
    if (ranked(gt) && gt->runs.waiting_runs)
        pop_waiting_ranked(p, gt);
    pop_waiting(p, gt, -1);
    if (gt->order)
        pop_skipped(p, gt);
    pop_fresh(p, gt, -1);
    if (gt->filter_kind != FILTER_NONE && gt->dirty && pop_leaves_much(gt))
        core_news(p->st, &gt->news, 0); /* nobody who waits need look */
    group_arm(p->st, gt, p->stamp->now_ms);
}

/* Takes what the limits of the group on %RETRY% leave; mostly it has none of its own. */
static void pop_again(struct pop *p, struct gt *gt)
{
    pop_end_leases(p, gt);
    uint32_t want = p->left, room = limit_room(gt, 0, p->stamp->now_ms, want, &p->retry_ms);
    p->left = room;
    pop_ready(p, gt);
    limit_took(p->st, gt, p->stamp->now_ms, room - p->left);
    p->left += want - room;
}

/* Takes what the group's limits on a topic leave, of what the caller still wants: first what was redriven (NULL: nothing),
 * which counts there. gt NULL: there is no such topic. */
static void pop_group(struct pop *p, struct gt *gt, struct gt *redriven)
{
    if (!gt || !pop_more(p))
        return;
    pop_end_leases(p, gt);
    p->by_ack = p->by_ack || ((gt->order || gt->inflight) && gt->runs.n_leased > 0);
    uint64_t beside = redriven ? redriven->runs.n_leased : 0;
    uint32_t want = p->left, room = limit_room(gt, beside, p->stamp->now_ms, want, &p->retry_ms);
    p->left = room;
    if (redriven && pop_more(p))
        pop_again(p, redriven);
    pop_ready(p, gt);
    limit_took(p->st, gt, p->stamp->now_ms, room - p->left);
    p->left += want - room;
}

static void pop_topics(struct pop *p, struct gt *const *gts, uint32_t n, struct gt *redriven)
{
    bool any = false;
    for (uint32_t i = 0; i < n; i++) {
        p->topic = i;
        pop_group(p, gts[i], redriven);
        any = any || gts[i];
    }
    if (!any) /* none of its topics exists yet */
        pop_group(p, redriven, NULL);
}

/* Some messages were leased. Remembers the connection's id, so that no later one has it. */
static void pop_granted(struct pop *p)
{
    p->out->popped_ms = p->stamp->now_ms;
    if (p->holder <= p->st->meta.holders)
        return;
    p->st->meta.holders = p->holder;
    p->st->meta_dirty = true;
}

void apply_pop(struct state *st, const struct stamp *stamp, const struct command *cmd,
               struct outcome *out)
{
    struct pop p = {.st = st, .stamp = stamp, .out = out, .holder = cmd->client};
    p.left = (uint32_t)command_number(cmd, OPT_ID_COUNT, 1);
    p.lease_ms = command_number(cmd, OPT_ID_LEASE, 0);
    p.whole = cmd->info->id == CMD_TAKE;
    struct gt *gts[POP_TOPICS_MAX], *redriven = NULL;
    if (cmd->n_rest > POP_TOPICS_MAX) {
        reply_error(&out->reply, ST_LIMIT, "POP takes at most %d topics at once", POP_TOPICS_MAX);
        return;
    }
    enum status s = grants_reserve(out, p.left) ? sifts_open(&st->sifts, cmd->sifted) : ST_NOMEM;
    if (s == ST_OK)
        s = pop_groups(&p, cmd, gts, &redriven);
    if (s != ST_OK) {
        st->sick = st->sick || (p.changed && s == ST_NOMEM);
        pop_refuse(out, cmd, s);
        return;
    }
    pop_topics(&p, gts, cmd->n_rest, redriven);
    /* What cannot be read ends this POP, and it answers with what it has. All that it changed is whole. */
    bool unread = p.status == ST_DAMAGED || p.status == ST_IO;
    if (unread && out->n_grants > 0)
        p.status = ST_OK;
    if (p.status != ST_OK || !grants_seal(out)) {
        out->n_grants = 0;
        st->sick = st->sick || !unread; /* half of it is done, so it must not be written */
        core_fail(out, p.status == ST_OK ? ST_NOMEM : p.status, "POP");
        return;
    }
    if (out->n_grants > 0) {
        pop_granted(&p);
        return;
    }
    if (p.refused && !p.changed) {
        reply_error(&out->reply, ST_BUSY, "the group has %d leases on this topic that are not acknowledged yet",
                    LEASES_MAX);
        return;
    }
    /* BUSY means that nothing was done. If this POP has made a group, the next one, which comes at once, says it. */
    out->nothing = true;
    out->by_ack = p.by_ack;
    out->sift = p.sift;
    bool more = p.expired >= POP_EXPIRED_MAX || p.examined >= POP_EXAMINED_MAX;
    out->retry_at_ms = p.again || p.refused || more ? stamp->now_ms : p.retry_ms;
    reply_array(&out->reply, 0);
}
