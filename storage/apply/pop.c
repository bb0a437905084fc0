/*
 * pop.c: POP leases messages. It decides *which* ones a caller gets and does not read them (query_grants does).
 *
 *   1. waiting runs that are due, in the order of their due times (attempt + 1)
 *   2. fresh messages, always from the queue whose head is oldest, until the caller has enough
 *
 *   q0  ░░░░░│a a a│c c c ...        a record knows the index of the group commit that wrote it, so the
 *   q1  ░░│b b b b│d d ...           oldest head is the smallest (index, seq); within a record seq is
 *        next ▲                      guessed between that of its first and of its last message
 *
 * TAKE is POP for a stream (broker/serve/stream.h), but it does not create a group: if it was deleted, the stream
 * ends.
 *
 * Messages that have expired are skipped: their bit in the run is not set. The caller gets fewer than COUNT rather
 * than much more than REPLY_BYTES_SOFT.
 */
#include <stdlib.h>

#include "storage/apply/handlers.h"
#include "storage/model/group.h"
#include "storage/model/grants.h"
#include "storage/model/log.h"
#include "storage/model/lease.h"
#include "storage/model/waiting.h"

#define POP_TOPICS_MAX 64
#define POP_EXPIRED_MAX 20000 /* expired messages that one POP skips; then the caller comes again at once */

struct pop {
    struct state *st;
    const struct stamp *stamp;
    struct outcome *out;
    int64_t lease_ms; /* 0: the group's own */
    uint32_t left;    /* messages still wanted */
    size_t bytes;     /* estimated size of what was taken */
    uint32_t expired; /* expired messages that were skipped */
    bool changed;     /* something was created or leased, so it cannot simply fail */
    bool again;       /* more may be had at once, by another POP */
    bool crowded;     /* the group on this topic has too many leases: nothing is delivered ... */
    bool refused;     /* ... and there was something */
    enum status status;
};

static int64_t pop_lease_until(const struct pop *p, const struct gt *gt)
{
    return p->stamp->now_ms + (p->lease_ms ? p->lease_ms : gt->lease_ms);
}

static bool pop_more(const struct pop *p)
{
    return p->left > 0 && p->bytes < REPLY_BYTES_SOFT && p->expired < POP_EXPIRED_MAX && p->status == ST_OK;
}

static void pop_grant(struct pop *p, struct gt *gt, const struct run *r)
{
    grants_add(p->out, gt->topic, r);
    if (r->attempt > gt->attempt_top)
        gt->attempt_top = r->attempt;
    p->st->tally.messages_out += r->live;
    p->changed = true;
    group_dirty(p->st, gt);
}

/* What this POP takes of a queue, before it becomes a run. */
struct take {
    uint64_t base;
    uint32_t count, live;
    uint32_t attempts; /* how often they were delivered before */
    uint64_t bits[RUN_WORDS_MAX];
};

/* Makes a run of what was taken, and empties *take. */
static void pop_make_run(struct pop *p, struct gt *gt, uint32_t q, struct take *take)
{
    struct take done = *take;
    *take = (struct take){0};
    if (done.live == 0)
        return;
    struct run *r = run_add(&gt->runs, q, done.base, done.count, RUN_LEASED, done.attempts + 1, pop_lease_until(p, gt),
                            done.bits);
    if (r) {
        pop_grant(p, gt, r);
        return;
    }
    p->st->sick = true;
    p->status = ST_NOMEM;
}

/* Bytes of a message of a waiting run, estimated. *known is the record that was asked for last: many runs are in one. */
static size_t pop_estimate(struct pop *p, struct gt *gt, const struct run *r, struct record_info *known,
                           uint32_t *known_queue)
{
    bool same = known->count > 0 && *known_queue == r->queue && r->base >= known->base &&
                r->base - known->base < known->count;
    if (!same && log_locate(p->st, gt->topic, r->queue, r->base, known) != ST_OK)
        known->count = 0;
    *known_queue = r->queue;
    return known->count ? known->bytes / known->count : 0;
}

/* Ends leases that are over and whose timer has not fired yet. */
static void pop_end_leases(struct pop *p, struct gt *gt)
{
    const struct run *r = run_first_leased(&gt->runs);
    if (r && r->due_ms <= p->stamp->now_ms)
        lease_tick(p->st, p->stamp, gt);
}

/* True where the message at offset has expired, or p->status. */
static bool pop_expired(struct pop *p, struct gt *gt, uint32_t queue, uint64_t offset)
{
    if (!(gt->topic->flags & TOPIC_HAS_TTL))
        return false;
    int64_t expires = INT64_MAX;
    p->status = log_expiry(p->st, gt->topic, queue, offset, &expires);
    bool over = p->status != ST_OK || expires <= p->stamp->now_ms;
    p->expired += over;
    return over;
}

