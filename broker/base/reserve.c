/* reserve.c: the file that holds room on the disk (reserve.h). */
#include "broker/base/reserve.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PIECE ((int64_t)1 << 20) /* so much is given up at a time: others may be faster to take it */

static pthread_mutex_t reserve_lock = PTHREAD_MUTEX_INITIALIZER;
static int reserve_fd = -1; /* under the lock */
static _Atomic int64_t reserve_bytes, reserve_full_bytes;

int64_t reserve_bytes_of(const char *path, int64_t least_bytes)
{
    struct statvfs disk;
    if (statvfs(path, &disk) != 0 || disk.f_blocks == 0)
        return least_bytes;
    int64_t quarter = (int64_t)(disk.f_blocks * disk.f_frsize) / 4;
    return least_bytes < quarter ? least_bytes : quarter;
}

int64_t reserve_held(void)
{
    return atomic_load(&reserve_bytes);
}

int64_t reserve_wanted(void)
{
    return atomic_load(&reserve_full_bytes);
}

/* Under the lock. What the file has on disk, not how long it is: a crash may have left a hole. */
static void reserve_count(void)
{
    struct stat st;
    if (reserve_fd >= 0 && fstat(reserve_fd, &st) == 0)
        atomic_store(&reserve_bytes, (int64_t)st.st_blocks * 512);
}

bool reserve_open(const char *data)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/reserve", data);
    if (n < 0 || n >= (int)sizeof path)
        return false;
    pthread_mutex_lock(&reserve_lock);
    reserve_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    reserve_count();
    bool opened = reserve_fd >= 0 && fchmod(reserve_fd, 0600) == 0; /* it may be an older one */
    pthread_mutex_unlock(&reserve_lock);
    return opened;
}

void reserve_fill(const char *data, int64_t least_bytes)
{
    struct statvfs disk;
    int64_t all = reserve_bytes_of(data, least_bytes), wanted = all / 4 * 3, held = reserve_held();
    atomic_store(&reserve_full_bytes, wanted);
    if (held >= wanted || statvfs(data, &disk) != 0 || (int64_t)(disk.f_bavail * disk.f_frsize) + held < all)
        return;
    pthread_mutex_lock(&reserve_lock);
    /* If it fails, it holds what there was. */
    if (reserve_fd >= 0 && posix_fallocate(reserve_fd, 0, wanted) == 0)
        (void)fdatasync(reserve_fd);
    reserve_count();
    pthread_mutex_unlock(&reserve_lock);
}

bool reserve_spend(size_t bytes)
{
    pthread_mutex_lock(&reserve_lock);
    int64_t held = reserve_held(), piece = (int64_t)bytes > PIECE ? (int64_t)bytes : PIECE;
    bool spent = held > 0 && ftruncate(reserve_fd, held > piece ? held - piece : 0) == 0;
    reserve_count();
    spent = spent && reserve_held() < held;
    pthread_mutex_unlock(&reserve_lock);
    return spent;
}
