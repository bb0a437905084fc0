/*
 * ranked.h: whether a group on a topic takes messages by their PRIORITY, and what it needs for that.
 *
 *   a topic has priorities from its first message on that has another than the default one (topic.classes)
 *   a group on it has lanes from its next POP on, which are read then; one that is ORDERED takes all by
 *   age
 *
 * When an ordered group ceases to be so, all classes go on where it is. When a group becomes ordered, it goes back to the
 * first message that it may not have delivered, of any class; those behind that were delivered ahead of their turn are
 * passed (ranked_past). For that the default class has a lane then, too.
 */
#ifndef HALFMQ_STORAGE_RANKED_H
#define HALFMQ_STORAGE_RANKED_H

#include "storage/group/group.h"

static inline bool ranked(const struct gt *gt)
{
    return gt->topic->classes && !(gt->flags & GROUP_ORDERED);
}

/* Gets the lanes of a group on a topic with priorities ready. with_default: also that of the default class, which an ordered
 * group passes by. ST_IO, ST_DAMAGED, ST_NOMEM. */
enum status ranked_load(struct state *st, struct gt *gt, bool with_default) MUST_CHECK;

/* The group becomes ordered, or ceases to be. Its lanes are ready, if the topic has priorities. */
void ranked_switch(struct state *st, struct gt *gt, bool ordered);

/* Did the group, which is ordered, deliver the message before it was? */
static inline bool ranked_past(const struct gt *gt, uint32_t queue, uint8_t class, uint64_t offset)
{
    const struct class_lanes *l = gt->lanes;
    return l && l->of[class] && offset < l->of[class][queue].next;
}

#endif
