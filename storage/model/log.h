/*
 * log.h: finding and reading messages of a queue, as the writer sees it: in the tail, in the records that it
 * remembers (queue.h), and otherwise in the store.
 */
#ifndef HALFMQ_STORAGE_LOG_H
#define HALFMQ_STORAGE_LOG_H

#include "storage/model/log_columns.h"
#include "storage/model/topic.h"

/* Finds the record that holds offset, or the first one behind it. ST_GONE: there is none; ST_BUSY: as log_read. */
enum status log_locate(struct state *st, struct topic *t, uint32_t queue, uint64_t offset,
                       struct record_info *ret_info) MUST_CHECK;

/* The first offset at or behind `from` that is in a record with messages of a class (PRIORITY), and that record: by the rows
 * F (queue.h), or, among the records that are remembered, one by one, so that whoever keeps up with a queue reads nothing.
 * After many records that have none: the place where to go on, in a record that may have none either. ST_GONE: there is
 * none; otherwise as log_locate. */
enum status log_class_find(struct state *st, struct topic *t, uint32_t queue, uint8_t class, uint64_t from,
                           uint64_t *ret_offset, struct record_info *ret_info) MUST_CHECK;

/* Reads the message at offset into ret_m; its bytes are put into hold. ST_GONE: there is none; ST_BUSY: it came in the
 * open group and cannot be read before that is written; ST_DAMAGED: it cannot be read, which is told. */
enum status log_read(struct state *st, struct topic *t, uint32_t queue, uint64_t offset,
                     struct buf *hold, struct message *ret_m) MUST_CHECK;

/* First offset stored at or after a time, or the end. */
enum status log_offset_at(struct state *st, struct topic *t, uint32_t queue, int64_t time_ms,
                          uint64_t *ret_offset) MUST_CHECK;

/* When the message at offset expires; INT64_MAX: never. */
enum status log_expiry(struct state *st, struct topic *t, uint32_t queue, uint64_t offset,
                       int64_t *ret_ms) MUST_CHECK;

#endif
