/*
 * stats.h: what a client and its roles have counted, as a structure and as JSON.
 *
 * A role adds itself as a source, and writes its object when it is asked: between stats_begin and stats_end, with
 * stats_put for each number of its public structure. To add a number: a member of that structure, and a line in the
 * role's table of fields.
 *
 * Locks: a source is asked under a lock that is taken before any role's.
 */
#ifndef HALFMQ_CLIENTS_C_STATS_H
#define HALFMQ_CLIENTS_C_STATS_H

#include "clients/c/client/client.h"
#include "clients/c/wire/latency.h"

struct stats_field {
    const char *name;
    size_t offset; /* of an uint64_t in the public structure */
};

#define STATS_FIELD(type, member) {#member, offsetof(type, member)}

/* Any thread. From stats_remove on, the source is not asked any more. */
void stats_add(struct hmq_client *c, struct stats_source *s);
void stats_remove(struct hmq_client *c, struct stats_source *s);

/* Writes `"name": number, ` for each field of the structure. */
void stats_put(struct buf *to, const void *structure, const struct stats_field *fields, size_t n);

/* Writes `"name": "text", `, for names of groups and topics: the broker allows no byte that JSON would have to escape. */
void stats_put_text(struct buf *to, const char *name, const char *text);

/* Writes `"name": number` for each field, the last one too, without a comma behind it. */
void stats_put_last(struct buf *to, const void *structure, const struct stats_field *fields, size_t n);

/* Writes `"latency_us": {...}`, with all slots that are not empty: [highest, count]. */
void stats_put_latency(struct buf *to, const struct latencies *l);

#endif
