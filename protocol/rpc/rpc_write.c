/*
 * rpc_write.c: writes MessagePack into a buffer.
 *
 * It does not use msgpack-c, which only reads here: each value is a head of at most nine bytes and bytes that are there
 * already, and msgpack-c's packer would add no more than a callback for each of them.
 *
 *   token     MessagePack              token      MessagePack
 *   OK        str "OK"                 ARRAY      array
 *   NULL      nil                      PUSH       array
 *   INT       the shortest int         MAP        map
 *   BOOL      bool                     MESSAGE    map of id, body (bin), attributes, properties
 *   DOUBLE    float 64                 ERROR      [code, text]; as a whole reply: the frame's error
 *   SIMPLE    str                      TEXT       str
 *   BULK      str, or bin where it is not UTF-8
 *
 * Lengths above 2^32-1 cannot occur: buffers are capped far below. A new token is a case in
 * write_put_token and a line above.
 */
#include "protocol/rpc/rpc.h"

#include "protocol/base/text.h"

#include <assert.h>

#define REPLY_DEPTH_MAX 16 /* our own replies are at most five deep */

/* First byte and the number behind it, big-endian. */
static void write_put_head(struct buf *b, uint8_t first, uint64_t n, unsigned bytes)
{
    uint8_t raw[9] = {first};
    for (unsigned i = 0; i < bytes; i++)
        raw[1 + i] = (uint8_t)(n >> (8 * (bytes - 1 - i)));
    buf_put(b, raw, 1 + bytes);
}

/* A length: inside the first byte up to fix_max, else 1, 2 or 4 bytes; a kind without one of these
 * forms has 0 for it. */
static void write_put_length(struct buf *b, size_t n, size_t fix_max, uint8_t fix, uint8_t one,
                             uint8_t two)
{
    assert(n <= UINT32_MAX);
    if (fix && n <= fix_max)
        buf_put_u8(b, (uint8_t)(fix | n));
    else if (one && n <= UINT8_MAX)
        write_put_head(b, one, n, 1);
    else if (n <= UINT16_MAX)
        write_put_head(b, two, n, 2);
    else
        write_put_head(b, (uint8_t)(two + 1), n, 4);
}

void rpc_put_nil(struct buf *b) { buf_put_u8(b, 0xc0); }

void rpc_put_bool(struct buf *b, bool v) { buf_put_u8(b, v ? 0xc3 : 0xc2); }

void rpc_put_uint(struct buf *b, uint64_t v)
{
    if (v < 0x80)
        buf_put_u8(b, (uint8_t)v);
    else if (v <= UINT8_MAX)
        write_put_head(b, 0xcc, v, 1);
    else if (v <= UINT16_MAX)
        write_put_head(b, 0xcd, v, 2);
    else if (v <= UINT32_MAX)
        write_put_head(b, 0xce, v, 4);
    else
        write_put_head(b, 0xcf, v, 8);
}

void rpc_put_int(struct buf *b, int64_t v)
{
    uint64_t bits = (uint64_t)v;
    if (v >= 0)
        rpc_put_uint(b, bits);
    else if (v >= -32)
        buf_put_u8(b, (uint8_t)bits);
    else if (v >= INT8_MIN)
        write_put_head(b, 0xd0, bits, 1);
    else if (v >= INT16_MIN)
        write_put_head(b, 0xd1, bits, 2);
    else if (v >= INT32_MIN)
        write_put_head(b, 0xd2, bits, 4);
    else
        write_put_head(b, 0xd3, bits, 8);
}

void rpc_put_double(struct buf *b, double v)
{
    uint64_t bits;
    static_assert(sizeof bits == sizeof v, "IEEE 754 doubles");
    memcpy(&bits, &v, sizeof bits);
    write_put_head(b, 0xcb, bits, 8);
}

void rpc_put_str(struct buf *b, struct slice s)
{
    write_put_length(b, s.len, 31, 0xa0, 0xd9, 0xda);
    buf_put_slice(b, s);
}

void rpc_put_bin_head(struct buf *b, size_t n) { write_put_length(b, n, 0, 0, 0xc4, 0xc5); }

void rpc_put_bin(struct buf *b, struct slice s)
{
    rpc_put_bin_head(b, s.len);
    buf_put_slice(b, s);
}

void rpc_put_list(struct buf *b, size_t n) { write_put_length(b, n, 15, 0x90, 0, 0xdc); }

void rpc_put_map(struct buf *b, size_t pairs) { write_put_length(b, pairs, 15, 0x80, 0, 0xde); }

void rpc_put_request(struct buf *b, uint64_t id, const char *method)
{
    rpc_put_list(b, 4);
    rpc_put_uint(b, RPC_REQUEST);
    rpc_put_uint(b, id);
    rpc_put_str(b, slice_str(method));
}

void rpc_put_notify(struct buf *b, const char *method)
{
    rpc_put_list(b, 3);
    rpc_put_uint(b, RPC_NOTIFY);
    rpc_put_str(b, slice_str(method));
}

static void write_put_response(struct buf *b, uint64_t id)
{
    rpc_put_list(b, 4);
    rpc_put_uint(b, RPC_RESPONSE);
    rpc_put_uint(b, id);
}

