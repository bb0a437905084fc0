/*
 * settings_file.c: reads, edits and writes the settings file.
 *
 *   # a comment                      a line that begins with #
 *   port = 4253   # also one         or the rest of a line behind a blank and #
 *   data = "/srv/half mq # 1"        quotes where blanks or # belong to the value
 *
 * In "double quotes" \" and \\ stand for " and \; 'single quotes' have no escapes. The last line that
 * names a setting counts.
 *
 * Invariant: a value that settings_value_quote wrote comes out of settings_line_parse as it was.
 */
#include "broker/settings/settings_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/folder.h"

bool settings_next_line(struct cursor *c, struct slice *ret_line)
{
    size_t left = cursor_left(c);
    if (left == 0)
        return false;
    const uint8_t *end = memchr(c->at, '\n', left);
    size_t n = end ? (size_t)(end - c->at) : left;
    struct slice line = slice_of(c->at, n);
    c->at += end ? n + 1 : n;
    if (line.len > 0 && line.data[line.len - 1] == '\r')
        line.len--;
    *ret_line = line;
    return true;
}

static bool file_blank(uint8_t b)
{
    return b == ' ' || b == '\t';
}

static bool file_name_byte(uint8_t b)
{
    return (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') || b == '_' ||
           b == '-' || b == '.';
}

static size_t file_skip_blanks(struct slice line, size_t at)
{
    while (at < line.len && file_blank(line.data[at]))
        at++;
    return at;
}

/* Takes the quotes off the text that begins at `at`. Returns the place behind the closing quote; 0: there is none. */
static size_t file_unquote(struct slice line, size_t at, struct buf *scratch)
{
    uint8_t quote = line.data[at++];
    for (; at < line.len; at++) {
        uint8_t b = line.data[at];
        if (b == quote)
            return at + 1;
        if (quote == '"' && b == '\\' && at + 1 < line.len &&
            (line.data[at + 1] == '"' || line.data[at + 1] == '\\'))
            b = line.data[++at];
        buf_put_u8(scratch, b);
    }
    return 0;
}

static struct slice file_from_to(struct slice line, size_t from, size_t to)
{
    return slice_of(line.data + from, to - from);
}

static void file_parse_quoted(struct slice line, size_t at, struct buf *scratch, struct settings_line *l)
{
    size_t end = file_unquote(line, at, scratch);
    if (end == 0) {
        l->why = "a closing quote";
        return;
    }
    size_t behind = file_skip_blanks(line, end);
    if (behind < line.len && line.data[behind] != '#') {
        l->why = "nothing after the closing quote";
        return;
    }
    l->kind = LINE_SETTING;
    l->raw = file_from_to(line, at, end);
    l->value = buf_slice(scratch);
}

static void file_parse_plain(struct slice line, size_t at, struct settings_line *l)
{
    size_t end = at;
    while (end < line.len && !(line.data[end] == '#' && (end == at || file_blank(line.data[end - 1]))))
        end++;
    while (end > at && file_blank(line.data[end - 1]))
        end--;
    l->kind = LINE_SETTING;
    l->raw = file_from_to(line, at, end);
    l->value = l->raw;
}

void settings_line_parse(struct slice line, struct buf *scratch, struct settings_line *ret_line)
{
    struct settings_line l = {.kind = LINE_BAD, .why = "name = value"};
    size_t at = file_skip_blanks(line, 0);
    buf_reset(scratch, SIZE_MAX);
    if (at == line.len || line.data[at] == '#') {
        l.kind = LINE_NOTHING;
        *ret_line = l;
        return;
    }
    size_t name = at;
    while (at < line.len && file_name_byte(line.data[at]))
        at++;
    l.name = file_from_to(line, name, at);
    at = file_skip_blanks(line, at);
    if (l.name.len > 0 && at < line.len && line.data[at] == '=') {
        at = file_skip_blanks(line, at + 1);
        if (at < line.len && (line.data[at] == '"' || line.data[at] == '\''))
            file_parse_quoted(line, at, scratch, &l);
        else
            file_parse_plain(line, at, &l);
    }
    *ret_line = l;
}

static bool file_needs_quotes(struct slice v)
{
    if (v.len == 0 || file_blank(v.data[0]) || file_blank(v.data[v.len - 1]))
        return true;
    return v.data[0] == '"' || v.data[0] == '\'' || memchr(v.data, '#', v.len) != NULL;
}

void settings_value_quote(struct slice value, struct buf *out)
{
    if (!file_needs_quotes(value)) {
        buf_put_slice(out, value);
        return;
    }
    buf_put_u8(out, '"');
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] == '"' || value.data[i] == '\\')
            buf_put_u8(out, '\\');
        buf_put_u8(out, value.data[i]);
    }
    buf_put_u8(out, '"');
}

