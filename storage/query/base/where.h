/*
 * where.h: asks a FILTER WHERE of the messages of a queue, one after the other, in a view: for POPs (sifter.c) and for
 * LAG.
 */
#ifndef HALFMQ_STORAGE_WHERE_H
#define HALFMQ_STORAGE_WHERE_H

#include "protocol/filter/filter.h"
#include "storage/query/base/view.h"

/* What was asked about. */
struct where_seen {
    bool matches;
    uint8_t class; /* its PRIORITY */
    uint64_t offset;
    int64_t stored_ms, expires_ms; /* INT64_MAX where it cannot be read; INT64_MAX: never */
};

struct where {
    const struct filter *filter;
    struct slice topic; /* the name of v->topic */
    uint32_t queue;
    uint64_t at, end; /* of the next message; where the queue, or what is asked for, ends */
    uint64_t work;    /* counts down: of filter_matches, about 50 ns each */
    /* Is given each message. Returns false when it wants no more. */
    bool (*put)(void *arg, const struct where_seen *seen);
    void *arg;
};

/* Reads a group's filter. The result is to be freed with free(). ST_NOMEM, ST_BAD. */
enum status where_parse(const struct group_row *row, struct filter **ret_f) MUST_CHECK;

/* Goes on until at is end, work is 0, or put returns false. w->at is not below the queue's floor in the view. Damaged
 * messages count as if they matched: so POP meets them as in other groups. ST_IO, ST_NOMEM. */
enum status where_ask(struct where *w, struct view *v) MUST_CHECK;

#endif
