/* secret_file.c: reads small files, and forgets them (secret_file.h). */
#include "broker/auth/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <unistd.h>

#define PIECE 4096

static enum status secret_fail(const char *setting, const char *path, const char *why, char *err, size_t err_size)
{
    snprintf(err, err_size, "%s: %.200s: %s", setting, path, why);
    return ST_ERR;
}

static enum status secret_read(int fd, struct buf *out)
{
    for (;;) {
        uint8_t *room = buf_room(out, PIECE);
        if (!room)
            return ST_NOMEM;
        ssize_t n = read(fd, room, PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ST_IO;
        if (n == 0)
            return ST_OK;
        buf_added(out, (size_t)n);
        if (out->len > SECRET_FILE_BYTES_MAX)
            return ST_TOOBIG;
    }
}

enum status secret_file_read(const char *setting, const char *path, struct buf *out, char *err, size_t err_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return secret_fail(setting, path, strerror(errno), err, err_size);
    enum status s = secret_read(fd, out);
    int failure = errno;
    close(fd);
    if (s == ST_OK)
        return s;
    return secret_fail(setting, path,
                       s == ST_TOOBIG ? "the file is larger than 256 KiB" : s == ST_NOMEM ? "no memory" : strerror(failure),
                       err, err_size);
}

enum status secret_file_line(const char *setting, const char *path, struct buf *out, char *err, size_t err_size)
{
    enum status s = secret_file_read(setting, path, out, err, err_size);
    if (s != ST_OK)
        return s;
    if (out->len && out->data[out->len - 1] == '\n')
        out->len--;
    if (out->len && out->data[out->len - 1] == '\r')
        out->len--;
    if (!out->len)
        return secret_fail(setting, path, "the file is empty", err, err_size);
    if (memchr(out->data, 0, out->len))
        return secret_fail(setting, path, "there is a NUL in the file", err, err_size);
    return ST_OK;
}

void secret_forget(struct buf *b)
{
    if (b->data)
        OPENSSL_cleanse(b->data, b->size);
    buf_free(b);
}
