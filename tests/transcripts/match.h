/*
 * match.h: matches replies against the patterns of a transcript, with variables.
 *
 *   OK PONG          a simple string              -STALE text      an error; its text contains "text" (in a list:
 *                                                                  what comes before the next comma or bracket)
 *   3  >=3  <=3      an integer                   "a\r\n\x00"      a bulk string (or RESP3 text)
 *   "a"*  *"a"  *"a"*  starts, ends, contains     null true 1.5    as they are
 *   _ _i _s          no error, an integer, a bulk  $x               sets x; if x is set, equals it
 *   [p, p, ...]      an array; a last ... means any more items     set[p, p]  the same in any order
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

/* True if the value matches. Captured values go into vars. version is the RESP version of maps and pushes, 2
 * or 3. A malformed pattern never matches, and then why (if not NULL) says what is wrong with it. */
bool match(const char *pattern, const struct resp_value *value, int version, struct vars *vars,
           const char **ret_why);

/* Reads one word in the syntax of inline requests: bare, "double" with escapes, or 'single'. Writes its bytes
 * to out (out_size bytes) and moves *at behind it. False: there are no more words, or (if *at is not at the
 * end) a quote is not closed. */
bool word_read(const char **at, char *out, size_t out_size, size_t *ret_len);

#endif
