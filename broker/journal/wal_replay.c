/*
 * wal_replay.c: reads the log at the start: finds its files, hands their batches to the store, sets aside the rest.
 *
 *   files by serial:   [ all in the store's files ][ begins at or before `after` ][ ... ][ last ]  gap  [ x ]
 *                            spare                    its records behind `after` are taken          set aside
 *
 * A power cut may leave a gap where nothing was synced (fsync=interval or never). With fsync=always there is no gap
 * unless the disk is damaged. So files behind a gap, and files whose header is damaged, are renamed to *.lost for
 * people to look at, and the log says so.
 *
 * Records that are taken are written once more, and synced, before anything is appended: after a SIGKILL they may be
 * in the kernel's memory only, and the next record that is acknowledged follows them in the chain.
 */
#include "broker/journal/wal_replay.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/log.h"
#include "broker/journal/wal_set.h"

#define NAME_DIGITS_MIN 8
#define NAME_DIGITS_MAX 18

struct found {
    struct wal_file **files;
    size_t n, room;
};

static bool wal_replay_found_add(struct found *all, struct wal_file *f)
{
    if (all->n == all->room) {
        size_t room = all->room ? 2 * all->room : 16;
        struct wal_file **files = realloc(all->files, room * sizeof *files);
        if (!files)
            return false;
        all->files = files;
        all->room = room;
    }
    all->files[all->n++] = f;
    return true;
}

/* The number in the name of a file of the log: eight digits, or more that do not begin with 0. 0: another name. */
static uint64_t wal_replay_name(const char *name)
{
    uint64_t n = 0;
    size_t digits = strspn(name, "0123456789");
    bool ours = digits >= NAME_DIGITS_MIN && digits <= NAME_DIGITS_MAX &&
                (digits == NAME_DIGITS_MIN || name[0] != '0') && strcmp(name + digits, ".wal") == 0;
    for (size_t i = 0; ours && i < digits; i++)
        n = 10 * n + (uint64_t)(name[i] - '0');
    return n;
}

static bool wal_replay_find_one(struct wal *w, struct found *all, uint64_t name)
{
    struct wal_file *f = wal_file_open(w->folder, name, false);
    if (!f)
        return false;
    if (!wal_file_look(f) || !wal_replay_found_add(all, f)) {
        wal_file_free(f);
        return false;
    }
    w->bytes += f->size;
    w->n_files++;
    if (name >= w->next_name)
        w->next_name = name + 1;
    if (f->serial > w->serial)
        w->serial = f->serial;
    return true;
}

static bool wal_replay_find(struct wal *w, struct found *all)
{
    int fd = openat(w->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        int why = errno;
        if (fd >= 0)
            close(fd);
        errno = why;
        return false;
    }
    bool good = true;
    errno = 0;
    for (const struct dirent *d = readdir(dir); good && d; d = readdir(dir)) {
        uint64_t name = wal_replay_name(d->d_name);
        good = name == 0 || wal_replay_find_one(w, all, name);
        if (good)
            errno = 0;
    }
    int why = errno;
    closedir(dir);
    errno = why;
    return good && why == 0;
}

static int wal_replay_by_serial(const void *a, const void *b)
{
    const struct wal_file *x = *(struct wal_file *const *)a, *y = *(struct wal_file *const *)b;
    return x->serial < y->serial ? -1 : x->serial > y->serial;
}

struct replay {
    uint64_t after, last; /* the last batch that the store has; the last one that was read */
    redo_take_fn *take;
    void *arg;
    uint64_t taken;
    bool refused; /* take failed, and has put the reason into err */
};

