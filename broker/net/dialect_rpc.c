/*
 * dialect_rpc.c: MessagePack-RPC: frames into commands, tokens into response frames. A malformed
 * frame is answered with an error response of id 0 (there is no id to answer to), then the
 * connection ends.
 */
#include "broker/net/conn_slice.h"

#define MANY_VALUES 128
#define ERROR_SIZE 512 /* only its first byte is cleared: all of it, twice a command, would be felt */

/* False: it must wait, and is parsed again. */
static bool dialect_rpc_frame(struct conn *c, const struct rpc_frame *f)
{
    if (f->type == RPC_RESPONSE) {
        c->loop->env.sessions->response(c, f);
        return true;
    }
    struct request rq = {.id = f->id, .quiet = f->type == RPC_NOTIFY};
    struct command cmd;
    char err[ERROR_SIZE];
    err[0] = '\0';
    enum status s = rpc_command(&c->loop->space, f, &cmd, err, sizeof err);
    if (s != ST_OK) {
        conn_refuse_unknown(c, rq, s, err, f->method);
        return true;
    }
    cmd.client = c->id;
    return conn_run(c, &cmd, rq);
}

/* Parses one frame and hands it to the session. False: stop, because more bytes are needed or the connection ends. */
static bool dialect_rpc_step(struct conn *c, struct slice input, size_t *used)
{
    struct rpc_frame f;
    size_t eaten = 0;
    char err[ERROR_SIZE];
    err[0] = '\0';
    enum status s = rpc_reader_next(c->rpc, input, &f, &eaten, err, sizeof err);
    if (s == ST_OK && f.values >= MANY_VALUES)
        conn_spend(c, (int64_t)f.values * WORD_NS);
    if (s == ST_OK && !dialect_rpc_frame(c, &f))
        return false;
    if (s == ST_OK || s == ST_MORE)
        *used += eaten;
    if (s == ST_OK)
        return true;
    if (s == ST_BAD)
        conn_protocol_error(c, err);
    else if (s != ST_MORE)
        conn_doom(c);
    return false;
}

/* A reader has more than two KiB, which an idle connection need not have. False: no memory. */
static bool dialect_rpc_take_reader(struct conn *c)
{
    struct loop *l = c->loop;
    if (c->rpc)
        return true;
    c->rpc = l->rpc ? l->rpc : rpc_reader_new(conn_request_max(c));
    l->rpc = NULL;
    if (c->rpc)
        rpc_reader_begin(c->rpc, conn_request_max(c));
    return c->rpc != NULL;
}

static void dialect_rpc_give_reader(struct conn *c)
{
    struct loop *l = c->loop;
    rpc_reader_rest(c->rpc);
    if (rpc_reader_needs(c->rpc))
        return;
    if (l->rpc)
        rpc_reader_free(c->rpc);
    else
        l->rpc = c->rpc;
    c->rpc = NULL;
}

static size_t dialect_rpc_parse(struct conn *c, struct slice input)
{
    size_t used = 0;
    if (!dialect_rpc_take_reader(c)) {
        conn_doom(c);
        return input.len;
    }
    while (used < input.len) {
        if (!conn_ready(c) || loop_is_ending(c->loop)) {
            c->stalled = true;
            break;
        }
        if (!dialect_rpc_step(c, slice_of(input.data + used, input.len - used), &used))
            break;
    }
    dialect_rpc_give_reader(c);
    return used;
}

static void dialect_rpc_answer(struct conn *c, struct request rq, struct slice tokens)
{
    rpc_write_response(&c->out, rq.id, tokens);
}

static void dialect_rpc_piece(struct conn *c, struct request rq, struct slice tokens, bool first)
{
    if (first)
        rpc_write_first(&c->out, rq.id, tokens);
    else
        rpc_write_more(&c->out, tokens);
}

const struct dialect dialect_rpc = {
    .text = false, .parse = dialect_rpc_parse, .answer = dialect_rpc_answer, .piece = dialect_rpc_piece};
