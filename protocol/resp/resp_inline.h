/*
 * resp_inline.h: inline request lines, split into words; private to the RESP reader.
 */
#ifndef HALFMQ_PROTOCOL_RESP_INLINE_H
#define HALFMQ_PROTOCOL_RESP_INLINE_H

#include "protocol/resp/resp.h"

/* Doubles the reader's word list; false when there is no memory (the list is then as it was). */
bool resp_words_grow(struct resp_reader *r);

static inline bool resp_words_add(struct resp_reader *r, struct slice word)
{
    if (r->n_words == r->words_size && !resp_words_grow(r))
        return false;
    r->words[r->n_words++] = word;
    return true;
}

/*
 * Splits a line (without its line end, at most INLINE_BYTES_MAX bytes) into r->words. Words without
 * quotes point into the line, the others into r->text. No words: a blank line.
 * ST_BAD where quotes are unbalanced, ST_NOMEM where there is no memory.
 */
enum status resp_inline_split(struct resp_reader *r, struct slice line) MUST_CHECK;

#endif
