/*
 * powercut.c: records which bytes of each file are synced. It is loaded into the broker with LD_PRELOAD.
 *
 * After a SIGKILL the kernel still has everything that was written; after a power cut, bytes that were not
 * synced may be lost. To simulate that, this library keeps two records for files below $POWERCUT_FOLDER. For
 * every file: its length when the last fsync or fdatasync on it began. For a file in a folder wal/, which is
 * overwritten in place: the bytes that each write since then has overwritten (powercut_undo.h). powercut.py
 * kills the process, puts some of these bytes back, and cuts each file to a length between the recorded one
 * and its present one. Everything that was acknowledged must survive that.
 *
 *   open (to write) ──► if the file is empty, its row gets length 0, and its saves are dropped
 *   pwrite, pwritev ──► (in wal/) saves the old bytes, writes, then stamps the save as written
 *   f(data)sync     ──► notes the size before the call; when it has returned, stores that size in the row and
 *                       drops the saves
 *   ftruncate       ──► cuts the row's length and the saves to the new length
 *
 *   disk at the last sync   │ aaaa │ bbbb │            the row's length ends here
 *   file now                │ aaXX │ YYbb │ cccc │     saves: "aa", "bb"
 *   one of many cuts        │ aaXX │ bbbb │ c│
 *
 * The rows are in the file $POWERCUT_TABLE, the saves in $POWERCUT_UNDO, both mapped shared, so they outlive
 * the process:
 *   row   u64 inode (0: free) │ u64 length          ROWS of them, open addressing
 *
 * Not simulated: directories (a file that was created stays); in wal/, overwriting with write, writev, fallocate
 * or a mapping (it is never lost); and O_DSYNC, whose writes count as not synced.
 *
 * To add another call that writes: call save before the real call and saved after it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/crash/powercut_undo.h"

#define ROWS 65536
#define PATH_BYTES 4096

struct row {
    uint64_t inode;
    uint64_t length;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct row *rows;
static const char *folder;

static void die(const char *why)
{
    fprintf(stderr, "powercut: %s\n", why);
    abort();
}

static void *next_symbol(const char *name)
{
    void *f = dlsym(RTLD_NEXT, name);
    if (!f)
        die(name);
    return f;
}

/* Opens the file that the variable names. It uses the real open, because ours waits until map_all has run. */
static int open_named(const char *variable)
{
    int (*real_open)(const char *, int, ...) = (int (*)(const char *, int, ...))next_symbol("open");
    const char *path = getenv(variable);
    int fd = path ? real_open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        die(variable);
    return fd;
}

static void map_all(void)
{
    folder = getenv("POWERCUT_FOLDER");
    if (!folder)
        die("POWERCUT_FOLDER must be set");
    int fd = open_named("POWERCUT_TABLE");
    rows = mmap(NULL, ROWS * sizeof *rows, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (rows == MAP_FAILED)
        die("cannot map the table");
    close(fd);
    fd = open_named("POWERCUT_UNDO");
    if (!undo_map(fd))
        die("cannot map the undo area");
    close(fd);
}

/* Returns the part of the path below $POWERCUT_FOLDER; NULL: the file is not below it, or is not a regular one. It
 * takes the path from the descriptor, because the path that was opened may be relative to another one. */
static const char *path_below(int fd, char *buf, struct stat *ret_st)
{
    char link[32];
    if (fstat(fd, ret_st) != 0 || !S_ISREG(ret_st->st_mode))
        return NULL;
    pthread_once(&once, map_all);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, buf, PATH_BYTES - 1);
    buf[n > 0 ? n : 0] = '\0';
    size_t skip = strlen(folder);
    return strncmp(buf, folder, skip) == 0 ? buf + skip : NULL;
}

/* Returns the row of an inode; makes it if there is none. The caller holds the lock. */
static struct row *row_of(uint64_t inode)
{
    for (size_t i = 0; i < ROWS; i++) {
        struct row *r = &rows[(inode + i) % ROWS];
        if (r->inode == 0)
            r->inode = inode;
        if (r->inode == inode)
            return r;
    }
    die("the table is full");
    return NULL;
}

static void opened(int fd, int flags)
{
    struct stat st;
    char buf[PATH_BYTES];
    int before = errno;
    if (fd < 0 || (flags & O_ACCMODE) == O_RDONLY)
        return;
    if (path_below(fd, buf, &st) && st.st_size == 0) {
        pthread_mutex_lock(&lock);
        row_of(st.st_ino)->length = 0;
        pthread_mutex_unlock(&lock);
        undo_ends_at(st.st_ino, 0);
    }
    errno = before;
}

/* Saves the bytes that are about to be overwritten. Returns the number of the save, or 0 if the file is not one
 * that is overwritten in place. */
