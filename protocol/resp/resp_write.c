/*
 * resp_write.c: reply tokens as RESP2 or RESP3 bytes.
 *
 *   token     RESP2                    RESP3
 *   OK        +OK                      +OK
 *   NULL      $-1                      _
 *   INT       :n                       :n
 *   BOOL      :1 :0                    #t #f
 *   DOUBLE    $len digits              ,digits
 *   SIMPLE    +word                    +word
 *   BULK      $len bytes               $len bytes
 *   TEXT      $len bytes               =len txt:bytes
 *   ARRAY     *n                       *n
 *   MAP       *2n                      %n
 *   PUSH      *n                       >n
 *   MESSAGE   *4                       *4
 *   ERROR     -CODE text               -CODE text
 *
 * Both the tokens and RESP put a container's size before its values, so the stream is translated
 * token by token without a stack. Each token asks the buffer for room once. A new token is a case
 * in write_token and a line above.
 */
#include "protocol/resp/resp.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD_BYTES_MAX 24 /* marker, 20 digits, CR LF */

static uint8_t *write_add(uint8_t *p, const void *bytes, size_t n)
{
    if (n)
        memcpy(p, bytes, n);
    return p + n;
}

static uint8_t *write_add_end(uint8_t *p)
{
    p[0] = '\r';
    p[1] = '\n';
    return p + 2;
}

/* Marker, number, CR LF. */
static uint8_t *write_add_head(uint8_t *p, char marker, uint64_t n)
{
    uint8_t digits[20];
    size_t i = sizeof digits;
    do {
        digits[--i] = (uint8_t)('0' + n % 10);
        n /= 10;
    } while (n);
    *p++ = (uint8_t)marker;
    return write_add_end(write_add(p, digits + i, sizeof digits - i));
}

static void write_put_head(struct buf *out, char marker, int64_t n)
{
    assert(n >= 0);
    uint8_t *room = buf_room(out, HEAD_BYTES_MAX);
    if (room)
        buf_added(out, (size_t)(write_add_head(room, marker, (uint64_t)n) - room));
}

static void write_put_int(struct buf *out, int64_t n)
{
    uint8_t *room = buf_room(out, HEAD_BYTES_MAX);
    if (!room)
        return;
    uint8_t *p = room;
    if (n < 0) {
        p = write_add_head(p + 1, '-', UINT64_C(0) - (uint64_t)n);
        *room = ':';
    } else {
        p = write_add_head(p, ':', (uint64_t)n);
    }
    buf_added(out, (size_t)(p - room));
}

/* $len bytes, or with a tag: =len tag bytes, where the tag counts. */
static void write_put_bulk(struct buf *out, char marker, struct slice tag, struct slice bytes)
{
    uint8_t *room = buf_room(out, HEAD_BYTES_MAX + tag.len + bytes.len + 2);
    if (!room)
        return;
    uint8_t *p = write_add_head(room, marker, tag.len + bytes.len);
    p = write_add(p, tag.data, tag.len);
    p = write_add(p, bytes.data, bytes.len);
    buf_added(out, (size_t)(write_add_end(p) - room));
}

static void write_put_line(struct buf *out, char marker, struct slice text)
{
    uint8_t *room = buf_room(out, text.len + 3);
    if (!room)
        return;
    *room = (uint8_t)marker;
    buf_added(out, (size_t)(write_add_end(write_add(room + 1, text.data, text.len)) - room));
}

/* The shortest decimal that reads back as the same number. */
static void write_print_double(double d, char *text, size_t size)
{
    if (isnan(d) || isinf(d)) {
        snprintf(text, size, "%s", isnan(d) ? "nan" : d < 0 ? "-inf" : "inf");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, size, "%.*g", digits, d);
        if (!(strtod(text, NULL) < d || strtod(text, NULL) > d))
            return;
    }
}

static void write_put_double(struct buf *out, double d, int version)
{
    char text[40];
    write_print_double(d, text, sizeof text);
    if (version == 3)
        write_put_line(out, ',', slice_str(text));
    else
        write_put_bulk(out, '$', SLICE_LIT(""), slice_str(text));
}

static void write_put_error(struct buf *out, const struct token *t)
{
    const char *code = status_code(t->status);
    size_t n = strlen(code);
    uint8_t *room = buf_room(out, n + t->bytes.len + 4);
    if (!room)
        return;
    *room = '-';
    uint8_t *p = write_add(room + 1, code, n);
    *p++ = ' ';
    p = write_add(p, t->bytes.data, t->bytes.len);
    buf_added(out, (size_t)(write_add_end(p) - room));
}

static void write_token(struct buf *out, const struct token *t, bool v3)
{
    const struct slice none = SLICE_LIT("");
    assert(t->kind < TOK_COUNT);
    switch (t->kind) {
    case TOK_NULL: buf_put_str(out, v3 ? "_\r\n" : "$-1\r\n"); break;
    case TOK_OK: buf_put(out, "+OK\r\n", 5); break;
    case TOK_INT: write_put_int(out, t->n); break;
    case TOK_BOOL:
        buf_put(out, v3 ? (t->n ? "#t\r\n" : "#f\r\n") : (t->n ? ":1\r\n" : ":0\r\n"), 4);
        break;
    case TOK_DOUBLE: write_put_double(out, t->d, v3 ? 3 : 2); break;
    case TOK_SIMPLE: write_put_line(out, '+', t->bytes); break;
    case TOK_BULK: write_put_bulk(out, '$', none, t->bytes); break;
    case TOK_TEXT: write_put_bulk(out, v3 ? '=' : '$', v3 ? SLICE_LIT("txt:") : none, t->bytes); break;
    case TOK_ARRAY: write_put_head(out, '*', t->n); break;
    case TOK_MAP: write_put_head(out, v3 ? '%' : '*', v3 ? t->n : 2 * t->n); break;
    case TOK_PUSH: write_put_head(out, v3 ? '>' : '*', t->n); break;
    case TOK_MESSAGE: write_put_head(out, '*', 4); break;
    case TOK_ERROR: write_put_error(out, t); break;
    case TOK_COUNT: /* not a token */ break;
    }
}

void resp_write(struct buf *out, struct slice reply, int version)
{
    struct cursor c = cursor_of(reply);
    struct token t;
    while (reply_next(&c, &t))
        write_token(out, &t, version == 3);
    assert(!c.bad);
}
