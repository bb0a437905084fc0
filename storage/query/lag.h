/*
 * lag.h: where a group is on a topic, and how far it is behind.
 *
 *   lag = ready + inflight + delayed
 *     ready     never delivered and not expired, or given back and due
 *     inflight  leased, and the lease holds
 *     delayed   waiting for a retry
 *
 * What was never delivered is the end of a queue less the group's cursor, since offsets are dense. Only in topics that
 * have messages with a TTL are the directory's rows behind the cursor looked at, and only of records in which some
 * messages have expired and some have not, rows E. How old the oldest message is, the directory says.
 *
 * Groups of one topic share what was found out about it: the ends of its queues, and the last places asked for.
 */
#ifndef HALFMQ_STORAGE_LAG_H
#define HALFMQ_STORAGE_LAG_H

#include "storage/query/base/view.h"

struct lag {
    uint64_t ready, inflight, delayed, dead;
    bool by_messages;    /* what was never delivered was looked at message by message, and ... */
    uint64_t unexamined; /* ... so many were not: there may be more that are ready (lag_fresh.h) */
    int64_t oldest_ms; /* stored time of the oldest of them; INT64_MAX: none */
};

/* A row G, its cursors, and the lag that they make. */
struct standing {
    struct slice group, topic; /* point into the row's key */
    struct group_row row;
    struct cursor_row cursor;
    struct lag lag;
};

/* What reading lags needs from one to the next, and from step to step. It is one block of memory, to be freed with
 * free(); NULL: no memory. */
struct lag_reader;
struct lag_reader *lag_reader_new(void);

/* ST_OK: the group is on the topic, as its row G says. ST_GONE: one of them was deleted, and the row is only left over. */
enum status lag_there(struct view *v, struct lag_reader *lr, struct slice key, struct slice value) MUST_CHECK;

/* Reads the next part of a standing, from a row G (key: 'G' group 0 topic) and the group's other rows; key and value are
 * the same again after ST_BUSY. ST_OK: *ret_st is complete; it is good until the next call. ST_BUSY: the budget of this
 * step has ended; what was read so far is kept in the reader. ST_IO, ST_NOMEM, ST_DAMAGED. */
enum status lag_read(struct view *v, struct lag_reader *lr, struct slice key, struct slice value,
                     const struct standing **ret_st) MUST_CHECK;

/* Closes what the reader holds open. Call it at the end of each step. */
void lag_pause(struct lag_reader *lr);

#endif
