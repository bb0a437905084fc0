/*
 * scrub.h: public: reads record after record of a store that is in use, and proves each, a few at a time.
 *
 *   topic "a" ─► queue 0 ─► rows of the directory from `offset` on ─► the record of each: checksum, place
 *         "b" ─► ...                                                   └─► damaged: told once, as by any reader (kv.h)
 *
 * The place is a topic's name, a queue and an offset, so it can be kept over a restart, and what is created or deleted meanwhile
 * does no harm. One thread at a time, beside all others.
 */
#ifndef HALFMQ_STORAGE_SCRUB_H
#define HALFMQ_STORAGE_SCRUB_H

#include <stdint.h>

#include "protocol/base/buf.h"
#include "protocol/status.h"

struct store;

/* All zero: at the beginning. */
struct scrub_place {
    char topic[128]; /* a name, or "" */
    uint32_t queue;
    uint64_t offset; /* that is read next */
};

struct scrub_step {
    uint64_t records, bytes; /* that were read */
    bool over;               /* the end was reached; the place is at the beginning again */
};

/* Reads records from the place on until it has read so many bytes, and moves the place behind them. ST_IO, ST_NOMEM: it did not come
 * further, and may be tried again later. */
enum status store_scrub(struct store *s, struct scrub_place *at, uint64_t bytes_max, struct scrub_step *ret_step) MUST_CHECK;

/* How many bytes all records have, about. */
uint64_t store_record_bytes(struct store *s);

#endif
