/*
 * resp_read.c: requests out of a stream of bytes.
 *
 *              '*' count                 '$' length             body CR LF
 *   AT_START ─────────────► AT_HEAD ─────────────► AT_BODY ───────────────► AT_HEAD ... request
 *      │ any other byte        │ over max_bulk, or the request grows too large: ST_TOOBIG
 *      └─► a line ─► request   ▼
 *                          SKIP_BODY ─► SKIP_END ─► SKIP_HEAD ─► SKIP_BODY ... ─► AT_START
 *
 * The caller keeps the bytes of an unfinished request and passes them again; `at` says how many of them were parsed, so
 * nothing but an unfinished header of at most 32 bytes is read twice. While a request is skipped, its bytes are reported
 * as used at once, so that the caller keeps none of them.
 *
 * Invariants: at <= length of the input; words hold offsets from the start of the request until it is whole, then
 * pointers; a request that is returned is at most max_request bytes long, headers included. The result depends on
 * the bytes only, not on how they were split into reads.
 *
 * Inside this file ST_GONE means that bytes were used up and held no request: go on with the next ones.
 */
#include "protocol/resp/resp.h"

#include "protocol/resp/resp_http.h"
#include "protocol/resp/resp_inline.h"
#include "protocol/base/text.h"

#include <stdio.h>
#include <stdlib.h>

#define BULK_BYTES_MAX  MIB(512) /* a longer one is not skipped: the client is broken */
#define COUNT_BYTES_MAX 30       /* of a header's 32: the marker and the LF are not counted */
#define COUNT_SATURATED (1LL << 50)
#define WORDS_KEEP      1024 /* a longer word list is given back before the next request */

enum resp_state { AT_START, AT_HEAD, AT_BODY, SKIP_BODY, SKIP_END, SKIP_HEAD };

struct error_text {
    char *text;
    size_t size;
};

#define BAD(say, ...) (snprintf((say)->text, (say)->size, "Protocol error: " __VA_ARGS__), ST_BAD)

void resp_reader_init(struct resp_reader *r, size_t max_bulk)
{
    *r = (struct resp_reader){.max_bulk = max_bulk, .max_request = REQUEST_BYTES_MAX, .state = AT_START};
    buf_init(&r->text, INLINE_BYTES_MAX + 1);
}

void resp_reader_free(struct resp_reader *r)
{
    if (!r)
        return;
    size_t max_request = r->max_request;
    free(r->words);
    buf_free(&r->text);
    resp_reader_init(r, r->max_bulk);
    r->max_request = max_request;
}

/* A request of very many words is rare: its list is not kept for the rest of the connection. */
void resp_reader_rest(struct resp_reader *r)
{
    if (r->words_size <= WORDS_KEEP || r->state != AT_START)
        return;
    free(r->words);
    r->words = NULL;
    r->words_size = r->n_words = 0;
}

/*
 * The number of a header whose marker lies before c->at, with the CR LF behind it. Numbers too
 * large for any use come out as COUNT_SATURATED. ST_BAD: not a number; c moves on success only.
 */
static inline enum status read_count(struct cursor *c, int64_t *ret_n)
{
    const uint8_t *at = c->at;
    size_t left = cursor_left(c);
    const uint8_t *stop = left > COUNT_BYTES_MAX ? at + COUNT_BYTES_MAX : c->end;
    bool minus = at < stop && *at == '-';
    at += minus;
    const uint8_t *digits = at;
    int64_t n = 0;
    for (; at < stop && *at >= '0' && *at <= '9'; at++)
        n = n < COUNT_SATURATED ? n * 10 + (*at - '0') : COUNT_SATURATED;
    if (at == stop)
        return left < COUNT_BYTES_MAX ? ST_MORE : ST_BAD;
    if (*at != '\r' || at == digits)
        return ST_BAD;
    if (at + 1 == c->end)
        return ST_MORE;
    if (at[1] != '\n')
        return ST_BAD;
    c->at = at + 2;
    *ret_n = minus ? -n : n;
    return ST_OK;
}

static enum status read_array_header(struct resp_reader *r, struct cursor *c,
                                     const struct error_text *say)
{
    int64_t n = 0;
    c->at++;
    enum status s = read_count(c, &n);
    if (s == ST_MORE)
        return ST_MORE;
    if (s != ST_OK || n > REQUEST_WORDS_MAX)
        return BAD(say, "invalid multibulk length");
    if (n <= 0)
        return ST_GONE;
    r->left = (uint32_t)n;
    r->n_words = 0;
    r->state = AT_HEAD;
    return ST_OK;
}

/* '$' and a length that is not beyond all bounds. */
static inline enum status read_bulk_header(struct cursor *c, const struct error_text *say,
                                           size_t *ret_bulk)
{
    if (c->at == c->end)
        return ST_MORE;
    if (*c->at != '$') {
        char got[8];
        text_quote(slice_of(c->at, 1), 1, got, sizeof got);
        return BAD(say, "expected '$', got '%s'", got);
    }
    struct cursor number = {c->at + 1, c->end, false};
    int64_t n = 0;
    enum status s = read_count(&number, &n);
    if (s == ST_MORE)
        return ST_MORE;
    if (s != ST_OK || n < 0 || n > BULK_BYTES_MAX)
        return BAD(say, "invalid bulk length");
    c->at = number.at;
    *ret_bulk = (size_t)n;
    return ST_OK;
}