void rpc_put_result(struct buf *b, uint64_t id)
{
    write_put_response(b, id);
    rpc_put_nil(b);
}

static void write_put_error_pair(struct buf *b, const char *code, struct slice text)
{
    rpc_put_list(b, 2);
    rpc_put_str(b, slice_str(code));
    rpc_put_str(b, text);
}

void rpc_put_error(struct buf *b, uint64_t id, const char *code, struct slice text)
{
    write_put_response(b, id);
    write_put_error_pair(b, code, text);
    rpc_put_nil(b);
}

/* One token; the values of a container are the next tokens. */
static void write_put_token(struct buf *b, const struct token *t)
{
    switch (t->kind) {
    case TOK_NULL: rpc_put_nil(b); break;
    case TOK_OK: rpc_put_str(b, SLICE_LIT("OK")); break;
    case TOK_INT: rpc_put_int(b, t->n); break;
    case TOK_BOOL: rpc_put_bool(b, t->n != 0); break;
    case TOK_DOUBLE: rpc_put_double(b, t->d); break;
    case TOK_BULK:
        if (!text_utf8_ok(t->bytes)) {
            rpc_put_bin(b, t->bytes);
            break;
        }
        /* fall through */
    case TOK_SIMPLE:
    case TOK_TEXT: rpc_put_str(b, t->bytes); break;
    case TOK_ARRAY:
    case TOK_PUSH: rpc_put_list(b, (size_t)t->n); break;
    case TOK_MAP: rpc_put_map(b, (size_t)t->n); break;
    case TOK_MESSAGE: rpc_put_map(b, 4); break;
    case TOK_ERROR: write_put_error_pair(b, status_code(t->status), t->bytes); break;
    case TOK_COUNT: /* not a token */ break;
    }
}

static void write_put_value(struct buf *b, struct cursor *c, unsigned depth);

static void write_put_message(struct buf *b, struct cursor *c, unsigned depth)
{
    struct token body;
    rpc_put_str(b, SLICE_LIT("id"));
    write_put_value(b, c, depth);
    rpc_put_str(b, SLICE_LIT("body"));
    bool whole = reply_next(c, &body);
    assert(whole && (body.kind == TOK_BULK || body.kind == TOK_NULL));
    if (body.kind == TOK_BULK)
        rpc_put_bin(b, body.bytes);
    else
        write_put_token(b, &body);
    rpc_put_str(b, SLICE_LIT("attributes"));
    write_put_value(b, c, depth);
    rpc_put_str(b, SLICE_LIT("properties"));
    write_put_value(b, c, depth);
}

/* A value whose first token, t, was read already; the rest of it is at c. */
static void write_put_begun(struct buf *b, struct cursor *c, const struct token *t, unsigned depth)
{
    assert(depth < REPLY_DEPTH_MAX);
    write_put_token(b, t);
    if (t->kind == TOK_MESSAGE) {
        write_put_message(b, c, depth + 1);
        return;
    }
    bool list = t->kind == TOK_ARRAY || t->kind == TOK_PUSH;
    int64_t values = list ? t->n : t->kind == TOK_MAP ? 2 * t->n : 0;
    for (int64_t i = 0; i < values; i++)
        write_put_value(b, c, depth + 1);
}

static void write_put_value(struct buf *b, struct cursor *c, unsigned depth)
{
    struct token t;
    bool whole = reply_next(c, &t);
    assert(whole);
    write_put_begun(b, c, &t, depth);
}

void rpc_write_value(struct buf *b, struct slice reply)
{
    struct cursor c = cursor_of(reply);
    write_put_value(b, &c, 0);
    assert(!c.bad && cursor_left(&c) == 0);
}

void rpc_write_response(struct buf *b, uint64_t id, struct slice reply)
{
    struct cursor c = cursor_of(reply);
    struct token t;
    bool whole = reply_next(&c, &t);
    assert(whole);
    if (t.kind == TOK_ERROR) {
        rpc_put_error(b, id, status_code(t.status), t.bytes);
        return;
    }
    rpc_put_result(b, id);
    write_put_begun(b, &c, &t, 0);
    assert(!c.bad && cursor_left(&c) == 0);
}

/* Token by token, as a piece may end amid a container: its values follow in the next piece. Only a message is whole. */
static void write_put_piece(struct buf *b, struct slice piece)
{
    struct cursor c = cursor_of(piece);
    while (cursor_left(&c)) {
        struct token t;
        if (*c.at != TOK_ARRAY && *c.at != TOK_MAP) {
            write_put_value(b, &c, 1);
            continue;
        }
        bool whole = reply_next(&c, &t);
        assert(whole);
        if (t.kind == TOK_ARRAY) /* not write_put_token: with one caller it is inlined, which is felt */
            rpc_put_list(b, (size_t)t.n);
        else
            rpc_put_map(b, (size_t)t.n);
    }
    assert(!c.bad);
}

void rpc_write_first(struct buf *b, uint64_t id, struct slice piece)
{
    rpc_put_result(b, id);
    write_put_piece(b, piece);
}

void rpc_write_more(struct buf *b, struct slice piece)
{
    write_put_piece(b, piece);
}
