/*
 * wal_record.h: one record of the log as bytes: encoded, recognized, and looked for behind a damaged place.
 *
 *   head (40 bytes)   head check u32 │ body check u32 │ length u32 │ kind u32 │ number u64 │ before u64 │ synced u64
 *   body              a batch of `length` bytes
 *
 * Little-endian. The head check covers the rest of the head and the serial and salt of the file, which the record does
 * not repeat. So a record that an earlier use of the file has left behind is not taken for one of this use, and no
 * client can send a message whose bytes are taken for a record. The body has a check of its own: a head whose body is
 * torn still tells its number, and what was synced when it was written.
 *
 *   kind 0   a batch: its number, the number before it, and `synced`: every batch up to that number was synced when
 *            this record was written
 *   kind 1   the end of the file: `number` is the serial of the next file, whose header is synced
 *   kind 2   no batch: everything before it is synced. It is written when nothing else comes for a while
 *   kind 3   a part: bytes that a batch behind it in this file refers to, by where the part begins (redo.part). Its number
 *            is that of the batch before it. It is there only with fsync=always, and synced before such a batch is written
 *
 * A record begins 8 bytes or less behind the one before it, or at the next block, where that one was synced. Files of
 * the first format ("HMQWAL1\n") are still read: check u32 │ length u32 │ number u64 │ before u64 │ batch.
 */
#ifndef HALFMQ_BROKER_WAL_RECORD_H
#define HALFMQ_BROKER_WAL_RECORD_H

#include "protocol/base/slice.h"

#define WAL_BLOCK_BYTES 4096 /* what a disk may destroy when power fails while it writes one byte of it */
#define WAL_RECORD_BYTES 40  /* before its batch */

enum wal_kind { WAL_BATCH, WAL_END, WAL_SYNCED, WAL_PART };

/* A use of a file, as far as its records depend on it. */
struct wal_use {
    uint64_t serial, salt;
    bool first_format;
};

struct wal_record {
    enum wal_kind kind;
    uint64_t number, before, synced;
    struct slice batch;
    bool whole;  /* false: the body is torn or damaged, and batch is empty */
    size_t size; /* in the file, without the padding to the next block */
};

size_t wal_record_size(size_t batch_bytes);

/* The next multiple of a block. */
static inline size_t wal_block_up(size_t at)
{
    return (at + WAL_BLOCK_BYTES - 1) & ~(size_t)(WAL_BLOCK_BYTES - 1);
}

/* Fills out with the head of r, whose batch follows it in the file. */
void wal_record_encode(const struct wal_use *use, const struct wal_record *r, uint8_t out[static WAL_RECORD_BYTES]);

/* Is there a record of this use at `at` of the file's bytes? True also where only its head is sound: see `whole`. */
bool wal_record_at(const struct wal_use *use, struct slice bytes, size_t at, struct wal_record *ret_r);

/* Moves *at to the first place at or behind it where wal_record_at is true. False: there is none. */
bool wal_record_find(const struct wal_use *use, struct slice bytes, size_t *at, struct wal_record *ret_r);

#endif
