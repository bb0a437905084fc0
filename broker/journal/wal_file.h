/*
 * wal_file.h: one segment of the log, as bytes on disk (wal.h has the picture).
 *
 *   header (64 bytes)   "HMQWAL1\n" │ serial u64 │ before u64 │ salt u64 │ zeros │ check u32 at byte 60
 *   record (24 + n)     check u32 │ length u32 │ number u64 │ before u64 │ batch, padded to 8 bytes
 *
 * Little-endian. `before` is the number of the batch before this record, or before this segment. A record's
 * check covers what follows it, and the segment's serial and salt, which are not stored again: what an earlier
 * use of the file left behind is never taken for a record of this one. The salt is random, as a serial may come
 * twice: where a header was lost, in a power cut say, nobody knows any more that there was such a use. Nor can a
 * client make a message whose bytes would be a record.
 *
 * Threads: a file belongs to one thread at a time; only `unsynced` is shared (wal.c).
 */
#ifndef HALFMQ_BROKER_WAL_FILE_H
#define HALFMQ_BROKER_WAL_FILE_H

#include <stdatomic.h>

#include "protocol/base/slice.h"
#include "protocol/status.h"

#define WAL_HEADER_BYTES 64
#define WAL_RECORD_BYTES 24 /* before its batch */

struct wal_file {
    struct wal_file *next;
    int fd;
    uint64_t name;
    uint64_t serial; /* 0: never used, or damaged */
    bool damaged;    /* its header is not one that was ever written */
    uint64_t salt;
    uint64_t before, last;
    size_t size; /* what may be written over without the file growing */
    size_t at;   /* where the next record goes */
    atomic_bool unsynced;
};

struct wal_record {
    uint64_t number, before;
    struct slice batch;
};

size_t wal_record_size(size_t batch_bytes);

/* folder is a descriptor. Opens one that is there, or makes one that must not be (EEXIST). NULL: errno says why. */
struct wal_file *wal_file_open(int folder, uint64_t name, bool make);
void wal_file_free(struct wal_file *f); /* closes */
bool wal_file_remove(int folder, struct wal_file *f); /* and deletes; f is gone either way */

/* All below: false: errno says why. */

/* Zeros up to size, and synced, in steps that leave a busy disk to others in between. */
bool wal_file_fill(struct wal_file *f, size_t size);

/* Not longer than size. */
bool wal_file_cut(struct wal_file *f, size_t size);

/* The header for a use of the file that begins behind `before`. Not synced. */
bool wal_file_begin(struct wal_file *f, uint64_t serial, uint64_t before);

/* Behind the last record. Not synced. */
bool wal_file_append(struct wal_file *f, uint64_t number, uint64_t before, struct slice batch);

bool wal_file_sync(struct wal_file *f);

/* Its first n bytes once more, and synced. After a sync that failed, and a new start, the kernel holds for clean
 * what never came to the disk: only what is written again is written. */
bool wal_file_rewrite(struct wal_file *f, const uint8_t *bytes, size_t n);

/* Renamed to NNNNNNNN.lost: not read again, but there for somebody who wants to look. f is gone either way. */
bool wal_file_set_aside(int folder, struct wal_file *f);

/* Reads the header into f: true also where it is none (serial 0). */
bool wal_file_look(struct wal_file *f);

/* The whole file, for wal_record_next; freed by the caller. NULL with errno, ENOMEM among them. */
uint8_t *wal_file_read(struct wal_file *f);

/* The record at *at of the file's bytes, where there is a whole and sound one; moves *at behind it. */
bool wal_record_next(const struct wal_file *f, struct slice bytes, size_t *at, struct wal_record *ret_record);

#endif
