/*
 * keep.h: how much a topic keeps, and when its oldest messages are to be looked at (RETENTION, MAXBYTES).
 *
 *   queue     floor ............................ end         kept = sum over all queues of total - before
 *   bytes     before ........................... total       (directory.h: each record's row has a `total`)
 *
 *   append ──► nothing is set: one comparison
 *          ──► RETENTION: a row in the timer index for the first message that gets too old, unless there is one
 *          ──► MAXBYTES: such a row, due now, where a quarter more is kept than may be
 *
 * A topic has one such row at most, and remembers when it is due (`cut_ms`, in its row T). When it fires, cut.h deletes,
 * and puts the row again where something is left that will get too old. An idle topic costs nothing, an empty one has
 * no row.
 *
 * Invariant: all of this follows from stored rows, so a topic that was unloaded and read again goes on alike.
 */
#ifndef HALFMQ_STORAGE_KEEP_H
#define HALFMQ_STORAGE_KEEP_H

#include "storage/model/topic.h"

/* Changes the settings (0: off). What they allow no longer goes with the next TICK. */
void keep_set(struct state *st, struct topic *t, int64_t now_ms, int64_t retention_ms, uint64_t max_bytes);

/* Makes sure that the topic is looked at at due_ms, or before. */
void keep_arm(struct state *st, struct topic *t, int64_t due_ms);

/* Takes its row out of the timer index. */
void keep_disarm(struct state *st, struct topic *t);

/* What the timer row of a topic names, and back. False: it makes no sense. */
struct slice keep_what(const struct topic *t, struct key *hold);
bool keep_parse(struct slice what, uint64_t *ret_topic_id, struct slice *ret_name);

/* From the moment at which a message is too old until it is deleted, at most: messages that get too old one after the
 * other go together. */
int64_t keep_slack_ms(const struct topic *t);

/* The bytes of a record's messages below offset, where these are spread evenly. */
uint64_t keep_bytes_before(const struct record_info *info, uint64_t offset);

/* Counts t->kept and each queue's `before`, unless they are known. ST_IO, ST_NOMEM. */
enum status keep_count(struct state *st, struct topic *t) MUST_CHECK;

/* Is called for each record that was appended (keep_appended). */
void keep_grown(struct state *st, struct topic *t, const struct record_info *info);

static inline void keep_appended(struct state *st, struct topic *t, const struct record_info *info)
{
    if (t->retention_ms || t->max_bytes)
        keep_grown(st, t, info);
}

#endif
