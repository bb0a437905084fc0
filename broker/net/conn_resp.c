/*
 * conn_resp.c: the text dialect: words into commands, tokens into RESP bytes.
 */
#include "broker/net/conn.h"
#include "broker/net/dialect.h"
#include "broker/serve/dispatch.h"
#include "broker/net/loop_inner.h"

#define ERROR_SIZE 512 /* only its first byte is cleared: all of it, twice a command, would be felt */

static const struct request plain = {0};

/* A refused line is answered; the connection goes on. */
static enum verdict run_words(struct conn *c, const struct slice *words, size_t n)
{
    struct command cmd;
    char err[ERROR_SIZE];
    err[0] = '\0';
    enum status s = command_from_words(&c->loop->space, words, n, &cmd, err, sizeof err);
    if (s == ST_OK)
        return dispatch(c, &cmd, plain);
    conn_refuse(c, plain, s, err[0] ? err : NULL);
    return GO_ON;
}

/* One step. False: stop, either for more bytes or because of what stalled says. */
static bool step(struct conn *c, struct slice input, size_t *used)
{
    struct slice *words;
    size_t n, eaten = 0;
    char err[ERROR_SIZE];
    err[0] = '\0';
    enum status s = resp_reader_next(&c->resp, input, &words, &n, &eaten, err, sizeof err);
    if (s == ST_OK) {
        c->skipping = false;
        if (run_words(c, words, n) == STALL) {
            c->stalled = c->for_order = true;
            return false;
        }
        *used += eaten;
        return true;
    }
    if (s == ST_MORE || s == ST_TOOBIG)
        *used += eaten;
    if (s == ST_TOOBIG) {
        c->skipping = true;
        conn_refuse(c, plain, ST_TOOBIG, err);
        return true;
    }
    if (s == ST_BAD)
        conn_protocol_error(c, err);
    else if (s != ST_MORE)
        conn_doom(c);
    return false;
}

size_t resp_parse(struct conn *c, struct slice input)
{
    size_t used = 0;
    c->resp.max_bulk = c->loop->bulk_max;
    while (used < input.len) {
        if (!conn_ready(c)) {
            c->stalled = true;
            break;
        }
        if (!step(c, slice_of(input.data + used, input.len - used), &used))
            break;
    }
    return used;
}

void resp_answer(struct conn *c, struct slice tokens)
{
    resp_write(&c->out, tokens, c->proto);
}
