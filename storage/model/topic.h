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

/* As topic_get, but also where the last record of a queue and its row are damaged, so that nobody knows which offset is
 * next. Such a topic is good for being deleted, and must be: it may be in memory within this command only. */
enum status topic_get_to_delete(struct state *st, struct slice name, struct topic **ret_topic) MUST_CHECK;

/* What is fixed when a topic is made. */
struct topic_settings {
    uint32_t n_queues;
    enum compress compress;
    int64_t retention_ms; /* 0: none */
    uint64_t max_bytes;   /* 0: no limit */
    bool reserved; /* a topic %DLQ% or %RETRY%: it may be made beyond TOPICS_MAX, up to TOPICS_RESERVE */
};

/* Creates it. ST_EXISTS, ST_LIMIT, ST_IO, ST_NOMEM; ST_BAD: this store cannot compress so. */
enum status topic_create(struct state *st, int64_t now_ms, struct slice name,
                         const struct topic_settings *set, struct topic **ret_topic) MUST_CHECK;

/* Adds empty queues, so that it has n_queues (at least as many as now). ST_NOMEM: unchanged. */
enum status topic_grow(struct state *st, struct topic *t, uint32_t n_queues) MUST_CHECK;

/* Finds the topic without making it: NULL where topic_need would make it. ST_NOTOPIC: that is not allowed. */
enum status topic_find(struct state *st, const struct stamp *stamp, struct slice name,
                       struct topic **ret_topic) MUST_CHECK;

/* topic_get, or topic_create where allowed; ST_NOTOPIC otherwise. */
enum status topic_need(struct state *st, const struct stamp *stamp, struct slice name,
                       struct topic **ret_topic) MUST_CHECK;

/* Picks the queue of a message: that of its ORDER key, the one asked for (*queue < n_queues), or, where queue is NULL,
 * the next in turn. */
uint32_t topic_route(struct topic *t, const struct message *m, const uint32_t *queue);

/* topic_touch marks the topic, so that its row is written once with the group; topics_save writes all marked ones. */
void topic_touch(struct state *st, struct topic *t);
void topics_save(struct state *st);

/* Puts its row, as it is now, into the group. */
void topic_save(struct state *st, struct topic *t);

/* Takes the topic out of memory, without a change to its rows: because it is deleted, or clean and not used. It is freed
 * now, or with the last gt in memory that points to it. */
void topic_forget(struct state *st, struct topic *t);

/* A gt in memory that was counted in n_gts points to it no longer. */
void topic_release(struct topic *t);

/* Counts its memory again. */
void topic_measure(struct state *st, struct topic *t);

void topic_free(struct topic *t);

#endif
