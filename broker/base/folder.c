/*
 * folder.c: keeps two brokers from using the same data folder.
 *
 *   <data>/lock    flock, held for the life of the process; the text in it is the holder's pid
 *   <data>/store   the database
 *   <data>/wal     the write-ahead log
 *
 * The store locks its own files, too. This lock is taken first, as it can say who holds it, before anything else in the
 * folder is touched. The kernel drops it when the process dies, so a file that SIGKILL leaves behind locks nobody out.
 */
#include "broker/base/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/log.h"

#define MODE 0750

/* 0, or an errno. */
static int make(const char *path)
{
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n >= sizeof part)
        return ENAMETOOLONG;
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, MODE) != 0 && errno != EEXIST)
            return errno;
    }
    struct stat st;
    if (stat(path, &st) != 0)
        return errno;
    return S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
}

/* The pid that the holder wrote into the lock's file, or 0. */
static long holder_of(int fd)
{
    char text[24] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    return n > 0 ? strtol(text, NULL, 10) : 0;
}

static enum status held(int fd, const char *path, char *err, size_t err_size)
{
    char who[32] = "";
    long pid = holder_of(fd);
    if (pid > 0)
        snprintf(who, sizeof who, " (process %ld)", pid);
    snprintf(err, err_size, "another broker%s is using %s: stop it, or choose another --data", who, path);
    return ST_BUSY;
}

/* Writes our pid into the lock's file, for people. On a full disk the lock holds without it. */
static bool sign(int fd)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    return n > 0 && ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) == n;
}

enum status folder_lock(const char *path, int *ret_fd, char *err, size_t err_size)
{
    char name[PATH_MAX];
    int failure = make(path);
    int n = snprintf(name, sizeof name, "%s/lock", path);
    if (failure == 0 && (n < 0 || (size_t)n >= sizeof name))
        failure = ENAMETOOLONG;
    int fd = failure == 0 ? open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0640) : -1;
    if (fd < 0) {
        snprintf(err, err_size, "cannot use the data folder %s: %s: choose another --data", path,
                 strerror(failure ? failure : errno));
        return ST_IO;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        enum status s = held(fd, path, err, err_size);
        close(fd);
        return s;
    }
    if (!sign(fd))
        log_event(LOG_WARN, "cannot write the pid into the lock", " path=%s", path);
    *ret_fd = fd;
    return ST_OK;
}

int folder_sync_of(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (n >= sizeof folder)
        return ENAMETOOLONG;
    snprintf(folder, sizeof folder, "%.*s", (int)n, path);
    const char *name = !slash ? "." : n == 0 ? "/" : folder;
    int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int failure = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return failure;
}