static uint64_t save(int fd, off_t offset, size_t n)
{
    struct stat st;
    char buf[PATH_BYTES];
    int before = errno;
    const char *path = offset >= 0 ? path_below(fd, buf, &st) : NULL;
    uint64_t number =
        path && strstr(path, "/wal/") ? undo_save(fd, st.st_ino, (uint64_t)offset, n) : 0;
    errno = before;
    return number;
}

static void saved(uint64_t number)
{
    int before = errno;
    if (number != 0)
        undo_written(number);
    errno = before;
}

static size_t total(const struct iovec *iov, int count)
{
    size_t n = 0;
    for (int i = 0; i < count; i++)
        n += iov[i].iov_len;
    return n;
}

static int synced(int fd, const char *name)
{
    int (*real)(int) = (int (*)(int))next_symbol(name);
    struct stat st;
    int known = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    uint64_t began = undo_sync_begins();
    int result = real(fd);
    int before = errno;
    if (known && result == 0) {
        pthread_once(&once, map_all);
        pthread_mutex_lock(&lock);
        struct row *r = row_of(st.st_ino);
        if (r->length < (uint64_t)st.st_size)
            r->length = (uint64_t)st.st_size;
        pthread_mutex_unlock(&lock);
        undo_synced(st.st_ino, began);
    }
    errno = before;
    return result;
}

int fsync(int fd)
{
    return synced(fd, "fsync");
}
int fdatasync(int fd)
{
    return synced(fd, "fdatasync");
}

static int truncated(int fd, off_t length, const char *name)
{
    int (*real)(int, off_t) = (int (*)(int, off_t))next_symbol(name);
    struct stat st;
    int result = real(fd, length);
    int before = errno;
    if (result == 0 && fstat(fd, &st) == 0) {
        pthread_once(&once, map_all);
        pthread_mutex_lock(&lock);
        struct row *r = row_of(st.st_ino);
        if (r->length > (uint64_t)length)
            r->length = (uint64_t)length;
        pthread_mutex_unlock(&lock);
        undo_ends_at(st.st_ino, (uint64_t)length);
    }
    errno = before;
    return result;
}

int ftruncate(int fd, off_t length)
{
    return truncated(fd, length, "ftruncate");
}
int ftruncate64(int fd, off_t length)
{
    return truncated(fd, length, "ftruncate64");
}

/* pwrite and the like exist under two names each, for 32 and 64 bit offsets. */
#define PWRITE(name)                                                          \
    ssize_t name(int fd, const void *bytes, size_t n, off_t offset)           \
    {                                                                         \
        ssize_t (*real)(int, const void *, size_t, off_t) =                   \
            (ssize_t(*)(int, const void *, size_t, off_t))next_symbol(#name); \
        uint64_t number = save(fd, offset, n);                                \
        ssize_t result = real(fd, bytes, n, offset);                          \
        saved(number);                                                        \
        return result;                                                        \
    }

#define PWRITEV(name)                                                              \
    ssize_t name(int fd, const struct iovec *iov, int count, off_t offset)         \
    {                                                                              \
        ssize_t (*real)(int, const struct iovec *, int, off_t) =                   \
            (ssize_t(*)(int, const struct iovec *, int, off_t))next_symbol(#name); \
        uint64_t number = save(fd, offset, total(iov, count));                     \
        ssize_t result = real(fd, iov, count, offset);                             \
        saved(number);                                                             \
        return result;                                                             \
    }

#define PWRITEV2(name)                                                                  \
    ssize_t name(int fd, const struct iovec *iov, int count, off_t offset, int how)     \
    {                                                                                   \
        ssize_t (*real)(int, const struct iovec *, int, off_t, int) =                   \
            (ssize_t(*)(int, const struct iovec *, int, off_t, int))next_symbol(#name); \
        uint64_t number = save(fd, offset, total(iov, count));                          \
        ssize_t result = real(fd, iov, count, offset, how);                             \
        saved(number);                                                                  \
        return result;                                                                  \
    }

PWRITE(pwrite)
PWRITE(pwrite64)
PWRITEV(pwritev)
PWRITEV(pwritev64)
PWRITEV2(pwritev2)
PWRITEV2(pwritev64v2)

static mode_t mode_of(int flags, va_list more)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
}

/* open and openat exist under two names each; the versions differ in nothing else. */
#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))next_symbol(#name); \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        int fd = real(path, flags, mode_of(flags, more));                                          \
        va_end(more);                                                                              \
        opened(fd, flags);                                                                         \
        return fd;                                                                                 \
    }

#define OPENAT(name)                                                  \
    int name(int at, const char *path, int flags, ...)                \
    {                                                                 \
        int (*real)(int, const char *, int, ...) =                    \
            (int (*)(int, const char *, int, ...))next_symbol(#name); \
        va_list more;                                                 \
        va_start(more, flags);                                        \
        int fd = real(at, path, flags, mode_of(flags, more));         \
        va_end(more);                                                 \
        opened(fd, flags);                                            \
        return fd;                                                    \
    }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
