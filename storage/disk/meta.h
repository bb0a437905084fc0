/* meta.h: the store's own row M: index and time of the last command, the last ids, and counts. */
#ifndef HALFMQ_STORAGE_META_H
#define HALFMQ_STORAGE_META_H

#include "storage/disk/kv.h"
#include "storage/disk/rows.h"

/* Reads it, or fills in what a new store begins with. ST_BAD, ST_IO, ST_NOMEM, with err, which names the path. */
enum status meta_read(struct kv *kv, const char *path, struct meta_row *ret_meta, char *err,
                      size_t err_size) MUST_CHECK;

/* The index of the last command that the database's files have; 0 where it cannot be read. Any thread. */
uint64_t meta_stored(struct kv *kv);

#endif
