/* wal_append.h: append and sync of struct redo (storage/redo.h), over the log's files. */
#ifndef HALFMQ_BROKER_WAL_APPEND_H
#define HALFMQ_BROKER_WAL_APPEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/slice.h"
#include "protocol/status.h"

/* self is a struct wal. One thread at a time: the store's writer. */
enum status wal_append(void *self, uint64_t number, struct slice batch, bool sync, char *err, size_t err_size);

/* Any thread, beside an append, too. */
enum status wal_sync(void *self, char *err, size_t err_size);

#endif
