/*
 * consumers.h: who consumes a group on a topic: the connections that have leases there, from rows R. What else is known of
 * a connection, the broker tells (view_ask_clients).
 */
#ifndef HALFMQ_STORAGE_QUERY_CONSUMERS_H
#define HALFMQ_STORAGE_QUERY_CONSUMERS_H

#include "storage/query/base/view.h"

#define CONSUMERS_RUNS_MAX 2000 /* leased runs that are looked at */
#define CONSUMERS_MAX QUERY_CLIENTS_MAX /* connections that are listed */

/* Appends an array of maps (connection, user, name, leased, lease_until, last_seen) to r. *ret_leased: how many
 * messages they have. What it reads it takes from v->budget. ST_IO, ST_NOMEM, ST_DAMAGED: nothing was appended. */
enum status consumers_put(struct view *v, uint64_t gt, struct buf *r, uint64_t *ret_leased) MUST_CHECK;

#endif
