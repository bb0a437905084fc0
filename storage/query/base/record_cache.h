/*
 * record_cache.h: the records that a loop's streams read last, kept from view to view.
 *
 *   TAKE 1   ░░██████░░░░░░░░░░░░     A record that many messages were sent in is mostly delivered by several TAKEs, each of
 *   TAKE 2   ░░░░░░░░████████░░░░     which is read in another view. An ORDERED group also comes back for those whose keys
 *   TAKE 3   ██░░░░░░░░░░░░░░████     were held.
 *
 * A record never changes while the process lives, whatever view it was read in: a place in a queue is used once, and a
 * topic that is made again has another id. So what is here is good until it is pushed out by others. A message that was
 * purged after it was granted may still be read from here, as if it had been sent before.
 *
 * Bounds: RECORD_CACHE_SLOTS records, RECORD_CACHE_BYTES together; the one that was used longest ago goes first. One that is
 * larger than RECORD_CACHE_EACH is not kept. It must be emptied before the store is closed: what it reads itself is not copied,
 * but pinned.
 *
 * Threads: one at a time.
 */
#ifndef HALFMQ_STORAGE_RECORD_CACHE_H
#define HALFMQ_STORAGE_RECORD_CACHE_H

#include "storage/query/base/view.h"

#define RECORD_CACHE_SLOTS 64
#define RECORD_CACHE_BYTES MIB(2)
#define RECORD_CACHE_EACH KIB(128)

/* A record as it is stored. It is good until the next call but record_cache_find. */
struct cached_record {
    uint64_t topic, used;
    uint32_t queue;
    struct record_header h; /* count 0: there is none */
    struct slice bytes;     /* its own, or, where pin is not NULL, the store's */
    struct kv_pin *pin;
};

struct record_cache {
    uint64_t clock;
    size_t bytes;
    struct cached_record slots[RECORD_CACHE_SLOTS];
};

/* The record that holds a message of a grant's queue; NULL: it is not here. */
const struct cached_record *record_cache_find(struct record_cache *c, const struct grant *g, uint64_t offset);

/* Reads the record that holds a message where it is one of the next few behind a record that is here. NULL: it is not, or
 * cannot be read or kept, and whoever looks for it in another way will see why. */
const struct cached_record *record_cache_next(struct record_cache *c, const struct view *v, const struct grant *g,
                                              uint64_t offset);

/* Copies a record. NULL: it is too large, or there is no memory. */
const struct cached_record *record_cache_put(struct record_cache *c, const struct grant *g, const struct record_header *h,
                                             struct slice record);

#endif
