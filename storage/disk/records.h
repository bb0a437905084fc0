/*
 * records.h: batch records in the log families: in which family those of a topic are, and finding the record that
 * holds an offset. The writer (model/log.h) and views (query/view.h) use it.
 */
#ifndef HALFMQ_STORAGE_RECORDS_H
#define HALFMQ_STORAGE_RECORDS_H

#include "protocol/base/compress.h"
#include "protocol/record/record.h"
#include "storage/disk/kv.h"

/* The family that all records of a topic are in, from its first message to its end. */
enum kv_family records_family(enum compress compress);

/* An iterator over the records of one queue; snap NULL: the newest state. NULL: no memory. */
struct kv_iter *records_iter(struct kv *kv, const struct kv_snap *snap, enum compress compress, uint64_t topic,
                             uint32_t queue);

/* Reads the header of the record that the iterator stands on. A record carries its offset: one that is found under
 * another is damage, too. ST_GONE: it stands on none; ST_DAMAGED, ST_IO. */
enum status records_header(const struct kv_iter *it, struct record_header *ret_h) MUST_CHECK;

/* Puts the iterator on the record that holds offset, or on the first one behind it, and reads its header. The
 * iterator's bounds are the queue's. ST_GONE: there is none. ST_DAMAGED: the one that should hold it, or the first one
 * behind it, cannot be read (lost.h has the messages). From the queue's floor on, a record behind offset means that
 * the one that held it is lost. ST_IO. */
enum status records_seek(struct kv_iter *it, uint64_t topic, uint32_t queue, uint64_t offset,
                         struct record_header *ret_h) MUST_CHECK;

/* records_seek, cheap where that is the record behind the one that the iterator stands on, and records are about equally
 * long. *h: its header; count 0: it stands on none. */
enum status records_seek_on(struct kv_iter *it, uint64_t topic, uint32_t queue, uint64_t offset,
                            struct record_header *h) MUST_CHECK;

#endif
