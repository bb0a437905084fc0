/*
 * powercut_undo.h: keeps the bytes that a write has overwritten, until the write is synced.
 *
 *   write 7 ──► undo_save: the old bytes, sector by sector ──► the write itself ──► undo_written: stamp
 *   sync    ──► undo_sync_begins: stamp ──► the sync itself ──► undo_synced: drops the saves of writes that
 *               had returned before the sync began
 *
 *   area    u64 given up │ UNDO_SLOTS slots
 *   slot    u64 inode (0: free) │ u64 number │ u64 offset │ u64 length │ 512 bytes
 *
 * The area is a file that is mapped shared, so it outlives the process, and powercut.py reads it afterwards. A
 * slot never crosses the border of a sector. The slots of one write have the same number, and numbers ascend.
 *
 * Invariants
 *   1. A slot is complete before its inode is set, and its inode is set before the write begins. So after a
 *      SIGKILL at any moment, every byte that was overwritten is in a slot.
 *   2. If a sector was overwritten twice, the slot with the lower number has the older bytes. To restore the
 *      state of the last sync, put back all slots, the highest number first.
 *   3. A write that is under way when a sync begins is not covered by that sync.
 *
 * When no slot is free, the oldest UNDO_SLOTS / 16 are dropped. Their writes then count as synced, which a real
 * disk would not promise; `given up` counts them, so that the test can print it.
 *
 * Threads: any. There is one lock, which is not held during a write or a sync. One process at a time uses the
 * area, and starts with an empty one.
 */
#ifndef HALFMQ_TESTS_CRASH_POWERCUT_UNDO_H
#define HALFMQ_TESTS_CRASH_POWERCUT_UNDO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNDO_SLOTS 32768
#define UNDO_SECTOR 512

/* Maps the open file, which powercut.py made large enough, as an empty area. To be called once, before anything
 * else. */
bool undo_map(int fd);

/* To be called before n bytes are written at offset. Bytes beyond the end of the file are not saved. Returns the
 * number for undo_written. */
uint64_t undo_save(int fd, uint64_t inode, uint64_t offset, size_t n);

/* To be called when the write has returned, with or without success. */
void undo_written(uint64_t number);

/* To be called before a sync. Returns the number for undo_synced, which is called if the sync succeeds. */
uint64_t undo_sync_begins(void);
void undo_synced(uint64_t inode, uint64_t began);

/* The file was cut to this length: nothing beyond it will be put back. */
void undo_ends_at(uint64_t inode, uint64_t length);

#endif
