/*
 * log.h: finding a place in a queue's records, for the writer (topic.h) and for views (view.h) alike.
 */
#ifndef HALFMQ_STORAGE_LOG_H
#define HALFMQ_STORAGE_LOG_H

#include "protocol/base/compress.h"
#include "protocol/record/message.h"
#include "storage/disk/kv.h"

/* Where the records of a topic are: from its first message to its end in one family. */
enum kv_family log_family(enum compress compress);

/* Puts the iterator on the record that holds offset, or on the first one behind it, and reads its header.
 * The iterator's bounds are the queue's. ST_GONE: there is none; ST_IO: the store, or a damaged record. */
enum status log_seek(struct kv_iter *it, uint64_t topic, uint32_t queue, uint64_t offset,
                     struct record_header *ret_h) MUST_CHECK;

#endif
