/* delay.h: messages with DELAY or AT, which no consumer sees before they are due. */
#ifndef HALFMQ_STORAGE_DELAY_H
#define HALFMQ_STORAGE_DELAY_H

#include "storage/model/timer.h"
#include "storage/model/topic.h"

/* Stores the message until due_ms and returns its token. half has its queue and its TTL, which begins now; m has the
 * rest. (This sets half's message and base time.) body_stays: the message's body stays where it is until the group is
 * written; with st->source it does in any case. It cannot fail: without memory the state is sick. */
uint64_t delay_put(struct state *st, const struct stamp *stamp, struct topic *t, int64_t due_ms,
                   const struct half_row *half, const struct message *m, bool body_stays);

/* Is called when TIMER_DELAY fires: appends the message to its topic, if both still exist (ST_GONE) and it has not
 * expired. If it cannot be read, nothing is changed. */
enum status delay_tick(struct state *st, const struct stamp *stamp, int64_t due_ms, uint64_t topic_id,
                       uint64_t token) MUST_CHECK;

/* The topic of a delayed message. ST_GONE: none with that token is waiting; ST_IO, ST_NOMEM. */
enum status delay_topic(struct state *st, uint64_t token, struct topic **ret_t) MUST_CHECK;

/* Takes a delayed message away. ST_GONE: none with that token is waiting; ST_IO, ST_NOMEM: unchanged. */
enum status delay_cancel(struct state *st, uint64_t token) MUST_CHECK;

#endif
