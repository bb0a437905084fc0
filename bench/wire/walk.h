/*
 * walk.h: finds where a value ends, in RESP and in MessagePack, and reads it piece by piece without
 * building anything.
 *
 *   owed    values announced and not walked over yet; begins at 1, a container adds its parts
 *   at      where the next one begins
 *
 * A walk goes on where it stopped when more bytes have come, so a large answer that trickles in
 * costs linear time. Depth needs no stack: it does not matter to whom an owed value belongs.
 */
#ifndef HALFMQ_BENCH_WALK_H
#define HALFMQ_BENCH_WALK_H

#include "protocol/base/slice.h"
#include "protocol/status.h"

enum piece_kind {
    PIECE_NIL,
    PIECE_INT,
    PIECE_BYTES,
    PIECE_WORD,
    PIECE_ERROR,
    PIECE_LIST,
    PIECE_OTHER
};

/* One value's head, and its bytes where it is a text. */
struct walk_piece {
    enum piece_kind kind;
    int64_t n; /* INT: the number; LIST: how many values follow (of a map both keys and values) */
    struct slice bytes; /* BYTES; WORD: +text; ERROR: without the '-' */
};

struct walk {
    size_t at;
    uint64_t owed; /* 0: a new value begins */
};

/* The next piece. False with c->bad: cut off, or (*ret_damaged) not of that dialect at all. */
bool walk_msgpack(struct cursor *c, struct walk_piece *ret_piece, bool *ret_damaged);
bool walk_resp(struct cursor *c, struct walk_piece *ret_piece, bool *ret_damaged);

typedef bool (*walk_fn)(struct cursor *c, struct walk_piece *ret_piece, bool *ret_damaged);

/* Looks for one whole value at the start of input, which is the same bytes as last time with more
 * behind them. ST_OK with *ret_len; ST_MORE; ST_BAD. */
enum status walk_value(struct walk *w, walk_fn step, struct slice input, size_t *ret_len);

/* Steps over one whole value (it is there). False: it is not. */
bool walk_over(struct cursor *c, walk_fn step);

/* The next piece, which must be of that kind. */
bool walk_expect(struct cursor *c, walk_fn step, enum piece_kind kind, struct walk_piece *ret_piece);

#endif
