/*
 * reply.c: the token stream, written and read. The layout is in reply.h; a new kind of token is a
 * line in its enum, a writer and a case in reply_next here, and a case in both codecs.
 */
#include "protocol/base/reply.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "protocol/base/text.h"

#define ERROR_BYTES_MAX 1024

void reply_null(struct buf *r) { buf_put_u8(r, TOK_NULL); }

void reply_ok(struct buf *r) { buf_put_u8(r, TOK_OK); }

void reply_int(struct buf *r, int64_t v)
{
    buf_put_u8(r, TOK_INT);
    buf_put_u64(r, (uint64_t)v);
}

void reply_bool(struct buf *r, bool v)
{
    buf_put_u8(r, TOK_BOOL);
    buf_put_u8(r, v ? 1 : 0);
}

void reply_double(struct buf *r, double v)
{
    uint64_t bits;
    static_assert(sizeof bits == sizeof v, "a double has 64 bits");
    memcpy(&bits, &v, sizeof bits);
    buf_put_u8(r, TOK_DOUBLE);
    buf_put_u64(r, bits);
}

static void reply_put_bytes(struct buf *r, enum token_kind kind, struct slice bytes)
{
    buf_put_u8(r, (uint8_t)kind);
    buf_put_sized(r, bytes);
}

void reply_simple(struct buf *r, const char *word) { reply_put_bytes(r, TOK_SIMPLE, slice_str(word)); }

void reply_bulk(struct buf *r, struct slice bytes) { reply_put_bytes(r, TOK_BULK, bytes); }

void reply_bulk_str(struct buf *r, const char *text) { reply_put_bytes(r, TOK_BULK, slice_str(text)); }

/* How many decimal digits v has: the length goes before the digits. */
static size_t reply_digits_of(uint64_t v)
{
    size_t n = 1;
    while (v >= 10) {
        v /= 10;
        n++;
    }
    return n;
}

void reply_bulk_uint(struct buf *r, uint64_t v)
{
    uint8_t room[UINT_DIGITS_MAX];
    reply_put_bytes(r, TOK_BULK, uint_digits(v, room));
}

void reply_text(struct buf *r, struct slice text) { reply_put_bytes(r, TOK_TEXT, text); }

static void reply_put_count(struct buf *r, enum token_kind kind, size_t n)
{
    buf_put_u8(r, (uint8_t)kind);
    buf_put_varint(r, n);
}

void reply_array(struct buf *r, size_t n) { reply_put_count(r, TOK_ARRAY, n); }

void reply_map(struct buf *r, size_t pairs) { reply_put_count(r, TOK_MAP, pairs); }

void reply_map_more(struct buf *r, size_t pairs)
{
    if (r->failed)
        return;
    assert(r->len > 1 && r->data[0] == TOK_MAP && r->data[1] + pairs < 128);
    r->data[1] = (uint8_t)(r->data[1] + pairs);
}

void reply_push(struct buf *r, size_t n) { reply_put_count(r, TOK_PUSH, n); }

void reply_message(struct buf *r) { buf_put_u8(r, TOK_MESSAGE); }

static size_t reply_id_bytes(struct slice topic, uint32_t queue, uint64_t offset)
{
    return topic.len + 1 + reply_digits_of(queue) + 1 + reply_digits_of(offset);
}

void reply_id(struct buf *r, struct slice topic, uint32_t queue, uint64_t offset)
{
    buf_put_u8(r, TOK_BULK);
    buf_put_varint(r, reply_id_bytes(topic, queue, offset));
    text_put_id(r, topic, queue, offset);
}

void reply_receipt(struct buf *r, struct slice topic, uint32_t queue, uint64_t offset,
                   uint32_t attempt)
{
    buf_put_u8(r, TOK_BULK);
    buf_put_varint(r, reply_id_bytes(topic, queue, offset) + 1 + reply_digits_of(attempt));
    text_put_receipt(r, topic, queue, offset, attempt);
}

void reply_token(struct buf *r, uint64_t token)
{
    buf_put_u8(r, TOK_BULK);
    buf_put_varint(r, 1 + reply_digits_of(token));
    text_put_token(r, token);
}

void reply_error(struct buf *r, enum status s, const char *fmt, ...)
{
    char text[ERROR_BYTES_MAX] = "";
    if (fmt) {
        va_list ap;
        va_start(ap, fmt);
        if (vsnprintf(text, sizeof text, fmt, ap) < 0)
            text[0] = '\0';
        va_end(ap);
    }
    /* A text dialect ends an error at a line break; none may be smuggled in by a client's word. */
    for (char *p = text; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    }
    buf_reset(r, SIZE_MAX);
    buf_put_u8(r, TOK_ERROR);
    buf_put_u8(r, (uint8_t)s);
    buf_put_sized(r, slice_str(fmt ? text : status_text(s)));
}

static bool reply_has_bytes(enum token_kind kind)
{
    return kind == TOK_SIMPLE || kind == TOK_BULK || kind == TOK_TEXT;
}

static bool reply_has_count(enum token_kind kind)
{
    return kind == TOK_ARRAY || kind == TOK_MAP || kind == TOK_PUSH;
}

static void reply_read_count(struct cursor *c, struct token *t)
{
    uint64_t n = cursor_varint(c);
    if (n > INT64_MAX)
        c->bad = true;
    t->n = (int64_t)n;
}

static void reply_read_error(struct cursor *c, struct token *t)
{
    uint8_t s = cursor_u8(c);
    if (s > ST_IO)
        c->bad = true;
    t->status = (enum status)s;
    t->bytes = cursor_sized(c);
}

bool reply_next(struct cursor *c, struct token *ret_t)
{
    if (c->bad || cursor_left(c) == 0)
        return false;
    uint8_t kind = cursor_u8(c);
    if (kind >= TOK_COUNT) {
        c->bad = true;
        return false;
    }
    struct token t = {.kind = (enum token_kind)kind};
    if (reply_has_bytes(t.kind)) {
        t.bytes = cursor_sized(c);
    } else if (reply_has_count(t.kind)) {
        reply_read_count(c, &t);
    } else if (t.kind == TOK_INT) {
        t.n = (int64_t)cursor_u64(c);
    } else if (t.kind == TOK_BOOL) {
        t.n = cursor_u8(c) != 0;
    } else if (t.kind == TOK_DOUBLE) {
        uint64_t bits = cursor_u64(c);
        memcpy(&t.d, &bits, sizeof t.d);
    } else if (t.kind == TOK_ERROR) {
        reply_read_error(c, &t);
    }
    if (c->bad)
        return false;
    *ret_t = t;
    return true;
}

bool reply_is_error(struct slice reply, enum status *ret_status)
{
    struct cursor c = cursor_of(reply);
    struct token t;
    if (!reply_next(&c, &t) || t.kind != TOK_ERROR)
        return false;
    if (ret_status)
        *ret_status = t.status;
    return true;
}

void reply_field_int(struct buf *r, const char *name, int64_t v)
{
    reply_bulk_str(r, name);
    reply_int(r, v);
}

void reply_field_bytes(struct buf *r, const char *name, struct slice v)
{
    reply_bulk_str(r, name);
    reply_bulk(r, v);
}