/* The word just announced is over a bound: from here on the request is skipped. */
static enum status read_begin_skip(struct resp_reader *r, size_t bulk, size_t bytes_before,
                                   const struct error_text *say)
{
    if (bulk > r->max_bulk)
        snprintf(say->text, say->size,
                 "a word of %zu bytes is over the limit of %zu bytes: send less, or raise "
                 "max_message_bytes",
                 bulk, r->max_bulk);
    else
        snprintf(say->text, say->size,
                 "a request of at least %zu bytes is over the limit of %zu bytes: split it up",
                 bytes_before + bulk + 2, r->max_request);
    r->state = bulk ? SKIP_BODY : SKIP_END;
    r->skip = bulk;
    r->left--;
    r->at = 0;
    return ST_TOOBIG;
}

/* The words of an array, from where the last call stopped. */
static enum status read_words(struct resp_reader *r, struct slice in, const struct error_text *say,
                              size_t *ret_used)
{
    struct cursor c = {in.data + r->at, in.data + in.len, false};
    while (r->left) {
        if (r->state == AT_HEAD) {
            enum status s = read_bulk_header(&c, say, &r->bulk);
            if (s != ST_OK)
                return s;
            r->at = (size_t)(c.at - in.data);
            if (r->bulk > r->max_bulk || r->at + r->bulk + 2 > r->max_request) {
                *ret_used = r->at;
                return read_begin_skip(r, r->bulk, r->at, say);
            }
            r->state = AT_BODY;
        }
        if (cursor_left(&c) < r->bulk + 2)
            return ST_MORE;
        if (c.at[r->bulk] != '\r' || c.at[r->bulk + 1] != '\n')
            return BAD(say, "expected CRLF after a bulk of %zu bytes", r->bulk);
        if (!resp_words_add(r, slice_of((const void *)r->at, r->bulk)))
            return ST_NOMEM;
        c.at += r->bulk + 2;
        r->at += r->bulk + 2;
        r->left--;
        r->state = AT_HEAD;
    }
    for (uint32_t i = 0; i < r->n_words; i++)
        r->words[i].data = in.data + (uintptr_t)r->words[i].data;
    *ret_used = r->at;
    r->state = AT_START;
    r->at = 0;
    return ST_OK;
}

static enum status read_line(struct resp_reader *r, struct slice in, const struct error_text *say,
                             size_t *ret_used)
{
    size_t seen = in.len > INLINE_BYTES_MAX ? INLINE_BYTES_MAX + 1 : in.len;
    const uint8_t *lf = memchr(in.data + r->at, '\n', seen - r->at);
    if (!lf) {
        r->at = seen;
        return seen > INLINE_BYTES_MAX ? BAD(say, "too big inline request") : ST_MORE;
    }
    size_t bytes = (size_t)(lf - in.data);
    r->at = 0;
    *ret_used = bytes + 1;
    if (bytes && in.data[bytes - 1] == '\r')
        bytes--;
    if (resp_line_is_http(slice_of(in.data, bytes)))
        return BAD(say, "this is not the HTTP port: HTTP is spoken on the port of the setting http_port (default 4280)");
    enum status s = resp_inline_split(r, slice_of(in.data, bytes));
    if (s == ST_BAD)
        return BAD(say, "unbalanced quotes in request");
    return s == ST_OK && r->n_words == 0 ? ST_GONE : s;
}

static enum status read_request(struct resp_reader *r, struct slice in,
                                const struct error_text *say, size_t *ret_used)
{
    if (r->state == AT_START) {
        if (*in.data != '*')
            return read_line(r, in, say, ret_used);
        struct cursor c = cursor_of(in);
        enum status s = read_array_header(r, &c, say);
        if (s == ST_GONE)
            *ret_used = (size_t)(c.at - in.data);
        if (s != ST_OK)
            return s;
        r->at = (size_t)(c.at - in.data);
    }
    return read_words(r, in, say, ret_used);
}

/* One step through a request that is skipped. */
static enum status read_skip(struct resp_reader *r, struct slice in, const struct error_text *say,
                             size_t *ret_used)
{
    struct cursor c = cursor_of(in);
    if (r->state == SKIP_BODY) {
        size_t n = in.len < r->skip ? in.len : r->skip;
        r->skip -= n;
        c.at += n;
        if (r->skip == 0)
            r->state = SKIP_END;
    } else if (r->state == SKIP_END) {
        if (in.len < 2)
            return ST_MORE;
        if (in.data[0] != '\r' || in.data[1] != '\n')
            return BAD(say, "expected CRLF after a bulk");
        c.at += 2;
        r->state = r->left ? SKIP_HEAD : AT_START;
    } else {
        enum status s = read_bulk_header(&c, say, &r->skip);
        if (s != ST_OK)
            return s;
        r->left--;
        r->state = r->skip ? SKIP_BODY : SKIP_END;
    }
    *ret_used = (size_t)(c.at - in.data);
    return ST_GONE;
}

enum status resp_reader_next(struct resp_reader *r, struct slice input, struct slice **ret_words,
                             size_t *ret_n, size_t *ret_used, char *err, size_t err_size)
{
    const struct error_text say = {err, err_size};
    resp_reader_rest(r);
    size_t done = 0;
    enum status s = ST_GONE;
    while (s == ST_GONE && done < input.len) {
        struct slice in = slice_of(input.data + done, input.len - done);
        size_t used = 0;
        s = r->state < SKIP_BODY ? read_request(r, in, &say, &used) : read_skip(r, in, &say, &used);
        done += used;
    }
    if (s == ST_GONE)
        s = ST_MORE;
    if (s == ST_NOMEM)
        snprintf(err, err_size, "no memory for the words of the request: try again");
    if (s == ST_OK) {
        *ret_words = r->words;
        *ret_n = r->n_words;
    }
    if (s == ST_OK || s == ST_MORE || s == ST_TOOBIG)
        *ret_used = done;
    return s;
}

size_t resp_reader_needs(const struct resp_reader *r)
{
    return r->state == AT_BODY ? r->at + r->bulk + 2 : r->at;
}
