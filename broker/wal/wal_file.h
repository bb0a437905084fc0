/*
 * wal_file.h: one segment of the log as bytes on disk (wal.h shows where segments come from and go).
 *
 *   block 0, block 1   the header, twice, so that it outlives a destroyed block
 *   block 2 on         records (wal_record.h)
 *   header (64 bytes)  "HMQWAL2\n" │ serial u64 │ before u64 │ salt u64 │ store u64 │ size u64 │ lost u64 │ salvage u32
 *                      │ check u32
 *
 * Little-endian. `before` is the number of the batch before this segment. `store` is the id of the store that the log
 * belongs to. `salvage` is 1 where the log went on behind a salvage here, `lost` the serial from which on it was lost
 * (wal_salvage.h); else both are 0. `size` is how long the file was when this use of it began: a shorter one was cut by somebody. The salt is
 * random because a serial may come twice: when a power cut has destroyed a header, nobody knows that its serial was
 * used. Files of the first format ("HMQWAL1\n") are read as well: one header of 64 bytes without `store` and `size`,
 * and records from byte 64 on.
 *
 * No block that was synced is written again in the same use: a disk that loses power while it writes may destroy all
 * of the block. So the record behind a sync begins at the next block.
 *
 * Threads: a file belongs to one thread at a time; only `unsynced` is shared (wal_append.c).
 */
#ifndef HALFMQ_BROKER_WAL_FILE_H
#define HALFMQ_BROKER_WAL_FILE_H

#include <stdatomic.h>

#include "broker/wal/wal_record.h"
#include "protocol/status.h"

#define WAL_HEADER_BYTES (2 * WAL_BLOCK_BYTES)
#define WAL_END_BYTES WAL_BLOCK_BYTES /* is kept free for the record that says which file comes next */

struct wal_file {
    struct wal_file *next;
    int fd;
    uint64_t name;
    struct wal_use use; /* serial 0: never used, or damaged */
    bool salvaged;      /* the log went on here without ... */
    uint64_t lost;      /* ... the serials from this one on */
    bool damaged;       /* it was used, and none of its headers is sound */
    uint64_t store;     /* the id of the store; 0: the first format has none */
    uint64_t before, last;
    size_t promised; /* its size when this use began */
    size_t size;     /* of the file: up to here it can be written over without growing */
    size_t at;       /* where the next record goes; after wal_file_look: where the first is */
    atomic_bool unsynced;
};

/* Opens a file that exists, or makes one that must not (EEXIST). folder is a descriptor. NULL: errno says why. */
struct wal_file *wal_file_open(int folder, uint64_t name, bool make);
void wal_file_free(struct wal_file *f); /* closes */
bool wal_file_remove(int folder, struct wal_file *f); /* closes and deletes; frees f in any case */

/* Where one of the following returns false, errno says why. */

/* Fills the file with zeros up to size, and syncs it, in steps between which others get at a busy disk. */
bool wal_file_fill(struct wal_file *f, size_t size);

/* Cuts the file where it is longer than size. */
bool wal_file_cut(struct wal_file *f, size_t size);

/* Writes the headers of a new use of the file, whose first record follows batch `before`. Does not sync. */
bool wal_file_begin(struct wal_file *f, uint64_t serial, uint64_t before, uint64_t store);

/* wal_file_begin in two steps, for the file with which a salvage goes on: its first record is written before its
 * headers. */
bool wal_file_choose(struct wal_file *f, uint64_t serial, uint64_t before, uint64_t store);
bool wal_file_write_headers(struct wal_file *f);

/* Writes a record behind the last one; to_block: fills the rest of its last block, since it will be synced. Does not
 * sync. r->before and r->whole are not asked. */
bool wal_file_append(struct wal_file *f, const struct wal_record *r, bool to_block);

bool wal_file_sync(struct wal_file *f);

#define WAL_NAME_BYTES 48
void wal_file_name(const struct wal_file *f, char out[static WAL_NAME_BYTES]);

/* Renames the file to NNNNNNNN.lost, or .lost.1 and so on where there is one; it is never read again but can be looked
 * at. Frees f in any case. ret_name: what it is called then. */
bool wal_file_set_aside(int folder, struct wal_file *f, char ret_name[static WAL_NAME_BYTES]);

/* Reads the header into f. True also where there is none (serial 0). */
bool wal_file_look(struct wal_file *f);

/* Reads the whole file; the caller frees the bytes. NULL: errno says why. */
uint8_t *wal_file_read(struct wal_file *f);

#endif
