/*
 * wal_hold.h: public: the log is copied while the broker writes it.
 *
 *   serial 7 │ 8 │ 9 │ 10 = now ....│end        wal_hold: from here on none of them is used again; `end` is synced
 *                                               (a checkpoint of the store is made: the state after some batch)
 *              8 │ 9 │ 10                       wal_held: these have what is behind that batch, up to `end`
 *                  9 │ 10                       wal_release 9: serial 8 was copied, and may be used again
 *
 * The hold begins before the checkpoint is made: so each batch before `end` is in the store's files or in a held file, and
 * the checkpoint has each family of the database that such a batch names. While a hold lasts the log gets longer than it
 * should, which nobody waits for; so whoever holds copies the oldest first, and soon.
 *
 * One hold at a time. Any thread, while the keeper runs.
 */
#ifndef HALFMQ_BROKER_WAL_HOLD_H
#define HALFMQ_BROKER_WAL_HOLD_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/status.h"

struct wal;

struct wal_hold {
    uint64_t last; /* the last batch before the end: everything that was acknowledged before wal_hold is not behind it */
    uint64_t serial;
    size_t at; /* the end, in the file with that serial */
};

/* Syncs the log, and keeps its files. On failure nothing is held. ST_IO, with err. */
enum status wal_hold(struct wal *w, struct wal_hold *ret_hold, char *err, size_t err_size) MUST_CHECK;

/* A file of the log: its first `bytes` bytes are to be copied, the rest up to `size` may be anything. */
struct wal_held_file {
    uint64_t name; /* NNNNNNNN.wal: eight digits or more */
    uint64_t serial;
    size_t bytes, size;
};

/* The held files that have what is behind batch `after`, up to the end, oldest first. The caller frees *ret_files. ST_NOMEM. */
enum status wal_held(struct wal *w, const struct wal_hold *h, uint64_t after, struct wal_held_file **ret_files,
                     size_t *ret_n) MUST_CHECK;

/* Files with a smaller serial may be used again; UINT64_MAX: all, and the hold is over. */
void wal_release(struct wal *w, uint64_t serial);

#endif
