/*
 * folder.h: makes the data folder where it is missing, and locks it for one broker; syncs a folder, so that a new
 * name in it lasts.
 */
#ifndef HALFMQ_BROKER_FOLDER_H
#define HALFMQ_BROKER_FOLDER_H

#include <stddef.h>

#include "protocol/status.h"

/*
 * Makes the folder, and those above it, where they are missing, and takes its lock. The lock lasts until *ret_fd is
 * closed or the process ends, however it ends. On failure err says what to do.
 */
enum status folder_lock(const char *path, int *ret_fd, char *err, size_t err_size) MUST_CHECK;

/* Syncs the folder that path lies in: a name that was made or renamed is on disk only then. Returns 0 or an errno. */
int folder_sync_of(const char *path) MUST_CHECK;

#endif
