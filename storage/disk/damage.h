/*
 * damage.h: what was found damaged is told once, however often it is read.
 *
 *   kv, records ──► damage_tell(id, text) ──► seen before? nothing
 *                                         └─► counted, and told to the broker: a line in its log
 *
 * The id is a hash of what is damaged: of a record its place, of a block of rows RocksDB's text, which has the file
 * and the place in it. Ids are kept in a table of fixed size. When it is full, one last line says so, and nothing more
 * is counted or told.
 *
 * Threads: any.
 */
#ifndef HALFMQ_STORAGE_DAMAGE_H
#define HALFMQ_STORAGE_DAMAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DAMAGE_IDS_MAX 4096

/* Ends the sentence with which a store that cannot be opened is refused. */
#define DAMAGE_WHAT_TO_DO "Start with a replica or a backup of the data folder"

/* Is given a sentence about something that was found damaged. Any thread. */
typedef void damage_fn(void *arg, const char *text);

#define DAMAGE_RANGES_MAX 512

/* Messages that were found damaged. */
struct damage_range {
    uint64_t topic; /* id */
    uint32_t queue;
    uint64_t first, last;
};

struct damage {
    damage_fn *tell; /* NULL: it is only counted */
    void *arg;
    atomic_uint_fast64_t count;
    atomic_bool full;
    atomic_uint_fast64_t ids[2 * DAMAGE_IDS_MAX]; /* hash table; 0: free */
    atomic_uint_fast64_t n_ranges;                /* how many were told */
    struct damage_slot {
        struct damage_range range; /* is not changed once ... */
        atomic_bool ready;         /* ... this is set */
    } ranges[DAMAGE_RANGES_MAX];
};

/* The first call with an id counts it, tells the text, and returns true. */
bool damage_tell(struct damage *d, uint64_t id, const char *text);

/* Keeps a range of messages, of which damage_tell has returned true; those beyond DAMAGE_RANGES_MAX are not kept. */
void damage_remember(struct damage *d, const struct damage_range *range);

/* The next one of a topic; *at: where to go on, 0 at first. False: there are no more. */
bool damage_range_of(const struct damage *d, uint64_t topic, size_t *at, struct damage_range *ret_range);

/* How many ids were told. */
uint64_t damage_count(const struct damage *d);

#endif
