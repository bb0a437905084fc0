/* store_write.c: write() in front of the C library's (store_write.h). */
#include "broker/base/store_write.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/reserve.h"

#define NAP_NS 20000000
#define LARGE_WRITES 2 /* a write of up to so many pieces is not cut */
#define THREAD_NAME_BYTES 16

enum store_file { FILE_FOREIGN, FILE_LOG, FILE_OPTIONS, FILE_COMPACTED, FILE_NEEDED };

static char store_write_folder[PATH_MAX]; /* with a slash at its end; written before store_write_on */
static atomic_bool store_write_on, store_write_wait, store_write_lend;
static _Atomic int store_write_waiting; /* how many writes wait */

bool store_write_begin(const char *data)
{
    char real[PATH_MAX];
    if (!realpath(data, real))
        return false;
    int n = snprintf(store_write_folder, sizeof store_write_folder, "%s/store/", real);
    bool fits = n > 0 && n < (int)sizeof store_write_folder;
    atomic_store(&store_write_on, fits);
    return fits;
}

void store_write_waits(bool waits)
{
    atomic_store(&store_write_wait, waits);
}

void store_write_lends(bool lends)
{
    atomic_store(&store_write_lend, lends);
}

bool store_write_stuck(void)
{
    return atomic_load(&store_write_waiting) > 0;
}

/* What the C library's does, but asked of the kernel: a thread sanitizer, which stands before that one, could not tell any
 * more that it is RocksDB who writes, of whose locks it knows nothing. */
static ssize_t store_write_plain(int fd, const void *data, size_t len)
{
    return syscall(SYS_write, fd, data, len);
}

/* RocksDB names its threads; those of compactions are "rocksdb:low" and "rocksdb:bottom". */
static bool store_write_compacts(const char *name)
{
    char thread[THREAD_NAME_BYTES] = "";
    size_t n = strlen(name);
    bool table = n > 4 && (strcmp(name + n - 4, ".sst") == 0 || (n > 5 && strcmp(name + n - 5, ".blob") == 0));
    return table && pthread_getname_np(pthread_self(), thread, sizeof thread) == 0 &&
           (strcmp(thread, "rocksdb:low") == 0 || strncmp(thread, "rocksdb:bottom", 14) == 0);
}

static enum store_file store_write_file(int fd)
{
    char link[64], path[PATH_MAX];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    size_t prefix = strlen(store_write_folder);
    if (n < 0 || (size_t)n <= prefix || memcmp(path, store_write_folder, prefix) != 0)
        return FILE_FOREIGN;
    path[n] = '\0';
    const char *name = path + prefix;
    if (strncmp(name, "LOG", 3) == 0)
        return FILE_LOG;
    if (strncmp(name, "OPTIONS", 7) == 0)
        return FILE_OPTIONS;
    return store_write_compacts(name) ? FILE_COMPACTED : FILE_NEEDED;
}

static bool store_write_full(ssize_t written, int why)
{
    return written < 0 && (why == ENOSPC || why == EDQUOT);
}

static bool store_write_may_spend(enum store_file file, size_t len)
{
    if (file == FILE_COMPACTED && !(atomic_load(&store_write_lend) && reserve_held() > reserve_wanted() / 3 * 2))
        return false;
    return reserve_spend(len);
}

static ssize_t store_write_wait_for_room(enum store_file file, int fd, const void *data, size_t len)
{
    const struct timespec nap = {.tv_nsec = NAP_NS};
    atomic_fetch_add(&store_write_waiting, 1);
    ssize_t n = -1;
    int why = ENOSPC;
    while (store_write_full(n, why) && atomic_load(&store_write_wait)) {
        if (!store_write_may_spend(file, len))
            nanosleep(&nap, NULL);
        n = store_write_plain(fd, data, len);
        why = errno;
    }
    atomic_fetch_sub(&store_write_waiting, 1);
    errno = why;
    return n;
}

/* The disk is full; errno is why. */
static ssize_t store_write_again(int fd, const void *data, size_t len)
{
    ssize_t n = -1;
    int why = errno;
    enum store_file file = store_write_file(fd);
    if (file == FILE_LOG)
        return (ssize_t)len;
    while (file != FILE_FOREIGN && store_write_full(n, why) && store_write_may_spend(file, len)) {
        n = store_write_plain(fd, data, len);
        why = errno;
    }
    bool waits = file == FILE_COMPACTED || file == FILE_NEEDED;
    if (waits && store_write_full(n, why))
        return store_write_wait_for_room(file, fd, data, len);
    errno = why;
    return n;
}

/* Writes one piece, with the one before it on the disk; RocksDB comes back with the rest. What could not be written to the disk is
 * told to whoever asks first, so it must be told to RocksDB here. A file system that cannot do this is no failure. */
static ssize_t store_write_piece(int fd, const void *data)
{
    const unsigned how = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE;
    ssize_t n = store_write_plain(fd, data, STORE_WRITE_PIECE);
    if (n < 0 || sync_file_range(fd, 0, 0, how) == 0 || errno == EINVAL || errno == ENOSYS)
        return n;
    errno = EIO;
    return -1;
}

ssize_t write(int fd, const void *data, size_t len)
{
    bool on = atomic_load(&store_write_on);
    bool pieces = on && len > LARGE_WRITES * STORE_WRITE_PIECE && store_write_file(fd) >= FILE_COMPACTED;
    ssize_t n = pieces ? store_write_piece(fd, data) : store_write_plain(fd, data, len);
    if (!on || !store_write_full(n, errno))
        return n;
    return store_write_again(fd, data, pieces ? STORE_WRITE_PIECE : len);
}
