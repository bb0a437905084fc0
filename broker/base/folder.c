/*
 * folder.c: keeps two brokers from using the same data folder.
 *
 *   <data>/lock    flock, held for the life of the process; the text in it is the holder's pid
 *   <data>/store   the database
 *   <data>/wal     the write-ahead log
 *
 * The store locks its own files, too. This lock is taken first, as it can say who holds it, before anything else in the
 * folder is touched. The kernel drops it when the process dies, so a file that SIGKILL leaves behind locks nobody out.
 *
 * Only the broker's user may read what is in the folder, whatever the umask is, and whatever the modes were before.
 */
#include "broker/base/folder.h"

#include <dirent.h>
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

#define FOLDER_MODE 0700
#define FILE_MODE 0600

/* Makes one folder and syncs the one above. A folder that exists is synced there as well, if that is possible: an
 * earlier process may have made it and ended before the sync. Returns 0 or an errno. */
static int folder_make_one(const char *path)
{
    bool made = mkdir(path, FOLDER_MODE) == 0;
    if (!made && errno != EEXIST)
        return errno;
    int failure = folder_sync_of(path);
    return made ? failure : 0;
}

int folder_make(const char *path)
{
    char part[PATH_MAX];
    struct stat st;
    size_t n = strlen(path);
    if (n >= sizeof part)
        return ENAMETOOLONG;
    while (n > 1 && path[n - 1] == '/')
        n--;
    for (size_t i = 1; i <= n; i++) {
        if (i < n && path[i] != '/')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        int failure = i < n && stat(part, &st) == 0 ? 0 : folder_make_one(part);
        if (failure != 0)
            return failure;
    }
    if (stat(path, &st) != 0)
        return errno;
    return S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
}

/* The pid that the holder wrote into the lock's file, or 0. */
static long folder_holder_of(int fd)
{
    char text[24] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    return n > 0 ? strtol(text, NULL, 10) : 0;
}

static enum status folder_held(int fd, const char *path, char *err, size_t err_size)
{
    char who[32] = "";
    long pid = folder_holder_of(fd);
    if (pid > 0)
        snprintf(who, sizeof who, " (process %ld)", pid);
    snprintf(err, err_size, "another broker%s is using %s: stop it, or choose another --data", who, path);
    return ST_BUSY;
}

/* Writes our pid into the lock's file, for people. On a full disk the lock holds without it. */
static bool folder_sign(int fd)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    return n > 0 && ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) == n;
}

/* Changes the mode if others may read or write. Where that fails the file belongs to somebody else, who has lent it to
 * us: the log says so, and the broker goes on. */
static void folder_set_mode(int folder, const char *name, mode_t mode)
{
    struct stat st;
    char reason[128], quoted[PATH_MAX];
    if (fstatat(folder, name, &st, 0) != 0 || (st.st_mode & 077) == 0)
        return;
    if (fchmodat(folder, name, mode, 0) == 0)
        return;
    log_event(LOG_WARN, "others may read the data, and this cannot be changed", " path=%s reason=%s",
              log_quote(name, quoted, sizeof quoted), log_quote(strerror(errno), reason, sizeof reason));
}

void folder_close_to_others(const char *path)
{
    struct stat st;
    DIR *folder = opendir(path);
    if (!folder)
        return;
    folder_set_mode(AT_FDCWD, path, FOLDER_MODE);
    for (const struct dirent *e = readdir(folder); e; e = readdir(folder)) {
        if (fstatat(dirfd(folder), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            folder_set_mode(dirfd(folder), e->d_name, FILE_MODE);
    }
    closedir(folder);
}

enum status folder_lock_if_there(const char *path, int *ret_fd, char *err, size_t err_size)
{
    char name[PATH_MAX];
    int n = snprintf(name, sizeof name, "%s/lock", path);
    *ret_fd = n > 0 && (size_t)n < sizeof name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (*ret_fd < 0 || flock(*ret_fd, LOCK_EX | LOCK_NB) == 0)
        return ST_OK;
    enum status s = folder_held(*ret_fd, path, err, err_size);
    close(*ret_fd);
    *ret_fd = -1;
    return s;
}

enum status folder_lock(const char *path, int *ret_fd, char *err, size_t err_size)
{
    char name[PATH_MAX];
    int failure = folder_make(path);
    int n = snprintf(name, sizeof name, "%s/lock", path);
    if (failure == 0 && (n < 0 || (size_t)n >= sizeof name))
        failure = ENAMETOOLONG;
    int fd = failure == 0 ? open(name, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE) : -1;
    if (fd < 0) {
        snprintf(err, err_size, "cannot use the data folder %s: %s: choose another --data", path,
                 strerror(failure ? failure : errno));
        return ST_IO;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        enum status s = folder_held(fd, path, err, err_size);
        close(fd);
        return s;
    }
    folder_set_mode(AT_FDCWD, path, FOLDER_MODE);
    folder_set_mode(AT_FDCWD, name, FILE_MODE);
    if (!folder_sign(fd))
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
