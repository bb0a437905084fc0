/* filter_lex.c: cuts an expression into tokens (filter_lex.h). */
#include "protocol/filter/filter_lex.h"

#include <stdarg.h>
#include <stdio.h>

#include "protocol/base/text.h"

static const struct {
    const char *word;
    enum filter_token_kind kind;
} lex_words[] = {
    {"AND", TOKEN_AND},       {"OR", TOKEN_OR},         {"NOT", TOKEN_NOT}, {"BETWEEN", TOKEN_BETWEEN},
    {"IN", TOKEN_IN},         {"LIKE", TOKEN_LIKE},     {"IS", TOKEN_IS},   {"ESCAPE", TOKEN_ESCAPE},
    {"NULL", TOKEN_NULL},     {"TRUE", TOKEN_TRUE},     {"FALSE", TOKEN_FALSE},
};

/* Longer ones first. */
static const struct {
    const char *sign;
    enum filter_token_kind kind;
} lex_signs[] = {
    {"<>", TOKEN_UNEQUAL}, {"!=", TOKEN_UNEQUAL}, {"<=", TOKEN_LESS_EQUAL}, {">=", TOKEN_MORE_EQUAL},
    {"<", TOKEN_LESS},     {">", TOKEN_MORE},     {"=", TOKEN_EQUAL},       {"+", TOKEN_PLUS},
    {"-", TOKEN_MINUS},    {"*", TOKEN_TIMES},    {"/", TOKEN_DIVIDE},      {"(", TOKEN_OPEN},
    {")", TOKEN_CLOSE},    {",", TOKEN_COMMA},
};

/* People count characters, from 1: the bytes that go on a UTF-8 character are none. */
static size_t lex_character(struct slice text, size_t at)
{
    size_t n = 1;
    for (size_t i = 0; i < at && i < text.len; i++)
        n += (text.data[i] & 0xc0) != 0x80;
    return n;
}

enum status filter_lex_complain(const struct filter_lexer *l, size_t at, const char *fmt, ...)
{
    char text[320];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return complain(l->say, ST_ERR, "FILTER WHERE, at character %zu: %s", lex_character(l->text, at), text);
}

static bool lex_is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

/* Names may hold letters of any language: all bytes behind ASCII count as letters. */
static bool lex_is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c >= 0x80;
}

static uint8_t lex_peek(const struct filter_lexer *l, size_t ahead)
{
    return l->text.len - l->at > ahead ? l->text.data[l->at + ahead] : 0;
}

static void lex_give(struct filter_lexer *l, enum filter_token_kind kind, size_t len, struct filter_token *t)
{
    *t = (struct filter_token){kind, slice_of(l->text.data + l->at, len), l->at};
    l->at += len;
}

/* Up to the closing quote; two of them are one in the text. */
static enum status lex_quoted(struct filter_lexer *l, uint8_t quote, struct filter_token *t)
{
    size_t i = l->at + 1;
    for (; i < l->text.len; i++) {
        if (l->text.data[i] != quote)
            continue;
        if (i + 1 >= l->text.len || l->text.data[i + 1] != quote)
            break;
        i++;
    }
    if (i >= l->text.len)
        return filter_lex_complain(l, l->at, quote == '"' ? "the name has no closing quote (\")"
                                                          : "the text has no closing quote (')");
    lex_give(l, quote == '"' ? TOKEN_QUOTED : TOKEN_TEXT, i + 1 - l->at, t);
    return ST_OK;
}

/* Digits, a point, an exponent: whether that is a number is found out when it is read. */
static enum status lex_number(struct filter_lexer *l, struct filter_token *t)
{
    size_t n = 0;
    while (lex_is_digit(lex_peek(l, n)) || lex_peek(l, n) == '.')
        n++;
    if (lex_peek(l, n) == 'e' || lex_peek(l, n) == 'E') {
        n++;
        n += lex_peek(l, n) == '+' || lex_peek(l, n) == '-';
    }
    while (lex_is_digit(lex_peek(l, n)) || lex_is_letter(lex_peek(l, n)) || lex_peek(l, n) == '.')
        n++;
    lex_give(l, TOKEN_NUMBER, n, t);
    return ST_OK;
}

static void lex_name(struct filter_lexer *l, struct filter_token *t)
{
    size_t n = 0;
    while (lex_is_letter(lex_peek(l, n)) || lex_is_digit(lex_peek(l, n)) || lex_peek(l, n) == '.')
        n++;
    lex_give(l, TOKEN_NAME, n, t);
    for (size_t i = 0; i < sizeof lex_words / sizeof *lex_words; i++) {
        if (slice_equal_nocase(t->text, slice_str(lex_words[i].word)))
            t->kind = lex_words[i].kind;
    }
}

static enum status lex_sign(struct filter_lexer *l, struct filter_token *t)
{
    for (size_t i = 0; i < sizeof lex_signs / sizeof *lex_signs; i++) {
        const char *sign = lex_signs[i].sign;
        if (lex_peek(l, 0) != (uint8_t)sign[0] || (sign[1] && lex_peek(l, 1) != (uint8_t)sign[1]))
            continue;
        lex_give(l, lex_signs[i].kind, sign[1] ? 2 : 1, t);
        return ST_OK;
    }
    char quoted[8];
    text_quote(slice_of(l->text.data + l->at, 1), 1, quoted, sizeof quoted);
    return filter_lex_complain(l, l->at, "'%s' has no meaning here", quoted);
}

enum status filter_lex(struct filter_lexer *l, struct filter_token *ret_token)
{
    while (l->at < l->text.len && memchr(" \t\r\n", l->text.data[l->at], 4))
        l->at++;
    if (l->at >= l->text.len) {
        *ret_token = (struct filter_token){.kind = TOKEN_END, .at = l->text.len};
        return ST_OK;
    }
    uint8_t c = lex_peek(l, 0);
    if (c == '\'' || c == '"')
        return lex_quoted(l, c, ret_token);
    if (lex_is_digit(c) || (c == '.' && lex_is_digit(lex_peek(l, 1))))
        return lex_number(l, ret_token);
    if (!lex_is_letter(c))
        return lex_sign(l, ret_token);
    lex_name(l, ret_token);
    return ST_OK;
}
