/*
 * backup_find.h: the backups that are there: listed, deleted; and what a SIGKILL left of one that was not finished.
 *
 * A folder counts as a backup where it has a manifest that is whole. Files are not looked at here (backup_verify.h).
 * Any thread, but BACKUP_FIND_MAX of what is there at most is listed.
 */
#ifndef HALFMQ_BROKER_BACKUP_FIND_H
#define HALFMQ_BROKER_BACKUP_FIND_H

#include "broker/backup/backup_manifest.h"

#define BACKUP_FIND_MAX 1000

/* Reads the manifest of a backup's folder. out, empty, gets its bytes, into which *ret_at points. ST_BAD: there is none, or
 * it is damaged; ST_IO, ST_NOMEM, with err. */
enum status backup_find_manifest(const char *path, struct buf *out, struct backup_facts *ret_facts,
                                 struct cursor *ret_at, char *err, size_t err_size) MUST_CHECK;

/* Appends an array of maps (name path bytes files index created), by name. A folder of backups that is not there has none.
 * ST_IO, ST_NOMEM, with err. */
enum status backup_find_all(const char *dir, struct buf *reply, char *err, size_t err_size) MUST_CHECK;

/* Deletes a backup. ST_ERR: there is none of that name; ST_IO, ST_NOMEM, with err. */
enum status backup_find_delete(const char *dir, const char *name, char *err, size_t err_size) MUST_CHECK;

/* Before the first backup: deletes what an earlier process has left in both folders, and says so in the log. */
void backup_find_leftovers(const char *data, const char *dir);

#endif
