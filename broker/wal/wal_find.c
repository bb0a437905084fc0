/* wal_find.c: goes through the log's folder and opens what has the name of a segment (wal_find.h). */
#include "broker/wal/wal_find.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_DIGITS_MIN 8
#define NAME_DIGITS_MAX 18

static bool wal_find_add(struct wal_found *all, struct wal_file *f)
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
static uint64_t wal_find_name(const char *name)
{
    uint64_t n = 0;
    size_t digits = strspn(name, "0123456789");
    bool ours = digits >= NAME_DIGITS_MIN && digits <= NAME_DIGITS_MAX &&
                (digits == NAME_DIGITS_MIN || name[0] != '0') && strcmp(name + digits, ".wal") == 0;
    for (size_t i = 0; ours && i < digits; i++)
        n = 10 * n + (uint64_t)(name[i] - '0');
    return n;
}

static bool wal_find_one(struct wal *w, struct wal_found *all, uint64_t name)
{
    struct wal_file *f = wal_file_open(w->folder, name, false);
    if (!f)
        return false;
    if (!wal_file_look(f) || !wal_find_add(all, f)) {
        wal_file_free(f);
        return false;
    }
    w->bytes += f->size;
    w->n_files++;
    if (name >= w->next_name)
        w->next_name = name + 1;
    if (f->use.serial > w->serial)
        w->serial = f->use.serial;
    return true;
}

static bool wal_find_all(struct wal *w, struct wal_found *all)
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
        uint64_t name = wal_find_name(d->d_name);
        good = name == 0 || wal_find_one(w, all, name);
        if (good)
            errno = 0;
    }
    int why = errno;
    closedir(dir);
    errno = why;
    return good && why == 0;
}

static int wal_find_by_serial(const void *a, const void *b)
{
    const struct wal_file *x = *(struct wal_file *const *)a, *y = *(struct wal_file *const *)b;
    return x->use.serial < y->use.serial ? -1 : x->use.serial > y->use.serial;
}

bool wal_find(struct wal *w, struct wal_found *all)
{
    errno = 0;
    w->bytes = 0;
    w->n_files = 0;
    if (!wal_find_all(w, all))
        return false;
    if (all->n)
        qsort(all->files, all->n, sizeof(struct wal_file *), wal_find_by_serial);
    return true;
}

void wal_found_close_gaps(struct wal_found *all)
{
    size_t n = 0;
    for (size_t i = 0; i < all->n; i++) {
        if (all->files[i])
            all->files[n++] = all->files[i];
    }
    all->n = n;
}

void wal_found_free(struct wal_found *all)
{
    for (size_t i = 0; i < all->n; i++)
        wal_file_free(all->files[i]);
    free(all->files);
    *all = (struct wal_found){0};
}
