/*
 * lag_fresh.h: counts what a group never got from one queue, where that is not simply all behind its cursor: it has a
 * FILTER, or the topic has priorities.
 *
 *   FILTER TAG      the columns of the records say who matches, one message after the other. A group has so many looked at
 *                   in one LAG (LAG_EXAMINED_MAX); how many are behind that, `unexamined` says
 *   FILTER WHERE    messages are read, and the filter is asked of them (lag_where.h), as far as that takes some milliseconds
 *   priorities      each class has a cursor of its own, and rows F count its messages: what is behind the cursor is a
 *                   difference. In topics that have messages with a TTL, too, messages are looked at as for FILTER TAG
 */
#ifndef HALFMQ_STORAGE_LAG_FRESH_H
#define HALFMQ_STORAGE_LAG_FRESH_H

#include "storage/query/lag_topic.h"

#define LAG_EXAMINED_MAX 20000 /* messages of a group */

/* What is at work: a group on a topic, queue after queue. */
struct lag_fresh {
    const struct group_row *row;
    const struct lag_topic *t;
    uint32_t examined;
    uint32_t queue;           /* the one at work: */
    uint64_t at;              /* where it goes on; UINT64_MAX: it has not begun */
    uint64_t next;            /* the group's cursor */
    uint64_t (*of_class)[QUEUES_MAX]; /* its cursors for classes; not looked at where the group is not ranked */
    uint64_t ready, unexamined;       /* of all queues so far */
    int64_t oldest_ms;
    struct filter *filter; /* FILTER WHERE, while a step lasts, or NULL */
    uint64_t where_work;   /* what was spent on it, as where.work */
};

/* Does the group take messages of the topic by their priority, or, where it is ORDERED, did it so before? */
static inline bool lag_ranked(const struct lag_topic *t, const struct group_row *row)
{
    return t->classes && (!(row->flags & GROUP_ORDERED) || row->flags & GROUP_RANKED);
}

/* Must what it never got be counted here? */
static inline bool lag_fresh_needed(const struct lag_topic *t, const struct group_row *row)
{
    return row->filter_kind != FILTER_NONE || lag_ranked(t, row);
}

/* Are messages looked at one by one? */
static inline bool lag_fresh_walks(const struct lag_topic *t, const struct group_row *row)
{
    return row->filter_kind != FILTER_NONE || (lag_ranked(t, row) && t->flags & TOPIC_HAS_TTL);
}

/* Where the cursor of a class is in the queue at work, or of the default one. An ordered group has one for all, and passes
 * what it has delivered before it was ordered (storage/group/ranked.h). */
static inline uint64_t lag_fresh_from(const struct lag_fresh *f, const struct lag_queue *q, uint8_t class)
{
    bool ordered = f->row->flags & GROUP_ORDERED, by_class = lag_ranked(f->t, f->row);
    uint64_t next = f->next, own = by_class ? f->of_class[class][f->queue] : 0;
    if (by_class && (ordered ? own > next : class != MESSAGE_PRIORITY_DEFAULT))
        next = own;
    return next > q->first ? next : q->first;
}

/* Reads the cursors for the topic's classes. */
enum status lag_fresh_cursors(struct view *v, const struct lag_topic *t, const struct group_row *row,
                              uint64_t (*ret_of_class)[QUEUES_MAX]) MUST_CHECK;

/* Counts those of queue f->queue, with f->next set, and adds them. ST_BUSY: the budget of this step has ended, and the next
 * call goes on. */
enum status lag_fresh_queue(struct view *v, struct lag_topics *ts, struct lag_fresh *f) MUST_CHECK;

#endif
