/*
 * group_metrics.h: the families of /metrics that have a series for each consumer group: what LAG answers.
 *
 *   scrape ──► is a reading under way? no: begins one ──► step ──► all groups read: its text is what scrapes get
 *         │                                                 └──► more: the next step in a later turn of the main thread
 *         └──► the text of the last reading that is complete, and how old it is
 *
 * So a scrape of a broker with some hundreds of groups is up to date. With more groups it shows the reading that an earlier
 * scrape has begun: no scrape looks through the store, and no turn of the main thread takes more than some milliseconds.
 * Bounds: GROUP_METRICS_MAX groups have series.
 *
 * Threads: main.
 */
#ifndef HALFMQ_BROKER_GROUP_METRICS_H
#define HALFMQ_BROKER_GROUP_METRICS_H

#include "protocol/base/buf.h"

#define GROUP_METRICS_MAX 10000

struct event_base;
struct group_metrics;
struct server;

/* NULL: no memory. Free it before the store is closed. */
struct group_metrics *group_metrics_new(struct server *s, struct event_base *base);
void group_metrics_free(struct group_metrics *g); /* NULL: nothing is done */

/* Appends the families of the newest complete reading. */
void group_metrics_write(struct server *s, struct buf *out);

#endif
