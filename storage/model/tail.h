/*
 * tail.h: appending to queues.
 *
 *   queue   floor ............ records ............│ tail: a record in the making │ end
 *                                                    messages of the open group
 *
 * What a group brings to a queue is collected in a *tail* and becomes one record when the group is written, or
 * earlier where the record is full. A message of RECORD_BYTES_MAX or more is a record of its own, whose body is copied
 * once, from where it is into the write batch. A batch of a client (PRODUCE) is a record already and needs no tail.
 */
#ifndef HALFMQ_STORAGE_TAIL_H
#define HALFMQ_STORAGE_TAIL_H

#include "storage/model/topic.h"

#define TAIL_KEEP_BYTES KIB(256) /* of a buffer that held messages, kept for the next ones */

/* Appends m and puts its KEY and expiry rows; now_ms is its stored time. Sets m->seq. ST_NOMEM: nothing was
 * appended. */
enum status tail_append(struct state *st, int64_t now_ms, struct topic *t, uint32_t queue,
                        struct message *m, uint64_t *ret_offset) MUST_CHECK;

/* Appends a client's batch (batch.h) as a record of its own, and puts its KEY and expiry rows. *ret_base: the offset
 * of its first message. ST_NOMEM: nothing was appended. */
enum status tail_append_batch(struct state *st, int64_t now_ms, struct topic *t, uint32_t queue,
                              struct slice batch, const struct batch_facts *facts,
                              uint64_t *ret_base) MUST_CHECK;

/* Turns the open tails of the topic, or all of them (t NULL), into records and puts these into the batch. */
void tail_flush(struct state *st, const struct topic *t);

/* The place that the tail's record will have. */
struct record_info tail_info(const struct state *st, const struct tail *tail);

/* The message at offset of the tail, decoded into ret_m; its bytes are put into hold. ST_NOMEM. */
enum status tail_read(const struct tail *tail, uint64_t offset, int64_t now_ms, struct buf *hold,
                      struct message *ret_m) MUST_CHECK;

/* Frees a list of tails: the state's open ones, or its spare ones. */
void tail_free_all(struct tail *tail);

#endif
