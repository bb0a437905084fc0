/*
 * walk.h: finds where a value ends, in RESP and in MessagePack, and reads it piece by piece in place, without
 * allocating anything.
 *
 *   owed    values that were announced and not walked over yet; begins at 1, a container adds its parts
 *   at      where the next one begins
 *
 * When more bytes have arrived, a walk continues where it stopped, so a large answer that arrives in small parts takes
 * linear time. Nesting needs no stack: the walk need not know which container a value belongs to.
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

/* The head of a value, and the bytes of a text. */
struct walk_piece {
    enum piece_kind kind;
    int64_t n; /* INT: the number; LIST: how many values follow (of a map both keys and values) */
    struct slice bytes; /* BYTES; WORD: +text; ERROR: without the '-' */
};

struct walk {
    size_t at;
    uint64_t owed; /* 0: a new value begins */
};

/* Reads the next piece. False: c->bad is set because the input ends in it, or *ret_damaged because the input is not of
 * that dialect. */
bool walk_msgpack(struct cursor *c, struct walk_piece *ret_piece, bool *ret_damaged);
bool walk_resp(struct cursor *c, struct walk_piece *ret_piece, bool *ret_damaged);

typedef bool (*walk_fn)(struct cursor *c, struct walk_piece *ret_piece, bool *ret_damaged);

/* Looks for a complete value at the start of the input, which must be the same bytes as last time, perhaps with more
 * after them. ST_OK: it has *ret_len bytes. ST_MORE: it is not complete. ST_BAD: it is damaged. */
enum status walk_value(struct walk *w, walk_fn step, struct slice input, size_t *ret_len);

/* Steps over one value. False: it is not complete, or damaged. */
bool walk_over(struct cursor *c, walk_fn step);

/* Reads the next piece, which must be of that kind. */
bool walk_expect(struct cursor *c, walk_fn step, enum piece_kind kind, struct walk_piece *ret_piece);

#endif
