/*
 * reserve.h: room on the disk that nobody else can take: a file in the data folder, as large as three quarters of what
 * DISKFULL keeps free. Two thirds of it are what the store needs to flush all of its write buffers.
 *
 *   enough room      │ others' files │ ours │ free ...................... │ reserve │
 *   new messages are refused (DISKFULL)     │ free, less than it should be │ reserve │
 *   others have filled the disk             │                              │ reserve │
 *   the log, a flush or a deletion needs room: the file is cut by as much    │ res.│
 *
 * So messages can be deleted on a disk on which others have left nothing. Once there is room again, the file gets back
 * what it has lost.
 *
 * Invariants
 *   1. The file only ever holds zeros that nobody reads, so nothing depends on what a crash leaves of it.
 *   2. It is a process-wide thing, as the data folder is. Before reserve_open nothing is held.
 *
 * Threads: reserve_spend, reserve_held and reserve_wanted from any; the others from one at a time.
 */
#ifndef HALFMQ_BROKER_RESERVE_H
#define HALFMQ_BROKER_RESERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How much DISKFULL keeps free on the disk of that folder: least_bytes, but of a small file system a quarter, where a
 * fixed number could be all of it. least_bytes where the disk does not tell its size. */
int64_t reserve_bytes_of(const char *path, int64_t least_bytes);

/* Opens the file in this folder, or makes it empty. False, with errno: that failed; nothing is held then. */
bool reserve_open(const char *data);

/* Takes room until three quarters of reserve_bytes_of are held, if as much as all of it is free or held. */
void reserve_fill(const char *data, int64_t least_bytes);

/* Gives up at least this many bytes, or what is left. False: nothing was left. */
bool reserve_spend(size_t bytes);

/* How many bytes are held, and how many should be. */
int64_t reserve_held(void);
int64_t reserve_wanted(void);

#endif
