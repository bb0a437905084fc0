/*
 * powercut.c: remembers how much of each file is truly on disk; loaded with LD_PRELOAD.
 *
 * SIGKILL does not lose what was written without a sync, because the kernel still has it; a power cut
 * does. Two notes tell what that is, for files below $POWERCUT_FOLDER. Of every file: the length that it
 * had when the last fsync or fdatasync on it began. Of a file in a folder wal/, which is written in place:
 * the bytes that each write since then has overwritten (powercut_undo.h). powercut.py kills the process,
 * puts some of these bytes back, and cuts each file to a length between the noted one and the one it has.
 * What was acknowledged has to survive that.
 *
 *   open (to write) ──► an empty file: its row has length 0, nothing of it to be put back
 *   pwrite, pwritev ──► (in wal/) what is there is saved, the write, and the save is stamped
 *   f(data)sync     ──► size before the call; after it has returned: the row's length, its saves dropped
 *   ftruncate       ──► the row's length does not stay above the new one, nor any save
 *
 *   disk at the last sync   │ aaaa │ bbbb │            the row's length ends here
 *   file now                │ aaXX │ YYbb │ cccc │     saves: "aa", "bb"
 *   one of many cuts        │ aaXX │ bbbb │ c│
 *
 * The rows are in the file $POWERCUT_TABLE, the saves in $POWERCUT_UNDO, both mapped shared, so they outlive
 * the process:
 *   row   u64 inode (0: free) │ u64 length          ROWS of them, open addressing
 *
 * Left aside: directories (what was created stays); in wal/ what overwrites with write, writev, fallocate
 * or a mapping (it is never lost); and O_DSYNC, whose writes count as not synced.
 *
 * To extend: another call that writes is another pair of save and saved around the real one.
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

/* Not through our own open, which waits for what this is a part of. */
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

/* The part of the path behind $POWERCUT_FOLDER; NULL: not below it, or not a plain file. By the descriptor,
 * because a path may be relative to another one. */
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

/* The row of an inode, made where there is none. Under the lock. */
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

/* The number of a save; 0: not a file that is overwritten in place. */
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

/* Each in both of its names. */
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

/* open and openat in both of their names differ in nothing else. */
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
