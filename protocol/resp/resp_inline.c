/*
 * resp_inline.c: splits a line that somebody typed into words.
 *
 *   SEND  orders  "a \"quoted\" word\n"  'it\'s'  back\slash
 *   └──┘  └────┘  └────────────────────┘ └─────┘  └────────┘
 *   as is         escapes are undone     only \'  as is
 *
 * A word without quotes is not copied: its slice points into the line. A quote begins a quoted part anywhere in a
 * word, so ab"c d" is the one word `abc d`; the quote that closes it must end the word. In double
 * quotes a backslash gives \n \r \t \a \b and \xHH their usual meaning and otherwise stands for the
 * byte behind it. Outside quotes it is a byte like any other.
 *
 * Invariant: undoing escapes never makes a line longer, so r->text gets room for the whole line
 * once and does not move while words point into it.
 *
 * A new escape is a line in `escapes` below.
 */
#include "protocol/resp/resp_inline.h"

#include <stdlib.h>

#define WORDS_FIRST 16
#define TEXT_KEEP   4096

static const uint8_t escapes[256] = {
    ['n'] = '\n', ['r'] = '\r', ['t'] = '\t', ['a'] = '\a', ['b'] = '\b',
};

bool resp_words_grow(struct resp_reader *r)
{
    uint32_t size = r->words_size ? r->words_size * 2 : WORDS_FIRST;
    struct slice *words = realloc(r->words, size * sizeof *words);
    if (!words)
        return false;
    r->words = words;
    r->words_size = size;
    return true;
}

static bool is_blank(uint8_t c) { return c == ' ' || c == '\t'; }

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The byte that the escape behind a backslash at c->at stands for; c moves past the escape. */
static uint8_t unescape(struct cursor *c)
{
    uint8_t letter = *c->at++;
    if (letter == 'x' && cursor_left(c) >= 2) {
        int high = hex_digit(c->at[0]), low = hex_digit(c->at[1]);
        if (high >= 0 && low >= 0) {
            c->at += 2;
            return (uint8_t)(high * 16 + low);
        }
    }
    return escapes[letter] ? escapes[letter] : letter;
}

/* Copies a quoted stretch up to its closing quote; c stands behind the opening one. */
static bool copy_quoted(struct cursor *c, uint8_t quote, struct buf *text)
{
    while (c->at < c->end) {
        uint8_t byte = *c->at++;
        if (byte == quote)
            return c->at == c->end || is_blank(*c->at);
        if (byte == '\\' && c->at < c->end) {
            if (quote == '"')
                byte = unescape(c);
            else if (*c->at == '\'')
                byte = *c->at++;
        }
        buf_put_u8(text, byte);
    }
    return false;
}

/* A word with quotes in it: start is where it begins, c stands on its first quote. */
static enum status split_quoted(struct resp_reader *r, struct cursor *c, const uint8_t *start,
                                struct slice *ret_word)
{
    size_t from = r->text.len;
    buf_put(&r->text, start, (size_t)(c->at - start));
    uint8_t quote = *c->at++;
    if (!copy_quoted(c, quote, &r->text))
        return ST_BAD;
    if (r->text.failed)
        return ST_NOMEM;
    *ret_word = slice_of(r->text.data + from, r->text.len - from);
    return ST_OK;
}

static enum status split_word(struct resp_reader *r, struct cursor *c, size_t line_bytes)
{
    const uint8_t *start = c->at;
    while (c->at < c->end && !is_blank(*c->at) && *c->at != '"' && *c->at != '\'')
        c->at++;
    struct slice word = slice_of(start, (size_t)(c->at - start));
    if (c->at < c->end && !is_blank(*c->at)) {
        if (r->text.len == 0 && !buf_room(&r->text, line_bytes))
            return ST_NOMEM;
        enum status s = split_quoted(r, c, start, &word);
        if (s != ST_OK)
            return s;
    }
    return resp_words_add(r, word) ? ST_OK : ST_NOMEM;
}

enum status resp_inline_split(struct resp_reader *r, struct slice line)
{
    r->n_words = 0;
    buf_reset(&r->text, TEXT_KEEP);
    struct cursor c = cursor_of(line);
    for (;;) {
        while (c.at < c.end && is_blank(*c.at))
            c.at++;
        if (c.at == c.end)
            return ST_OK;
        enum status s = split_word(r, &c, line.len);
        if (s != ST_OK)
            return s;
    }
}
