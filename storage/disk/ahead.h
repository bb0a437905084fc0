/*
 * ahead.h: places of records that were just read from the directory, and of those behind them, so that a backlog of
 * small records costs one look-up for several of them.
 *
 *   slots by topic and queue ──► up to AHEAD_ROWS neighbours: │ row │ row │ row │ ...
 *
 * Rows never change while their messages exist, and nobody asks for messages that were purged. So a slot is right as long
 * as it is there; one that another queue takes is read again. The memory is bounded, whatever is asked for.
 *
 * Of records with columns (tags, keys, priorities) the rows are kept whole, so that they need not be read again: but of
 * AHEAD_VALUES slots only, AHEAD_VALUE_BYTES each. Of the others, whoever wants the columns reads the row.
 */
#ifndef HALFMQ_STORAGE_AHEAD_H
#define HALFMQ_STORAGE_AHEAD_H

#include "storage/disk/directory.h"

#define AHEAD_SLOTS 2048
#define AHEAD_ROWS 8
#define AHEAD_VALUES 64 /* slots */
#define AHEAD_VALUE_BYTES ((size_t)KIB(32))

struct ahead_slot {
    uint64_t topic;
    uint32_t queue, n;
    struct record_info rows[AHEAD_ROWS];
    uint32_t ends[AHEAD_ROWS]; /* of their values, which begin where those before end; the same: it is not here */
    uint32_t size;             /* of the values that are here */
    uint8_t *values;           /* NULL, or room for AHEAD_VALUE_BYTES */
};

/* All zero: empty. */
struct ahead {
    uint32_t n_values; /* slots with room for values */
    struct ahead_slot *slots[AHEAD_SLOTS]; /* allocated when first used */
};

void ahead_free(struct ahead *a);

/* The place of the record that holds offset, or NULL where it is not here. Good until the next ahead_slot. */
const struct record_info *ahead_recall(const struct ahead *a, uint64_t topic, uint32_t queue, uint64_t offset);

/* An empty slot for this queue, to be filled with neighbours in order. NULL: no memory, so nothing is remembered. */
struct ahead_slot *ahead_slot(struct ahead *a, uint64_t topic, uint32_t queue);

/* Adds a row to the slot, which has room for it: what it says, and the row itself. */
void ahead_add(struct ahead *a, struct ahead_slot *slot, const struct record_info *info, struct slice value);

/* The row of the record that begins at base; empty: it is not here. Good until the next ahead_slot. */
struct slice ahead_value(const struct ahead *a, uint64_t topic, uint32_t queue, uint64_t base);

#endif
