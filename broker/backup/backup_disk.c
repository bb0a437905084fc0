/* backup_disk.c: reads, copies and deletes what backups are made of (backup_disk.h). */
#include "broker/backup/backup_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "protocol/base/digest.h"

#define RATE_BYTES INT64_C(67108864) /* a second, at most */
#define NAP_TIMES 3                  /* as long as the work before it */
#define NAP_NS_MAX INT64_C(200000000)
#define SECOND_NS INT64_C(1000000000)
#define FILE_MODE 0600
#define DEPTH_MAX 4

enum status backup_disk_failed(const char *doing, const char *name, char *err, size_t err_size)
{
    int why = errno;
    snprintf(err, err_size, "cannot %s %s: %s", doing, name, strerror(why));
    return why == ENOSPC || why == EDQUOT ? ST_DISKFULL : why == ENOMEM ? ST_NOMEM : ST_IO;
}

enum status backup_disk_begin(struct backup_pace *p, char *err, size_t err_size)
{
    p->piece = malloc(BACKUP_PIECE);
    p->digest = digest_new();
    if (p->piece && p->digest)
        return ST_OK;
    backup_disk_end(p);
    snprintf(err, err_size, "no memory to copy files");
    return ST_NOMEM;
}

void backup_disk_end(struct backup_pace *p)
{
    free(p->piece);
    digest_free(p->digest);
    p->piece = NULL;
    p->digest = NULL;
}

static bool backup_disk_stopped(const struct backup_pace *p)
{
    return p->stop && atomic_load(p->stop);
}

/* After n bytes, which were begun then. */
static void backup_disk_nap(struct backup_pace *p, size_t n, int64_t begun_ns)
{
    p->done += n;
    if (p->show)
        p->show(p);
    if (!p->slow)
        return;
    int64_t took_ns = clock_mono_ns() - begun_ns, least_ns = (int64_t)n * SECOND_NS / RATE_BYTES - took_ns;
    int64_t nap_ns = NAP_TIMES * took_ns > least_ns ? NAP_TIMES * took_ns : least_ns;
    nap_ns = nap_ns < NAP_NS_MAX ? nap_ns : NAP_NS_MAX;
    const struct timespec nap = {.tv_sec = nap_ns / SECOND_NS, .tv_nsec = nap_ns % SECOND_NS};
    nanosleep(&nap, NULL);
}

/* Is there less room than has to stay free? Where the file system does not tell, there is not. */
static bool backup_disk_is_full(const struct backup_pace *p, int folder)
{
    struct statvfs st;
    if (p->keep_bytes <= 0 || fstatvfs(folder, &st) != 0 || st.f_blocks == 0)
        return false;
    return (int64_t)(st.f_bavail * st.f_frsize) < p->keep_bytes;
}

