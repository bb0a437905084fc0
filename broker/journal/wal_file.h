/*
 * wal_file.h: one segment of the log as bytes on disk (wal.h shows where segments come from and go).
 *
 *   header (64 bytes)   "HMQWAL1\n" │ serial u64 │ before u64 │ salt u64 │ zeros │ check u32 at byte 60
 *   record (24 + n)     check u32 │ length u32 │ number u64 │ before u64 │ batch, padded to 8 bytes
 *
 * Little-endian. `before` is the number of the batch before this record, or before this segment. A record's check is a
 * checksum of what follows it and of the segment's serial and salt, which the record does not repeat. So a record that
 * an earlier use of the file has left behind is not taken for one of this use, and no client can send a message whose
 * bytes are taken for a record. The salt is random because a serial may come twice: when a power cut has destroyed a
 * header, nobody knows that its serial was used.
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
    size_t size; /* of the file: up to here it can be written over without growing */
    size_t at;   /* where the next record goes */
    atomic_bool unsynced;
};

struct wal_record {
    uint64_t number, before;
    struct slice batch;
};

size_t wal_record_size(size_t batch_bytes);

/* Opens a file that exists, or makes one that must not (EEXIST). folder is a descriptor. NULL: errno says why. */
struct wal_file *wal_file_open(int folder, uint64_t name, bool make);
void wal_file_free(struct wal_file *f); /* closes */
bool wal_file_remove(int folder, struct wal_file *f); /* closes and deletes; frees f in any case */

/* Where one of the following returns false, errno says why. */

/* Fills the file with zeros up to size, and syncs it, in steps between which others get at a busy disk. */
bool wal_file_fill(struct wal_file *f, size_t size);

/* Cuts the file where it is longer than size. */
bool wal_file_cut(struct wal_file *f, size_t size);

/* Writes the header of a new use of the file, whose first record follows batch `before`. Does not sync. */
bool wal_file_begin(struct wal_file *f, uint64_t serial, uint64_t before);

/* Writes a record behind the last one. Does not sync. */
bool wal_file_append(struct wal_file *f, uint64_t number, uint64_t before, struct slice batch);

bool wal_file_sync(struct wal_file *f);

/* Writes its first n bytes once more, and syncs. After a sync has failed and the broker was started again, the kernel
 * takes pages for written that never came to the disk; only what is written again gets there. */
bool wal_file_rewrite(struct wal_file *f, const uint8_t *bytes, size_t n);

/* Renames the file to NNNNNNNN.lost, which is never read again but can be looked at. Frees f in any case. */
bool wal_file_set_aside(int folder, struct wal_file *f);

/* Reads the header into f. True also where there is none (serial 0). */
bool wal_file_look(struct wal_file *f);

/* Reads the whole file, for wal_record_next; the caller frees the bytes. NULL: errno says why. */
uint8_t *wal_file_read(struct wal_file *f);

/* Takes the record at *at of the file's bytes, and moves *at behind it. False: there is no whole and sound one. */
bool wal_record_next(const struct wal_file *f, struct slice bytes, size_t *at, struct wal_record *ret_record);

#endif
