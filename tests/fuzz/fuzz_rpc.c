/*
 * fuzz_rpc.c: feeds any bytes to the MessagePack-RPC reader, cut into pieces in several ways.
 *
 * As in fuzz_resp.c, the result must not depend on where the bytes were cut. Each value of a frame is read
 * through all accessors and written again, and each request is parsed as a command.
 */
#include "protocol/rpc/rpc.h"

#include <stdio.h>
#include <stdlib.h>

#define CUT_BYTES_MAX 4096

static void log_value(struct buf *log, const struct rpc_value *v);

static void log_items(struct buf *log, const struct rpc_value *v)
{
    for (size_t i = 0; i < rpc_len(v); i++) {
        if (rpc_kind(v) == RPC_MAP)
            log_value(log, rpc_key(v, i));
        log_value(log, rpc_at(v, i));
    }
}

/* Writes the value again, if there is a function that writes its kind. */
static void log_value(struct buf *log, const struct rpc_value *v)
{
    int64_t n;
    bool b;
    struct slice s;
    if (rpc_int(v, &n))
        rpc_put_int(log, n);
    else if (rpc_bool(v, &b))
        rpc_put_bool(log, b);
    else if (rpc_bytes(v, &s))
        rpc_put_str(log, s);
    else if (rpc_kind(v) == RPC_LIST)
        rpc_put_list(log, rpc_len(v));
    else if (rpc_kind(v) == RPC_MAP)
        rpc_put_map(log, rpc_len(v));
    else
        buf_put_u8(log, (uint8_t)rpc_kind(v));
    log_items(log, v);
}

static void try_command(struct command_space *space, const struct rpc_frame *f, struct buf *log)
{
    struct command cmd, copy;
    char err[1024];
    enum status s = rpc_command(space, f, &cmd, err, sizeof err);
    if (s != ST_OK) {
        buf_put_str(log, err);
        return;
    }
    void *mem = malloc(command_clone_size(&cmd) + 1);
    if (!mem)
        abort();
    command_clone(&cmd, mem, &copy);
    for (uint32_t i = 0; i < copy.n_pos; i++)
        buf_put_sized(log, copy.pos[i]);
    for (uint32_t i = 0; i < copy.n_rest; i++)
        buf_put_sized(log, copy.rest[i]);
    for (uint32_t i = 0; i < copy.n_opt; i++)
        buf_put_sized(log, copy.opt[i].v);
    free(mem);
}

static void log_frame(struct command_space *space, const struct rpc_frame *f, struct buf *log)
{
    buf_put_u8(log, (uint8_t)f->type);
    buf_put_u64(log, f->id);
    buf_put_sized(log, f->method);
    log_value(log, f->params);
    log_value(log, f->error);
    log_value(log, f->result);
    if (f->type != RPC_RESPONSE)
        try_command(space, f, log);
}

struct feed {
    struct rpc_reader *reader;
    struct command_space space;
    struct buf *log;
    bool closed;
};

static size_t drain(struct feed *f, const uint8_t *data, size_t n)
{
    uint8_t *block = malloc(n ? n : 1);
    if (!block)
        abort();
    if (n)
        memcpy(block, data, n);
    size_t done = 0;
    enum status s = ST_OK;
    while (s == ST_OK) {
        struct rpc_frame frame;
        size_t used = 0;
        char err[256] = "";
        s = rpc_reader_next(f->reader, slice_of(block + done, n - done), &frame, &used, err,
                            sizeof err);
        if (s == ST_NOMEM || used > n - done || (s == ST_OK && used == 0))
            abort();
        if (s == ST_OK)
            log_frame(&f->space, &frame, f->log);
        else if (s != ST_MORE)
            buf_put_str(f->log, err);
        done += used;
    }
    f->closed = s != ST_MORE;
    free(block);
    return done;
}

static void feed(struct slice data, size_t first, size_t step, struct buf *log)
{
    struct feed f = {.reader = rpc_reader_new(65536), .log = log};
    if (!f.reader)
        abort();
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
    rpc_reader_free(f.reader);
}

static void compare(struct slice data, size_t first, size_t step, const struct buf *whole)
{
    struct buf log;
    feed(data, first, step, &log);
    if (!slice_equal(buf_slice(whole), buf_slice(&log))) {
        (void)fprintf(stderr, "cut at %zu, then every %zu bytes: other frames\n", first, step);
        abort();
    }
    buf_free(&log);
}

/* The first byte says where to cut; the rest is what the client sends. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct slice input = slice_of(data + 1, size - 1);
    struct buf whole;
    feed(input, input.len, 1, &whole);
    compare(input, input.len * data[0] / 256, input.len, &whole);
    compare(input, data[0], 61, &whole);
    if (input.len <= CUT_BYTES_MAX)
        compare(input, 1, 1, &whole);
    buf_free(&whole);
    return 0;
}
