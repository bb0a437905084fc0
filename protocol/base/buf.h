/*
 * buf.h: owned, growable, capped bytes.
 *
 * An append does not report failure: one that would pass the cap, or that gets no memory, sets `failed`, and
 * everything appended afterwards is dropped. The owner checks `failed` once, at the end.
 *
 * Invariant: len <= size <= cap; failed implies that the content is to be thrown away.
 */
#ifndef HALFMQ_PROTOCOL_BUF_H
#define HALFMQ_PROTOCOL_BUF_H

#include "protocol/base/slice.h"

struct buf {
    uint8_t *data;
    size_t len;
    size_t size;
    size_t cap;
    bool failed;
    bool over; /* failed because of the cap, not for want of memory */
    bool borrowed; /* data is the memory given to buf_borrow */
};

/* Gives the blocks of at least BUF_LARGE bytes that buffers grow into, as realloc does: `old` is NULL, or a block that it gave
 * before. free() takes them. Where buf_large is NULL, they are malloc's, as all others are. The process sets it before other threads
 * begin. */
#define BUF_LARGE ((size_t)2 << 20)
extern void *(*buf_large)(void *old, size_t size);

/* An empty buffer that never holds more than cap bytes (0: BUF_CAP_DEFAULT, 64 MiB). */
void buf_init(struct buf *b, size_t cap);

/* Lets an empty buffer use the caller's memory first (size <= cap), which must stay until buf_free. Content that
 * outgrows it moves to allocated memory. The struct must not be copied to a place that outlives that memory. */
void buf_borrow(struct buf *b, void *mem, size_t size);

/* Frees the memory; the buffer is as after buf_init. NULL and twice are fine. */
void buf_free(struct buf *b);

/* Length 0, failed cleared, memory kept for the next use unless it grew over keep bytes. */
void buf_reset(struct buf *b, size_t keep);

/* Room for n more bytes; NULL (and failed) if there is none. The bytes count only after buf_added. */
uint8_t *buf_room(struct buf *b, size_t n);

static inline void buf_added(struct buf *b, size_t n) { b->len += n; }

/* Drops the first n bytes (n <= len), moving the rest down. */
void buf_consume(struct buf *b, size_t n);

void buf_put_slow(struct buf *b, const void *data, size_t n);

static inline void buf_put(struct buf *b, const void *data, size_t n)
{
    if (!b->failed && b->size - b->len >= n) {
        if (n)
            memcpy(b->data + b->len, data, n);
        b->len += n;
        return;
    }
    buf_put_slow(b, data, n);
}

static inline void buf_put_slice(struct buf *b, struct slice s) { buf_put(b, s.data, s.len); }
static inline void buf_put_u8(struct buf *b, uint8_t v) { buf_put(b, &v, 1); }
static inline void buf_put_str(struct buf *b, const char *text) { buf_put(b, text, strlen(text)); }

/* Writes v as little-endian; out has room for so many bytes. cursor_le reads it. */
static inline void le_write(uint8_t *out, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (uint8_t)(v >> (8 * i));
}

static inline void buf_put_le(struct buf *b, uint64_t v, unsigned bytes)
{
    uint8_t raw[8];
    le_write(raw, v, bytes);
    buf_put(b, raw, bytes);
}

static inline void buf_put_u16(struct buf *b, uint16_t v) { buf_put_le(b, v, 2); }
static inline void buf_put_u32(struct buf *b, uint32_t v) { buf_put_le(b, v, 4); }
static inline void buf_put_u64(struct buf *b, uint64_t v) { buf_put_le(b, v, 8); }

#define VARINT_BYTES_MAX 10

/* Writes v as a varint and returns where it ends; `at` has room for VARINT_BYTES_MAX. */
static inline uint8_t *write_varint(uint8_t *at, uint64_t v)
{
    for (; v > 0x7f; v >>= 7)
        *at++ = (uint8_t)(v | 0x80);
    *at++ = (uint8_t)v;
    return at;
}

/* Writes a varint length and the bytes, and returns where they end; `at` has room for both. */
static inline uint8_t *write_sized(uint8_t *at, struct slice s)
{
    at = write_varint(at, s.len);
    if (s.len)
        memcpy(at, s.data, s.len);
    return at + s.len;
}

static inline void buf_put_varint(struct buf *b, uint64_t v)
{
    uint8_t aside[VARINT_BYTES_MAX];
    if (!b->failed && b->size - b->len >= VARINT_BYTES_MAX)
        b->len = (size_t)(write_varint(b->data + b->len, v) - b->data);
    else
        buf_put_slow(b, aside, (size_t)(write_varint(aside, v) - aside));
}

static inline void buf_put_sized(struct buf *b, struct slice s)
{
    buf_put_varint(b, s.len);
    buf_put_slice(b, s);
}

#define UINT_DIGITS_MAX 20

/* Decimal digits of v, at the end of room. */
struct slice uint_digits(uint64_t v, uint8_t room[UINT_DIGITS_MAX]);

/* Decimal digits of v, with a sign where needed. */
void buf_put_int(struct buf *b, int64_t v);
void buf_put_uint(struct buf *b, uint64_t v);

/* printf into the buffer; at most 4 KiB a call. */
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline struct slice buf_slice(const struct buf *b) { return slice_of(b->data, b->len); }

#endif