/* Hands over the records of one file that are behind `after`, up to the first that does not follow the last one. */
static enum status wal_replay_file(struct wal_file *f, struct replay *r)
{
    uint8_t *bytes = wal_file_read(f);
    if (!bytes)
        return errno == ENOMEM ? ST_NOMEM : ST_IO;
    struct slice all = slice_of(bytes, f->size);
    struct wal_record record;
    enum status s = ST_OK;
    uint64_t last = f->before;
    size_t at = WAL_HEADER_BYTES, end = at;
    while (s == ST_OK && wal_record_next(f, all, &at, &record) && record.before == last) {
        last = record.number;
        end = at;
        if (last <= r->after)
            continue;
        s = r->take(r->arg, record.batch);
        r->refused = s != ST_OK;
        r->taken++;
    }
    if (s == ST_OK && last > r->after && !wal_file_rewrite(f, bytes, end < f->size ? end : f->size))
        s = ST_IO;
    free(bytes);
    f->last = last;
    r->last = last > r->last ? last : r->last;
    return s;
}

/* The place of the last file that begins at or before `after`: older files hold nothing new. all->n: there is none. */
static size_t wal_replay_first_needed(const struct found *all, uint64_t after)
{
    size_t first = all->n;
    for (size_t i = 0; i < all->n; i++) {
        if (all->files[i]->serial > 0 && all->files[i]->before <= after)
            first = i;
    }
    return first;
}

static bool wal_replay_set_aside(struct wal *w, struct wal_file *f)
{
    w->bytes -= f->size;
    w->n_files--;
    w->dropped++;
    return wal_file_set_aside(w->folder, f);
}

/* Goes through the files in the order of their serials; each becomes spare or live, or is set aside. */
static enum status wal_replay_files(struct wal *w, struct found *all, struct replay *r)
{
    size_t first = wal_replay_first_needed(all, r->after);
    bool gap = false;
    for (size_t i = 0; i < all->n; i++) {
        struct wal_file *f = all->files[i];
        all->files[i] = NULL;
        if (f->damaged) {
            if (!wal_replay_set_aside(w, f))
                return ST_IO;
            continue;
        }
        if (f->serial == 0 || (i < first && first < all->n)) {
            wal_list_push(&w->spare, f);
            continue;
        }
        gap = gap || first == all->n || (i > first && f->before != r->last);
        if (gap) {
            if (!wal_replay_set_aside(w, f))
                return ST_IO;
            continue;
        }
        wal_list_push(&w->live, f);
        enum status s = wal_replay_file(f, r);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

static uint64_t wal_replay_bytes(const struct wal_list *l)
{
    uint64_t n = 0;
    for (const struct wal_file *f = l->first; f; f = f->next)
        n += f->size;
    return n;
}

static void wal_replay_found_free(struct found *all)
{
    for (size_t i = 0; i < all->n; i++)
        wal_file_free(all->files[i]);
    free(all->files);
}

enum status wal_replay(void *self, uint64_t after, redo_take_fn *take, void *arg, bool *ret_long, char *err,
                       size_t err_size)
{
    struct wal *w = self;
    struct found all = {0};
    struct replay r = {.after = after, .last = after, .take = take, .arg = arg};
    errno = 0;
    if (!wal_replay_find(w, &all)) {
        wal_replay_found_free(&all);
        return wal_set_failed(w, "read the log", err, err_size);
    }
    if (all.n)
        qsort(all.files, all.n, sizeof(struct wal_file *), wal_replay_by_serial);
    enum status s = wal_replay_files(w, &all, &r);
    wal_replay_found_free(&all);
    if (r.refused) {
        if (err_size && !err[0])
            snprintf(err, err_size, "the store does not take what its log in %s holds", w->path);
        return s;
    }
    if (s != ST_OK)
        return wal_set_failed(w, "replay the log", err, err_size);
    w->last = r.last;
    w->replayed = r.taken;
    *ret_long = wal_replay_bytes(&w->live) > w->bytes_max;
    if (r.taken)
        log_event(LOG_INFO, "replayed the log", " groups=%llu files=%u", (unsigned long long)r.taken, w->live.n);
    if (w->dropped)
        log_event(LOG_ERROR, "the log has a gap, or a damaged file: what is of no use is set aside as *.lost",
                  " files=%llu", (unsigned long long)w->dropped);
    return ST_OK;
}
