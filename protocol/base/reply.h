/*
 * reply.h: an answer, whatever dialect it will be spoken in.
 *
 * apply and query write a *token stream*; the connection's codec turns it into RESP2, RESP3 or
 * MessagePack. Containers announce how many values follow (a map: how many pairs), as RESP does.
 *
 *   token    u8 kind, then:  NULL, OK            nothing
 *            INT i64 LE · BOOL u8 · DOUBLE 8 bytes
 *            SIMPLE BULK TEXT sized   (status word · bytes · text for a person, RESP3 verbatim)
 *            ARRAY MAP PUSH varint n
 *            ERROR u8 status, sized text
 *            MESSAGE  then exactly four values: id, body, attributes (map), properties (map);
 *                     RESP: an array of four, RPC: the map id body attributes properties
 *
 * Invariant: a finished reply holds exactly one value with all its parts.
 */
#ifndef HALFMQ_PROTOCOL_REPLY_H
#define HALFMQ_PROTOCOL_REPLY_H

#include "protocol/base/buf.h"
#include "protocol/status.h"

enum token_kind {
    TOK_NULL,
    TOK_OK,
    TOK_INT,
    TOK_BOOL,
    TOK_DOUBLE,
    TOK_SIMPLE,
    TOK_BULK,
    TOK_TEXT,
    TOK_ARRAY,
    TOK_MAP,
    TOK_PUSH,
    TOK_ERROR,
    TOK_MESSAGE,
    TOK_COUNT
};

struct token {
    enum token_kind kind;
    enum status status; /* ERROR */
    int64_t n;          /* INT, BOOL, ARRAY, MAP, PUSH */
    double d;
    struct slice bytes; /* SIMPLE BULK TEXT ERROR; borrowed from the stream */
};

void reply_null(struct buf *r);
void reply_ok(struct buf *r);
void reply_int(struct buf *r, int64_t v);
void reply_bool(struct buf *r, bool v);
void reply_double(struct buf *r, double v);
void reply_simple(struct buf *r, const char *word);
void reply_bulk(struct buf *r, struct slice bytes);
void reply_bulk_str(struct buf *r, const char *text);
void reply_bulk_uint(struct buf *r, uint64_t v); /* an id as a decimal bulk string */
void reply_text(struct buf *r, struct slice text);
void reply_array(struct buf *r, size_t n);
void reply_map(struct buf *r, size_t pairs);
void reply_push(struct buf *r, size_t n);
void reply_message(struct buf *r); /* four values follow */
void reply_id(struct buf *r, struct slice topic, uint32_t queue, uint64_t offset);
void reply_receipt(struct buf *r, struct slice topic, uint32_t queue, uint64_t offset, uint32_t attempt);

void reply_token(struct buf *r, uint64_t token);

/* A name and its value, for maps. */
void reply_field_int(struct buf *r, const char *name, int64_t v);
void reply_field_bytes(struct buf *r, const char *name, struct slice v);

/* r holds one map: raises its count by so many pairs, which the caller appends. The sum must be below 128, so that the
 * count stays one byte and nothing has to move. */
void reply_map_more(struct buf *r, size_t pairs);

/* Throws away what the buffer holds and leaves just this error. text NULL: the status' own. Line
 * breaks and control bytes in the formatted text become blanks. */
void reply_error(struct buf *r, enum status s, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The next token; false at the end or on damage (c->bad). */
bool reply_next(struct cursor *c, struct token *ret_t);

/* True where the reply is an error; *ret_status (may be NULL) says which. */
bool reply_is_error(struct slice reply, enum status *ret_status);

#endif
