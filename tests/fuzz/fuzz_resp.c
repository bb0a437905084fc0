/*
 * fuzz_resp.c: any bytes into the RESP reader, cut in several ways.
 *
 *   input ─┬─ in one piece ────────► log ┐
 *          ├─ byte by byte ────────► log ├─ must be equal
 *          └─ in two or more cuts ─► log ┘
 *
 * The log holds each request's words, each refusal with its text and the end. Every call sees a
 * block of exactly the bytes that have come, so that a read past them is found. Each request that
 * comes out goes through command_from_words, and one that is a command is copied deeply.
 */
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

/* Everything that can be had from these bytes; how many of them are done with. */
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

/* Feeds data in pieces of step bytes, behind a first one of `first` bytes. */
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

/* First byte: the bound of a word and where to cut; the rest is what comes from the client. */
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