static ssize_t backup_disk_get(int fd, uint8_t *out, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t got = read(fd, out + done, n - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static bool backup_disk_put(int fd, const uint8_t *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t put = write(fd, bytes + done, n - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            errno = put < 0 ? errno : ENOSPC;
            return false;
        }
        done += (size_t)put;
    }
    return true;
}

/* Goes through a file piece by piece; to < 0: only reads. */
static enum status backup_disk_run(struct backup_pace *p, int from, int to, const char *name, uint64_t bytes,
                                   uint64_t *ret_bytes, char *err, size_t err_size)
{
    *ret_bytes = 0;
    digest_reset(p->digest);
    while (*ret_bytes < bytes) {
        int64_t begun_ns = clock_mono_ns();
        uint64_t left = bytes - *ret_bytes;
        if (backup_disk_stopped(p)) {
            snprintf(err, err_size, "it was stopped, since the broker stops");
            return ST_BUSY;
        }
        ssize_t n = backup_disk_get(from, p->piece, left < BACKUP_PIECE ? (size_t)left : BACKUP_PIECE);
        if (n < 0)
            return backup_disk_failed("read", name, err, err_size);
        if (n == 0)
            break;
        if (to >= 0 && !backup_disk_put(to, p->piece, (size_t)n))
            return backup_disk_failed("write", name, err, err_size);
        /* Small pieces, one after the other: a sync of the log waits for one of them at most. */
        if (to >= 0 && p->slow)
            (void)sync_file_range(to, (off_t)*ret_bytes, n, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
        digest_add(p->digest, slice_of(p->piece, (size_t)n));
        *ret_bytes += (uint64_t)n;
        backup_disk_nap(p, (size_t)n, begun_ns);
        if (to >= 0 && backup_disk_is_full(p, to)) {
            errno = ENOSPC;
            return backup_disk_failed("write", name, err, err_size);
        }
    }
    return ST_OK;
}

enum status backup_disk_read(struct backup_pace *p, int folder, const char *name, uint64_t *ret_bytes,
                             uint64_t *ret_digest, char *err, size_t err_size)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return backup_disk_failed("open", name, err, err_size);
    enum status s = backup_disk_run(p, fd, -1, name, UINT64_MAX, ret_bytes, err, err_size);
    close(fd);
    *ret_digest = s == ST_OK ? digest_value(p->digest) : 0;
    return s;
}

/* The digest is that of the whole file: zeros behind the bytes count. */
static void backup_disk_add_zeros(struct backup_pace *p, uint64_t n)
{
    memset(p->piece, 0, BACKUP_PIECE);
    for (uint64_t left = n; left > 0;) {
        size_t now = left < BACKUP_PIECE ? (size_t)left : BACKUP_PIECE;
        digest_add(p->digest, slice_of(p->piece, now));
        left -= now;
    }
}

static enum status backup_disk_fill(struct backup_pace *p, int from, int to, const char *name, uint64_t bytes,
                                    uint64_t size, uint64_t *ret_bytes, char *err, size_t err_size)
{
    enum status s = backup_disk_run(p, from, to, name, bytes, ret_bytes, err, err_size);
    if (s == ST_OK && *ret_bytes < size) {
        if (ftruncate(to, (off_t)size) != 0)
            return backup_disk_failed("write", name, err, err_size);
        backup_disk_add_zeros(p, size - *ret_bytes);
        *ret_bytes = size;
    }
    return s == ST_OK && fsync(to) != 0 ? backup_disk_failed("sync", name, err, err_size) : s;
}

enum status backup_disk_copy(struct backup_pace *p, int from, const char *name, int to, const char *to_name,
                             uint64_t bytes, uint64_t size, uint64_t *ret_bytes, uint64_t *ret_digest, char *err,
                             size_t err_size)
{
    int in = openat(from, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (in < 0)
        return backup_disk_failed("open", name, err, err_size);
    int out = openat(to, to_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    enum status s = out < 0 ? backup_disk_failed("make", to_name, err, err_size)
                            : backup_disk_fill(p, in, out, to_name, bytes, size, ret_bytes, err, err_size);
    *ret_digest = s == ST_OK ? digest_value(p->digest) : 0;
    close(in);
    if (out >= 0 && close(out) != 0 && s == ST_OK)
        s = backup_disk_failed("write", to_name, err, err_size);
    return s;
}

int backup_disk_open(const char *path)
{
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* ---- folders ---- */

void backup_disk_names_free(struct backup_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->names[i]);
    free(names->names);
    *names = (struct backup_names){0};
}

static bool backup_disk_names_add(struct backup_names *l, const char *name)
{
    if (l->n == l->room) {
        size_t room = l->room ? 2 * l->room : 64;
        char **names = realloc(l->names, room * sizeof *names);
        if (!names)
            return false;
        l->names = names;
        l->room = room;
    }
    l->names[l->n] = strdup(name);
    return l->names[l->n] && ++l->n;
}

static int backup_disk_by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

bool backup_disk_names(const char *path, struct backup_names *ret_names)
{
    *ret_names = (struct backup_names){0};
    DIR *dir = opendir(path);
    if (!dir)
        return false;
    bool good = true;
    errno = 0;
    for (const struct dirent *d = readdir(dir); good && d; d = readdir(dir)) {
        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
            good = backup_disk_names_add(ret_names, d->d_name);
        errno = good ? 0 : ENOMEM;
    }
    int why = errno;
    closedir(dir);
    if (ret_names->n)
        qsort(ret_names->names, ret_names->n, sizeof(char *), backup_disk_by_name);
    if (why != 0)
        backup_disk_names_free(ret_names);
    errno = why;
    return why == 0;
}

/* Deletes what is in the folder; depth bounds how far down that goes. */
static bool backup_disk_empty(const char *path, int depth);

static bool backup_disk_remove_one(const char *path, int depth)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return true;
    if ((errno != EISDIR && errno != EPERM) || depth >= DEPTH_MAX)
        return false;
    return backup_disk_empty(path, depth + 1) && rmdir(path) == 0;
}

static bool backup_disk_empty(const char *path, int depth)
{
    struct backup_names names;
    if (!backup_disk_names(path, &names))
        return false;
    bool good = true;
    for (size_t i = 0; good && i < names.n; i++) {
        char below[PATH_MAX];
        int n = snprintf(below, sizeof below, "%s/%s", path, names.names[i]);
        errno = ENAMETOOLONG;
        good = n > 0 && n < PATH_MAX && backup_disk_remove_one(below, depth);
    }
    int why = errno;
    backup_disk_names_free(&names);
    errno = why;
    return good;
}

bool backup_disk_remove(const char *path)
{
    return backup_disk_remove_one(path, 0);
}
