/*
 * rpc_scan.c: finds the end of a MessagePack value, and refuses one that is over a bound, before msgpack-c allocates
 * anything for it.
 *
 *   0x93 0x02 0xa4 'p' 'i' 'n' 'g' 0x80
 *   │    │    └── length 4: at jumps over the text whether it has come or not
 *   │    └── a value without a body
 *   └── three values owed; depth 1
 *
 * Each value is a head of 1..9 bytes (`heads` says what it announces), then a body of bytes or a
 * number of values. Every value that is still owed takes at least a byte, so `at + owed` is the least length that the
 * frame can have: once that passes the bound, the frame is refused, whatever is still to come.
 *
 * Invariants: at + owed <= max_bytes; depth <= RPC_DEPTH_MAX; owed is the sum of left, plus one
 * before the first value. The time is linear however the bytes are split, and no memory is allocated.
 */
#include "protocol/rpc/rpc_scan.h"

#include <stdio.h>

enum body { BODY_NONE, BODY_BYTES, BODY_LIST, BODY_MAP, BODY_NEVER };

/* size: bytes of the length field behind the first byte. extra: bytes more (a number, an ext's
 * type). */
struct head {
    uint8_t body, size, extra;
};

/* 0xc0 .. 0xdf; the other first bytes carry their length in themselves. */
static const struct head heads[32] = {
    {BODY_NONE, 0, 0},                                          /* nil */
    {BODY_NEVER, 0, 0},                                         /* not in use */
    {BODY_NONE, 0, 0},                                          /* false */
    {BODY_NONE, 0, 0},                                          /* true */
    {BODY_BYTES, 1, 0},                                         /* bin 8, 16, 32 */
    {BODY_BYTES, 2, 0}, {BODY_BYTES, 4, 0}, {BODY_BYTES, 1, 1}, /* ext 8, 16, 32 */
    {BODY_BYTES, 2, 1}, {BODY_BYTES, 4, 1}, {BODY_NONE, 0, 4},  /* float 32, 64 */
    {BODY_NONE, 0, 8},  {BODY_NONE, 0, 1},                      /* uint 8, 16, 32, 64 */
    {BODY_NONE, 0, 2},  {BODY_NONE, 0, 4},  {BODY_NONE, 0, 8},
    {BODY_NONE, 0, 1}, /* int 8, 16, 32, 64 */
    {BODY_NONE, 0, 2},  {BODY_NONE, 0, 4},  {BODY_NONE, 0, 8},
    {BODY_NONE, 0, 2}, /* fixext 1, 2, 4, 8, 16 */
    {BODY_NONE, 0, 3},  {BODY_NONE, 0, 5},  {BODY_NONE, 0, 9},
    {BODY_NONE, 0, 17}, {BODY_BYTES, 1, 0},                    /* str 8, 16, 32 */
    {BODY_BYTES, 2, 0}, {BODY_BYTES, 4, 0}, {BODY_LIST, 2, 0}, /* array 16, 32 */
    {BODY_LIST, 4, 0},  {BODY_MAP, 2, 0},                      /* map 16, 32 */
    {BODY_MAP, 4, 0},
};

void rpc_scan_begin(struct rpc_scan *s, size_t max_bytes)
{
    *s = (struct rpc_scan){.max_bytes = max_bytes, .owed = 1};
}

static enum status scan_refuse(char *err, size_t err_size, const char *what)
{
    snprintf(err, err_size, "%s", what);
    return ST_BAD;
}

/* What the value at `in` announces: its body's kind and length. ST_MORE: the head is not whole. */
static enum status scan_read_head(struct slice in, struct head *ret_head, size_t *ret_n)
{
    uint8_t first = in.data[0];
    if (first < 0xc0 || first >= 0xe0) {
        bool text = first >= 0xa0 && first < 0xc0, list = first >= 0x90 && first < 0xa0;
        bool map = first >= 0x80 && first < 0x90;
        *ret_head = (struct head){text   ? BODY_BYTES
                                  : list ? BODY_LIST
                                  : map  ? BODY_MAP
                                         : BODY_NONE,
                                  0, 0};
        *ret_n = text ? first & 0x1f : list || map ? first & 0x0f : 0;
        return ST_OK;
    }
    struct head head = heads[first - 0xc0];
    if (head.body == BODY_NEVER)
        return ST_BAD;
    if (in.len < 1U + head.size)
        return ST_MORE;
    size_t n = 0;
    for (unsigned i = 0; i < head.size; i++)
        n = n << 8 | in.data[1 + i];
    *ret_head = head;
    *ret_n = n;
    return ST_OK;
}

/* A value is complete: closes the containers of which it was the last value. */
static void scan_close_value(struct rpc_scan *s)
{
    while (s->depth && s->left[s->depth - 1] == 0)
        s->depth--;
}

static enum status scan_open_container(struct rpc_scan *s, size_t n, bool map, char *err,
                                       size_t err_size)
{
    if (s->depth == RPC_DEPTH_MAX)
        return scan_refuse(err, err_size, "the frame is nested too deeply");
    if (n > REQUEST_WORDS_MAX)
        return scan_refuse(err, err_size, "a list or map has too many elements");
    n *= map ? 2 : 1;
    s->left[s->depth++] = (uint32_t)n;
    s->owed += n;
    return ST_OK;
}

static enum status scan_begin_value(struct rpc_scan *s, struct slice in, char *err, size_t err_size)
{
    struct head head;
    size_t n = 0;
    enum status st = scan_read_head(in, &head, &n);
    if (st == ST_MORE)
        return ST_MORE;
    if (st != ST_OK)
        return scan_refuse(err, err_size, "0xc1 is not MessagePack");
    if (++s->values > RPC_VALUES_MAX)
        return scan_refuse(err, err_size, "the frame has too many values");
    s->numbers += head.body == BODY_NONE;
    s->owed--;
    if (s->depth)
        s->left[s->depth - 1]--;
    s->at += 1U + head.size + head.extra + (head.body == BODY_BYTES ? n : 0);
    if (head.body == BODY_LIST || head.body == BODY_MAP) {
        st = scan_open_container(s, n, head.body == BODY_MAP, err, err_size);
        if (st != ST_OK)
            return st;
    }
    if (s->at + s->owed > s->max_bytes)
        return scan_refuse(err, err_size, "the frame is too large");
    scan_close_value(s);
    return ST_OK;
}

enum status rpc_scan(struct rpc_scan *s, struct slice input, size_t *ret_bytes, char *err,
                     size_t err_size)
{
    while (s->owed) {
        if (s->at >= input.len)
            return ST_MORE;
        enum status st =
            scan_begin_value(s, slice_of(input.data + s->at, input.len - s->at), err, err_size);
        if (st != ST_OK)
            return st;
    }
    if (s->at > input.len)
        return ST_MORE;
    *ret_bytes = s->at;
    return ST_OK;
}
