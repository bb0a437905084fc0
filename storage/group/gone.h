/*
 * gone.h: TOPIC DELETE and GROUP DELETE, however many groups on topics ("gts") they concern.
 *
 *   at once    the topic, or the consumer group, is gone for everybody: a gt is gone where the topic of its row G has
 *              another id, or none, or where its id is below that of its consumer group's row S
 *   in steps   the rows of such gts are deleted: GONE_GTS_MAX of them with the command itself, the others by rows of
 *              the timer index, which say where to go on
 *
 * Whoever meets a gt that is gone before its turn erases it (group_get), so that a group may be created again at once.
 */
#ifndef HALFMQ_STORAGE_GONE_H
#define HALFMQ_STORAGE_GONE_H

#include "storage/group/group.h"

#define GONE_GTS_MAX 200 /* a commit group, some 20 us each */

/* Deletes the topic, its messages and what all groups have on it. It must not be used any more. */
void gone_topic(struct state *st, struct topic *t);

/* Deletes the consumer group on every topic, but not its dead letters. ST_GONE: it is on none; ST_IO, ST_NOMEM:
 * unchanged. */
enum status gone_group(struct state *st, struct slice group) MUST_CHECK;

/* Are called when TIMER_TOPIC_GONE and TIMER_GROUP_GONE fire. */
void gone_tick_topic(struct state *st, struct slice what);
void gone_tick_group(struct state *st, struct slice what);

#endif
