/*
 * retry.h: dead letters that are given to their group once more.
 *
 *   orders:2:7 ─ dies ─► %DLQ%billing:0:0 ─ DLQ REDRIVE ─► %RETRY%billing:0:0 ─ POP billing orders ─► a consumer
 *                             removed                       origin orders:2:7      of whatever topic
 *                ▲                                                                     │ dies again, with
 *                └──────────────────────────────── its first origin ◄──────────────────┘
 *
 * %RETRY%<group> is a topic with one queue, and the group is on it as on any other topic: with cursors, leases, settings.
 * POP and streams take from it by themselves, before all topics that they name. The group's row S says whether there is
 * one, so a group that was never redriven pays nothing.
 *
 * Nobody deletes messages that were acknowledged; those of this topic are nobody else's, so the next REDRIVE does.
 */
#ifndef HALFMQ_STORAGE_GROUP_RETRY_H
#define HALFMQ_STORAGE_GROUP_RETRY_H

#include "storage/group/group.h"

/* "%RETRY%group" into out (SYSTEM_NAME_BYTES_MAX bytes). */
struct slice retry_topic_name(struct slice group, uint8_t *out);

/* True where the topic is the group's own. */
bool retry_is_of(struct slice topic, struct slice group);

/* The group on its topic, if there is one. ST_GONE: there is none; else as group_get. */
enum status retry_get(struct state *st, struct cgroup *cg, struct gt **ret_gt) MUST_CHECK;

/* Makes topic and group on it where they are missing, with the settings that the group has on the topic of origin, an id,
 * or else the defaults. ST_LIMIT: there are too many topics or groups; ST_IO, ST_NOMEM, ST_DAMAGED. */
enum status retry_need(struct state *st, const struct stamp *stamp, struct slice group, struct slice origin,
                       struct gt **ret_gt) MUST_CHECK;

/* Deletes what the group has acknowledged from the beginning of its topic on, as much as one command does. */
void retry_trim(struct state *st, struct gt *gt);

/* The topic of that name was deleted. */
void retry_gone(struct state *st, struct slice topic);

#endif
