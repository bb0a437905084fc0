/* socket_unix.c: binds a Unix socket, also over one that a killed broker left (socket_unix.h). */
#include "broker/base/socket_unix.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/base/log.h"

#define SOCKET_UNIX_MODE 0770

static enum status socket_unix_refused(const char *path, const char *why, char *err, size_t err_size)
{
    snprintf(err, err_size, "cannot listen on the socket %.110s: %s: choose another --unix_socket", path, why);
    return ST_IO;
}

/* Deletes a socket on which nobody listens. False: the path is not free, and why is told. */
static bool socket_unix_clear(const struct sockaddr_un *a, const char **ret_why)
{
    struct stat is;
    *ret_why = "there is a file of that name";
    if (lstat(a->sun_path, &is) != 0)
        return errno == ENOENT || errno == ENOTDIR; /* bind says what is wrong with the folder */
    if (!S_ISSOCK(is.st_mode))
        return false;
    *ret_why = "another program listens on it";
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool left_over = connect(fd, (const struct sockaddr *)a, sizeof *a) != 0 && errno == ECONNREFUSED;
    close(fd);
    return left_over && unlink(a->sun_path) == 0;
}

/* Nobody may connect between bind and chmod: listen comes later. */
static bool socket_unix_bind(int fd, const struct sockaddr_un *a)
{
    return bind(fd, (const struct sockaddr *)a, sizeof *a) == 0 && chmod(a->sun_path, SOCKET_UNIX_MODE) == 0;
}

enum status socket_unix_open(const char *path, struct sockets *s, char *err, size_t err_size)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const char *why = NULL;
    assert(s->n < SOCKETS_MAX);
    if (strlen(path) >= sizeof a.sun_path)
        return socket_unix_refused(path, "the path has more than 107 bytes", err, err_size);
    memcpy(a.sun_path, path, strlen(path));
    if (!socket_unix_clear(&a, &why))
        return socket_unix_refused(path, why, err, err_size);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || !socket_unix_bind(fd, &a)) {
        enum status failed = socket_unix_refused(path, strerror(errno), err, err_size);
        if (fd >= 0)
            close(fd);
        return failed;
    }
    s->fds[s->n++] = fd;
    return ST_OK;
}

void socket_unix_remove(const char *path)
{
    if (unlink(path) != 0 && errno != ENOENT)
        log_event(LOG_WARN, "cannot delete the Unix socket", " path=%s", path);
}
