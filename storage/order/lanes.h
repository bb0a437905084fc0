/*
 * lanes.h: where a group on a topic is with the messages of each PRIORITY but the default one: a cursor for each class and
 * queue, beside the group's own.
 *
 *   queue      4  9  4  4  9  4  0  4  9        numbers are classes
 *              ✓  ✓  ✓  .  ✓  .  .  .  .        ✓ delivered
 *   next             ▲ 4 (gtq.next; it steps across other classes)
 *   next of 9                    ▲
 *   next of 0  ▲                                a message of class c is undelivered from next of c on
 *
 *   clear      in memory only: there is no message of the class in next .. clear-1, so nobody looks there again
 *
 * A class that nothing was delivered of has no row, and its cursors are at the floor: a group sees all messages of a class
 * that came after it was made. Groups on topics without priorities have no lanes at all.
 */
#ifndef HALFMQ_STORAGE_LANES_H
#define HALFMQ_STORAGE_LANES_H

#include "storage/model/core.h"

struct class_lane {
    uint64_t next, clear;
};

struct class_lanes {
    uint16_t classes; /* those that are here */
    uint16_t dirty;   /* those whose rows are to be written */
    uint32_t n_queues;
    struct class_lane *of[CLASSES_MAX]; /* by queue */
};

/* Reads what is missing of these classes and queues. *lanes NULL: makes it. ST_IO, ST_DAMAGED, ST_NOMEM. */
enum status lanes_load(struct class_lanes **lanes, struct state *st, uint64_t gt, uint16_t classes,
                       uint32_t n_queues) MUST_CHECK;

/* Puts the rows that have changed. */
void lanes_flush(struct class_lanes *lanes, struct state *st, uint64_t gt);

/* Deletes all of a gt. */
void lanes_erase(struct state *st, uint64_t gt);

/* NULL is fine. */
void lanes_free(struct class_lanes *lanes);
size_t lanes_bytes(const struct class_lanes *lanes);

/* The greatest cursor of a queue: nothing from there on was delivered by its class. 0: there is none. */
uint64_t lanes_top(const struct class_lanes *lanes, uint32_t queue);

/* Moves all cursors of a queue: a new group, or SEEK. */
void lanes_move(struct class_lanes *lanes, uint32_t queue, uint64_t offset);

/* The group has delivered the messages of the class before `next`. */
static inline void lanes_pass(struct class_lanes *lanes, uint8_t class, uint32_t queue, uint64_t next)
{
    struct class_lane *l = &lanes->of[class][queue];
    l->next = next;
    l->clear = l->clear > next ? l->clear : next;
    lanes->dirty |= (uint16_t)(1U << class);
}

#endif
