/*
 * body.c: see body.h. Read at most one byte more than any broker may be set to take, so that a
 * wrong file is refused here and not after it was read into memory.
 */
#include "clients/cli/body.h"

#include <errno.h>
#include <stdio.h>

#define READ_BYTES KIB(64)

/* Which of the words is the body; 0: the command has none, or is not known. */
static size_t body_place(const struct slice *words, size_t n)
{
    size_t used = 0;
    const struct command_info *info = command_find(words, n, &used);
    if (!info)
        return 0;
    size_t place = used;
    const char *at = info->names;
    while (*at) {
        size_t len = strcspn(at, " ");
        if (len == 4 && memcmp(at, "body", 4) == 0)
            return place;
        at += len + strspn(at + len, " ");
        place++;
    }
    return 0;
}

static enum exit_code body_read_all(FILE *f, const char *name, struct buf *body)
{
    uint8_t *room;
    size_t got = 1;
    while (got > 0 && body->len <= BODY_BYTES_CEILING) {
        room = buf_room(body, READ_BYTES);
        if (!room) {
            fprintf(stderr, "halfmq: out of memory while reading %s\n", name);
            return EXIT_USAGE;
        }
        got = fread(room, 1, READ_BYTES, f);
        buf_added(body, got);
    }
    if (ferror(f)) {
        fprintf(stderr, "halfmq: cannot read %s: %s\n", name, strerror(errno));
        return EXIT_USAGE;
    }
    if (body->len > BODY_BYTES_CEILING) {
        fprintf(stderr, "halfmq: %s has more than %ld bytes, the largest size of a body\n",
                name, BODY_BYTES_CEILING);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

static enum exit_code read_file(struct slice word, struct buf *body)
{
    char name[4096];
    if (word.len >= sizeof name || memchr(word.data, 0, word.len)) {
        fputs("halfmq: --file: not a valid file name\n", stderr);
        return EXIT_USAGE;
    }
    memcpy(name, word.data, word.len);
    name[word.len] = '\0';
    FILE *f = fopen(name, "rb");
    if (!f) {
        fprintf(stderr, "halfmq: cannot open %s: %s\n", name, strerror(errno));
        return EXIT_USAGE;
    }
    enum exit_code e = body_read_all(f, name, body);
    fclose(f);
    return e;
}

static enum exit_code read_stdin(struct buf *body, bool stdin_is_free)
{
    if (stdin_is_free)
        return body_read_all(stdin, "standard input", body);
    fputs("halfmq: `-` cannot be used here, as the commands come from standard input; use --file\n",
          stderr);
    return EXIT_USAGE;
}

enum exit_code body_fill(struct slice *words, size_t *n, struct buf *body, bool stdin_is_free)
{
    size_t at = body_place(words, *n);
    if (at == 0 || at >= *n)
        return EXIT_DONE;
    enum exit_code e = EXIT_DONE;
    if (slice_equal(words[at], SLICE_LIT("--file")) && at + 1 < *n) {
        e = read_file(words[at + 1], body);
        memmove(&words[at + 1], &words[at + 2], (*n - at - 2) * sizeof *words);
        *n -= 1;
    } else if (slice_equal(words[at], SLICE_LIT("-"))) {
        e = read_stdin(body, stdin_is_free);
    } else {
        return EXIT_DONE;
    }
    words[at] = buf_slice(body);
    return e;
}