/* Takes the messages of a waiting run, in order, until the caller has enough. Those that have expired are dropped. */
static void pop_take_waiting(struct pop *p, struct gt *gt, struct run *r, struct take *take, size_t each)
{
    uint64_t at = r->base, end = r->base + r->count;
    for (; at < end && pop_more(p); at++, take->count++) {
        if (!run_has(r, at) || pop_expired(p, gt, r->queue, at))
            continue;
        take->bits[take->count / 64] |= UINT64_C(1) << (take->count % 64);
        take->live++;
        p->left--;
        p->bytes += each;
    }
    group_dirty(p->st, gt);
    if (p->status != ST_OK)
        return;
    if (at == end)
        run_drop(&gt->runs, r);
    else
        p->status = run_drop_before(&gt->runs, r, at);
    p->changed = true;
}

/* Takes waiting runs that are due. Neighbours that were delivered equally often become one run again, however singly
 * they were given back. */
static void pop_waiting(struct pop *p, struct gt *gt)
{
    struct take take = {0};
    struct record_info known = {.count = 0};
    uint32_t queue = 0, known_queue = 0;
    while (pop_more(p)) {
        struct run *r = NULL;
        p->status = waiting_first(&gt->runs, p->st, gt->id, &r);
        if (p->status != ST_OK || !r || r->due_ms > p->stamp->now_ms)
            break;
        p->refused = p->refused || p->crowded;
        if (p->crowded)
            break;
        bool joins = take.count && queue == r->queue && take.base + take.count == r->base &&
                     take.attempts == r->attempt && take.count + r->count <= COUNT_MAX;
        if (!joins) {
            pop_make_run(p, gt, queue, &take);
            take.base = r->base;
            take.attempts = r->attempt;
            queue = r->queue;
        }
        pop_take_waiting(p, gt, r, &take, pop_estimate(p, gt, r, &known, &known_queue));
    }
    if (p->status == ST_OK)
        pop_make_run(p, gt, queue, &take);
}

/* Finds the head record of a queue, which is kept until next has passed it. False: nothing is fresh, or p->status. */
static bool pop_head(struct pop *p, struct gt *gt, uint32_t q)
{
    struct gtq *gq = &gt->queues[q];
    const struct queue *queue = &gt->topic->queues[q];
    if (gq->next >= queue->end)
        return false;
    if (gq->has_head && gq->next - gq->head.base < gq->head.count && gq->next >= gq->head.base)
        return true;
    enum status s = log_locate(p->st, gt->topic, q, gq->next, &gq->head);
    p->again = p->again || s == ST_BUSY;
    if (s == ST_GONE || s == ST_BUSY)
        return false;
    if (s != ST_OK) {
        p->status = s;
        return false;
    }
    if (gq->next < gq->head.base)
        gq->next = gq->head.base; /* what was between was purged */
    /* The tail still grows, so its place must be looked up again. */
    gq->has_head = !queue->tail || gq->head.base < queue->tail->base;
    return true;
}

/* Estimates the seq of the next message in its group commit, without reading it. This is exact where the messages of
 * the record have even distances, because they were spread over the queues in turn or sent together. */
static uint64_t pop_head_seq(const struct gtq *gq)
{
    const struct record_info *h = &gq->head;
    uint64_t spread = h->last_seq - h->first_seq;
    return h->count > 1 ? h->first_seq + (gq->next - h->base) * spread / (h->count - 1) : h->first_seq;
}

/* Orders heads of queues: by group commit, then by the place in it. */
static bool pop_head_before(const struct gtq *a, const struct gtq *b)
{
    if (a->head.index != b->head.index)
        return a->head.index < b->head.index;
    return pop_head_seq(a) < pop_head_seq(b);
}

static int32_t pop_oldest(struct pop *p, struct gt *gt, bool *ret_alone)
{
    int32_t best = -1;
    *ret_alone = true;
    for (uint32_t q = 0; q < gt->n_queues && p->status == ST_OK; q++) {
        if (!pop_head(p, gt, q))
            continue;
        if (best < 0) {
            best = (int32_t)q;
            continue;
        }
        struct gtq *a = &gt->queues[q], *b = &gt->queues[best];
        if (a->head.index == b->head.index)
            *ret_alone = false;
        if (pop_head_before(a, b))
            best = (int32_t)q;
    }
    return p->status == ST_OK ? best : -1;
}

/* Takes up to n messages from the head record of q. */
static void pop_take(struct pop *p, struct gt *gt, uint32_t q, struct take *take, uint32_t n)
{
    struct gtq *gq = &gt->queues[q];
    bool ttl = (gt->topic->flags & TOPIC_HAS_TTL) != 0;
    if (take->count == 0) {
        take->base = gq->next;
        take->attempts = gt->attempt_base;
    }
    uint64_t end = gq->head.base + gq->head.count;
    size_t each = gq->head.count ? gq->head.bytes / gq->head.count : 0;
    for (; n > 0 && gq->next < end && take->count < COUNT_MAX && pop_more(p); n--) {
        int64_t expires = INT64_MAX;
        if (ttl)
            p->status = log_expiry(p->st, gt->topic, q, gq->next, &expires);
        if (p->status != ST_OK)
            return;
        if (expires > p->stamp->now_ms) {
            take->bits[take->count / 64] |= UINT64_C(1) << (take->count % 64);
            take->live++;
            p->left--;
            p->bytes += each;
        } else {
            p->expired++;
        }
        take->count++;
        gq->next++;
    }
    group_dirty(p->st, gt);
}

