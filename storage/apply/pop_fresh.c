/*
 * pop_fresh.c: takes messages that a group never got, always from the queue whose head is oldest (pop_fresh.h).
 *
 *   q0  ░░░░░│a a a│c c c ...        a record knows the index of the group commit that wrote it, so the
 *   q1  ░░│b b b b│d d ...           oldest head is the smallest (index, seq); within a record seq is
 *        next ▲                      guessed between that of its first and of its last message
 *
 *   heap   the heads of all queues that have something, the oldest on top. After a message was taken its queue sinks
 *          to where its next one belongs, so COUNT messages of n queues cost COUNT x log n comparisons
 *
 * Where a record lies, when its messages expire, and what POP must know of each of them (verdict.h), the directory says; no
 * record is read.
 */
#include "storage/apply/pop_fresh.h"

#include "storage/group/ordered.h"
#include "storage/group/verdict.h"
#include "storage/model/log.h"

#define FRESH_SKIPPED 4 /* a record that has expired as a whole counts as so many expired messages */

struct fresh_head {
    uint32_t queue;
    uint64_t seq;            /* of the next message, estimated */
    struct record_info info; /* the record that it is in */
    bool stopped;            /* no verdict: the POP ends here, since the oldest go first */
    bool full;               /* the group is ordered, and has as many of the queue as it may: the queue waits */
    struct take take;
};

struct heads {
    struct fresh_head *all;
    uint32_t *heap; /* places in all; the oldest is heap[0] */
    uint32_t n;     /* in the heap */
    uint32_t n_all;
};

/* Estimates the seq of the next message in its group commit, without reading it. This is exact where the messages of
 * the record have even distances, because they were spread over the queues in turn or sent together. */
static uint64_t fresh_seq(const struct record_info *info, uint64_t next)
{
    uint64_t spread = info->last_seq - info->first_seq;
    return info->count > 1 ? info->first_seq + (next - info->base) * spread / (info->count - 1) : info->first_seq;
}

/* Finds the next message of a queue. False: there is none, or p->status. */
static bool fresh_find(struct pop *p, struct gt *gt, struct fresh_head *h)
{
    struct gtq *gq = &gt->queues[h->queue];
    if (gq->next >= gt->topic->queues[h->queue].end)
        return false;
    enum status s = log_locate(p->st, gt->topic, h->queue, gq->next, &h->info);
    p->again = p->again || s == ST_BUSY;
    if (s == ST_GONE || s == ST_BUSY)
        return false;
    if (s != ST_OK) {
        p->status = s;
        return false;
    }
    if (gq->next < h->info.base)
        gq->next = h->info.base; /* what was between was purged, or is lost */
    h->seq = fresh_seq(&h->info, gq->next);
    return true;
}

/* Orders heads: by group commit, then by the place in it. */
static bool fresh_before(const struct fresh_head *a, const struct fresh_head *b)
{
    if (a->info.index != b->info.index)
        return a->info.index < b->info.index;
    return a->seq != b->seq ? a->seq < b->seq : a->queue < b->queue;
}

/* The older of the two below place i of the heap; n: there is none. */
static uint32_t fresh_below(const struct heads *hs, uint32_t i)
{
    uint32_t left = 2 * i + 1, right = left + 1;
    if (left >= hs->n)
        return hs->n;
    bool is_right = right < hs->n && fresh_before(&hs->all[hs->heap[right]], &hs->all[hs->heap[left]]);
    return is_right ? right : left;
}

/* Moves the head at place i down to where it belongs. */
static void fresh_sink(struct heads *hs, uint32_t i)
{
    uint32_t moved = hs->heap[i];
    for (;;) {
        uint32_t below = fresh_below(hs, i);
        if (below == hs->n || !fresh_before(&hs->all[hs->heap[below]], &hs->all[moved]))
            break;
        hs->heap[i] = hs->heap[below];
        i = below;
    }
    hs->heap[i] = moved;
}

