/* ranked.c: lets a group take messages by their PRIORITY (ranked.h). */
#include "storage/group/ranked.h"

enum status ranked_load(struct state *st, struct gt *gt, bool with_default)
{
    const struct class_lanes *l = gt->lanes;
    uint16_t classes = (uint16_t)(gt->topic->classes | (with_default ? CLASS_DEFAULT_BIT : 0));
    if (l && (l->classes & classes) == classes && l->n_queues == gt->n_queues)
        return ST_OK;
    enum status s = lanes_load(&gt->lanes, st, gt->id, classes, gt->n_queues);
    if (s != ST_OK)
        return s;
    if (!(gt->flags & GROUP_RANKED)) {
        gt->flags |= GROUP_RANKED | GROUP_OVERLAPS;
        gt->runs.overlap = true;
        group_save(st, gt);
    }
    group_measure(st, gt);
    return ST_OK;
}

/* The first cursor of a queue, of any of the topic's classes. */
static uint64_t ranked_first(const struct gt *gt, uint32_t queue)
{
    uint64_t first = gt->queues[queue].next;
    for (uint8_t c = 0; c < CLASSES_MAX; c++)
        if (gt->topic->classes & (1U << c) && gt->lanes->of[c][queue].next < first)
            first = gt->lanes->of[c][queue].next;
    return first > gt->topic->queues[queue].floor ? first : gt->topic->queues[queue].floor;
}

void ranked_switch(struct state *st, struct gt *gt, bool ordered)
{
    struct class_lanes *l = gt->lanes;
    if (!gt->topic->classes || !l)
        return;
    for (uint32_t q = 0; q < gt->n_queues; q++) {
        uint64_t next = gt->queues[q].next;
        if (ordered) {
            lanes_pass(l, MESSAGE_PRIORITY_DEFAULT, q, next);
            gt->queues[q].next = ranked_first(gt, q);
            continue;
        }
        for (uint8_t c = 0; c < CLASSES_MAX; c++)
            if (l->of[c] && l->of[c][q].next < next)
                lanes_pass(l, c, q, next);
        uint64_t own = l->of[MESSAGE_PRIORITY_DEFAULT] ? l->of[MESSAGE_PRIORITY_DEFAULT][q].next : 0;
        gt->queues[q].next = own > next ? own : next;
    }
    group_dirty(st, gt);
}
