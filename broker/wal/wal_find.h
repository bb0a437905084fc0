/*
 * wal_find.h: the files that lie in the log's folder when the broker starts.
 *
 *   00000003.wal  serial 7   ─┐
 *   00000001.wal  serial 8    ├─►  files[], by serial: never used and damaged ones (serial 0) first
 *   00000004.wal  never used ─┘
 *
 * Each file belongs to the list until somebody takes it and puts NULL in its place.
 */
#ifndef HALFMQ_BROKER_WAL_FIND_H
#define HALFMQ_BROKER_WAL_FIND_H

#include "broker/wal/wal_set.h"

struct wal_found {
    struct wal_file **files;
    size_t n, room;
};

/* Opens every segment in the folder, reads the headers, and counts them in w: bytes, files, the last serial and the
 * next name. False: errno says why; wal_found_free is due in either case. */
bool wal_find(struct wal *w, struct wal_found *all);

/* Takes the NULLs out, where somebody took a file. */
void wal_found_close_gaps(struct wal_found *all);

void wal_found_free(struct wal_found *all); /* closes those that are left */

#endif