/* Finds the heads of all queues. ST_NOMEM, or what reading one came to. */
static enum status fresh_heads(struct pop *p, struct gt *gt, struct heads *hs)
{
    struct buf *room = &p->st->heads;
    buf_reset(room, KIB(64));
    size_t each = sizeof(struct fresh_head) + sizeof(uint32_t);
    uint8_t *mem = buf_room(room, gt->n_queues * each);
    if (!mem)
        return ST_NOMEM;
    *hs = (struct heads){.all = (struct fresh_head *)(void *)mem};
    hs->heap = (uint32_t *)(void *)(mem + gt->n_queues * sizeof(struct fresh_head));
    for (uint32_t q = 0; q < gt->n_queues && p->status == ST_OK; q++) {
        struct fresh_head *h = &hs->all[hs->n_all];
        h->queue = q;
        if (!fresh_find(p, gt, h))
            continue;
        h->take.count = h->take.live = 0;
        h->stopped = h->full = false;
        hs->heap[hs->n++] = hs->n_all++;
    }
    for (uint32_t i = hs->n / 2; i-- > 0;)
        fresh_sink(hs, i);
    return p->status;
}

/* True where all messages of the head's record have expired: they are passed. */
static bool fresh_expired(struct pop *p, struct gt *gt, const struct fresh_head *h)
{
    if (h->info.expires_most > p->stamp->now_ms)
        return false;
    p->expired += FRESH_SKIPPED;
    gt->queues[h->queue].next = h->info.base + h->info.count;
    return true;
}

/* Takes up to n messages of the head's record. */
static void fresh_take(struct pop *p, struct gt *gt, struct fresh_head *h, uint32_t n)
{
    struct gtq *gq = &gt->queues[h->queue];
    struct take *take = &h->take;
    uint64_t end = h->info.base + h->info.count;
    size_t each = h->info.bytes / h->info.count;
    group_dirty(p->st, gt);
    if (fresh_expired(p, gt, h))
        return;
    if (take->count && (gq->next != take->base + take->count || gq->next == gq->again))
        pop_make_run(p, gt, h->queue, take); /* what is between was purged, or has expired; or numbers begin elsewhere */
    if (take->count == 0)
        *take = (struct take){.base = gq->next, .attempts = group_attempt_base(gt, h->queue, gq->next)};
    if (gq->next < gq->again && end > gq->again)
        end = gq->again;
    for (; n > 0 && gq->next < end && take->count < COUNT_MAX && pop_more(p); n--) {
        bool live = !pop_expired(p, gt, h->queue, gq->next, &h->info);
        if (p->status != ST_OK)
            return;
        take_add(take, live);
        p->left -= live;
        p->bytes += live ? each : 0;
        gq->next++;
    }
    if (take->count == COUNT_MAX) /* full, also of expired ones */
        pop_make_run(p, gt, h->queue, take);
}

/* Adds the message at offset `at` to what is taken of the head's queue. Those between were passed. */
static void fresh_add(struct pop *p, struct gt *gt, struct fresh_head *h, uint64_t at)
{
    struct take *take = &h->take;
    uint32_t attempts = group_attempt_base(gt, h->queue, at);
    if (take->count && (at - take->base >= COUNT_MAX || take->attempts != attempts))
        pop_make_run(p, gt, h->queue, take);
    if (take->count == 0)
        *take = (struct take){.base = at, .attempts = attempts};
    while (take->base + take->count < at)
        take_add(take, false);
    take_add(take, true);
    p->left--;
    p->bytes += h->info.bytes / h->info.count;
}

/* What an ordered group does with a message that it wants. */
static enum pop_verdict fresh_order(struct pop *p, struct gt *gt, const struct fresh_head *h, const struct judge *j,
                                    uint64_t at)
{
    uint32_t key = columns_key(j->columns, (uint32_t)(at - h->info.base));
    switch (ordered_meet(p->st, gt, h->queue, &h->info, at, key)) {
    case ORDERED_PASS: return VERDICT_HOLD;
    case ORDERED_FULL: return VERDICT_STOP;
    case ORDERED_TAKE: break;
    }
    return VERDICT_TAKE;
}

/* Does with the message at the cursor what the verdict says. Returns what was done: DROP also where it has expired. */
static enum pop_verdict fresh_decide(struct pop *p, struct gt *gt, struct fresh_head *h, struct judge *j,
                                     enum pop_verdict verdict)
{
    uint64_t at = gt->queues[h->queue].next;
    p->examined += gt->filter_kind != FILTER_WHERE; /* there a sift says how many there are at most */
    if (verdict == VERDICT_STOP || verdict == VERDICT_DROP)
        return verdict;
    if (pop_expired(p, gt, h->queue, at, &h->info))
        return VERDICT_DROP;
    if (gt->order)
        verdict = fresh_order(p, gt, h, j, at);
    if (verdict == VERDICT_TAKE)
        fresh_add(p, gt, h, at);
    h->full = verdict == VERDICT_STOP;
    return verdict;
}

