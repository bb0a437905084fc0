/*
 * buf.c: growth of owned bytes.
 *
 * Memory doubles until it would pass the cap, then takes the cap exactly, so that n appended bytes
 * cost O(n) copies and a buffer never holds more than its owner allowed. Failure is sticky: see
 * buf.h.
 */
#include "protocol/base/buf.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_CAP_DEFAULT  ((size_t)64 << 20)
#define BUF_FIRST        64
#define PRINTF_BYTES_MAX 4096

void *(*buf_large)(void *old, size_t size);

void buf_init(struct buf *b, size_t cap) { *b = (struct buf){.cap = cap ? cap : BUF_CAP_DEFAULT}; }

void buf_free(struct buf *b)
{
    if (!b)
        return;
    if (!b->borrowed)
        free(b->data);
    *b = (struct buf){.cap = b->cap};
}

void buf_borrow(struct buf *b, void *mem, size_t size)
{
    assert(!b->data && size <= b->cap);
    b->data = mem;
    b->size = size;
    b->borrowed = true;
}

void buf_reset(struct buf *b, size_t keep)
{
    if (b->size > keep) {
        buf_free(b);
        return;
    }
    b->len = 0;
    b->failed = b->over = false;
}

static size_t buf_grown_size(const struct buf *b, size_t need)
{
    size_t size = b->size ? b->size : BUF_FIRST;
    while (size < need) {
        if (size > b->cap / 2)
            return b->cap;
        size *= 2;
    }
    return size < b->cap ? size : b->cap;
}

/* Allocated memory of that size with the buffer's content; the old memory is freed. NULL: there is none, and the buffer is
 * unchanged. */
static uint8_t *buf_own(const struct buf *b, size_t size)
{
    bool large = size >= BUF_LARGE && buf_large;
    if (!b->borrowed && !large)
        return realloc(b->data, size);
    if (!b->borrowed && b->size >= BUF_LARGE)
        return buf_large(b->data, size);
    uint8_t *data = large ? buf_large(NULL, size) : malloc(size);
    if (data && b->len)
        memcpy(data, b->data, b->len);
    if (data && !b->borrowed)
        free(b->data);
    return data;
}

uint8_t *buf_room(struct buf *b, size_t n)
{
    if (b->failed)
        return NULL;
    if (b->data && b->size - b->len >= n)
        return b->data + b->len;
    if (n > b->cap - b->len) {
        b->failed = b->over = true;
        return NULL;
    }
    size_t size = buf_grown_size(b, b->len + n);
    uint8_t *data = buf_own(b, size);
    if (!data) {
        b->failed = true;
        return NULL;
    }
    b->data = data;
    b->size = size;
    b->borrowed = false;
    return data + b->len;
}

void buf_consume(struct buf *b, size_t n)
{
    assert(n <= b->len);
    if (n == 0)
        return;
    b->len -= n;
    if (b->len)
        memmove(b->data, b->data + n, b->len);
}

void buf_put_slow(struct buf *b, const void *data, size_t n)
{
    uint8_t *room = buf_room(b, n);
    if (!room || n == 0)
        return;
    memcpy(room, data, n);
    b->len += n;
}

/* Two digits a step: a division is most of the work. */
struct slice uint_digits(uint64_t v, uint8_t room[UINT_DIGITS_MAX])
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    uint8_t *at = room + UINT_DIGITS_MAX;
    for (; v >= 100; v /= 100) {
        at -= 2;
        memcpy(at, pairs + 2 * (v % 100), 2);
    }
    if (v >= 10) {
        at -= 2;
        memcpy(at, pairs + 2 * v, 2);
    } else {
        *--at = (uint8_t)('0' + v);
    }
    return slice_of(at, (size_t)(room + UINT_DIGITS_MAX - at));
}

void buf_put_uint(struct buf *b, uint64_t v)
{
    uint8_t room[UINT_DIGITS_MAX];
    buf_put_slice(b, uint_digits(v, room));
}

void buf_put_int(struct buf *b, int64_t v)
{
    if (v >= 0) {
        buf_put_uint(b, (uint64_t)v);
        return;
    }
    buf_put_u8(b, '-');
    buf_put_uint(b, 0 - (uint64_t)v);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    char text[PRINTF_BYTES_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0) {
        b->failed = true;
        return;
    }
    buf_put(b, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}
