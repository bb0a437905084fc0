/*
 * lag.h: where a group is on a topic, and how far it is behind.
 *
 *   lag = ready + inflight + delayed
 *     ready     never delivered and not expired, or given back and due
 *     inflight  leased, and the lease holds
 *     delayed   waiting for a retry
 */
#ifndef HALFMQ_STORAGE_LAG_H
#define HALFMQ_STORAGE_LAG_H

#include "storage/query/view.h"

struct lag {
    uint64_t ready, inflight, delayed, dead;
    int64_t oldest_ms; /* stored time of the oldest of them; INT64_MAX: none */
};

/* A row G, its cursors, and the lag that they make. */
struct standing {
    struct slice group, topic; /* point into the row's key */
    struct group_row row;
    struct cursor_row cursor;
    struct lag lag;
};

/* Reads it, from a row G (key: 'G' group 0 topic) and the group's other rows. v->topic is the topic afterwards. ST_IO,
 * ST_NOMEM. */
enum status lag_read(struct view *v, struct slice key, struct slice value, struct standing *st) MUST_CHECK;

#endif