static struct settings_change *file_change_of(struct settings_change *changes, size_t n, struct slice name)
{
    for (size_t i = 0; i < n; i++) {
        if (slice_equal_nocase(name, slice_str(changes[i].name)))
            return &changes[i];
    }
    return NULL;
}

void settings_file_edit(struct slice old, struct settings_change *changes, size_t n, struct buf *out)
{
    struct cursor c = cursor_of(old);
    struct buf scratch;
    struct slice line;
    const uint8_t *copied = old.data; /* everything before this is in out */
    buf_init(&scratch, 0);
    while (settings_next_line(&c, &line)) {
        struct settings_line l;
        settings_line_parse(line, &scratch, &l);
        struct settings_change *change =
            l.kind == LINE_SETTING ? file_change_of(changes, n, l.name) : NULL;
        if (!change)
            continue;
        buf_put(out, copied, (size_t)(l.raw.data - copied));
        settings_value_quote(change->value, out);
        copied = l.raw.data + l.raw.len;
        change->placed = true;
    }
    if (old.len > 0)
        buf_put(out, copied, (size_t)(old.data + old.len - copied));
    if (out->len > 0 && out->data[out->len - 1] != '\n')
        buf_put_u8(out, '\n');
    for (size_t i = 0; i < n; i++) {
        if (changes[i].placed)
            continue;
        buf_printf(out, "%s = ", changes[i].name);
        settings_value_quote(changes[i].value, out);
        buf_put_u8(out, '\n');
    }
    if (scratch.failed)
        out->failed = true;
    buf_free(&scratch);
}

/* Appends the content of fd. Returns 0 or an errno; EFBIG: it is longer than the bound. */
static int file_read_all(int fd, struct buf *out)
{
    for (;;) {
        uint8_t *room = buf_room(out, 4096);
        if (!room)
            return out->len + 4096 > out->cap ? EFBIG : ENOMEM;
        ssize_t n = read(fd, room, 4096);
        if (n == 0)
            return 0;
        if (n > 0)
            buf_added(out, (size_t)n);
        else if (errno != EINTR)
            return errno;
    }
}

enum status settings_file_read(const char *path, struct buf *out, char *err, size_t err_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int failure = fd < 0 ? errno : file_read_all(fd, out);
    if (fd >= 0)
        close(fd);
    if (failure == 0)
        return ST_OK;
    snprintf(err, err_size, "cannot read the config file %s: %s", path, strerror(failure));
    return failure == ENOENT ? ST_GONE : ST_IO;
}

static int file_write_all(int fd, struct slice content)
{
    size_t done = 0;
    while (done < content.len) {
        ssize_t n = write(fd, content.data + done, content.len - done);
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            return errno;
    }
    return fsync(fd) == 0 ? 0 : errno;
}

/* Writes to temporary (made from a template), gives it the mode of the old file, and renames it. */
static int file_replace(const char *path, char *temporary, struct slice content)
{
    struct stat old;
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return errno;
    int failure = file_write_all(fd, content);
    mode_t mode = stat(path, &old) == 0 ? old.st_mode & 07777 : 0640;
    if (failure == 0 && fchmod(fd, mode) != 0)
        failure = errno;
    if (close(fd) != 0 && failure == 0)
        failure = errno;
    if (failure == 0 && rename(temporary, path) != 0)
        failure = errno;
    if (failure != 0)
        unlink(temporary);
    return failure != 0 ? failure : folder_sync_of(path);
}

enum status settings_file_write(const char *path, struct slice content, char *err, size_t err_size)
{
    char real[PATH_MAX], temporary[PATH_MAX];
    const char *target = realpath(path, real) ? real : path;
    int n = snprintf(temporary, sizeof temporary, "%s.XXXXXX", target);
    int failure = n < 0 || (size_t)n >= sizeof temporary ? ENAMETOOLONG
                                                         : file_replace(target, temporary, content);
    if (failure == 0)
        return ST_OK;
    snprintf(err, err_size, "cannot write the config file %s: %s", target, strerror(failure));
    return ST_IO;
}
