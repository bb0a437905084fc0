/*
 * powercut.c: remembers how much of each file is truly on disk; loaded with LD_PRELOAD.
 *
 * SIGKILL does not lose what was written without a sync, because the kernel still has it; a power cut
 * does. This library notes, for each file below $POWERCUT_FOLDER, the length that it had when the last
 * fsync or fdatasync on it began. powercut.py kills the process and then cuts each file back to a length
 * between that and the one it has. What was acknowledged has to survive that.
 *
 *   open (to write) ──► inode gets a row, length 0 when the file is empty
 *   f(data)sync     ──► size before the call; after it has returned: the row's length
 *   ftruncate       ──► the row's length does not stay above the new one
 *
 * The rows are in the file $POWERCUT_TABLE, mapped shared, so they outlive the process:
 *   row   u64 inode (0: free) │ u64 length          ROWS of them, open addressing
 *
 * Left aside: directories (what was created stays), and data that was overwritten in place.
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
#include <unistd.h>

#define ROWS 65536

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

static void map_table(void)
{
    const char *table = getenv("POWERCUT_TABLE");
    folder = getenv("POWERCUT_FOLDER");
    if (!table || !folder)
        die("POWERCUT_TABLE and POWERCUT_FOLDER must be set");
    int (*real_open)(const char *, int, ...) = (int (*)(const char *, int, ...))next_symbol("open");
    int fd = real_open(table, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        die("cannot open the table");
    rows = mmap(NULL, ROWS * sizeof *rows, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (rows == MAP_FAILED)
        die("cannot map the table");
    close(fd);
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

static void opened(int fd, const char *path, int flags)
{
    struct stat st;
    int before = errno;
    if (fd < 0 || (flags & O_ACCMODE) == O_RDONLY)
        return;
    pthread_once(&once, map_table);
    if (strncmp(path, folder, strlen(folder)) == 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
        st.st_size == 0) {
        pthread_mutex_lock(&lock);
        row_of(st.st_ino)->length = 0;
        pthread_mutex_unlock(&lock);
    }
    errno = before;
}

static int synced(int fd, const char *name)
{
    int (*real)(int) = (int (*)(int))next_symbol(name);
    struct stat st;
    int known = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    int result = real(fd);
    int before = errno;
    if (known && result == 0) {
        pthread_once(&once, map_table);
        pthread_mutex_lock(&lock);
        struct row *r = row_of(st.st_ino);
        if (r->length < (uint64_t)st.st_size)
            r->length = (uint64_t)st.st_size;
        pthread_mutex_unlock(&lock);
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
        pthread_once(&once, map_table);
        pthread_mutex_lock(&lock);
        struct row *r = row_of(st.st_ino);
        if (r->length > (uint64_t)length)
            r->length = (uint64_t)length;
        pthread_mutex_unlock(&lock);
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
        opened(fd, path, flags);                                                                   \
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
        opened(fd, path, flags);                                      \
        return fd;                                                    \
    }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
