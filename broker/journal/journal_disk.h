/*
 * journal_disk.h: how much of the disk is free, and whether that is too little to write.
 *
 * What base/reserve.h holds counts as free here, as only we can use it: the last three quarters.
 *
 *   free:   plenty │ full: no new messages; what is stored is delivered, acknowledged, │ spent: only deletions,
 *                  │ committed, and becomes due                                         │ also those of RETENTION
 *               reserve                                                           half of it
 *
 * Looks twice a second while there is plenty, before every group when it gets tight: between two looks a fast disk
 * takes more than the reserve, and a store that fills it up cannot even be opened again.
 *
 * Threads: the journal's leader.
 */
#ifndef HALFMQ_BROKER_JOURNAL_DISK_H
#define HALFMQ_BROKER_JOURNAL_DISK_H

#include <stdbool.h>
#include <stdint.h>

struct journal_disk {
    const char *path;     /* where it is measured */
    int64_t least_bytes;  /* what must stay free, but for small file systems */
    int64_t looked_ns;    /* monotonic; 0: not yet */
    int64_t free_bytes; /* with what the reserve holds (base/reserve.h) */
    int64_t reserve_bytes;
    bool low;   /* less than twice the reserve is free */
    bool full;  /* less than the reserve is free: nothing new is stored */
    bool spent; /* half of it at most, or the store waits for room: only what frees space is done */
};

/* Where the disk cannot be asked, everything stays as it was. */
void journal_disk_look(struct journal_disk *d, int64_t now_ns);

#endif
