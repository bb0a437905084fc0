/* walk.c: walks over RESP and MessagePack, value by value. */
#include "bench/wire/walk.h"

#include "protocol/base/text.h"
#include "protocol/limits.h"

#define OWED_MAX (UINT64_C(1) << 32) /* a head that announces more values is damaged */

enum status walk_value(struct walk *w, walk_fn step, struct slice input, size_t *ret_len)
{
    struct cursor c = cursor_of(input);
    struct walk_piece piece;
    bool damaged = false;
    if (w->owed == 0)
        *w = (struct walk){0, 1};
    if (w->at > input.len)
        return ST_MORE;
    c.at += w->at;
    while (w->owed > 0) {
        if (!step(&c, &piece, &damaged))
            return damaged ? ST_BAD : ST_MORE;
        w->owed += (piece.kind == PIECE_LIST ? (uint64_t)piece.n : 0);
        w->owed--;
        w->at = (size_t)(c.at - input.data);
        if (w->owed > OWED_MAX)
            return ST_BAD;
    }
    *ret_len = w->at;
    w->at = 0;
    return ST_OK;
}

bool walk_over(struct cursor *c, walk_fn step)
{
    struct walk_piece piece;
    bool damaged = false;
    for (uint64_t owed = 1; owed > 0; owed--) {
        if (!step(c, &piece, &damaged))
            return false;
        owed += piece.kind == PIECE_LIST ? (uint64_t)piece.n : 0;
    }
    return true;
}

bool walk_expect(struct cursor *c, walk_fn step, enum piece_kind kind, struct walk_piece *ret_piece)
{
    struct walk_piece piece;
    bool damaged = false;
    if (!step(c, &piece, &damaged) || piece.kind != kind)
        return false;
    *ret_piece = piece;
    return true;
}

/* ---- MessagePack ---- */

static uint64_t walk_big_endian(struct cursor *c, unsigned bytes)
{
    struct slice s = cursor_bytes(c, bytes);
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++)
        v = v << 8 | s.data[i];
    return v;
}

static bool walk_bytes_of(struct cursor *c, struct walk_piece *p, uint64_t len)
{
    p->kind = PIECE_BYTES;
    if (c->bad || len > cursor_left(c))
        c->bad = true;
    else
        p->bytes = cursor_bytes(c, (size_t)len);
    return !c->bad;
}

static bool walk_list_of(struct cursor *c, struct walk_piece *p, uint64_t n)
{
    p->kind = PIECE_LIST;
    p->n = (int64_t)n;
    return !c->bad;
}

static bool walk_skipped(struct cursor *c, struct walk_piece *p, uint64_t len)
{
    p->kind = PIECE_OTHER;
    walk_bytes_of(c, &(struct walk_piece){0}, len);
    return !c->bad;
}

static bool walk_int_of(struct cursor *c, struct walk_piece *p, unsigned bytes, bool is_signed)
{
    uint64_t v = walk_big_endian(c, bytes);
    unsigned unused = 64 - 8 * bytes;
    p->kind = PIECE_INT;
    p->n = is_signed ? (int64_t)(v << unused) >> unused : (int64_t)v;
    return !c->bad;
}

/* A value whose first byte is 0xc0..0xdf: the byte gives its kind, and how many bytes its length or number has. */
static bool walk_long_form(struct cursor *c, uint8_t first, struct walk_piece *p, bool *ret_damaged)
{
    switch (first) {
    case 0xc0: p->kind = PIECE_NIL; return true;
    case 0xc2:
    case 0xc3:
        p->kind = PIECE_OTHER;
        p->n = first & 1;
        return true;
    case 0xc4:
    case 0xd9: return walk_bytes_of(c, p, walk_big_endian(c, 1));
    case 0xc5:
    case 0xda: return walk_bytes_of(c, p, walk_big_endian(c, 2));
    case 0xc6:
    case 0xdb: return walk_bytes_of(c, p, walk_big_endian(c, 4));
    case 0xc7:
    case 0xc8:
    case 0xc9: return walk_skipped(c, p, walk_big_endian(c, 1u << (first - 0xc7)) + 1);
    case 0xca: return walk_skipped(c, p, 4);
    case 0xcb: return walk_skipped(c, p, 8);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf: return walk_int_of(c, p, 1u << (first - 0xcc), false);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3: return walk_int_of(c, p, 1u << (first - 0xd0), true);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8: return walk_skipped(c, p, (1u << (first - 0xd4)) + 1u);
    case 0xdc: return walk_list_of(c, p, walk_big_endian(c, 2));
    case 0xdd: return walk_list_of(c, p, walk_big_endian(c, 4));
    case 0xde: return walk_list_of(c, p, 2 * walk_big_endian(c, 2));
    case 0xdf: return walk_list_of(c, p, 2 * walk_big_endian(c, 4));
    default: *ret_damaged = true; return false;
    }
}

