/*
 * queue.h: what the writer remembers of a queue.
 *
 *   recent   a ring of the places of the newest records. A group that keeps up with the queue learns from it how
 *            old the next message is, so the writer does not read the store. The ring grows until it holds at
 *            least all records that the open group has closed: these are in the batch, and not in the store yet
 *   fresh    offsets from fresh_base on came in the open group (while fresh_group is its number)
 *   classes  how many messages it has had of each PRIORITY but the default one, which costs nothing. Each record that has
 *            some gets a row F for each class, by which POP finds it and LAG counts:
 *
 *              queue      │ 4 4 4 │ 9 │ 4 4 │ 4 9 9 │ 4 ...
 *              class 9            base 3: 0 before it, 1 in it       base 6: 1 before it, 2 in it
 *
 *            A row is put with its record and goes with it, but the last one of each class stays until the next PURGE: the
 *            next row counts on from it. What the rows say does not depend on what is in memory
 */
#ifndef HALFMQ_STORAGE_QUEUE_H
#define HALFMQ_STORAGE_QUEUE_H

#include "storage/model/core.h"

/* What is appended to the queue from here on came in the open group. Call it before the first append. */
void queue_freshen(const struct state *st, struct queue *q);

/* True where the message at offset came in the open group, so that the store does not have it yet. */
bool queue_unwritten(const struct state *st, const struct queue *q, uint64_t offset);

/* Remembers the place of a record that the open group has closed. Without memory the state is sick. */
void queue_remember(struct state *st, struct queue *q, const struct record_info *info);

/* The place of the record that holds offset, or NULL where it is not remembered. */
const struct record_info *queue_recall(const struct queue *q, uint64_t offset);

/* Puts the rows F of a record that is put; counts: of its messages by class. Where the last row cannot be read because it
 * is damaged, counting begins anew; where the store or memory fails, the state is sick. */
void queue_put_classes(struct state *st, struct topic *t, uint32_t queue, const struct record_info *info,
                       const uint32_t counts[CLASSES_MAX]);

/* The topic's messages were purged. */
void queue_purge_classes(struct state *st, struct topic *t);

/* Deletes the rows of records that lie below the new floor of a queue. */
void queue_cut_classes(struct state *st, struct topic *t, uint32_t queue, uint64_t floor);

#endif
