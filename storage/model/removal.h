/*
 * removal.h: messages of a queue that are removed one by one, as dead letters are when they go back to their group.
 *
 *   offsets   ......│ x x . x . . x │ end        x removed: a bit in a row d
 *                 floor ▲
 *                       └ where the first ones are removed, the floor rises over them, and their records are deleted
 *
 * Removing in the order of the offsets costs no row at all: the floor does it. Removing the others costs a bit each.
 * A removed message is gone for all readers and groups. Its record stays until the floor has passed it, because a
 * record that is missing above the floor is a damage.
 *
 *   removal_begin ─► removal_next ─► removal_take ─► ... ─► removal_end: the floor rises
 *
 * Invariants: t->removed is how many bits are set at or above the floors, and TOPIC_HAS_REMOVED is set where it is not 0.
 */
#ifndef HALFMQ_STORAGE_MODEL_REMOVAL_H
#define HALFMQ_STORAGE_MODEL_REMOVAL_H

#include "storage/model/topic.h"

/* The removals of one command from one queue. Until removal_end they are seen by the functions here only. */
struct removal {
    struct state *st;
    struct topic *topic;
    uint32_t queue;
    uint64_t floor;  /* everything below is removed */
    uint32_t rows_left; /* rows d that it may still read */
    /* ---- the row that was read last ---- */
    bool known, changed;
    uint64_t n;
    struct removed_row row;
};

#define REMOVAL_ROWS_MAX 4096 /* rows d that one command reads */

void removal_begin(struct removal *r, struct state *st, struct topic *t, uint32_t queue);

/* Finds the first message at or behind *offset that was not removed. ST_GONE: there is none; ST_BUSY: it was not found
 * within REMOVAL_ROWS_MAX rows; ST_IO, ST_NOMEM, ST_DAMAGED. */
enum status removal_next(struct removal *r, uint64_t *offset) MUST_CHECK;

/* Removes a message that removal_next has found. ST_IO, ST_NOMEM: unchanged. */
enum status removal_take(struct removal *r, uint64_t offset) MUST_CHECK;

/* Raises the floor of the queue over what was removed, and deletes the records below it. What cannot be looked up now is
 * done by a later removal. */
void removal_end(struct removal *r);

/* Is the message at offset, which is not below the floor, removed? */
enum status removal_has(struct state *st, const struct topic *t, uint32_t queue, uint64_t offset, bool *ret_removed) MUST_CHECK;

#endif
