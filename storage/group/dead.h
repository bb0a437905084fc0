/*
 * dead.h: dead letters: messages that a group gives up.
 *
 * A dead letter is a copy in the topic %DLQ%<group>, with its reason, its origin and how often it was delivered;
 * copy and removal from the group are in one write. Its expiry is dropped: a dead letter waits for a person. A message
 * that has expired already is not copied, only removed, and counted.
 */
#ifndef HALFMQ_STORAGE_DEAD_H
#define HALFMQ_STORAGE_DEAD_H

#include "storage/group/group.h"

/* Moves the message at offset of the run to the dead letters; one that is damaged or was purged just leaves the group. The
 * reason is not empty.
 * ST_NOMEM, ST_IO, ST_BUSY (log_read), ST_LIMIT (there are too many topics): unchanged. */
enum status dead_letter(struct state *st, const struct stamp *stamp, struct gt *gt, struct run *r,
                        uint64_t offset, struct slice reason) MUST_CHECK;

/* The group's dead-letter topic. ST_GONE: there is none; else as topic_get. */
enum status dead_find(struct state *st, struct slice group, struct topic **ret_t) MUST_CHECK;

/* "%DLQ%group" into out (SYSTEM_NAME_BYTES_MAX bytes). */
struct slice dead_topic_name(struct slice group, uint8_t *out);

#endif
