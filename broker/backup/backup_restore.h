/*
 * backup_restore.h: --restore DIR --data NEW: makes a data folder out of a backup.
 *
 *   1. NEW is empty, and has room          else nothing is changed
 *   2. each file of DIR is as it was       else nothing is changed
 *   3. all of them are copied to NEW/restore.tmp; they are never linked, so the new store shares its fate with nobody
 *   4. store and log get a new id          (wal_tie.h): from here on they have a history of their own, so a log of the old
 *                                          store must not be taken for theirs, nor theirs for the old one's
 *   5. the log, then the store, are moved to their places; before that, no broker starts on NEW
 *
 * The main thread of a process that does nothing else.
 */
#ifndef HALFMQ_BROKER_BACKUP_RESTORE_H
#define HALFMQ_BROKER_BACKUP_RESTORE_H

#include <stdbool.h>
#include <stddef.h>

/* Says on standard output what was restored, on standard error what is wrong. Returns the exit status: 0, or 1. */
int backup_restore(const char *from, const char *data);

/* Did a restore into this data folder begin and not end? Then err has a sentence. */
bool backup_restore_unfinished(const char *data, char *err, size_t err_size);

#endif
