/* local_stream.c: the commands STREAM GROUP, QUEUE, CREDIT and CLOSE: check the words, then call stream*.h. */
#include "broker/serve/local/local.h"

#include <assert.h>

#include "broker/serve/local/local_answer.h"
#include "broker/serve/session.h"
#include "protocol/base/reply.h"
#include "broker/serve/stream.h"
#include "broker/serve/stream_group.h"
#include "broker/serve/stream_queue.h"
#include "protocol/base/position.h"
#include "protocol/base/text.h"

static bool stream_refuse_text(struct conn *c, struct request rq, const struct command *cmd)
{
    if (!conn_is_text(c))
        return false;
    local_refuse(c, rq, ST_ERR, "%s is for MessagePack-RPC, on this same port", cmd->info->words);
    return true;
}

static int64_t stream_number_of(struct slice word)
{
    int64_t n = 0;
    return text_int(word, &n) ? n : 0; /* the parser has checked that it is one */
}

/* Reads a credit, 1..most. 0: it was refused. */
static int64_t stream_credit_of(struct conn *c, struct request rq, struct slice word, int64_t most)
{
    int64_t n = stream_number_of(word);
    if (n >= 1 && n <= most)
        return n;
    char quoted[LOCAL_QUOTED];
    local_refuse(c, rq, ST_ERR, "credit '%s' is not a whole number from 1 to %lld",
                 local_quote(word, quoted), (long long)most);
    return 0;
}

/* True where another stream may be opened; otherwise it was refused, or the request is a notification. */
static bool stream_open_ok(struct conn *c, struct request rq, const struct command *cmd)
{
    if (stream_refuse_text(c, rq, cmd) || rq.quiet) /* a notification: its id could not be told */
        return false;
    if (session_of(c)->n_streams < STREAMS_MAX)
        return true;
    local_refuse(c, rq, ST_LIMIT, "a connection may have at most %d streams", STREAMS_MAX);
    return false;
}

void local_STREAM_GROUP(struct conn *c, const struct command *cmd, struct request rq)
{
    int64_t credit = 0;
    if (!stream_open_ok(c, rq, cmd))
        return;
    credit = stream_credit_of(c, rq, cmd->pos[1], STREAM_MESSAGES_MAX);
    if (!credit)
        return;
    const struct option *lease = command_option(cmd, OPT_ID_LEASE);
    struct option opt[2] = {{.id = OPT_ID_COUNT, .v = SLICE_LIT("1"), .n = 1}};
    if (lease)
        opt[1] = *lease;
    struct command pop = {.info = command_info(CMD_POP),
                          .n_pos = 1,
                          .n_rest = cmd->n_rest,
                          .n_opt = lease ? 2 : 1,
                          .pos = {cmd->pos[0]},
                          .rest = cmd->rest,
                          .opt = opt,
                          .client = cmd->client,
                          .has = OPT(COUNT) | (lease ? OPT(LEASE) : 0)};
    if (!stream_group_open(c, &pop, credit, rq))
        conn_refuse(c, rq, ST_BUSY, NULL);
}

static void stream_refuse_queue(struct conn *c, const struct command *cmd, struct request rq, enum status why)
{
    char quoted[LOCAL_QUOTED];
    if (why == ST_NOTOPIC)
        local_refuse(c, rq, why, "no topic '%s': SEND to it or TOPIC CREATE it first",
                     local_quote(cmd->pos[0], quoted));
    else if (why == ST_ERR)
        local_refuse(c, rq, why, "queue %s does not exist", local_quote(cmd->pos[1], quoted));
    else if (why == ST_NOMEM)
        conn_refuse(c, rq, ST_BUSY, NULL);
    else
        local_refuse(c, rq, ST_ERR, "the store cannot be read: see the broker's log");
}

void local_STREAM_QUEUE(struct conn *c, const struct command *cmd, struct request rq)
{
    if (!stream_open_ok(c, rq, cmd))
        return;
    int64_t credit = stream_credit_of(c, rq, cmd->pos[3], STREAM_BYTES_MAX), queue = stream_number_of(cmd->pos[1]);
    if (!credit)
        return;
    struct reader r = {.topic = cmd->pos[0],
                       .queue = queue > UINT32_MAX ? UINT32_MAX : (uint32_t)queue};
    struct position at;
    bool parsed = position_parse(cmd->pos[2], &at);
    assert(parsed); /* the parser has checked it */
    struct view *v = loop_view_now(c->loop);
    enum status st = v ? reader_open(&r, v) : ST_NOMEM;
    if (st == ST_OK)
        st = reader_seek(&r, v, &at);
    struct command read = {.info = command_info(CMD_READ),
                           .n_pos = 3,
                           .pos = {cmd->pos[0], cmd->pos[1], cmd->pos[2]}};
    uint64_t id;
    if (st == ST_OK && !stream_queue_open(c, &read, credit, &r, &id))
        st = ST_NOMEM;
    if (st != ST_OK) {
        stream_refuse_queue(c, cmd, rq, st);
        return;
    }
    struct buf *reply = loop_reply(c->loop);
    reply_int(reply, (int64_t)id);
    conn_answer(c, rq, buf_slice(reply));
}

/* The stream whose id is the command's first word. NULL: it was refused. */
static struct stream *local_stream_find(struct conn *c, const struct command *cmd, struct request rq)
{
    if (stream_refuse_text(c, rq, cmd))
        return NULL;
    struct stream *s = stream_find(c, (uint64_t)stream_number_of(cmd->pos[0]));
    char quoted[LOCAL_QUOTED];
    if (!s)
        local_refuse(c, rq, ST_ERR, "no stream %s on this connection: it was closed, or ended",
                     local_quote(cmd->pos[0], quoted));
    return s;
}

void local_STREAM_CREDIT(struct conn *c, const struct command *cmd, struct request rq)
{
    struct stream *s = local_stream_find(c, cmd, rq);
    int64_t credit = s ? stream_credit_of(c, rq, cmd->pos[1], stream_credit_max(s)) : 0;
    if (!credit)
        return;
    stream_add_credit(s, credit);
    local_ok(c, rq);
}

void local_STREAM_CLOSE(struct conn *c, const struct command *cmd, struct request rq)
{
    struct stream *s = local_stream_find(c, cmd, rq);
    if (!s)
        return;
    stream_close(s);
    local_ok(c, rq);
}
