/*
 * pop_skipped.c: takes messages that an ordered group has passed over, and whose turn has come (pop_skipped.h).
 *
 *   blocks, that with the oldest ready message first      ██ ready and taken   ░ skipped, its key is held
 *   │ ··██·░░··██··░ │ ·░··██··· │ ...
 *        └────┴──── one run: it lies across what others have leased there (storage/group/run.h)
 *
 * Those that have expired, or were deleted, leave: then the next one of the same key is ready at once.
 */
#include "storage/apply/pop_skipped.h"

#include "storage/group/ordered.h"
#include "storage/model/log.h"

/* The record that was looked up last; count 0: none. */
struct skipped_record {
    struct record_info info;
    uint32_t queue;
};

/* Finds the record of a message. Its count is 0 where it cannot be found. Sets p->status for want of memory only. */
static const struct record_info *skipped_find(struct pop *p, struct gt *gt, uint32_t queue, uint64_t offset,
                                            struct skipped_record *known)
{
    struct record_info *info = &known->info;
    if (info->count && known->queue == queue && offset >= info->base && offset - info->base < info->count)
        return info;
    enum status s = log_locate(p->st, gt->topic, queue, offset, info);
    if (s != ST_OK)
        info->count = 0;
    if (s == ST_NOMEM)
        p->status = s;
    known->queue = queue;
    return info;
}

/* True where nobody gets the message any more, or p->status. *ret_bytes: about how large it is. */
static bool skipped_over(struct pop *p, struct gt *gt, const struct ring_message *m, struct skipped_record *known,
                         size_t *ret_bytes)
{
    *ret_bytes = m->bytes;
    if (m->offset < gt->topic->queues[m->queue].floor)
        return true;
    if (m->bytes && !(gt->topic->flags & (TOPIC_HAS_TTL | TOPIC_HAS_REMOVED)))
        return false;
    const struct record_info *info = skipped_find(p, gt, m->queue, m->offset, known);
    *ret_bytes = info->count ? info->bytes / info->count : 0;
    return p->status != ST_OK || pop_expired(p, gt, m->queue, m->offset, info);
}

/* Takes the ready messages of a block, in order. */
static void skipped_block(struct pop *p, struct gt *gt, struct skip *b, struct skipped_record *known)
{
    struct take take = {.attempts = b->attempt, .delivered = b->delivered};
    uint32_t queue = b->queue;
    uint64_t offset = 0;
    bool left = true;
    while (left && pop_more(p) && skips_next(b, offset, &offset)) {
        struct ring_message *m = order_skipped(gt->order, b, offset);
        size_t bytes = 0;
        bool over = skipped_over(p, gt, m, known, &bytes);
        if (p->status != ST_OK)
            break;
        left = b->live > 1; /* without messages the block is gone */
        ordered_take(p->st, gt, m, over);
        p->changed = true;
        if (over)
            continue;
        take.base = take.count ? take.base : offset;
        while (take.base + take.count < offset)
            take_add(&take, false);
        take_add(&take, true);
        p->left--;
        p->bytes += bytes;
    }
    if (left)
        order_settle(gt->order, b);
    group_dirty(p->st, gt);
    pop_make_run(p, gt, queue, &take);
}

void pop_skipped(struct pop *p, struct gt *gt)
{
    struct skipped_record known = {.info = {.count = 0}};
    struct skip *b = pop_more(p) ? order_oldest(gt->order) : NULL;
    p->refused = p->refused || (b && p->crowded);
    for (; b && pop_more(p) && !p->crowded; b = order_oldest(gt->order))
        skipped_block(p, gt, b, &known);
}
