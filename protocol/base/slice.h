/*
 * slice.h: borrowed bytes. A slice never owns; whoever made it says how long it lives.
 *
 * Invariant: len == 0 means data may be NULL; len > 0 means data points at len readable bytes.
 * A cursor reads little-endian numbers and varints off a slice without ever passing its end: after
 * the first short read `bad` stays set and every later read yields zero, so a decoder checks once.
 */
#ifndef HALFMQ_PROTOCOL_SLICE_H
#define HALFMQ_PROTOCOL_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *data;
    size_t len;
};

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

static inline struct slice slice_of(const void *data, size_t len)
{
    return (struct slice){(const uint8_t *)data, len};
}

static inline struct slice slice_str(const char *text)
{
    return slice_of(text, text ? strlen(text) : 0);
}

#define SLICE_LIT(text) slice_of("" text, sizeof(text) - 1)

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* ASCII letters compare without case; other bytes as they are. */
static inline bool slice_equal_nocase(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        uint8_t x = a.data[i], y = b.data[i];
        if (x >= 'a' && x <= 'z')
            x = (uint8_t)(x - 32);
        if (y >= 'a' && y <= 'z')
            y = (uint8_t)(y - 32);
        if (x != y)
            return false;
    }
    return true;
}

static inline struct cursor cursor_of(struct slice s)
{
    return (struct cursor){s.data, s.len ? s.data + s.len : s.data, false};
}

static inline size_t cursor_left(const struct cursor *c)
{
    return (size_t)(c->end - c->at);
}

/* Takes n bytes, or sets bad and yields an empty slice. */
static inline struct slice cursor_bytes(struct cursor *c, size_t n)
{
    if (c->bad || cursor_left(c) < n) {
        c->bad = true;
        return slice_of(NULL, 0);
    }
    struct slice s = slice_of(c->at, n);
    if (n) /* a step of nothing from NULL is undefined */
        c->at += n;
    return s;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
    struct slice s = cursor_bytes(c, 1);
    return s.len ? s.data[0] : 0;
}

static inline uint64_t cursor_le(struct cursor *c, unsigned bytes)
{
    struct slice s = cursor_bytes(c, bytes);
    uint64_t v = 0;
    for (size_t i = s.len; i > 0; i--)
        v = (v << 8) | s.data[i - 1];
    return v;
}

static inline uint16_t cursor_u16(struct cursor *c) { return (uint16_t)cursor_le(c, 2); }
static inline uint32_t cursor_u32(struct cursor *c) { return (uint32_t)cursor_le(c, 4); }
static inline uint64_t cursor_u64(struct cursor *c) { return cursor_le(c, 8); }

/* LEB128, at most ten bytes. */
static inline uint64_t cursor_varint(struct cursor *c)
{
    const uint8_t *at = c->at;
    uint64_t v = 0;
    if (c->bad)
        return 0;
    for (unsigned shift = 0; shift < 64 && at < c->end; shift += 7) {
        v |= (uint64_t)(*at & 0x7f) << shift;
        if (!(*at++ & 0x80)) {
            c->at = at;
            return v;
        }
    }
    c->bad = true;
    return 0;
}

/* A varint length and that many bytes. */
static inline struct slice cursor_sized(struct cursor *c)
{
    uint64_t n = cursor_varint(c);
    if (n > cursor_left(c)) {
        c->bad = true;
        return slice_of(NULL, 0);
    }
    return cursor_bytes(c, (size_t)n);
}

#endif
