/*
 * record.c: version 1 of a batch record, written, read and cut. The picture is in record.h.
 *
 * Reading trusts nothing: record_header_read makes sure that the three parts of a record add up to
 * its length, record_message that a message lies inside its part. What does not add up is ST_BAD;
 * which record it was is the caller's to say.
 */
#include "protocol/record/record.h"

#include <assert.h>

#include "protocol/base/bits.h"
#include "protocol/base/text.h"

#define CHECKSUM_FROM 8 /* what lies behind the checksum field */
#define FLAGS_KNOWN   (RECORD_TTL | RECORD_TXN)

void record_begin(struct buf *b)
{
    static const uint8_t zeros[RECORD_HEADER_BYTES];
    assert(b->len == 0);
    buf_put(b, zeros, sizeof zeros);
}

void record_add(struct buf *b, struct buf *starts, const struct message *m, int64_t stored_ms)
{
    if (b->failed)
        return;
    assert(b->len >= RECORD_HEADER_BYTES && b->len - RECORD_HEADER_BYTES <= UINT32_MAX);
    buf_put_u32(starts, (uint32_t)(b->len - RECORD_HEADER_BYTES));
    message_encode(b, m, stored_ms);
}

void record_add_apart(struct buf *b, struct buf *starts, const struct message *m, int64_t stored_ms)
{
    assert(b->failed || b->len == RECORD_HEADER_BYTES);
    buf_put_u32(starts, 0);
    message_encode_head(b, m, stored_ms);
}

/* All of the header but the checksum. */
static void record_head_fill(const struct record_header *h, uint8_t out[RECORD_HEADER_BYTES])
{
    assert(h->count > 0 && h->count <= RECORD_COUNT_MAX && (h->flags & ~FLAGS_KNOWN) == 0);
    memset(out, 0, RECORD_HEADER_BYTES);
    out[0] = RECORD_VERSION;
    out[1] = h->flags;
    le_write(out + 8, h->count, 4);
    le_write(out + 12, h->bytes, 4);
    le_write(out + 16, h->base, 8);
    le_write(out + 24, h->index, 8);
    le_write(out + 32, (uint64_t)h->stored_ms, 8);
    le_write(out + 40, h->seq, 8);
}

void record_head(const struct record_header *h, struct slice messages_and_starts,
                 uint8_t out[RECORD_HEADER_BYTES])
{
    assert(messages_and_starts.len == h->bytes + (size_t)h->count * 4);
    record_head_fill(h, out);
    struct slice head = slice_of(out + CHECKSUM_FROM, RECORD_HEADER_BYTES - CHECKSUM_FROM);
    le_write(out + 4, text_checksum2(head, messages_and_starts), 4);
}

/* Puts the header in front of what stands behind it, from byte `at` of b on. */
static void record_put_head(struct buf *b, size_t at, const struct record_header *h)
{
    uint8_t head[RECORD_HEADER_BYTES];
    uint8_t *record = b->data + at;
    size_t behind = b->len - at - RECORD_HEADER_BYTES;
    record_head(h, slice_of(record + RECORD_HEADER_BYTES, behind), head);
    memcpy(record, head, sizeof head);
}

void record_end(struct buf *b, const struct buf *starts, struct record_header *h)
{
    if (b->failed || starts->failed) {
        b->failed = true;
        return;
    }
    assert(starts->len == (size_t)h->count * 4);
    h->version = RECORD_VERSION;
    h->bytes = (uint32_t)(b->len - RECORD_HEADER_BYTES);
    buf_put(b, starts->data, starts->len);
    if (b->failed)
        return;
    record_put_head(b, 0, h);
    h->checksum = record_checksum(buf_slice(b));
}

