/*
 * local_conn.c: LOCAL commands about the connection itself: PING ECHO HELLO AUTH QUIT RESET SELECT SUBSCRIBE
 * UNSUBSCRIBE CHECKS SERVE.
 */
#include <assert.h>

#include "broker/serve/local/local.h"
#include "broker/serve/local/local_answer.h"
#include "broker/serve/login/login.h"
#include "broker/serve/multi/multi.h"
#include "broker/serve/pubsub.h"
#include "broker/serve/session.h"
#include "broker/serve/stream.h"
#include "halfmq_version.h"
#include "protocol/base/reply.h"
#include "protocol/base/text.h"

static void local_conn_answer_bulk(struct conn *c, struct request rq, struct slice bytes)
{
    struct buf *r = loop_reply(c->loop);
    reply_bulk(r, bytes);
    conn_answer(c, rq, buf_slice(r));
}

void local_PING(struct conn *c, const struct command *cmd, struct request rq)
{
    if (cmd->n_pos) {
        local_conn_answer_bulk(c, rq, cmd->pos[0]);
        return;
    }
    struct buf *r = loop_reply(c->loop);
    reply_simple(r, "PONG");
    conn_answer(c, rq, buf_slice(r));
}

void local_ECHO(struct conn *c, const struct command *cmd, struct request rq)
{
    local_conn_answer_bulk(c, rq, cmd->pos[0]);
}

/* ---- HELLO, AUTH ---- */

/* AUTH password: as `default`, or whoever a token names. */
void local_AUTH(struct conn *c, const struct command *cmd, struct request rq)
{
    const struct command then = {.info = cmd->info};
    if (cmd->n_pos == 1 && login_needs_none(c, cmd->pos[0])) {
        local_refuse(c, rq, ST_ERR, "AUTH <password> was sent, but the user default has no password: connect without one");
        return;
    }
    login_begin(c, cmd->n_pos == 2 ? cmd->pos[0] : slice_of(NULL, 0), cmd->pos[cmd->n_pos - 1], &then, rq);
}

static void local_conn_answer_hello(struct conn *c, struct request rq)
{
    struct buf *r = loop_reply(c->loop);
    reply_map(r, 7);
    reply_bulk_str(r, "server");
    reply_bulk_str(r, "halfmq");
    reply_bulk_str(r, "version");
    reply_bulk_str(r, HALFMQ_VERSION);
    reply_bulk_str(r, "proto");
    reply_int(r, c->proto);
    reply_bulk_str(r, "id");
    reply_int(r, (int64_t)c->id);
    reply_bulk_str(r, "mode");
    reply_bulk_str(r, "standalone");
    reply_bulk_str(r, "role");
    reply_bulk_str(r, "master");
    reply_bulk_str(r, "modules");
    reply_array(r, 0);
    conn_answer(c, rq, buf_slice(r));
}

static bool local_conn_name_is_fine(struct slice name)
{
    if (name.len > CLIENT_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] <= ' ' || name.data[i] > '~')
            return false;
    }
    return true;
}

/* What HELLO asks for. */
struct hello {
    int64_t version;
    const struct slice *name, *auth; /* NULL: not there; auth: the user's name, then the password */
};

/* False: refused. */
static bool local_conn_read_hello(struct conn *c, const struct command *cmd, struct request rq, struct hello *h)
{
    for (uint32_t i = 1; i < cmd->n_rest;) {
        uint32_t left = cmd->n_rest - i - 1;
        bool is_auth = slice_equal_nocase(cmd->rest[i], SLICE_LIT("AUTH")) && left >= 2;
        if (!is_auth && (!slice_equal_nocase(cmd->rest[i], SLICE_LIT("SETNAME")) || left < 1)) {
            char quoted[LOCAL_QUOTED];
            local_refuse(c, rq, ST_ERR,
                         "HELLO does not take '%s' here: write HELLO [2|3] [AUTH user "
                         "pass] [SETNAME name]",
                         local_quote(cmd->rest[i], quoted));
            return false;
        }
        *(is_auth ? &h->auth : &h->name) = &cmd->rest[i + 1];
        i += is_auth ? 3 : 2;
    }
    return true;
}

