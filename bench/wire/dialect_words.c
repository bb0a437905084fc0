/* dialect_words.c: writes RESP requests and reads RESP replies. */
#include "bench/wire/dialect_words.h"

#include <stdio.h>

#include "bench/wire/speech.h"

void words_begin(struct buf *out, size_t n)
{
    buf_put_str(out, "*");
    buf_put_uint(out, n);
    buf_put_str(out, "\r\n");
}

void words_put(struct buf *out, struct slice word)
{
    buf_put_str(out, "$");
    buf_put_uint(out, word.len);
    buf_put_str(out, "\r\n");
    buf_put_slice(out, word);
    buf_put_str(out, "\r\n");
}

void words_put_str(struct buf *out, const char *word)
{
    words_put(out, slice_str(word));
}

void words_put_int(struct buf *out, int64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)n);
    words_put(out, slice_of(digits, (size_t)len));
}

enum status words_next(struct speech *s, struct slice input, struct answer *ret_answer,
                       size_t *ret_used)
{
    struct answer a = {.kind = ANSWER_DONE};
    struct walk_piece first;
    bool damaged;
    size_t len;
    enum status st = walk_value(&s->walk, walk_resp, input, &len);
    if (st != ST_OK)
        return st;
    a.result = slice_of(input.data, len);
    struct cursor c = cursor_of(a.result);
    if (!walk_resp(&c, &first, &damaged) || !speech_tag(s, &a.tag))
        return ST_BAD;
    if (first.kind == PIECE_ERROR) {
        a.kind = ANSWER_REFUSED;
        a.text = first.bytes;
        a.busy = speech_busy(a.text);
    }
    *ret_answer = a;
    *ret_used = len;
    return ST_OK;
}

bool words_number(struct slice result, int64_t *ret_n)
{
    struct cursor c = cursor_of(result);
    struct walk_piece p;
    if (!walk_expect(&c, walk_resp, PIECE_INT, &p))
        return false;
    *ret_n = p.n;
    return true;
}

bool words_bytes(struct slice result, struct slice *ret_bytes)
{
    struct cursor c = cursor_of(result);
    struct walk_piece p;
    if (!walk_expect(&c, walk_resp, PIECE_BYTES, &p))
        return false;
    *ret_bytes = p.bytes;
    return true;
}
