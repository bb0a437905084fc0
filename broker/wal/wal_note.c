/* wal_note.c: the note of a clean stop (wal_note.h). */
#include "broker/wal/wal_note.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/text.h"

#define NAME "stopped"
#define NAME_NEW "stopped.new"
#define NOTE_BYTES 120
#define FILE_MODE 0600

static int wal_note_text(const struct wal_note *note, char out[static NOTE_BYTES])
{
    const uint64_t facts[] = {note->last, note->serial, note->at};
    return snprintf(out, NOTE_BYTES, "halfmq stopped %llu %llu %zu %08x\n", (unsigned long long)note->last,
                    (unsigned long long)note->serial, note->at, text_checksum(slice_of(facts, sizeof facts)));
}

struct wal_note wal_note_read(int folder)
{
    char text[NOTE_BYTES] = "", wanted[NOTE_BYTES] = "";
    unsigned long long last = 0, serial = 0, at = 0;
    int fd = openat(folder, NAME, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n <= 0 || sscanf(text, "halfmq stopped %20llu %20llu %20llu", &last, &serial, &at) != 3)
        return (struct wal_note){0};
    const struct wal_note note = {.last = last, .serial = serial, .at = (size_t)at};
    (void)wal_note_text(&note, wanted);
    return strcmp(text, wanted) == 0 ? note : (struct wal_note){0};
}

bool wal_note_write(int folder, const struct wal_note *note)
{
    char text[NOTE_BYTES];
    int n = wal_note_text(note, text);
    int fd = openat(folder, NAME_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return false;
    bool good = write(fd, text, (size_t)n) == n && fsync(fd) == 0;
    good = close(fd) == 0 && good;
    return good && renameat(folder, NAME_NEW, folder, NAME) == 0 && fsync(folder) == 0;
}

bool wal_note_remove(int folder)
{
    if (unlinkat(folder, NAME, 0) != 0)
        return errno == ENOENT;
    return fsync(folder) == 0;
}
