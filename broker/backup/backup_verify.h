/*
 * backup_verify.h: are the files of a backup as its manifest says?
 */
#ifndef HALFMQ_BROKER_BACKUP_VERIFY_H
#define HALFMQ_BROKER_BACKUP_VERIFY_H

#include "broker/backup/backup_disk.h"
#include "broker/backup/backup_manifest.h"

/* Reads each file that at names, as backup_find_manifest left it. damage is called with a sentence for each that is missing, has
 * another size or other bytes. ST_OK: all of them were read, *ret_bad are not as they were. ST_IO, ST_NOMEM, with err: of the
 * reader, and not of a file. */
enum status backup_verify(struct backup_pace *p, const char *path, struct cursor at,
                          void (*damage)(void *arg, const char *text), void *arg, uint64_t *ret_bad, char *err,
                          size_t err_size) MUST_CHECK;

#endif
