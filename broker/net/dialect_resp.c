/*
 * dialect_resp.c: the text dialect: words into commands, tokens into RESP bytes.
 */
#include "broker/net/conn_slice.h"

#define MANY_WORDS 64
#define ERROR_SIZE 512 /* only its first byte is cleared: all of it, twice a command, would be felt */

static const struct request dialect_plain = {0};

/* Parses one request and hands it to the session; a request that is wrong gets an error, and the connection goes on.
 * False: stop, because more bytes are needed, the connection ends, or c->stalled. */
static bool dialect_resp_step(struct conn *c, struct slice input, size_t *used)
{
    struct slice *words;
    struct command cmd;
    size_t n, eaten = 0;
    char err[ERROR_SIZE];
    err[0] = '\0';
    enum status s = resp_reader_next(&c->resp, input, &words, &n, &eaten, err, sizeof err);
    if (s == ST_OK) {
        c->skipping = false;
        if (n >= MANY_WORDS)
            conn_spend(c, (int64_t)n * WORD_NS);
        s = command_from_words(&c->loop->space, words, n, &cmd, err, sizeof err);
        cmd.client = c->id;
        if (s != ST_OK)
            conn_refuse_unknown(c, dialect_plain, s, err, words[0]);
        else if (!conn_run(c, &cmd, dialect_plain))
            return false;
        *used += eaten;
        return true;
    }
    if (s == ST_MORE || s == ST_TOOBIG)
        *used += eaten;
    if (s == ST_TOOBIG) {
        c->skipping = true;
        conn_refuse(c, dialect_plain, ST_TOOBIG, err);
        c->loop->env.sessions->refused(c, slice_of(NULL, 0));
        return true;
    }
    if (s == ST_BAD)
        conn_protocol_error(c, err);
    else if (s != ST_MORE)
        conn_doom(c);
    return false;
}

static size_t dialect_resp_parse(struct conn *c, struct slice input)
{
    size_t used = 0;
    c->resp.max_request = conn_request_max(c);
    c->resp.max_bulk = c->loop->bulk_max < c->resp.max_request ? c->loop->bulk_max : c->resp.max_request;
    while (used < input.len) {
        if (!conn_ready(c) || loop_is_ending(c->loop)) {
            c->stalled = true;
            break;
        }
        if (!dialect_resp_step(c, slice_of(input.data + used, input.len - used), &used))
            break;
    }
    resp_reader_rest(&c->resp);
    return used;
}

static void dialect_resp_answer(struct conn *c, struct request rq, struct slice tokens)
{
    (void)rq;
    resp_write(&c->out, tokens, c->proto);
}

/* Tokens are written one by one, so a part of a reply is written as a whole one is. */
static void dialect_resp_piece(struct conn *c, struct request rq, struct slice tokens, bool first)
{
    (void)first;
    dialect_resp_answer(c, rq, tokens);
}

const struct dialect dialect_resp = {
    .text = true, .parse = dialect_resp_parse, .answer = dialect_resp_answer, .piece = dialect_resp_piece};

const struct dialect dialect_unknown = {
    .text = true, .parse = dialect_resp_parse, .answer = dialect_resp_answer, .piece = dialect_resp_piece};
