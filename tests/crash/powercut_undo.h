/*
 * powercut_undo.h: what was in a file before it was overwritten, kept until a sync makes that history.
 *
 *   write 7 ──► save: sector by sector, what is there now ──► the write itself ──► written: stamp
 *   sync    ──► begins: stamp ──► the sync itself ──► synced: what was written before `begins` is dropped
 *
 *   area    u64 given up │ UNDO_SLOTS slots
 *   slot    u64 inode (0: free) │ u64 number │ u64 offset │ u64 length │ 512 bytes
 *
 * The area is a file mapped shared, so it outlives the process; powercut.py reads it then. A slot never
 * crosses a sector's border; the slots of one write have one number, and numbers ascend.
 *
 * Invariants
 *   1. A slot is whole before its inode is set, and its inode is set before the write begins: a SIGKILL at
 *      any moment leaves nothing overwritten without its slot.
 *   2. Of a sector that was overwritten twice the lower number has the older bytes; to go back to what the
 *      last sync left is to put back all of them, the highest number first.
 *   3. A write that is under way when a sync begins is not covered by it.
 *
 * When all slots are taken, the oldest UNDO_SLOTS / 16 are given up: those writes count as synced, which is
 * kinder than a disk, and `given up` counts them so that the test can say so.
 *
 * Threads: any; one lock, held for no write and no sync. One process at a time, which begins with nothing.
 */
#ifndef HALFMQ_TESTS_CRASH_POWERCUT_UNDO_H
#define HALFMQ_TESTS_CRASH_POWERCUT_UNDO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNDO_SLOTS 32768
#define UNDO_SECTOR 512

/* The open file, which powercut.py made as long as an area, becomes one, empty. Once, before all else. */
bool undo_map(int fd);

/* Before n bytes are written at offset; what lies behind the file's end needs no undoing. Gives the number
 * for undo_written. */
uint64_t undo_save(int fd, uint64_t inode, uint64_t offset, size_t n);

/* The write has returned, whatever it gave. */
void undo_written(uint64_t number);

/* Gives what undo_synced is to be told when the sync has succeeded. */
uint64_t undo_sync_begins(void);
void undo_synced(uint64_t inode, uint64_t began);

/* The file ends at length now: nothing behind it comes back. */
void undo_ends_at(uint64_t inode, uint64_t length);

#endif