/* False: refused. */
static bool local_conn_check_hello(struct conn *c, const struct command *cmd, struct request rq, struct hello *h)
{
    h->version = c->proto;
    if (cmd->n_rest && !text_int(cmd->rest[0], &h->version)) {
        local_refuse(c, rq, ST_NOPROTO, "the protocol version must be 2 or 3");
        return false;
    }
    if (h->version != 2 && h->version != 3) {
        local_refuse(c, rq, ST_NOPROTO, "unsupported protocol version: this broker speaks 2 and 3");
        return false;
    }
    if (!local_conn_read_hello(c, cmd, rq, h))
        return false;
    if (h->name && !local_conn_name_is_fine(*h->name)) {
        local_refuse(c, rq, ST_ERR,
                     "a client's name is at most %d printable characters without blanks",
                     CLIENT_NAME_MAX);
        return false;
    }
    return true;
}

/* Logs in first; then comes the same HELLO without AUTH. */
static void local_conn_login(struct conn *c, const struct command *cmd, struct request rq, const struct hello *h)
{
    struct slice words[] = {cmd->rest[0], SLICE_LIT("SETNAME"), h->name ? *h->name : slice_of(NULL, 0)};
    const struct command then = {.info = cmd->info, .rest = words, .n_rest = h->name ? 3 : 1};
    login_begin(c, h->auth[0], h->auth[1], &then, rq);
}

void local_HELLO(struct conn *c, const struct command *cmd, struct request rq)
{
    struct hello h = {0};
    if (!local_conn_check_hello(c, cmd, rq, &h))
        return;
    if (h.auth) {
        local_conn_login(c, cmd, rq, &h);
        return;
    }
    if (h.name && conn_set_text(c, &c->name, *h.name) != ST_OK) {
        local_refuse(c, rq, ST_BUSY, "no memory for the name: try again");
        return;
    }
    c->proto = (uint8_t)h.version;
    local_conn_answer_hello(c, rq);
}

/* ---- the connection itself ---- */

void local_QUIT(struct conn *c, const struct command *cmd, struct request rq)
{
    (void)cmd;
    local_ok(c, rq);
    conn_shut(c);
}

void local_RESET(struct conn *c, const struct command *cmd, struct request rq)
{
    (void)cmd;
    channels_leave(&session_of(c)->subscriber);
    streams_close(c);
    multi_reset(c);
    enum status s = conn_set_text(c, &c->name, slice_of(NULL, 0));
    assert(s == ST_OK); /* taking a name away needs no memory */
    c->proto = 2;
    login_reset(c);
    struct buf *r = loop_reply(c->loop);
    reply_simple(r, "RESET");
    conn_answer(c, rq, buf_slice(r));
}

void local_SELECT(struct conn *c, const struct command *cmd, struct request rq)
{
    int64_t n;
    if (text_int(cmd->pos[0], &n) && n == 0)
        local_ok(c, rq);
    else
        local_refuse(c, rq, ST_ERR, "there is only database 0");
}

void local_SUBSCRIBE(struct conn *c, const struct command *cmd, struct request rq)
{
    if (rq.quiet)
        return; /* a notification: nobody could be told what came of it */
    pubsub_subscribe(c, cmd, rq);
}

void local_UNSUBSCRIBE(struct conn *c, const struct command *cmd, struct request rq)
{
    pubsub_unsubscribe(c, cmd, rq);
}

/* True where it was refused: these commands are for MessagePack-RPC. */
static bool local_conn_refuse_text(struct conn *c, const struct command *cmd, struct request rq, const char *instead)
{
    if (conn_is_text(c))
        local_refuse(c, rq, ST_ERR, "%s is for MessagePack-RPC; on a text connection write %s check:<pgroup>",
                     cmd->info->words, instead);
    return conn_is_text(c);
}

void local_CHECKS_UNSERVE(struct conn *c, const struct command *cmd, struct request rq)
{
    if (local_conn_refuse_text(c, cmd, rq, "UNSUBSCRIBE"))
        return;
    struct channel *ch = channel_find(&serve_of(c->loop)->channels, CHANNEL_CHECK, cmd->pos[0]);
    if (ch)
        channel_leave(&session_of(c)->subscriber, ch);
    local_ok(c, rq);
}

void local_CHECKS_SERVE(struct conn *c, const struct command *cmd, struct request rq)
{
    if (local_conn_refuse_text(c, cmd, rq, "SUBSCRIBE"))
        return;
    struct channels *cs = &serve_of(c->loop)->channels;
    enum status s = channel_join(cs, c, &session_of(c)->subscriber, CHANNEL_CHECK, cmd->pos[0]);
    if (s == ST_OK)
        local_ok(c, rq);
    else
        conn_refuse(c, rq, s, NULL);
}
