/*
 * wal_judge.h: what lies behind a place of the log that cannot be read: nothing, what was never synced, or what was
 * acknowledged.
 *
 *   record │ record │ ???? │ record │ record     each says how far everything was synced when it was written
 *          └─ 102            └─ 105, synced 104 ──► 103 and 104 were on disk: they are damaged
 *
 * The caller adds the bytes behind the place, file by file, and then asks.
 */
#ifndef HALFMQ_BROKER_WAL_JUDGE_H
#define HALFMQ_BROKER_WAL_JUDGE_H

#include "broker/wal/wal_file.h"

struct wal_judge {
    uint64_t last;      /* the last batch that is there */
    uint64_t synced;    /* every batch up to this one was synced once */
    uint64_t most;      /* the highest number that was seen */
    uint64_t groups;    /* heads of batches behind the place */
    uint64_t bytes;     /* of what was written behind it, as far as that can be told */
    uint64_t serial;    /* of the last file that was seen or named; ... */
    bool missing;       /* ... but it is not there */
    bool cut;           /* the file with the place is shorter than it was */
    bool headless;      /* there are files that were used, and not one has a sound header */
    uint64_t name;      /* of the file with the place */
    size_t at;          /* the place in it */
};

/* Adds the records at or behind `at` of a file's bytes. */
void wal_judge_add(struct wal_judge *j, const struct wal_file *f, struct slice bytes, size_t at);

/* Was something behind the place acknowledged as synced? */
bool wal_judge_damaged(const struct wal_judge *j);

/* Writes the sentence for whoever starts the broker: what is damaged, how much of it, and what to do. */
void wal_judge_say(const struct wal_judge *j, const char *path, char *out, size_t out_size);

#endif
