/* wal_append.h: append and sync of struct redo (storage/redo.h), over the log's files. */
#ifndef HALFMQ_BROKER_WAL_APPEND_H
#define HALFMQ_BROKER_WAL_APPEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/slice.h"
#include "protocol/status.h"

struct wal;

/* self is a struct wal. One thread at a time: the store's writer. */
enum status wal_append(void *self, uint64_t number, struct slice batch, bool sync, char *err, size_t err_size);

/* part, has_parts and parts_end of struct redo. The same thread. */
enum status wal_append_part(void *self, struct slice bytes, size_t whole, bool sync, uint64_t *ret_at, char *err,
                            size_t err_size);
bool wal_append_has_parts(void *self, size_t bytes);
void wal_append_end_parts(void *self);

/* True where an append may soon wait for the keeper. */
bool wal_crowded(void *self);

/* Says behind the last batch that it is synced, if it is and that was not said. Does not sync: whoever reads the log
 * later knows more by it, and loses nothing without it. Sets w->quiet where there is nothing more to say. Any thread. */
void wal_append_say_synced(struct wal *w);

/* Any thread, beside an append, too. */
enum status wal_sync(void *self, char *err, size_t err_size);

/* wal_sync, and where the log ended that is synced now: everything up to batch `last` is before byte `at` of the file with
 * that serial, or in an earlier file. */
struct wal_end {
    uint64_t last, serial;
    size_t at;
};
enum status wal_sync_to(struct wal *w, struct wal_end *ret_end, char *err, size_t err_size);

#endif
