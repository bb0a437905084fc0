/*
 * resp.h: the text dialect, in and out. No sockets: feed bytes, get requests.
 *
 *   bytes ──► resp_reader_next ──► words (slices into the bytes)  ──► command_from_words
 *   reply tokens ──► resp_write ──► RESP2 / RESP3 bytes
 *
 * Requests are arrays of bulk strings, or inline lines (quotes and escapes as the contract says).
 * The reader keeps no copy: the caller holds the unread input in one piece and passes it again with
 * more bytes behind it after ST_MORE. Progress inside a request is remembered, so that a request that
 * comes a byte at a time costs linear time.
 *
 * A request over a bound is skipped as it comes, and none of it is kept; resp_read.c has the states.
 *
 * Bounds: limits.h, and max_bulk (the setting max_message_bytes + overhead). Nothing is allocated
 * for a declared length before the bytes are there.
 */
#ifndef HALFMQ_PROTOCOL_RESP_H
#define HALFMQ_PROTOCOL_RESP_H

#include "protocol/base/reply.h"
#include "protocol/limits.h"

struct resp_reader {
    size_t max_bulk;      /* a longer word: ST_TOOBIG, its request is skipped; over 512 MB: ST_BAD */
    size_t max_request;   /* REQUEST_BYTES_MAX or less; a longer request is skipped as a longer word is */
    uint32_t state;       /* private from here on */
    size_t at;            /* bytes of the current request that are parsed */
    uint32_t left;        /* words still to come */
    size_t bulk;          /* length of the word being read */
    size_t skip;          /* bytes to swallow */
    struct slice *words;  /* found so far; offsets until the request is whole */
    uint32_t n_words, words_size;
    struct buf text;      /* unescaped inline words */
};

void resp_reader_init(struct resp_reader *r, size_t max_bulk);
void resp_reader_free(struct resp_reader *r);

/* Between two requests: gives back the list of a request of very many words. The words returned last end with it. */
void resp_reader_rest(struct resp_reader *r);

/*
 * Looks for one whole request at the start of input.
 *   ST_OK      *ret_words, *ret_n (n >= 1) and *ret_used; the words point into input or into the
 *              reader and are good until the next call. Drop ret_used bytes before the next call.
 *   ST_MORE    *ret_used bytes (mostly 0: blank lines, a skipped body) are done with: drop them, then
 *              call again with the bytes that are left and more behind them. These are never more than
 *              REQUEST_BYTES_MAX + 32 bytes, as a request's bound counts its headers too.
 *   ST_TOOBIG  a word or the whole request is over its bound; err has the text; answer it, drop
 *              ret_used and go on: the next calls skip the rest of the request.
 *   ST_BAD     "Protocol error: ..." in err: answer -ERR with it and close.
 *   ST_NOMEM   no memory for the word list; err has a text. The next call tries again.
 */
enum status resp_reader_next(struct resp_reader *r, struct slice input, struct slice **ret_words,
                             size_t *ret_n, size_t *ret_used, char *err, size_t err_size) MUST_CHECK;

/* Bytes that the unfinished request is known to have at least. */
size_t resp_reader_needs(const struct resp_reader *r);

/* One finished reply as RESP bytes; version 2 or 3. Damaged tokens are an assertion: they are ours. */
void resp_write(struct buf *out, struct slice reply, int version);

#endif