static void pop_fresh(struct pop *p, struct gt *gt)
{
    struct take *takes = NULL;
    while (pop_more(p)) {
        bool alone = true;
        int32_t q = pop_oldest(p, gt, &alone);
        p->refused = p->refused || (q >= 0 && p->crowded);
        if (q < 0 || p->crowded)
            break;
        if (!takes)
            takes = calloc(gt->n_queues, sizeof(*takes));
        if (!takes) {
            p->status = ST_NOMEM;
            break;
        }
        struct take *take = &takes[q];
        if (take->count && gt->queues[q].next != take->base + take->count)
            pop_make_run(p, gt, (uint32_t)q, take); /* what is between was purged */
        pop_take(p, gt, (uint32_t)q, take, alone ? COUNT_MAX : 1);
        if (take->count == COUNT_MAX) /* full, also of expired ones */
            pop_make_run(p, gt, (uint32_t)q, take);
    }
    for (uint32_t q = 0; takes && q < gt->n_queues; q++)
        pop_make_run(p, gt, q, &takes[q]);
    free(takes);
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

/* Finds the group on each topic, and creates it where it is missing. Everything that can refuse is checked first. */
static enum status pop_groups(struct pop *p, const struct command *cmd, struct gt **gts)
{
    uint64_t missing = 0;
    for (uint32_t i = 0; i < cmd->n_rest; i++) {
        enum status s = pop_find(p, cmd->pos[0], cmd->rest[i], &gts[i]);
        if (s != ST_OK)
            return s;
        missing += !gts[i];
    }
    if (missing && cmd->info->id == CMD_TAKE)
        return ST_NOGROUP;
    if (missing && p->st->meta.groups + missing > GROUPS_MAX)
        return ST_LIMIT;
    for (uint32_t i = 0; i < cmd->n_rest; i++) {
        enum status s = gts[i] ? ST_OK : pop_create(p, cmd->pos[0], cmd->rest[i], &gts[i]);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

static void pop_refuse(struct outcome *out, const struct command *cmd, enum status s)
{
    if (s == ST_NOTOPIC && cmd->n_rest == 1) {
        char name[160];
        text_quote(cmd->rest[0], 130, name, sizeof(name));
        reply_error(&out->reply, s, "no topic '%s': SEND to it or TOPIC CREATE it first", name);
    } else if (s == ST_NOTOPIC) {
        reply_error(&out->reply, s, "one of these topics does not exist: SEND to it or TOPIC CREATE it first");
    } else if (s == ST_NOGROUP) {
        reply_error(&out->reply, s, "the group was deleted");
    } else if (s == ST_LIMIT) {
        reply_error(&out->reply, s, "too many consumer groups: at most %d, counted for each topic", GROUPS_MAX);
    } else {
        core_fail(out, s, "POP");
    }
}

void apply_pop(struct state *st, const struct stamp *stamp, const struct command *cmd,
               struct outcome *out)
{
    struct pop p = {.st = st, .stamp = stamp, .out = out};
    p.left = (uint32_t)command_number(cmd, OPT_ID_COUNT, 1);
    p.lease_ms = command_number(cmd, OPT_ID_LEASE, 0);
    struct gt *gts[POP_TOPICS_MAX];
    if (cmd->n_rest > POP_TOPICS_MAX) {
        reply_error(&out->reply, ST_LIMIT, "POP takes at most %d topics at once", POP_TOPICS_MAX);
        return;
    }
    enum status s = grants_reserve(out, p.left) ? pop_groups(&p, cmd, gts) : ST_NOMEM;
    if (s != ST_OK) {
        st->sick = st->sick || (p.changed && s == ST_NOMEM);
        pop_refuse(out, cmd, s);
        return;
    }
    for (uint32_t i = 0; i < cmd->n_rest && pop_more(&p); i++) {
        pop_end_leases(&p, gts[i]);
        p.crowded = !lease_room(gts[i]);
        pop_waiting(&p, gts[i]);
        pop_fresh(&p, gts[i]);
        group_arm(st, gts[i], stamp->now_ms);
    }
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
    if (out->n_grants > 0)
        return;
    if (p.refused && !p.changed) {
        reply_error(&out->reply, ST_BUSY, "the group has %d leases on this topic that are not acknowledged yet",
                    LEASES_MAX);
        return;
    }
    /* BUSY means that nothing was done. If this POP has made a group, the next one, which comes at once, says it. */
    out->nothing = true;
    out->retry_at_ms = p.again || p.refused || p.expired >= POP_EXPIRED_MAX ? stamp->now_ms : 0;
    reply_array(&out->reply, 0);
}
