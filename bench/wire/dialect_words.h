/*
 * dialect_words.h: what the two RESP dialects share: requests as lists of words, and reading replies.
 */
#ifndef HALFMQ_BENCH_DIALECT_WORDS_H
#define HALFMQ_BENCH_DIALECT_WORDS_H

#include "bench/wire/dialect.h"

/* Begins a request of n words; then put one word after the other. */
void words_begin(struct buf *out, size_t n);
void words_put(struct buf *out, struct slice word);
void words_put_str(struct buf *out, const char *word);
void words_put_int(struct buf *out, int64_t n);

/* The members of struct wire_dialect of the same names. */
enum status words_next(struct speech *s, struct slice input, struct answer *ret_answer,
                       size_t *ret_used);
bool words_number(struct slice result, int64_t *ret_n);
bool words_bytes(struct slice result, struct slice *ret_bytes);

#endif
