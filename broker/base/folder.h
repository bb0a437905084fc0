/*
 * folder.h: makes the data folder where it is missing, and locks it for one broker; syncs a folder, so that a new
 * name in it lasts.
 */
#ifndef HALFMQ_BROKER_FOLDER_H
#define HALFMQ_BROKER_FOLDER_H

#include <stddef.h>

#include "protocol/status.h"

/*
 * Makes the folder, and those above it, where they are missing, so that they outlast a power cut, and takes its lock.
 * The lock lasts until *ret_fd is closed or the process ends, however it ends. The folder gets the mode 0700. On failure
 * err says what to do.
 */
enum status folder_lock(const char *path, int *ret_fd, char *err, size_t err_size) MUST_CHECK;

/* Takes the lock of a data folder that is only read: where it has one, and may be locked. *ret_fd is -1 otherwise. ST_BUSY, with err:
 * a broker is using it. */
enum status folder_lock_if_there(const char *path, int *ret_fd, char *err, size_t err_size) MUST_CHECK;

/* Makes the folder, with the mode 0700, and those above it, where they are missing, so that they outlast a power cut. Returns 0
 * or an errno. */
int folder_make(const char *path) MUST_CHECK;

/* Gives the folder the mode 0700 and the files in it 0600, where others may read them now; not those in folders below
 * it. No-op if there is no such folder. What cannot be changed is told in the log. */
void folder_close_to_others(const char *path);

/* Syncs the folder that path lies in: a name that was made or renamed is on disk only then. Returns 0 or an errno. */
int folder_sync_of(const char *path) MUST_CHECK;

#endif