void record_end_apart(struct buf *b, const struct buf *starts, struct slice body, struct record_header *h)
{
    if (b->failed || starts->failed) {
        b->failed = true;
        return;
    }
    assert(h->count == 1 && starts->len == 4);
    h->version = RECORD_VERSION;
    h->bytes = (uint32_t)(b->len - RECORD_HEADER_BYTES + body.len);
    record_head_fill(h, b->data);
    const struct slice parts[] = {slice_of(b->data + CHECKSUM_FROM, b->len - CHECKSUM_FROM), body, buf_slice(starts)};
    h->checksum = text_checksum_parts(parts, 3);
    le_write(b->data + 4, h->checksum, 4);
}

uint32_t record_checksum(struct slice record)
{
    return text_checksum(slice_of(record.data + CHECKSUM_FROM, record.len - CHECKSUM_FROM));
}

enum status record_header_read(struct slice record, struct record_header *ret_h)
{
    if (record.len < RECORD_HEADER_BYTES)
        return ST_BAD;
    struct cursor c = cursor_of(record);
    struct record_header h;
    h.version = cursor_u8(&c);
    h.flags = cursor_u8(&c);
    uint64_t unused = cursor_u16(&c);
    h.checksum = cursor_u32(&c);
    h.count = cursor_u32(&c);
    h.bytes = cursor_u32(&c);
    h.base = cursor_u64(&c);
    h.index = cursor_u64(&c);
    h.stored_ms = (int64_t)cursor_u64(&c);
    h.seq = cursor_u64(&c);
    if (h.version != RECORD_VERSION || (h.flags & ~FLAGS_KNOWN) || unused)
        return ST_BAD;
    if (h.count < 1 || h.count > RECORD_COUNT_MAX || h.base > (uint64_t)INT64_MAX - h.count)
        return ST_BAD;
    if (cursor_left(&c) != (uint64_t)h.bytes + (uint64_t)h.count * 4)
        return ST_BAD;
    *ret_h = h;
    return ST_OK;
}

static uint32_t record_start_of(struct slice record, const struct record_header *h, uint32_t i)
{
    if (i == h->count)
        return h->bytes;
    const uint8_t *at = record.data + RECORD_HEADER_BYTES + h->bytes + (size_t)i * 4;
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24; /* one load */
}

enum status record_verify(struct slice record, struct record_header *ret_h)
{
    struct record_header h;
    enum status s = record_header_read(record, &h);
    if (s)
        return s;
    uint32_t start = record_start_of(record, &h, 0), next;
    if (record_checksum(record) != h.checksum || start != 0)
        return ST_BAD;
    for (uint32_t i = 1; i <= h.count; i++, start = next) {
        next = record_start_of(record, &h, i);
        if (start >= next)
            return ST_BAD;
    }
    *ret_h = h;
    return ST_OK;
}

struct slice record_bytes(struct slice record, const struct record_header *h, uint32_t i)
{
    assert(i < h->count && record.len == RECORD_HEADER_BYTES + h->bytes + (size_t)h->count * 4);
    uint32_t begin = record_start_of(record, h, i);
    uint32_t end = record_start_of(record, h, i + 1);
    if (begin >= end || end > h->bytes)
        return slice_of(NULL, 0);
    return slice_of(record.data + RECORD_HEADER_BYTES + begin, end - begin);
}

enum status record_message(struct slice record, const struct record_header *h, uint32_t i,
                           struct message *ret_m)
{
    struct slice bytes = record_bytes(record, h, i);
    if (!bytes.len)
        return ST_BAD;
    enum status s = message_decode(bytes, h->stored_ms, ret_m);
    if (s == ST_OK)
        ret_m->seq += h->seq;
    return s;
}

size_t record_cut_size(struct slice record, const struct record_header *h, uint32_t from, uint32_t n)
{
    assert(n > 0 && from < h->count && n <= h->count - from);
    uint32_t bytes = record_start_of(record, h, from + n) - record_start_of(record, h, from);
    return RECORD_HEADER_BYTES + bytes + (size_t)n * 4;
}

