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

#define FRESH_EXPECTS 4 /* messages ahead: their keys are in the processor's cache by then */
#define FRESH_SKIPPED 4 /* a record that has expired as a whole counts as so many expired messages */

struct fresh_head {
    uint32_t queue;
    uint8_t class;
    struct class_lane *lane;       /* of a class that is not the default one, else NULL */
    uint64_t at;             /* the next message, or where to look for it */
    uint64_t seq;            /* of it, estimated */
    struct record_info info; /* the record that it is in */
    enum pop_verdict last;   /* FULL: the queue waits; STOP: the POP ends here, since the oldest go first */
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

/* Finds the next message of a class that has a lane. As log_class_find. */
static enum status fresh_find_ranked(struct pop *p, struct gt *gt, struct fresh_head *h)
{
    const struct queue *q = &gt->topic->queues[h->queue];
    uint64_t from = h->lane->next > h->lane->clear ? h->lane->next : h->lane->clear;
    from = from > q->floor ? from : q->floor;
    enum status s =
        from < q->end ? log_class_find(p->st, gt->topic, h->queue, h->class, from, &h->at, &h->info) : ST_GONE;
    if (s == ST_OK || s == ST_GONE)
        h->lane->clear = s == ST_OK ? h->at : q->end;
    return s;
}

/* Finds the next message of a queue. ST_GONE: there is none; otherwise as log_locate. */
static enum status fresh_find_next(struct pop *p, struct gt *gt, struct fresh_head *h)
{
    struct gtq *gq = &gt->queues[h->queue];
    if (gq->next >= gt->topic->queues[h->queue].end)
        return ST_GONE;
    enum status s = log_locate(p->st, gt->topic, h->queue, gq->next, &h->info);
    if (s == ST_OK && gq->next < h->info.base)
        gq->next = h->info.base; /* what was between was purged, or is lost */
    h->at = gq->next;
    return s;
}

/* Finds the next message of a head. False: there is none, or p->status. */
static bool fresh_find(struct pop *p, struct gt *gt, struct fresh_head *h)
{
    enum status s = h->lane ? fresh_find_ranked(p, gt, h) : fresh_find_next(p, gt, h);
    p->again = p->again || s == ST_BUSY;
    if (s == ST_GONE || s == ST_BUSY)
        return false;
    if (s != ST_OK) {
        p->status = s;
        return false;
    }
    h->seq = fresh_seq(&h->info, h->at);
    return true;
}

/* Orders heads: by class, by group commit, then by the place in it. */
static bool fresh_before(const struct fresh_head *a, const struct fresh_head *b)
{
    if (a->class != b->class)
        return a->class > b->class;
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

/* Adds the head of a queue, or of one class of it, if it has a message. The heap is not in order yet. */
static void fresh_add_head(struct pop *p, struct gt *gt, struct heads *hs, uint32_t queue, uint8_t class,
                           struct class_lane *lane)
{
    struct fresh_head *h = &hs->all[hs->n_all];
    h->queue = queue;
    h->class = class;
    h->lane = lane;
    h->last = VERDICT_DROP;
    if (!fresh_find(p, gt, h))
        return;
    h->take.count = h->take.live = 0;
    hs->heap[hs->n++] = hs->n_all++;
}

/* Adds the heads of all queues for the topic's classes, the default one included, but only those above `least`. */
static void fresh_add_classes(struct pop *p, struct gt *gt, struct heads *hs, int least)
{
    uint16_t classes = gt->topic->classes | CLASS_DEFAULT_BIT;
    for (uint8_t c = CLASSES_MAX; c-- > 0 && c > least;) {
        struct class_lane *lanes = c == MESSAGE_PRIORITY_DEFAULT ? NULL : gt->lanes->of[c];
        for (uint32_t q = 0; classes & (1U << c) && q < gt->n_queues && p->status == ST_OK; q++)
            fresh_add_head(p, gt, hs, q, c, lanes ? &lanes[q] : NULL);
    }
}

/* Finds the heads of all queues. ST_NOMEM, or what reading one came to. */
static enum status fresh_heads(struct pop *p, struct gt *gt, struct heads *hs, int least)
{
    struct buf *room = &p->st->heads;
    buf_reset(room, KIB(64));
    bool by_class = ranked(gt);
    p->out->by_class = p->out->by_class || by_class;
    p->status = by_class || gt->flags & GROUP_RANKED ? ranked_load(p->st, gt, !by_class) : ST_OK;
    if (p->status != ST_OK)
        return p->status;
    size_t n = by_class ? gt->n_queues * (1UL + (size_t)__builtin_popcount(gt->topic->classes)) : gt->n_queues;
    uint8_t *mem = buf_room(room, n * (sizeof(struct fresh_head) + sizeof(uint32_t)));
    if (!mem)
        return ST_NOMEM;
    *hs = (struct heads){.all = (struct fresh_head *)(void *)mem};
    hs->heap = (uint32_t *)(void *)(mem + n * sizeof(struct fresh_head));
    if (by_class)
        fresh_add_classes(p, gt, hs, least);
    for (uint32_t q = 0; !by_class && q < gt->n_queues && p->status == ST_OK; q++)
        fresh_add_head(p, gt, hs, q, MESSAGE_PRIORITY_DEFAULT, NULL);
    for (uint32_t i = hs->n / 2; i-- > 0;)
        fresh_sink(hs, i);
    return p->status;
}

/* The group is done with the messages of the head before `next`. */
static void fresh_pass(struct pop *p, struct gt *gt, struct fresh_head *h, uint64_t next)
{
    h->at = next;
    if (h->lane)
        lanes_pass(gt->lanes, h->class, h->queue, next);
    else
        gt->queues[h->queue].next = next;
    group_dirty(p->st, gt);
}

/* True where all messages of the head's record have expired: they are passed. The record may have none of the head's class,
 * and is found or not by what is in memory only (`clear`), so the class's row must not change by it. */
static bool fresh_expired(struct pop *p, struct gt *gt, struct fresh_head *h)
{
    uint64_t end = h->info.base + h->info.count;
    if (h->info.expires_most > p->stamp->now_ms)
        return false;
    p->expired += FRESH_SKIPPED;
    if (h->lane)
        h->at = h->lane->clear = end;
    else
        fresh_pass(p, gt, h, end);
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
        h->at = ++gq->next;
    }
    if (take->count == COUNT_MAX) /* full, also of expired ones */
        pop_make_run(p, gt, h->queue, take);
}

/* Adds the message at the head to what is taken of its queue. Those between were passed. */
static void fresh_add(struct pop *p, struct gt *gt, struct fresh_head *h)
{
    struct take *take = &h->take;
    uint64_t at = h->at;
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
static enum pop_verdict fresh_order(struct pop *p, struct gt *gt, const struct fresh_head *h, const struct judge *j)
{
    uint32_t i = (uint32_t)(h->at - h->info.base), key = columns_key(j->columns, i);
    keyring_expect_key(&gt->order->ring, h->queue, columns_key(j->columns, i + FRESH_EXPECTS));
    switch (ordered_meet(p->st, gt, h->queue, &h->info, h->at, key)) {
    case ORDERED_PASS: return VERDICT_HOLD;
    case ORDERED_FULL: return VERDICT_FULL;
    case ORDERED_TAKE: break;
    }
    return VERDICT_TAKE;
}

/* Does with the message at the head what the verdict says, and moves the head behind it. But FULL, STOP, or p->status: it
 * stays. Returns what was done: DROP also where it has expired. */
static enum pop_verdict fresh_decide(struct pop *p, struct gt *gt, struct fresh_head *h, const struct judge *j,
                                     enum pop_verdict verdict)
{
    p->examined += gt->filter_kind != FILTER_WHERE; /* there a sift says how many there are at most */
    if (verdict == VERDICT_STOP)
        return verdict;
    if (verdict != VERDICT_DROP && pop_expired(p, gt, h->queue, h->at, &h->info))
        verdict = VERDICT_DROP;
    if (p->status != ST_OK)
        return VERDICT_STOP;
    if (verdict == VERDICT_TAKE && gt->order)
        verdict = fresh_order(p, gt, h, j);
    if (verdict == VERDICT_FULL)
        return verdict;
    if (verdict == VERDICT_TAKE)
        fresh_add(p, gt, h);
    fresh_pass(p, gt, h, h->at + 1);
    return verdict;
}

/* Moves the head to the next message of its class in the record. True: some of other classes were passed. */
static bool fresh_seek(struct pop *p, struct gt *gt, struct fresh_head *h, const struct judge *j, uint64_t end)
{
    uint64_t to = judge_seek(j, h->class, h->at, end);
    if (to == h->at)
        return false;
    p->examined += 1 + (uint32_t)(to - h->at) / 64;
    if (h->lane)
        h->at = h->lane->clear = to;
    else
        fresh_pass(p, gt, h, to);
    return true;
}

/* Goes over the messages of the head's record. Where messages of several queues are taken in turn, those that are dropped
 * change whose turn it is: then nothing is taken. */
static void fresh_judge_record(struct pop *p, struct gt *gt, struct fresh_head *h, struct judge *j, bool in_turn)
{
    uint64_t end = h->info.base + h->info.count;
    bool dropped = false, taken = false, by_class = ranked(gt);
    while (h->at < end && pop_more(p) && !(in_turn && taken)) {
        dropped = (by_class && fresh_seek(p, gt, h, j, end)) || dropped;
        if (h->at == end)
            return;
        enum pop_verdict v = judge_message(j, h->at);
        if (in_turn && dropped && v != VERDICT_DROP)
            return;
        v = h->last = fresh_decide(p, gt, h, j, v);
        if (v == VERDICT_FULL || v == VERDICT_STOP)
            return;
        dropped = dropped || v == VERDICT_DROP;
        taken = v != VERDICT_DROP;
    }
}

/* As fresh_take, where each message needs a verdict. */
static void fresh_judge(struct pop *p, struct gt *gt, struct fresh_head *h, bool in_turn)
{
    struct judge j;
    if (fresh_expired(p, gt, h))
        return;
    p->status = judge_begin(&j, p->st, gt, h->queue, &h->info);
    if (p->status == ST_OK)
        fresh_judge_record(p, gt, h, &j, in_turn);
}

/* Moves the oldest queue to where its next message belongs, or takes it out where it has none. */
static void fresh_next(struct pop *p, struct gt *gt, struct heads *hs)
{
    struct fresh_head *h = &hs->all[hs->heap[0]];
    bool in_record = h->at - h->info.base < h->info.count && h->last != VERDICT_FULL;
    if (in_record)
        h->seq = fresh_seq(&h->info, h->at);
    else if (h->last == VERDICT_FULL || !fresh_find(p, gt, h))
        hs->heap[0] = hs->heap[--hs->n];
    if (hs->n)
        fresh_sink(hs, 0);
}

/* Says from where on it has to be found out which messages match: in all queues, so that the oldest of them are known. */
static void fresh_ask(struct pop *p, const struct heads *hs)
{
    struct buf *text = &p->out->text;
    p->sift = true;
    for (uint32_t i = 0; i < hs->n && p->n_wants < SIFT_RANGES_MAX; i++, p->n_wants++) {
        const struct fresh_head *h = &hs->all[hs->heap[i]];
        struct sift_want w = {p->topic, h->queue, h->at};
        buf_put(text, &w, sizeof(w));
    }
}

/* Messages of one group commit are taken in turn; a whole record at once where no other queue has its like. */
static bool fresh_in_turn(const struct heads *hs)
{
    const struct fresh_head *h = &hs->all[hs->heap[0]];
    uint32_t second = fresh_below(hs, 0);
    if (second == hs->n)
        return false;
    const struct fresh_head *other = &hs->all[hs->heap[second]];
    return other->class == h->class && other->info.index == h->info.index;
}

/* Would part of the head's record be taken, behind others? A stream goes on at once, so there it is left to the next TAKE, which
 * may have room for all of it: each part of a record that is cut has to be copied, and needs a checksum of its own. Once they
 * begin with records, they end with them, too. */
static bool fresh_would_cut(const struct pop *p, struct gt *gt, const struct fresh_head *h)
{
    uint64_t end = h->info.base + h->info.count;
    return p->whole && p->bytes > 0 && end > gt->queues[h->queue].next && end - gt->queues[h->queue].next > p->left;
}

void pop_fresh(struct pop *p, struct gt *gt, int least)
{
    struct heads hs = {0};
    enum status s = pop_more(p) ? fresh_heads(p, gt, &hs, least) : ST_OK;
    if (s != ST_OK)
        p->status = s;
    bool judged = judge_needed(gt);
    p->refused = p->refused || (hs.n && p->crowded);
    while (hs.n && pop_more(p) && !p->crowded) {
        struct fresh_head *h = &hs.all[hs.heap[0]];
        bool in_turn = fresh_in_turn(&hs);
        if (!judged && !in_turn && fresh_would_cut(p, gt, h)) {
            p->ended = p->out->more = true;
            break;
        }
        if (judged)
            fresh_judge(p, gt, h, in_turn);
        else
            fresh_take(p, gt, h, in_turn ? 1 : COUNT_MAX);
        if (h->last == VERDICT_STOP) {
            if (p->status == ST_OK)
                fresh_ask(p, &hs);
            break;
        }
        fresh_next(p, gt, &hs);
    }
    for (uint32_t i = 0; i < hs.n_all; i++)
        pop_make_run(p, gt, hs.all[i].queue, &hs.all[i].take);
}
