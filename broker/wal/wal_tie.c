/* wal_tie.c: compares the ids of log and store at the start, and gives them one (wal_tie.h). */
#include "broker/wal/wal_tie.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "broker/base/folder.h"
#include "broker/base/log.h"
#include "broker/wal/wal_salvage.h"
#include "protocol/base/text.h"

#define ID_LINE "halfmq store %016llx %08x\n"
#define ID_LINE_BYTES 39
#define FILE_MODE 0600

/* What the log's files say. */
struct wal_tie_log {
    uint64_t id;      /* of the newest file that has one; 0: none has */
    uint64_t foreign; /* an id that is not the store's; 0: there is none */
    bool same;        /* there is a file with the store's id */
    bool first;       /* there is the file with the first group */
    bool records;     /* something was written to it */
};

static bool wal_tie_path(const char *store_path, const char *name, char out[static PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s/%s", store_path, name);
    errno = ENAMETOOLONG;
    return n > 0 && n < PATH_MAX;
}

static int wal_tie_line(uint64_t id, char out[static ID_LINE_BYTES + 1])
{
    uint32_t check = text_checksum(slice_of(&id, sizeof id));
    return snprintf(out, ID_LINE_BYTES + 1, ID_LINE, (unsigned long long)id, check);
}

/* The id in store.id. 0: there is no such file, or it is not as it was written; then the log's id counts. */
static uint64_t wal_tie_read(const char *store_path)
{
    char path[PATH_MAX], line[ID_LINE_BYTES + 1] = "", wanted[ID_LINE_BYTES + 1] = "";
    int fd = wal_tie_path(store_path, "store.id", path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, line, ID_LINE_BYTES);
    close(fd);
    uint64_t id = n == ID_LINE_BYTES ? strtoull(line + strlen("halfmq store "), NULL, 16) : 0;
    (void)wal_tie_line(id, wanted);
    if (id && memcmp(line, wanted, ID_LINE_BYTES) == 0)
        return id;
    log_text(LOG_WARN, "the id of the store cannot be read: it is written again from the log's");
    return 0;
}

/* Does a file that was used once hold a record? Its first one is as good as any. */
static bool wal_tie_has_record(struct wal_file *f)
{
    struct wal_record r;
    uint8_t *bytes = wal_file_read(f);
    size_t at = f->at;
    bool has = !bytes || wal_record_find(&f->use, slice_of(bytes, f->size), &at, &r);
    free(bytes);
    return has;
}

/* The newest file with which a salvage went on: what that has set aside, or is still to set aside, does not count. */
static const struct wal_file *wal_tie_salvage(const struct wal_found *all, uint64_t id)
{
    const struct wal_file *s = NULL;
    for (size_t i = 0; i < all->n; i++)
        s = all->files[i]->salvaged && all->files[i]->store == id ? all->files[i] : s;
    return s;
}

static void wal_tie_look(const struct wal_found *all, uint64_t id, struct wal_tie_log *ret_log)
{
    const struct wal_file *salvage = wal_tie_salvage(all, id);
    *ret_log = (struct wal_tie_log){0};
    for (size_t i = 0; i < all->n; i++) {
        struct wal_file *f = all->files[i];
        bool used = f->use.serial > 0;
        if (salvage && wal_salvage_covers(salvage, f))
            continue;
        ret_log->first = ret_log->first || (used && f->before == 0);
        ret_log->id = f->store ? f->store : ret_log->id;
        ret_log->foreign = f->store && f->store != id ? f->store : ret_log->foreign;
        ret_log->same = ret_log->same || (used && f->store == id);
        ret_log->records = ret_log->records || f->damaged || f->use.serial > 1 || (used && wal_tie_has_record(f));
    }
}

static enum status wal_tie_judge(struct wal *w, const char *store_path, bool there, const struct wal_tie_log *log,
                                 char *err, size_t err_size)
{
    static const char what_to_do[] = "Nothing was changed. Mount or restore it, start with a replica or a backup of the "
                                     "whole data folder, or go on without it: --salvage";
    if (!there && log->records)
        (void)snprintf(err, err_size, "the store in %s is missing, but its log in %s is there: is it not mounted? %s",
                       store_path, w->path, what_to_do);
    else if (there && w->store_id && log->foreign)
        (void)snprintf(err, err_size, "the log in %s (id %016llx) belongs to another store than that in %s (id %016llx). %s",
                       w->path, (unsigned long long)log->foreign, store_path, (unsigned long long)w->store_id, what_to_do);
    else if (there && w->store_id && !log->same)
        (void)snprintf(err, err_size, "the log in %s is missing or empty, but the store in %s has one: is it not mounted? "
                       "What was acknowledged since the store's last flush is in it. %s",
                       w->path, store_path, what_to_do);
    else
        return ST_OK;
    return ST_BAD;
}

/* With --salvage a store goes on without its log. A store that is missing is made again from a log that has all of it.
 * err holds why a start would be refused. */
static enum status wal_tie_salvaged(struct wal *w, bool there, const struct wal_tie_log *log, char *err, size_t err_size)
{
    char quoted[768];
    if (!there && !log->first) {
        size_t n = strlen(err);
        (void)snprintf(err + n, err_size - n, ". It cannot be salvaged: the log does not go back to the first group");
        return ST_BAD;
    }
    w->lost_all = there && !log->same;
    log_event(LOG_WARN, "salvaging", " although=%s", log_quote(err, quoted, sizeof quoted));
    return ST_OK;
}

enum status wal_tie(struct wal *w, const char *store_path, char *err, size_t err_size)
{
    char current[PATH_MAX];
    struct wal_found all = {0};
    struct wal_tie_log log;
    if (!wal_tie_path(store_path, "CURRENT", current) || !wal_find(w, &all)) {
        wal_found_free(&all);
        return wal_set_failed(w, "read the log", err, err_size);
    }
    bool there = access(current, F_OK) == 0;
    w->store_id = there ? wal_tie_read(store_path) : 0;
    wal_tie_look(&all, w->store_id, &log);
    wal_found_free(&all);
    enum status s = wal_tie_judge(w, store_path, there, &log, err, err_size);
    if (s == ST_BAD && w->salvage)
        s = wal_tie_salvaged(w, there, &log, err, err_size);
    if (w->store_id == 0)
        w->store_id = log.id;
    while (s == ST_OK && w->store_id == 0) {
        if (getrandom(&w->store_id, sizeof w->store_id, 0) < 0)
            return wal_set_failed(w, "make an id for the log", err, err_size);
    }
    return s;
}

/* Writes beside, syncs and renames: the file is whole or not there. */
static bool wal_tie_write(uint64_t id, const char *path, const char *beside)
{
    char line[ID_LINE_BYTES + 1];
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return false;
    bool written = wal_tie_line(id, line) == ID_LINE_BYTES && write(fd, line, ID_LINE_BYTES) == ID_LINE_BYTES &&
                   fsync(fd) == 0;
    int why = errno;
    close(fd);
    errno = why;
    if (!written || rename(beside, path) != 0)
        return false;
    errno = folder_sync_of(path);
    return errno == 0;
}

enum status wal_tie_store(struct wal *w, const char *store_path, char *err, size_t err_size)
{
    return wal_tie_read(store_path) == w->store_id ? ST_OK : wal_tie_make(store_path, w->store_id, err, err_size);
}

enum status wal_tie_make(const char *store_path, uint64_t store_id, char *err, size_t err_size)
{
    char path[PATH_MAX], beside[PATH_MAX];
    if (wal_tie_path(store_path, "store.id", path) && wal_tie_path(store_path, "store.id.new", beside) &&
        wal_tie_write(store_id, path, beside))
        return ST_OK;
    (void)snprintf(err, err_size, "cannot write store.id in %s: %s", store_path, strerror(errno));
    return ST_IO;
}
