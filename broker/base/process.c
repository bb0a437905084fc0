/*
 * process.c: reads the figures from /proc/self and getrusage. Linux only, as is the broker.
 */
#include "broker/base/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FEW_FDS 32 /* as many as a start needs behind the store */

/* statm begins with two page counts: the whole address space and the resident part. */
static void read_memory(struct process_figures *f)
{
    char text[256], *end = NULL;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return;
    text[n] = '\0';
    int64_t page = sysconf(_SC_PAGESIZE);
    f->virtual_bytes = strtoll(text, &end, 10) * page;
    f->resident_bytes = strtoll(end, NULL, 10) * page;
}

static int64_t count_fds(void)
{
    int64_t n = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return 0;
    for (const struct dirent *e = readdir(folder); e; e = readdir(folder))
        n += e->d_name[0] != '.';
    closedir(folder);
    return n - 1; /* the one that was open to count */
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

void process_figures(struct process_figures *ret_figures)
{
    struct process_figures f = {0};
    struct rusage usage;
    struct rlimit limit;
    read_memory(&f);
    f.open_fds = count_fds();
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        f.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        f.max_fds = (int64_t)limit.rlim_cur;
    *ret_figures = f;
}

int64_t process_disk_free(const char *path)
{
    struct statvfs disk;
    if (statvfs(path, &disk) != 0)
        return 0;
    return (int64_t)disk.f_bavail * (int64_t)disk.f_frsize;
}

bool process_disk_has(const char *path, int64_t bytes)
{
    struct statvfs disk;
    if (statvfs(path, &disk) != 0 || disk.f_blocks == 0)
        return true;
    return (int64_t)disk.f_bavail * (int64_t)disk.f_frsize >= bytes;
}

/* Whoever failed has closed some again meanwhile. */
int64_t process_fds_used_up(void)
{
    struct rlimit limit;
    int fds[FEW_FDS], n = 0;
    while (n < FEW_FDS && (fds[n] = open("/", O_RDONLY | O_CLOEXEC)) >= 0)
        n++;
    bool used_up = n < FEW_FDS && errno == EMFILE && getrlimit(RLIMIT_NOFILE, &limit) == 0;
    while (n > 0)
        close(fds[--n]);
    return used_up ? (int64_t)limit.rlim_cur : 0;
}

int64_t process_raise_fds(int64_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return wanted; /* nobody can tell; where there are too few, accept fails, and is tried again */
    rlim_t target = (rlim_t)wanted;
    if (limit.rlim_max != RLIM_INFINITY && target > limit.rlim_max)
        target = limit.rlim_max;
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= target)
        return (int64_t)limit.rlim_cur;
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = target;
    return (int64_t)(setrlimit(RLIMIT_NOFILE, &limit) == 0 ? target : before);
}
