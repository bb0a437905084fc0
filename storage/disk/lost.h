/*
 * lost.h: which messages are lost where a record cannot be read.
 *
 *   records   │ 0..9 │▒▒ cannot be read ▒▒│ 25..30 │      asked for 12: lost are 12..24, and reading goes on at 25
 *
 * Offsets of a queue are dense from its floor to its end, so whatever lies between two readable records was there once.
 */
#ifndef HALFMQ_STORAGE_LOST_H
#define HALFMQ_STORAGE_LOST_H

#include "storage/disk/records.h"

/* Where a queue's records are. snap NULL: the newest state. */
struct lost_where {
    struct kv *kv;
    const struct kv_snap *snap;
    uint64_t topic;
    uint32_t queue;
    enum compress compress;
    struct slice name; /* of the topic, for the log */
};

/* Is called where records_seek has not found a readable record that holds offset, which is not below the queue's floor.
 * ST_DAMAGED: the messages *ret_first..*ret_last are lost (offset is among them), which is told. ST_GONE: the queue ends
 * before offset. ST_BAD: offset is lost, nothing behind it can be read, and nobody can say where the queue ends; this is told for
 * offset alone. ST_IO, ST_NOMEM: it cannot be said. */
enum status lost_find(const struct lost_where *w, uint64_t offset, uint64_t *ret_first, uint64_t *ret_last) MUST_CHECK;

#endif
