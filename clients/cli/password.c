/*
 * password.c: reads a password from a terminal, a pipe or a file; see password.h.
 *
 * While one is typed, ^C is a byte that ends the line, and no signal: a signal would end the program before the terminal
 * shows again what is typed.
 */
#include "clients/cli/password.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#define CONTROL_C 3

static enum exit_code password_wrong(const char *where, const char *why)
{
    fprintf(stderr, "halfmq: cannot read a password from %s: %s\n", where, why);
    return EXIT_USAGE;
}

/* Whether a line ends before byte b of it. */
static bool password_line_ends(int b)
{
    return b == '\n' || b == CONTROL_C;
}

/* *ret_last: the byte that ended the line; 0: there is none. */
static enum exit_code password_read_line(int fd, const char *where, struct buf *out, int *ret_last)
{
    size_t from = out->len;
    *ret_last = 0;
    for (;;) {
        unsigned char b;
        ssize_t n = read(fd, &b, 1); /* no byte more than the line: what follows is somebody else's */
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return password_wrong(where, strerror(errno));
        if (n == 0 || password_line_ends(b)) {
            *ret_last = n == 0 ? 0 : b;
            break;
        }
        buf_put_u8(out, b);
        if (out->failed || out->len - from > PASSWORD_LINE_MAX)
            return password_wrong(where, out->failed ? "out of memory" : "the line is too long");
    }
    if (out->len > from && out->data[out->len - 1] == '\r')
        out->len--;
    if (*ret_last == CONTROL_C)
        return EXIT_INTERRUPTED;
    if (out->len == from)
        return password_wrong(where, "the line is empty");
    return memchr(out->data + from, 0, out->len - from) ? password_wrong(where, "there is a NUL in it") : EXIT_DONE;
}

static enum exit_code password_type(const char *prompt, struct buf *out)
{
    struct termios before, quiet;
    int last;
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return password_wrong("the terminal", strerror(errno));
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    quiet.c_lflag |= ICANON;
    quiet.c_cc[VEOL] = CONTROL_C;
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) != 0)
        return password_wrong("the terminal", strerror(errno));
    fputs(prompt, stderr);
    fflush(stderr);
    enum exit_code e = password_read_line(STDIN_FILENO, "the terminal", out, &last);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before); /* if this fails, there is no terminal any more */
    fputc('\n', stderr);
    return e;
}

static enum exit_code password_type_again(size_t from, struct buf *out)
{
    struct buf again;
    buf_init(&again, 0);
    enum exit_code e = password_type("Once more: ", &again);
    if (e == EXIT_DONE && !slice_equal(buf_slice(&again), slice_of(out->data + from, out->len - from)))
        e = password_wrong("the terminal", "they are not the same");
    password_forget(&again);
    return e;
}

enum exit_code password_ask(struct slice user, bool twice, struct buf *out)
{
    char prompt[300];
    int last;
    size_t from = out->len;
    if (!isatty(STDIN_FILENO))
        return password_read_line(STDIN_FILENO, "standard input", out, &last);
    snprintf(prompt, sizeof prompt, "Password of %.*s: ", (int)(user.len < 256 ? user.len : 256), (const char *)user.data);
    enum exit_code e = password_type(prompt, out);
    return e == EXIT_DONE && twice ? password_type_again(from, out) : e;
}

enum exit_code password_from_file(struct slice path, struct buf *out)
{
    char name[4096];
    int last;
    if (path.len >= sizeof name || memchr(path.data, 0, path.len))
        return password_wrong("a file", "that is no file name");
    memcpy(name, path.data, path.len);
    name[path.len] = '\0';
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return password_wrong(name, strerror(errno));
    enum exit_code e = password_read_line(fd, name, out, &last);
    close(fd);
    return e;
}

void password_forget(struct buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->size);
    buf_free(b);
}
