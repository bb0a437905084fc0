/*
 * log_columns.h: what the directory knows of each message of a record (storage/disk/columns.h), as the writer sees it.
 *
 *   log_locate ──► where the record is ──► log_columns ──► its tags, keys and priorities
 *                                             │ of the record in the tail; of one that the open group has put (a copy of its
 *                                             │ row is kept); of the store. Where the row is damaged, of the record itself
 *                                             ▼
 *   slots    the last record of each of COLUMNS_SLOTS queues, as POP goes from queue to queue and back
 *   apart    one more, for what is in no slot: a tail, a row of more than COLUMNS_SLOT_BYTES, a record that was asked itself
 *
 * Rows never change, and offsets are never used again, so a slot is right for as long as it is there. The memory is
 * bounded.
 */
#ifndef HALFMQ_STORAGE_LOG_COLUMNS_H
#define HALFMQ_STORAGE_LOG_COLUMNS_H

#include "storage/model/topic.h"

#define COLUMNS_SLOT_BYTES KIB(16)

/* The columns of the record that log_locate has found as info. They are good until a message is appended to any queue, or
 * until columns are asked for again, of any record. ST_DAMAGED: neither the row nor the record can be read; ST_IO,
 * ST_NOMEM. */
enum status log_columns(struct state *st, struct topic *t, uint32_t queue, const struct record_info *info,
                        struct columns *ret_c) MUST_CHECK;

/* The same, with room for what a filter makes of them. */
enum status log_columns_here(struct state *st, struct topic *t, uint32_t queue, const struct record_info *info,
                             struct columns_here **ret_here) MUST_CHECK;

void log_columns_init(struct state *st);
void log_columns_fini(struct state *st);

/* An empty maker of columns, which is the state's. */
struct columns_maker *log_columns_maker(struct state *st);

/* Remembers the row of a record that is being put, until the group is written. */
void log_columns_put(struct state *st, const struct key *key, struct slice row);

/* A new commit group begins. */
void log_columns_begin_group(struct state *st);

#endif
