/*
 * backup_disk.h: files and folders as backups handle them: slowly, so that clients do not notice, and in bounded memory.
 *
 *   backup_pace    after each piece of a file its thread sleeps three times as long as the piece took, and at least so
 *                  long that it reads or writes no more than 64 MiB a second
 *
 * What is copied is on disk when the function returns. A folder is a descriptor; names are relative to it.
 * Where a function fails, err says what, and `why` (errno) decides: ENOSPC and EDQUOT are ST_DISKFULL, else ST_IO.
 */
#ifndef HALFMQ_BROKER_BACKUP_DISK_H
#define HALFMQ_BROKER_BACKUP_DISK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/status.h"

struct digest;

struct backup_pace {
    bool slow;           /* false: as quick as the disk is (restore, check) */
    atomic_bool *stop;   /* NULL: nobody stops it. Set: what is under way ends, with ST_BUSY */
    int64_t keep_bytes;  /* with less free disk than this where something is written it ends, with ST_DISKFULL; 0: no limit */
    uint64_t done, all;  /* bytes so far; in all, for who shows it; 0: unknown */
    void (*show)(struct backup_pace *p); /* is called after each piece; may be NULL */
    uint8_t *piece;      /* BACKUP_PIECE bytes, and ... */
    struct digest *digest; /* ... both made by backup_disk_begin */
};

#define BACKUP_PIECE ((size_t)256 << 10)

/* ST_NOMEM. */
enum status backup_disk_begin(struct backup_pace *p, char *err, size_t err_size) MUST_CHECK;
void backup_disk_end(struct backup_pace *p);

/* Reads a file, or its first `bytes` (UINT64_MAX: all). ST_OK: *ret_bytes and *ret_digest say what was in it. */
enum status backup_disk_read(struct backup_pace *p, int folder, const char *name, uint64_t *ret_bytes,
                             uint64_t *ret_digest, char *err, size_t err_size) MUST_CHECK;

/* Makes a file in `to` of the first `bytes` bytes of one in `from` (UINT64_MAX: all), with zeros behind them up to `size`. It must
 * not be there yet. On failure there may be a part of it. */
enum status backup_disk_copy(struct backup_pace *p, int from, const char *name, int to, const char *to_name,
                             uint64_t bytes, uint64_t size, uint64_t *ret_bytes, uint64_t *ret_digest, char *err,
                             size_t err_size) MUST_CHECK;

/* Puts "cannot <doing> <name>: <errno>" into err; the status that errno stands for. */
enum status backup_disk_failed(const char *doing, const char *name, char *err, size_t err_size);

/* Opens a folder. -1: errno. */
int backup_disk_open(const char *path);

/* Deletes a file, or a folder with all that is in it, at most four deep. True also where it is not there. errno. */
bool backup_disk_remove(const char *path);

/* The names in a folder, but . and .., in order. False: errno. To be freed with backup_disk_names_free. */
struct backup_names {
    char **names;
    size_t n, room;
};
bool backup_disk_names(const char *path, struct backup_names *ret_names) MUST_CHECK;
void backup_disk_names_free(struct backup_names *names);

#endif
