/*
 * backup_manifest.h: the manifest of a backup: what it has, and how to tell that all of it is as it was written.
 *
 *   halfmq backup 1                                        the version of this format
 *   name nightly
 *   index 120934                                           of the last command that it has
 *   created 1790000000000                                  Unix milliseconds
 *   linked 17                                              how many files were links to the store's, when it was made
 *   file 6c78e0e3bd51d358 16 store/CURRENT                 XXH3-64, bytes, name; one line each
 *   ...
 *   end 23 8812345 0d7a4bd58ec0a1f0                        files, bytes of all of them, XXH3-64 of everything before
 *
 * Lines end with LF. A parser takes any bytes, and refuses names that are not a plain name in store/ or wal/, so that
 * nobody can make a restore write elsewhere.
 *
 * Pure.
 */
#ifndef HALFMQ_BROKER_BACKUP_MANIFEST_H
#define HALFMQ_BROKER_BACKUP_MANIFEST_H

#include "protocol/base/buf.h"
#include "protocol/status.h"

#define BACKUP_MANIFEST "backup.manifest"      /* its name in the folder of the backup */
#define BACKUP_MANIFEST_BYTES_MAX (64L << 20)  /* some 900,000 files */
#define BACKUP_NAME_MAX 127                    /* bytes of a backup's name */
#define BACKUP_FILE_MAX 80                     /* bytes of a file's name, with its folder */

struct backup_facts {
    char name[BACKUP_NAME_MAX + 1];
    uint64_t index, linked, files, bytes;
    int64_t created_ms;
};

struct backup_file {
    char name[BACKUP_FILE_MAX + 1]; /* store/..., wal/... */
    uint64_t bytes, digest;
};

/* 1..127 of A-Z a-z 0-9 . _ -, that neither begins with a dot nor has two in a row, and is not LIST or DELETE. */
bool backup_name_ok(struct slice name);

/* Writes a manifest: begin, add each file, end. out->failed says whether that failed. begin uses name, index, created_ms;
 * end uses linked, too, and fills in files and bytes. */
void backup_manifest_begin(struct buf *out);
void backup_manifest_add(struct buf *out, const struct backup_file *f);
void backup_manifest_end(struct buf *out, struct slice files, struct backup_facts *facts);

/* Reads one: open checks all of it, and next then gives file after file; *at is as open left it at first. ST_BAD: it is
 * damaged, or of another version; err has the rest of a sentence that begins with its path. */
enum status backup_manifest_open(struct slice bytes, struct backup_facts *ret_facts, struct cursor *ret_at, char *err,
                                 size_t err_size) MUST_CHECK;
bool backup_manifest_next(struct cursor *at, struct backup_file *ret_f);

#endif
