/*
 * ahead.h: places of records that were just read from the directory, and of those behind them, so that a backlog of
 * small records costs one look-up for several of them.
 *
 *   slots by topic and queue ──► up to AHEAD_ROWS neighbours: │ row │ row │ row │ ...
 *
 * Rows never change while their messages exist, and nobody asks for messages that were purged. So a slot is right as long
 * as it is there; one that another queue takes is read again. The memory is bounded, whatever is asked for.
 */
#ifndef HALFMQ_STORAGE_AHEAD_H
#define HALFMQ_STORAGE_AHEAD_H

#include "storage/disk/directory.h"

#define AHEAD_SLOTS 2048
#define AHEAD_ROWS 8

struct ahead_slot {
    uint64_t topic;
    uint32_t queue, n;
    struct record_info rows[AHEAD_ROWS];
};

/* All zero: empty. */
struct ahead {
    struct ahead_slot *slots[AHEAD_SLOTS]; /* allocated when first used */
};

void ahead_free(struct ahead *a);

/* The place of the record that holds offset, or NULL where it is not here. Good until the next ahead_slot. */
const struct record_info *ahead_recall(const struct ahead *a, uint64_t topic, uint32_t queue, uint64_t offset);

/* An empty slot for this queue, to be filled with neighbours in order. NULL: no memory, so nothing is remembered. */
struct ahead_slot *ahead_slot(struct ahead *a, uint64_t topic, uint32_t queue);

#endif
