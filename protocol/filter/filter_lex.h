/*
 * filter_lex.h: an expression of FILTER WHERE, cut into tokens.
 *
 *   price >= 10 AND name LIKE 'a%'     price │ >= │ 10 │ AND │ name │ LIKE │ 'a%'
 *
 * A token points into the text; quotes are still around it, and doubled where they stand for one.
 */
#ifndef HALFMQ_PROTOCOL_FILTER_LEX_H
#define HALFMQ_PROTOCOL_FILTER_LEX_H

#include "protocol/base/complaint.h"
#include "protocol/base/slice.h"

enum filter_token_kind {
    TOKEN_END,
    TOKEN_NUMBER,
    TOKEN_TEXT,   /* 'text' */
    TOKEN_QUOTED, /* "name" */
    TOKEN_NAME,
    /* words that have a meaning, in any case */
    TOKEN_AND,
    TOKEN_OR,
    TOKEN_NOT,
    TOKEN_BETWEEN,
    TOKEN_IN,
    TOKEN_LIKE,
    TOKEN_ESCAPE,
    TOKEN_IS,
    TOKEN_NULL,
    TOKEN_TRUE,
    TOKEN_FALSE,
    TOKEN_EQUAL,
    TOKEN_UNEQUAL,
    TOKEN_LESS,
    TOKEN_LESS_EQUAL,
    TOKEN_MORE,
    TOKEN_MORE_EQUAL,
    TOKEN_PLUS,
    TOKEN_MINUS,
    TOKEN_TIMES,
    TOKEN_DIVIDE,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_COMMA
};

struct filter_token {
    enum filter_token_kind kind;
    struct slice text;
    size_t at; /* where it begins, in bytes */
};

struct filter_lexer {
    struct slice text;
    size_t at;
    struct complaint say;
};

/* The next token; at the end TOKEN_END, again and again. ST_ERR: none can begin there, and the lexer's complaint says
 * why. */
enum status filter_lex(struct filter_lexer *l, struct filter_token *ret_token) MUST_CHECK;

/* Complains about what is at that byte: "FILTER WHERE, at character 7: ...". Returns ST_ERR. */
enum status filter_lex_complain(const struct filter_lexer *l, size_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