size_t record_cut_some_size(struct slice record, const struct record_header *h, uint32_t from, uint32_t n,
                            const uint64_t *bits)
{
    size_t bytes = 0;
    uint32_t least = 0, end = 0, empty = n;
    assert(n > 0 && from < h->count && n <= h->count - from);
    for (uint32_t i = bits_next(bits, n, 0, true); i < n; i = bits_next(bits, n, end, true)) {
        end = bits_next(bits, n, i, false);
        uint32_t first = record_start_of(record, h, from + i), last = record_start_of(record, h, from + end);
        if (first < least || first >= last || last > h->bytes)
            return 0;
        bytes += last - first;
        empty -= end - i;
        least = last;
    }
    return RECORD_HEADER_BYTES + bytes + (size_t)empty * RECORD_EMPTY_BYTES + (size_t)n * 4;
}

/* A record in the making, of which each message gets bytes and a start. */
struct record_making {
    uint8_t *messages, *starts;
    uint32_t bytes;
};

/* Adds messages from..to-1 of a record. */
static void record_make_copy(struct record_making *m, struct slice record, const struct record_header *h, uint32_t from,
                             uint32_t to)
{
    uint32_t first = record_start_of(record, h, from), size = record_start_of(record, h, to) - first;
    memcpy(m->messages + m->bytes, record.data + RECORD_HEADER_BYTES + first, size);
    for (uint32_t i = from; i < to; i++, m->starts += 4)
        le_write(m->starts, m->bytes + (record_start_of(record, h, i) - first), 4);
    m->bytes += size;
}

static void record_make_empty(struct record_making *m, uint32_t n)
{
    memset(m->messages + m->bytes, 0, (size_t)n * RECORD_EMPTY_BYTES);
    for (; n > 0; n--, m->bytes += RECORD_EMPTY_BYTES, m->starts += 4)
        le_write(m->starts, m->bytes, 4);
}

enum status record_cut_some(struct slice record, const struct record_header *h, uint32_t from, uint32_t n,
                            const uint64_t *bits, struct buf *out)
{
    size_t at = out->len, size = record_cut_some_size(record, h, from, n, bits);
    uint8_t *room = size ? buf_room(out, size) : NULL;
    if (!room)
        return size ? ST_OK : ST_BAD; /* out says so */
    struct record_header cut = *h;
    cut.base += from;
    cut.count = n;
    cut.bytes = (uint32_t)(size - RECORD_HEADER_BYTES - (size_t)n * 4);
    struct record_making m = {.messages = room + RECORD_HEADER_BYTES, .starts = room + size - (size_t)n * 4};
    for (uint32_t i = 0, to = 0; i < n; i = to) {
        to = bits_next(bits, n, i, true);
        record_make_empty(&m, to - i);
        i = to;
        to = bits_next(bits, n, i, false);
        if (i < to)
            record_make_copy(&m, record, h, from + i, from + to);
    }
    buf_added(out, size);
    record_put_head(out, at, &cut);
    return ST_OK;
}

enum status record_cut(struct slice record, const struct record_header *h, uint32_t from, uint32_t n,
                       struct buf *out)
{
    assert(n > 0 && from < h->count && n <= h->count - from);
    uint32_t begin = record_start_of(record, h, from), end = record_start_of(record, h, from + n);
    if (begin >= end || end > h->bytes)
        return ST_BAD;
    if (n == h->count) {
        buf_put_slice(out, record);
        return ST_OK;
    }
    struct record_header cut = *h;
    cut.base += from;
    cut.count = n;
    cut.bytes = end - begin;
    size_t at = out->len, size = RECORD_HEADER_BYTES + cut.bytes + (size_t)n * 4;
    uint8_t *room = buf_room(out, size);
    if (!room)
        return ST_OK; /* out says so */
    memcpy(room + RECORD_HEADER_BYTES, record.data + RECORD_HEADER_BYTES + begin, cut.bytes);
    uint8_t *starts = room + RECORD_HEADER_BYTES + cut.bytes;
    for (uint32_t i = 0; i < n; i++, starts += 4)
        le_write(starts, record_start_of(record, h, from + i) - begin, 4);
    buf_added(out, size);
    record_put_head(out, at, &cut);
    return ST_OK;
}
