/*
 * topic.h: topics as logs. A topic has queues; a queue is a row of batch records.
 *
 *   queue   floor ............ records ............ end
 *           purged below       │base,count│base,..  next offset, never used again
 *
 * What a group brings to a queue is collected in its *tail* and becomes one record when the group is
 * written (or when it is full). `end` is found again after a restart as the end of the last record, or the floor where a
 * purge took all of them. Writer's thread only, but for nothing.
 */
#ifndef HALFMQ_STORAGE_TOPIC_H
#define HALFMQ_STORAGE_TOPIC_H

#include "storage/model/core.h"

/* The topic of that name. ST_GONE: none; ST_IO, ST_NOMEM. */
enum status topic_get(struct state *st, struct slice name, struct topic **ret_topic) MUST_CHECK;

/* What is fixed when a topic is made. */
struct topic_settings {
    uint32_t n_queues;
    enum compress compress;
};

/* Creates it. ST_EXISTS, ST_LIMIT, ST_IO, ST_NOMEM; ST_BAD: this store cannot compress so. */
enum status topic_create(struct state *st, int64_t now_ms, struct slice name,
                         const struct topic_settings *set, struct topic **ret_topic) MUST_CHECK;

/* Looks only: the topic, or NULL where topic_need would make it; ST_NOTOPIC where that is not allowed. */
enum status topic_find(struct state *st, const struct stamp *stamp, struct slice name,
                       struct topic **ret_topic) MUST_CHECK;

/* topic_get, or topic_create where allowed; ST_NOTOPIC otherwise. */
enum status topic_need(struct state *st, const struct stamp *stamp, struct slice name,
                       struct topic **ret_topic) MUST_CHECK;

/* The queue a message goes to: its ORDER key's, the one asked for (*queue < n_queues), or the next in
 * turn (queue NULL). */
uint32_t topic_route(struct topic *t, const struct message *m, const uint32_t *queue);

/* Appends m (its seq and TXN are set by the caller's state; now_ms is its stored time) and its KEY and
 * expiry rows; *ret_offset. ST_NOMEM: nothing was appended. */
enum status topic_append(struct state *st, int64_t now_ms, struct topic *t, uint32_t queue,
                         struct message *m, uint64_t *ret_offset) MUST_CHECK;

/* Appends a client's batch (batch.h) as a record of its own, behind what is there; *ret_base. With it go
 * the KEY and expiry rows. ST_NOMEM: nothing was appended. */
enum status topic_append_batch(struct state *st, int64_t now_ms, struct topic *t, uint32_t queue,
                               struct slice batch, const struct batch_facts *facts,
                               uint64_t *ret_base) MUST_CHECK;

/* The record that holds offset, or the first one behind it. ST_GONE: none; ST_BUSY: as topic_read. */
enum status topic_locate(struct state *st, struct topic *t, uint32_t queue, uint64_t offset,
                         struct record_info *ret_info) MUST_CHECK;

/* Message at offset, decoded into m; its bytes are put into hold. ST_GONE; ST_BUSY: it came in this very
 * group and cannot be read before the group is written. */
enum status topic_read(struct state *st, struct topic *t, uint32_t queue, uint64_t offset,
                       struct buf *hold, struct message *ret_m) MUST_CHECK;

/* First offset stored at or after a time, or the end. */
enum status topic_offset_at(struct state *st, struct topic *t, uint32_t queue, int64_t time_ms,
                            uint64_t *ret_offset) MUST_CHECK;

/* When the message at offset expires; INT64_MAX: never. */
enum status topic_expiry(struct state *st, const struct topic *t, uint32_t queue, uint64_t offset,
                         int64_t *ret_ms) MUST_CHECK;

/* Drops all messages; offsets go on. Delayed messages are none yet and stay. */
void topic_purge(struct state *st, struct topic *t);

/* Drops the topic, its rows and the struct. Groups on it are the caller's to drop first. */
void topic_delete(struct state *st, struct topic *t);

/* Writes the open tails of the topic, or all (t NULL), into the batch as records. */
void topic_flush(struct state *st, const struct topic *t);

/* Its row goes out with the group, once however often it is touched; topics_save puts them all now. */
void topic_touch(struct state *st, struct topic *t);
void topics_save(struct state *st);

/* Its row as it stands goes out with the group. */
void topic_save(struct state *st, struct topic *t);

void topic_free(struct topic *t);
struct slice topic_name_of(const void *topic);

#endif