/* Goes over the messages of the head's record. Where messages of several queues are taken in turn, those that are dropped
 * change whose turn it is: then nothing is taken. */
static void fresh_judge_record(struct pop *p, struct gt *gt, struct fresh_head *h, struct judge *j, bool in_turn)
{
    struct gtq *gq = &gt->queues[h->queue];
    uint64_t end = h->info.base + h->info.count;
    bool dropped = false, taken = false;
    while (gq->next < end && pop_more(p) && !(in_turn && taken)) {
        enum pop_verdict v = judge_message(j, gq->next);
        if (in_turn && dropped && v != VERDICT_DROP)
            return;
        v = fresh_decide(p, gt, h, j, v);
        h->stopped = v == VERDICT_STOP && !h->full;
        if (v == VERDICT_STOP || p->status != ST_OK)
            return;
        dropped = dropped || v == VERDICT_DROP;
        taken = v != VERDICT_DROP;
        gq->next++;
    }
}

/* As fresh_take, where each message needs a verdict. */
static void fresh_judge(struct pop *p, struct gt *gt, struct fresh_head *h, bool in_turn)
{
    const struct gtq *gq = &gt->queues[h->queue];
    uint64_t before = gq->next;
    struct judge j;
    if (!fresh_expired(p, gt, h))
        p->status = judge_begin(&j, p->st, gt, h->queue, &h->info);
    if (gq->next == before && p->status == ST_OK)
        fresh_judge_record(p, gt, h, &j, in_turn);
    if (gq->next != before)
        group_dirty(p->st, gt);
}

/* Moves the oldest queue to where its next message belongs, or takes it out where it has none. */
static void fresh_next(struct pop *p, struct gt *gt, struct heads *hs)
{
    struct fresh_head *h = &hs->all[hs->heap[0]];
    uint64_t next = gt->queues[h->queue].next;
    bool in_record = next - h->info.base < h->info.count;
    if (in_record)
        h->seq = fresh_seq(&h->info, next);
    if (h->full || (!in_record && !fresh_find(p, gt, h)))
        hs->heap[0] = hs->heap[--hs->n];
    if (hs->n)
        fresh_sink(hs, 0);
}

/* Says from where on it has to be found out which messages match: in all queues, so that the oldest of them are known. */
static void fresh_ask(struct pop *p, const struct gt *gt, const struct heads *hs)
{
    struct buf *text = &p->out->text;
    p->sift = true;
    for (uint32_t i = 0; i < hs->n && p->n_wants < SIFT_RANGES_MAX; i++, p->n_wants++) {
        const struct fresh_head *h = &hs->all[hs->heap[i]];
        struct sift_want w = {p->topic, h->queue, gt->queues[h->queue].next};
        buf_put(text, &w, sizeof(w));
    }
}

void pop_fresh(struct pop *p, struct gt *gt)
{
    struct heads hs = {0};
    enum status s = pop_more(p) ? fresh_heads(p, gt, &hs) : ST_OK;
    if (s != ST_OK)
        p->status = s;
    bool judged = judge_needed(gt);
    p->refused = p->refused || (hs.n && p->crowded);
    while (hs.n && pop_more(p) && !p->crowded) {
        struct fresh_head *h = &hs.all[hs.heap[0]];
        uint32_t second = fresh_below(&hs, 0);
        /* Messages of one group commit are taken in turn; a whole record at once where no other queue has its like. */
        bool in_turn = second < hs.n && hs.all[hs.heap[second]].info.index == h->info.index;
        if (judged)
            fresh_judge(p, gt, h, in_turn);
        else
            fresh_take(p, gt, h, in_turn ? 1 : COUNT_MAX);
        if (h->stopped) {
            fresh_ask(p, gt, &hs);
            break;
        }
        fresh_next(p, gt, &hs);
    }
    for (uint32_t i = 0; i < hs.n_all; i++)
        pop_make_run(p, gt, hs.all[i].queue, &hs.all[i].take);
}
