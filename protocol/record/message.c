/*
 * message.c: version 1 of the stored layout, written and read. The picture is in message.h.
 *
 * Reading trusts nothing: record_header_read makes sure that the three parts of a record add up to
 * its length, record_message that a message lies inside its part and is used up to its last byte.
 * What does not add up is ST_BAD; which record it was is the caller's to say.
 */
#include "protocol/record/message.h"

#include <assert.h>

#include "protocol/base/text.h"

#define CHECKSUM_FROM 8 /* what lies behind the checksum field */
#define FIELDS_KNOWN  ((MSG_PROPS << 1) - 1)
#define FLAGS_KNOWN   (RECORD_TTL | RECORD_TXN)
#define PRIORITY_MAX  9

static uint64_t message_zigzag(int64_t v) { return ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0); }

static int64_t message_unzigzag(uint64_t v) { return (int64_t)((v >> 1) ^ (0 - (v & 1))); }

/* Differences wrap, so that no time, however odd, is undefined behaviour. */
static int64_t message_minus(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }

static void message_put_attributes(struct buf *b, const struct message *m)
{
    if (m->fields & MSG_KEY) {
        buf_put_varint(b, m->n_keys);
        for (uint32_t i = 0; i < m->n_keys; i++)
            buf_put_sized(b, m->keys[i]);
    }
    if (m->fields & MSG_TAG)
        buf_put_sized(b, m->tag);
    if (m->fields & MSG_ORDER)
        buf_put_sized(b, m->order);
    if (m->fields & MSG_PRIORITY)
        buf_put_u8(b, m->priority);
}

static void message_put_history(struct buf *b, const struct message *m)
{
    if (m->fields & MSG_TXN)
        buf_put_varint(b, m->txid);
    if (m->fields & MSG_GROUP)
        buf_put_sized(b, m->group);
    if (m->fields & MSG_REASON)
        buf_put_sized(b, m->reason);
    if (m->fields & MSG_ORIGIN)
        buf_put_sized(b, m->origin);
    if (m->fields & MSG_ATTEMPTS)
        buf_put_varint(b, m->attempts);
}

void message_encode(struct buf *b, const struct message *m, int64_t stored_ms)
{
    assert((m->fields & ~(uint32_t)FIELDS_KNOWN) == 0 && m->n_keys <= KEYS_MAX);
    buf_put_varint(b, m->fields);
    buf_put_varint(b, m->seq);
    buf_put_varint(b, message_zigzag(message_minus(stored_ms, m->born_ms)));
    message_put_attributes(b, m);
    if (m->fields & MSG_TTL)
        buf_put_varint(b,
                       m->expires_ms > stored_ms ? (uint64_t)message_minus(m->expires_ms, stored_ms) : 0);
    message_put_history(b, m);
    if (m->fields & MSG_PROPS) {
        buf_put_varint(b, m->n_props);
        buf_put_slice(b, m->props);
    }
    buf_put_sized(b, m->body);
}

/* A varint within 1..most; bad otherwise. */
static uint32_t message_get_count(struct cursor *c, uint64_t most)
{
    uint64_t n = cursor_varint(c);
    if (n < 1 || n > most) {
        c->bad = true;
        return 0;
    }
    return (uint32_t)n;
}

static void message_get_attributes(struct cursor *c, struct message *m)
{
    if (m->fields & MSG_KEY) {
        m->n_keys = message_get_count(c, KEYS_MAX);
        for (uint32_t i = 0; i < m->n_keys; i++)
            m->keys[i] = cursor_sized(c);
    }
    if (m->fields & MSG_TAG)
        m->tag = cursor_sized(c);
    if (m->fields & MSG_ORDER)
        m->order = cursor_sized(c);
    if (m->fields & MSG_PRIORITY) {
        m->priority = cursor_u8(c);
        if (m->priority > PRIORITY_MAX)
            c->bad = true;
    }
}

static void message_get_expiry(struct cursor *c, struct message *m, int64_t stored_ms)
{
    uint64_t ttl = cursor_varint(c);
    int64_t room = stored_ms > 0 ? INT64_MAX - stored_ms : INT64_MAX;
    if (ttl > (uint64_t)room)
        c->bad = true;
    else
        m->expires_ms = stored_ms + (int64_t)ttl;
}

static void message_get_history(struct cursor *c, struct message *m)
{
    if (m->fields & MSG_TXN)
        m->txid = cursor_varint(c);
    if (m->fields & MSG_GROUP)
        m->group = cursor_sized(c);
    if (m->fields & MSG_REASON)
        m->reason = cursor_sized(c);
    if (m->fields & MSG_ORIGIN)
        m->origin = cursor_sized(c);
    if (m->fields & MSG_ATTEMPTS)
        m->attempts = message_get_count(c, UINT32_MAX);
}

