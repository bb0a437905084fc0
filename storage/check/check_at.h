/* check_at.h: what a check knows of the topic and the queue that it is at. */
#ifndef HALFMQ_STORAGE_CHECK_AT_H
#define HALFMQ_STORAGE_CHECK_AT_H

#include "storage/check/check_base.h"
#include "storage/disk/directory.h"
#include "storage/disk/records.h"

struct check_topic {
    struct checking *c;
    struct slice name;
    const struct topic_row *row;
    char quoted[CHECK_QUOTED];
    uint64_t end[QUEUES_MAX];
    uint64_t expiries, keys; /* rows E and I that its messages have */
    bool hurt;               /* some of its messages could not be read */
    /* ---- the row d that was read last ---- */
    uint32_t removed_queue;
    uint64_t removed_n;
    bool removed_read;
    struct removed_row removed;
};

struct check_queue {
    struct checking *c;
    struct slice name;
    const struct topic_row *topic;
    struct check_topic *of;
    uint32_t queue;
    uint64_t floor, end; /* end: behind the last row of the directory */
    uint64_t total, index;
    int64_t stored_ms;
    bool seen, total_known; /* there was a row */
    bool hurt;
};

#endif
