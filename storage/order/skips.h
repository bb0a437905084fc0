/*
 * skips.h: the messages that an ordered group has passed over, in blocks of SKIP_SPAN offsets, each of which is a row Z.
 *
 *   queue 0   │ 0 ··█·█··· │ 1000 ·█······ │          │ 3000 █······█ │     █ skipped: in the row
 *             │   ··▲····· │      ········ │          │      ▲······· │     ▲ ready: its key is free (memory only)
 *
 *   by_place   queue, base, attempt, delivered   a block that has no message left is gone, and so is its row
 *   by_age     those with a ready message: that which begins with the oldest one first
 *
 * A skipped message mostly was never delivered. One that was has another attempt number than its neighbours, and so lies
 * in another block of the same place.
 *
 * Invariants: ready is part of bits; n is how many messages all blocks have, in[q] how many those of a queue.
 */
#ifndef HALFMQ_STORAGE_SKIPS_H
#define HALFMQ_STORAGE_SKIPS_H

/* tree.h uses this attribute, which libbsd does not define here. */
#ifndef __unused
#define __unused __attribute__((unused))
#endif
#include <bsd/sys/tree.h>

#include "storage/disk/rows.h"

#define SKIPS_RECENT 16

struct skip {
    RB_ENTRY(skip) by_place;
    RB_ENTRY(skip) by_age;
    uint64_t base;
    uint64_t age; /* of the first ready message */
    uint32_t queue, live, n_ready;
    uint32_t attempt, delivered; /* as of a waiting run */
    bool row;    /* it has one in the store */
    bool dirty, gone;
    struct skip *dirty_next;
    uint64_t bits[SKIP_WORDS], ready[SKIP_WORDS];
};

RB_HEAD(skip_places, skip);
RB_HEAD(skip_ages, skip);

struct skips {
    struct skip_places places;
    struct skip_ages ages;
    struct skip *dirty, **dirty_end;
    struct skip *recent[SKIPS_RECENT]; /* the one that was found last, by queue */
    uint64_t n, n_ready, blocks;
    uint32_t *in; /* by queue */
    uint32_t n_queues;
};

void skips_init(struct skips *s);
void skips_fini(struct skips *s);
size_t skips_bytes(const struct skips *s);

/* How a message was delivered last, and how often. */
struct skip_past {
    uint32_t attempt, delivered;
};

/* Adds a message, and returns its block. NULL: no memory. */
struct skip *skips_add(struct skips *s, uint32_t queue, uint64_t offset, struct skip_past past);

/* The block of a row, as it is stored. NULL: no memory. */
struct skip *skips_add_stored(struct skips *s, uint32_t queue, uint64_t base, struct skip_past past,
                              const struct skip_row *row);

/* The message can be had from now on. index: its age. */
void skips_ready(struct skips *s, struct skip *b, uint64_t offset, uint64_t index);

/* Takes a message out, ready or not. b must not be used any more unless it has others. After ready ones were taken out,
 * skips_sort. */
void skips_remove(struct skips *s, struct skip *b, uint64_t offset);

/* Puts the block where it belongs by age; index: that of its first ready message. */
void skips_sort(struct skips *s, struct skip *b, uint64_t index);

/* The block with the oldest ready message; NULL: none is ready. */
struct skip *skips_oldest(struct skips *s);

/* The first ready message of the block at or behind an offset; false: none. */
bool skips_next(const struct skip *b, uint64_t from, uint64_t *ret_offset);

/* How many of a queue are skipped. */
static inline uint32_t skips_in(const struct skips *s, uint32_t queue)
{
    return queue < s->n_queues ? s->in[queue] : 0;
}

/* The first block of the queue, or of one behind it; NULL: none. */
struct skip *skips_from_queue(struct skips *s, uint32_t queue);

/* The block behind it, by place; NULL: it is the last one. */
struct skip *skips_behind(struct skip *b);

#endif
