/*
 * queue.h: what the writer remembers of a queue.
 *
 *   recent   a ring of the places of the newest records. A group that keeps up with the queue learns from it how
 *            old the next message is, so the writer does not read the store. The ring grows until it holds at
 *            least all records that the open group has closed: these are in the batch, and not in the store yet
 *   fresh    offsets from fresh_base on came in the open group (while fresh_group is its number)
 */
#ifndef HALFMQ_STORAGE_QUEUE_H
#define HALFMQ_STORAGE_QUEUE_H

#include "storage/model/core.h"

/* What is appended to the queue from here on came in the open group. Call it before the first append. */
void queue_freshen(const struct state *st, struct queue *q);

/* True where the message at offset came in the open group, so that the store does not have it yet. */
bool queue_unwritten(const struct state *st, const struct queue *q, uint64_t offset);

/* Remembers the place of a record. Without memory it is not remembered, and is looked up in the store when needed. */
void queue_remember(const struct state *st, struct queue *q, const struct record_info *info);

/* The place of the record that holds offset, or NULL where it is not remembered. */
const struct record_info *queue_recall(const struct queue *q, uint64_t offset);

#endif
