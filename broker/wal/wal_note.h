/*
 * wal_note.h: where the log ended when the broker was stopped cleanly.
 *
 *   <data>/wal/stopped   "halfmq stopped <last batch> <serial> <byte> <check>", written and synced by the stop;
 *                        the next start reads it, and deletes it before the log goes on
 *
 * A start that finds the end of the log before that place knows that it was damaged, and not torn by a power cut. A note
 * that is left over, as its deletion was not on disk, names a place that the log has passed since, and says nothing.
 */
#ifndef HALFMQ_BROKER_WAL_NOTE_H
#define HALFMQ_BROKER_WAL_NOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wal_note {
    uint64_t last, serial; /* serial 0: there is none */
    size_t at;
};

/* folder is a descriptor, of the log. What cannot be read as it was written is no note. */
struct wal_note wal_note_read(int folder);

/* True where it is on disk. */
bool wal_note_write(int folder, const struct wal_note *note);

/* True where there is none any more; errno. */
bool wal_note_remove(int folder);

/* Does the note name a place behind this end of the log? */
static inline bool wal_note_is_behind(const struct wal_note *note, const struct wal_note *end)
{
    return note->serial > end->serial || (note->serial == end->serial && note->at > end->at);
}

#endif
