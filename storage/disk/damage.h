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
#include <stdint.h>

#define DAMAGE_IDS_MAX 4096

/* Ends the sentence with which a store that cannot be opened is refused. */
#define DAMAGE_WHAT_TO_DO "Start with a replica or a backup of the data folder"

/* Is given a sentence about something that was found damaged. Any thread. */
typedef void damage_fn(void *arg, const char *text);

struct damage {
    damage_fn *tell; /* NULL: it is only counted */
    void *arg;
    atomic_uint_fast64_t count;
    atomic_bool full;
    atomic_uint_fast64_t ids[2 * DAMAGE_IDS_MAX]; /* hash table; 0: free */
};

/* The first call with an id counts it and tells the text. */
void damage_tell(struct damage *d, uint64_t id, const char *text);

/* How many ids were told. */
uint64_t damage_count(const struct damage *d);

#endif
