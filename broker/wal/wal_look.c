/* wal_look.c: opens a log to read it, or to give it another owner (wal_look.h). */
#include "broker/wal/wal_look.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/wal/wal_find.h"
#include "broker/wal/wal_replay.h"

static enum status wal_look_take_nothing(void *arg, struct slice batch, const struct redo_parts *parts)
{
    (void)arg;
    (void)batch;
    (void)parts;
    return ST_OK;
}

enum status wal_look(const char *path, uint64_t after, redo_take_fn *take, void *arg, struct wal_seen *ret_seen, char *err,
                     size_t err_size)
{
    struct wal w = {.path = (char *)(uintptr_t)path, .folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    *ret_seen = (struct wal_seen){.last = after};
    if (w.folder < 0 && errno == ENOENT)
        return ST_OK;
    if (w.folder < 0)
        return wal_set_failed(&w, "read the log", err, err_size);
    enum status s = wal_replay_look(&w, after, take ? take : wal_look_take_nothing, arg, ret_seen, err, err_size);
    close(w.folder);
    return s;
}

bool wal_look_adopt(const char *path, uint64_t store_id)
{
    struct wal w = {.path = (char *)(uintptr_t)path, .folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    struct wal_found all = {0};
    if (w.folder < 0)
        return false;
    bool good = wal_find(&w, &all);
    for (size_t i = 0; good && i < all.n; i++) {
        struct wal_file *f = all.files[i];
        if (f->use.serial == 0 || f->use.first_format)
            continue;
        f->store = store_id;
        good = wal_file_write_headers(f) && wal_file_sync(f);
    }
    int why = errno;
    wal_found_free(&all);
    close(w.folder);
    errno = why;
    return good;
}
