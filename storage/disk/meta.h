/* meta.h: the store's own row M: how far its rows have come. */
#ifndef HALFMQ_STORAGE_META_H
#define HALFMQ_STORAGE_META_H

#include "storage/disk/kv.h"
#include "storage/disk/rows.h"

/* The newest row, or what a new store begins with. ST_BAD, ST_IO, ST_NOMEM, with err, which names the path. */
enum status meta_read(struct kv *kv, const char *path, struct meta_row *ret_meta, char *err,
                      size_t err_size) MUST_CHECK;

/* Index of the last command that the database's files have; 0 also where it cannot be read. Any thread. */
uint64_t meta_stored(struct kv *kv);

#endif