bool walk_msgpack(struct cursor *c, struct walk_piece *ret_piece, bool *ret_damaged)
{
    uint8_t first = cursor_u8(c);
    *ret_piece = (struct walk_piece){0};
    if (c->bad)
        return false;
    if (first < 0x80 || first >= 0xe0) {
        ret_piece->kind = PIECE_INT;
        ret_piece->n = first < 0x80 ? first : first - 0x100;
        return true;
    }
    if (first < 0x90)
        return walk_list_of(c, ret_piece, 2u * (first & 0x0f));
    if (first < 0xa0)
        return walk_list_of(c, ret_piece, first & 0x0f);
    if (first < 0xc0)
        return walk_bytes_of(c, ret_piece, first & 0x1f);
    return walk_long_form(c, first, ret_piece, ret_damaged);
}

/* ---- RESP ---- */

/* The line up to CR LF. */
static bool walk_line_of(struct cursor *c, struct slice *ret_line)
{
    const uint8_t *end = memchr(c->at, '\n', cursor_left(c));
    if (!end || end == c->at || end[-1] != '\r') {
        c->bad = true;
        return false;
    }
    struct slice whole = cursor_bytes(c, (size_t)(end - c->at) + 1);
    *ret_line = slice_of(whole.data, whole.len - 2);
    return true;
}

static bool walk_bulk_of(struct cursor *c, struct walk_piece *p, int64_t len)
{
    if (len < 0) {
        p->kind = PIECE_NIL;
        return true;
    }
    if ((uint64_t)len + 2 > cursor_left(c)) {
        c->bad = true;
        return false;
    }
    walk_bytes_of(c, p, (uint64_t)len);
    cursor_bytes(c, 2);
    return !c->bad;
}

static bool walk_resp_list(struct walk_piece *p, int64_t n)
{
    p->kind = n < 0 ? PIECE_NIL : PIECE_LIST;
    p->n = n < 0 ? 0 : n;
    return true;
}

bool walk_resp(struct cursor *c, struct walk_piece *ret_piece, bool *ret_damaged)
{
    struct slice line;
    int64_t n = 0;
    *ret_piece = (struct walk_piece){0};
    if (c->bad || cursor_left(c) == 0) {
        c->bad = true;
        return false;
    }
    uint8_t first = *c->at;
    if (!walk_line_of(c, &line))
        return false;
    ret_piece->bytes = slice_of(line.data + 1, line.len - 1);
    switch (first) {
    case '+': ret_piece->kind = PIECE_WORD; return true;
    case '-': ret_piece->kind = PIECE_ERROR; return true;
    default: break;
    }
    if (!text_int(ret_piece->bytes, &n) || n > REPLY_BYTES_MAX) {
        *ret_damaged = first != ':';
        ret_piece->kind = PIECE_OTHER;
        return first == ':';
    }
    ret_piece->bytes = slice_of(NULL, 0);
    switch (first) {
    case ':':
        ret_piece->kind = PIECE_INT;
        ret_piece->n = n;
        return true;
    case '$': return walk_bulk_of(c, ret_piece, n);
    case '*': return walk_resp_list(ret_piece, n);
    default: *ret_damaged = true; return false;
    }
}
