/*
 * topic.h: topics as logs. A topic has queues; a queue is a row of batch records.
 *
 *   queue   floor ............ records ............ end
 *           purged below       │base,count│base,..  next offset, never used again
 *
 * A topic is read when a command first names it. The `end` of a queue has no row: it is the end of the last
 * record, or the floor where a purge took all records. Called by the writer only.
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

/* Its row goes out with the group, once however often it is touched; topics_save puts them all now. */
void topic_touch(struct state *st, struct topic *t);
void topics_save(struct state *st);

/* Its row as it stands goes out with the group. */
void topic_save(struct state *st, struct topic *t);

void topic_free(struct topic *t);

#endif
