/*
 * folder.h: the data folder: made when it is missing, and locked for one broker; and what a new name in any
 * folder needs to last.
 */
#ifndef HALFMQ_BROKER_FOLDER_H
#define HALFMQ_BROKER_FOLDER_H

#include <stddef.h>

#include "protocol/status.h"

/*
 * Makes the folder (and those above it) where needed and takes its lock, which lasts until *ret_fd is
 * closed or the process ends, however it ends. On failure err is a sentence that says what to do.
 */
enum status folder_lock(const char *path, int *ret_fd, char *err, size_t err_size) MUST_CHECK;

/* A name that was made, or renamed, is on disk only when the folder that it lies in is synced. 0, or an errno. */
int folder_sync_of(const char *path) MUST_CHECK;

#endif
