/*
 * finder.h: look-ups of messages in the store, by one thread and one after the other: what one of them has opened, the
 * next one uses again.
 *
 *   places     of records: from ahead (ahead.h), or with one iterator over the directory
 *   expiries   of messages: with one iterator over rows E; asked for in order, each costs a step
 *   classes    records with messages of a PRIORITY: with one iterator over rows F
 *   records    one iterator; it keeps the bytes of the record it stands on, so many messages of one record cost one read
 *
 * Its iterators see the store as it is when they are opened, so finder_close must be called before it is written to.
 */
#ifndef HALFMQ_STORAGE_FINDER_H
#define HALFMQ_STORAGE_FINDER_H

#include "storage/disk/ahead.h"

/* Where a queue's records are. */
struct finder_queue {
    uint64_t topic;
    uint32_t queue;
    enum compress compress;
};

/* All zero but kv: nothing is open. */
struct finder {
    struct kv *kv;
    struct ahead ahead;
    struct directory d;       /* d.it NULL: not open */
    struct kv_iter *expiries; /* rows E of all topics, or NULL */
    struct finder_queue expiries_of;
    uint64_t expiries_from;   /* no row of that queue lies between this offset and the one the iterator stands on */
    struct kv_iter *classes;  /* rows F of all topics, or NULL */
    struct kv_iter *records;  /* of records_of, or NULL */
    struct finder_queue records_of;
    struct record_header h;   /* of the record that `records` stands on; count 0: on none */
};

/* Closes the iterators. Places that were read ahead stay. */
void finder_close(struct finder *f);
void finder_free(struct finder *f);

/* The directory, turned to a topic. NULL: no memory. */
struct directory *finder_directory(struct finder *f, uint64_t topic, enum compress compress);

/* Finds the place of the record that holds offset, as directory_find does. The records of the queue that are in the
 * store end before `end`. */
enum status finder_place(struct finder *f, const struct finder_queue *q, uint64_t offset, uint64_t end,
                         struct record_info *ret_info) MUST_CHECK;

/* When a message of the store expires by its row E; INT64_MAX: it has none. ST_IO, ST_DAMAGED, ST_NOMEM. */
enum status finder_expiry(struct finder *f, const struct finder_queue *q, uint64_t offset, int64_t *ret_ms) MUST_CHECK;

/* The base of the queue's first record at or behind `base` that has messages of a class, by the rows F. ST_GONE: there is
 * none; ST_IO, ST_DAMAGED, ST_NOMEM. */
enum status finder_class(struct finder *f, const struct finder_queue *q, uint8_t class, uint64_t base,
                         uint64_t *ret_base) MUST_CHECK;

/* The record that holds offset, or the first one behind it; the bytes are good until the next call of any function here.
 * As records_seek. */
enum status finder_record(struct finder *f, const struct finder_queue *q, uint64_t offset, struct record_header *ret_h,
                          struct slice *ret_record) MUST_CHECK;

#endif
