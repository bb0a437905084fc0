/*
 * match.h: does a reply look as the transcript says? Patterns and variables.
 *
 *   OK PONG          a simple string              -STALE text      an error; its text holds "text"
 *   3  >=3  <=3      an integer                   "a\r\n\x00"      a bulk string (or RESP3 text)
 *   "a"*  *"a"  *"a"*  begins, ends, holds        null true 1.5    as they are
 *   _ _i _s          no error, an integer, a bulk  $x               captures, or equals what x holds
 *   [p, p, ...]      an array; a last ... stands for any more      set[p, p]  the same in any order
 *   {"k": p, ...}    a map in any order; in RESP2 the flat array   push[p, p] a push; in RESP2 an array
 *   ${x}             inside quotes, and in what is sent: the text of x
 */
#ifndef HALFMQ_TESTS_MATCH_H
#define HALFMQ_TESTS_MATCH_H

#include "tests/lib/resp_value.h"

#define VARS_MAX 64

struct vars {
    struct {
        char name[32];
        char text[512];
    } var[VARS_MAX];
    size_t n;
};

/* The text of a variable, or NULL. */
const char *vars_get(const struct vars *v, const char *name, size_t len);

/* line with each ${x} replaced, into out. False: a variable is unknown, or out is too small. */
bool vars_fill(const struct vars *v, const char *line, char *out, size_t out_size);

/* True where the value fits; captures go into vars. version: 2 or 3, how maps and pushes look. A
 * pattern that is malformed fits nothing, and why (if not NULL) says so. */
bool match(const char *pattern, const struct resp_value *value, int version, struct vars *vars,
           const char **ret_why);

/* Reads one word as the contract's inline requests have it: bare, "double" with escapes, or 'single'.
 * Gives its bytes in out (which holds out_size) and moves *at behind it. False: no more words, or (with
 * *at not at the end) a quote that is not closed. */
bool word_read(const char **at, char *out, size_t out_size, size_t *ret_len);

#endif
