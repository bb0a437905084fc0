/*
 * fuzz_resp.c: feeds any bytes to the RESP reader, cut into pieces in several ways.
 *
 *   input ─┬─ in one piece ────────► log ┐
 *          ├─ byte by byte ────────► log ├─ must be equal
 *          └─ in two or more cuts ─► log ┘
 *
 * The log has the words of each request, each error with its text, and the end. Each call gets a block of
 * exactly the bytes received so far, so that the address sanitizer finds a read past them. Each request is
 * parsed by command_from_words, and if it is a command, it is copied.
 */
#include "protocol/command/command.h"
#include "protocol/resp/resp.h"

#include <stdio.h>
#include <stdlib.h>

#define CUT_BYTES_MAX 4096 /* longer inputs are not fed byte by byte */

static void log_words(struct buf *log, const struct slice *words, size_t n)
{
    buf_put_uint(log, n);
    for (size_t i = 0; i < n; i++)
        buf_put_sized(log, words[i]);
}

static void try_command(struct command_space *space, const struct slice *words, size_t n,
                        struct buf *log)
{
    struct command cmd, copy;
    char err[1024];
    enum status s = command_from_words(space, words, n, &cmd, err, sizeof err);
    if (s != ST_OK) {
        buf_put_str(log, err);
        return;
    }
    void *mem = malloc(command_clone_size(&cmd) + 1);
    if (!mem)
        abort();
    command_clone(&cmd, mem, &copy);
    buf_put_uint(log, copy.n_opt + copy.n_rest);
    free(mem);
}

struct feed {
    struct resp_reader reader;
    struct command_space space;
    struct buf *log;
    bool closed;
};

/* Reads all requests from these bytes. Returns how many bytes were consumed. */
static size_t drain(struct feed *f, const uint8_t *data, size_t n)
{
    uint8_t *block = malloc(n ? n : 1);
    if (!block)
        abort();
    if (n)
        memcpy(block, data, n);
    size_t done = 0;
    enum status s = ST_OK;
    while (s == ST_OK || s == ST_TOOBIG) {
        struct slice *words = NULL;
        size_t n_words = 0, used = 0;
        char err[256] = "";
        s = resp_reader_next(&f->reader, slice_of(block + done, n - done), &words, &n_words, &used,
                             err, sizeof err);
        if (s == ST_NOMEM || used > n - done)
            abort();
        if (s == ST_OK) {
            log_words(f->log, words, n_words);
            try_command(&f->space, words, n_words, f->log);
        } else if (s != ST_MORE) {
            buf_put_str(f->log, err);
        }
        done += used;
    }
    f->closed = s == ST_BAD;
    free(block);
    return done;
}

/* Feeds a first piece of `first` bytes, then pieces of `step` bytes. */
static void feed(struct slice data, size_t max_bulk, size_t first, size_t step, struct buf *log)
{
    struct feed f = {.log = log};
    resp_reader_init(&f.reader, max_bulk);
    command_space_init(&f.space);
    buf_init(log, 0);
    size_t start = 0, end = first < data.len ? first : data.len;
    for (;;) {
        start += drain(&f, data.data + start, end - start);
        if (f.closed || end == data.len)
            break;
        end += step < data.len - end ? step : data.len - end;
    }
    buf_put_str(log, f.closed ? "closed" : "open");
    command_space_free(&f.space);
    resp_reader_free(&f.reader);
}

static void compare(struct slice data, size_t max_bulk, size_t first, size_t step,
                    const struct buf *whole)
{
    struct buf log;
    feed(data, max_bulk, first, step, &log);
    if (!slice_equal(buf_slice(whole), buf_slice(&log))) {
        (void)fprintf(stderr, "cut at %zu, then every %zu bytes: other requests\n", first, step);
        abort();
    }
    buf_free(&log);
}

/* The first byte sets the limit of a word and where to cut; the rest is what the client sends. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct slice input = slice_of(data + 1, size - 1);
    size_t max_bulk = data[0] & 1 ? 16 : (size_t)MIB(4);
    struct buf whole;
    feed(input, max_bulk, input.len, 1, &whole);
    compare(input, max_bulk, input.len * (data[0] >> 1) / 128, input.len, &whole);
    compare(input, max_bulk, data[0], 61, &whole);
    if (input.len <= CUT_BYTES_MAX)
        compare(input, max_bulk, 1, 1, &whole);
    buf_free(&whole);
    return 0;
}