/* Walks over them once, so that message_prop later meets nothing damaged. */
static void message_get_props(struct cursor *c, struct message *m)
{
    m->n_props = message_get_count(c, PROPS_MAX);
    const uint8_t *begin = c->at;
    for (uint32_t i = 0; i < 2 * m->n_props && !c->bad; i++)
        (void)cursor_sized(c);
    m->props = slice_of(begin, (size_t)(c->at - begin));
}

enum status message_decode(struct slice bytes, int64_t stored_ms, struct message *ret_m)
{
    struct cursor c = cursor_of(bytes);
    uint64_t fields = cursor_varint(&c);
    if (c.bad || fields > FIELDS_KNOWN)
        return ST_BAD;
    struct message m;
    message_clear(&m);
    m.fields = (uint32_t)fields;
    m.seq = cursor_varint(&c);
    m.born_ms = message_minus(stored_ms, message_unzigzag(cursor_varint(&c)));
    message_get_attributes(&c, &m);
    if (m.fields & MSG_TTL)
        message_get_expiry(&c, &m, stored_ms);
    message_get_history(&c, &m);
    if (m.fields & MSG_PROPS)
        message_get_props(&c, &m);
    m.body = cursor_sized(&c);
    if (c.bad || cursor_left(&c) > 0)
        return ST_BAD;
    message_copy(&m, ret_m);
    return ST_OK;
}

bool message_prop(struct cursor *c, struct slice *ret_name, struct slice *ret_value)
{
    if (c->bad || cursor_left(c) == 0)
        return false;
    struct slice name = cursor_sized(c);
    struct slice value = cursor_sized(c);
    if (c->bad)
        return false;
    *ret_name = name;
    *ret_value = value;
    return true;
}

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

static void message_set_le(uint8_t *at, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

void record_head(const struct record_header *h, struct slice messages_and_starts,
                 uint8_t out[RECORD_HEADER_BYTES])
{
    assert(h->count > 0 && h->count <= RECORD_COUNT_MAX && (h->flags & ~FLAGS_KNOWN) == 0);
    assert(messages_and_starts.len == h->bytes + (size_t)h->count * 4);
    memset(out, 0, RECORD_HEADER_BYTES);
    out[0] = RECORD_VERSION;
    out[1] = h->flags;
    message_set_le(out + 8, h->count, 4);
    message_set_le(out + 12, h->bytes, 4);
    message_set_le(out + 16, h->base, 8);
    message_set_le(out + 24, h->index, 8);
    message_set_le(out + 32, (uint64_t)h->stored_ms, 8);
    message_set_le(out + 40, h->seq, 8);
    struct slice head = slice_of(out + CHECKSUM_FROM, RECORD_HEADER_BYTES - CHECKSUM_FROM);
    message_set_le(out + 4, text_checksum2(head, messages_and_starts), 4);
}

/* Puts the header in front of what stands behind it, from byte `at` of b on. */
static void message_put_head(struct buf *b, size_t at, const struct record_header *h)
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
    message_put_head(b, 0, h);
    h->checksum = record_checksum(buf_slice(b));
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

static uint32_t message_start_of(struct slice record, const struct record_header *h, uint32_t i)
{
    if (i == h->count)
        return h->bytes;
    const uint8_t *at = record.data + RECORD_HEADER_BYTES + h->bytes + (size_t)i * 4;
    struct cursor c = cursor_of(slice_of(at, 4));
    return cursor_u32(&c);
}

enum status record_verify(struct slice record, struct record_header *ret_h)
{
    struct record_header h;
    enum status s = record_header_read(record, &h);
    if (s)
        return s;
    if (record_checksum(record) != h.checksum || message_start_of(record, &h, 0) != 0)
        return ST_BAD;
    for (uint32_t i = 0; i < h.count; i++) {
        if (message_start_of(record, &h, i) >= message_start_of(record, &h, i + 1))
            return ST_BAD;
    }
    *ret_h = h;
    return ST_OK;
}

struct slice record_bytes(struct slice record, const struct record_header *h, uint32_t i)
{
    assert(i < h->count && record.len == RECORD_HEADER_BYTES + h->bytes + (size_t)h->count * 4);
    uint32_t begin = message_start_of(record, h, i);
    uint32_t end = message_start_of(record, h, i + 1);
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
    uint32_t bytes = message_start_of(record, h, from + n) - message_start_of(record, h, from);
    return RECORD_HEADER_BYTES + bytes + (size_t)n * 4;
}

enum status record_cut(struct slice record, const struct record_header *h, uint32_t from, uint32_t n,
                       struct buf *out)
{
    assert(n > 0 && from < h->count && n <= h->count - from);
    uint32_t begin = message_start_of(record, h, from), end = message_start_of(record, h, from + n);
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
        message_set_le(starts, message_start_of(record, h, from + i) - begin, 4);
    buf_added(out, size);
    message_put_head(out, at, &cut);
    return ST_OK;
}
