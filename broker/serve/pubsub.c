/*
 * pubsub.c: SUBSCRIBE, UNSUBSCRIBE, and copies: a topic's new messages are read once a loop, and appended to each
 * subscriber's output; PORTION_BYTES at a time, all copies together, so that many subscribers do not make others wait.
 */
#include "broker/serve/pubsub.h"

#include <assert.h>
#include <stdio.h>

#include "broker/net/conn_out.h"
#include "broker/serve/long_reply.h"
#include "broker/serve/session.h"
#include "protocol/base/reply.h"
#include "protocol/base/text.h"

#define PORTION_BYTES ((size_t)MIB(1))
#define PUSH_BYTES ((size_t)KIB(1)) /* what a push costs besides its bytes, as bytes */

/* ---- SUBSCRIBE, UNSUBSCRIBE ---- */

static void pubsub_answer_channel(struct conn *c, const char *word, const struct slice *name)
{
    struct buf *r = loop_reply(c->loop);
    reply_push(r, 3);
    reply_bulk_str(r, word);
    if (name)
        reply_bulk(r, *name);
    else
        reply_null(r);
    reply_int(r, session_of(c)->subscriber.n);
    conn_answer(c, (struct request){0}, buf_slice(r));
}

/* MessagePack-RPC has one reply a request: how many channels the connection has subscribed to now. */
static void pubsub_answer_count(struct conn *c, struct request rq)
{
    struct buf *r = loop_reply(c->loop);
    reply_int(r, session_of(c)->subscriber.n);
    conn_answer(c, rq, buf_slice(r));
}

static bool pubsub_refuse_name(struct conn *c, struct request rq, struct slice name, enum status s)
{
    char quoted[160], text[512];
    text_quote(name, 128, quoted, sizeof quoted);
    if (s == ST_BADNAME)
        snprintf(text, sizeof text, "the name in channel '%s' must be 1..%d of A-Z a-z 0-9 . _ -",
                 quoted, NAME_BYTES_MAX);
    else
        snprintf(text, sizeof text,
                 "unknown channel '%s': it must be topic:<topic> or check:<producer group>",
                 quoted);
    conn_refuse(c, rq, s, text);
    return false;
}

/* Checks all names first: a SUBSCRIBE that fails half-way would leave the client guessing. False: it was refused. */
static bool pubsub_check_names(struct conn *c, const struct command *cmd, struct request rq)
{
    for (uint32_t i = 0; i < cmd->n_rest; i++) {
        enum channel_kind kind;
        struct slice subject;
        enum status s = channel_parse(cmd->rest[i], &kind, &subject);
        if (s != ST_OK)
            return pubsub_refuse_name(c, rq, cmd->rest[i], s);
    }
    return true;
}

static bool pubsub_join_name(struct conn *c, struct slice name, struct request rq)
{
    enum channel_kind kind = CHANNEL_TOPIC;
    struct slice subject = slice_of(NULL, 0);
    enum status s = channel_parse(name, &kind, &subject);
    assert(s == ST_OK);
    s = channel_join(&serve_of(c->loop)->channels, c, &session_of(c)->subscriber, kind, subject);
    if (s == ST_OK)
        return true;
    char text[128];
    snprintf(text, sizeof text, "a connection may have at most %d subscriptions",
             SUBSCRIPTIONS_MAX);
    conn_refuse(c, rq, s, s == ST_LIMIT ? text : NULL);
    return false;
}

void pubsub_subscribe(struct conn *c, const struct command *cmd, struct request rq)
{
    if (!pubsub_check_names(c, cmd, rq))
        return;
    for (uint32_t i = 0; i < cmd->n_rest; i++) {
        if (!pubsub_join_name(c, cmd->rest[i], rq))
            return;
        if (conn_is_text(c))
            pubsub_answer_channel(c, "subscribe", &cmd->rest[i]);
    }
    if (!conn_is_text(c))
        pubsub_answer_count(c, rq);
}

static void pubsub_leave_name(struct conn *c, struct slice name)
{
    enum channel_kind kind;
    struct slice subject;
    if (channel_parse(name, &kind, &subject) != ST_OK)
        return;
    struct channel *ch = channel_find(&serve_of(c->loop)->channels, kind, subject);
    if (ch)
        channel_leave(&session_of(c)->subscriber, ch);
}

static void pubsub_leave_all(struct conn *c)
{
    struct subscriber *who = &session_of(c)->subscriber;
    if (!who->first && conn_is_text(c))
        pubsub_answer_channel(c, "unsubscribe", NULL);
    while (who->first) {
        char copy[NAME_BYTES_MAX + 16];
        struct slice name = channel_name(who->first->channel);
        assert(name.len <= sizeof copy);
        memcpy(copy, name.data, name.len); /* the channel, and its name with it, may be freed */
        name.data = (const uint8_t *)copy;
        channel_leave(who, who->first->channel);
        if (conn_is_text(c))
            pubsub_answer_channel(c, "unsubscribe", &name);
    }
}

void pubsub_unsubscribe(struct conn *c, const struct command *cmd, struct request rq)
{
    if (!pubsub_check_names(c, cmd, rq))
        return;
    if (cmd->n_rest == 0)
        pubsub_leave_all(c);
    for (uint32_t i = 0; i < cmd->n_rest; i++) {
        pubsub_leave_name(c, cmd->rest[i]);
        if (conn_is_text(c))
            pubsub_answer_channel(c, "unsubscribe", &cmd->rest[i]);
    }
    if (!conn_is_text(c))
        pubsub_answer_count(c, rq);
}

/* ---- what is no longer allowed ---- */

static void pubsub_tell_revoked(struct conn *c, struct slice name)
{
    if (long_reply_pushes(c)) { /* part of a check-back may be in the output, and nothing may come between */
        conn_cut(c, "closing a connection: its user may not be sent what it is being sent");
        return;
    }
    if (conn_is_text(c)) {
        pubsub_answer_channel(c, "unsubscribe", &name);
        return;
    }
    struct buf *out = conn_out(c);
    rpc_put_notify(out, "unsubscribe");
    rpc_put_list(out, 1);
    rpc_put_map(out, 1);
    rpc_put_str(out, SLICE_LIT("channel"));
    rpc_put_str(out, name);
    conn_pushed(c);
}

void pubsub_revoke(struct conn *c, bool (*allowed)(struct conn *c, struct slice channel))
{
    struct subscriber *who = &session_of(c)->subscriber;
    for (struct subscription *s = who->first, *next; s && !conn_is_doomed(c); s = next) {
        char copy[NAME_BYTES_MAX + 16];
        struct slice name = channel_name(s->channel);
        next = s->next_mine;
        if (allowed(c, name))
            continue;
        assert(name.len <= sizeof copy);
        memcpy(copy, name.data, name.len); /* the channel, and its name with it, may be freed */
        name.data = (const uint8_t *)copy;
        channel_leave(who, s->channel);
        pubsub_tell_revoked(c, name);
    }
}

/* ---- what is new ---- */

void pubsub_push(struct conn *c, const struct channel *ch, struct slice payload)
{
    struct buf *out = conn_out(c);
    if (!conn_is_text(c)) {
        rpc_put_notify(out, "message");
        rpc_put_list(out, 1);
        rpc_put_map(out, 2);
        rpc_put_str(out, SLICE_LIT("channel"));
        rpc_put_str(out, channel_name(ch));
        rpc_put_str(out, SLICE_LIT("body"));
        rpc_put_bin(out, payload);
    } else {
        struct buf *r = loop_reply(c->loop);
        reply_push(r, 3);
        reply_bulk_str(r, "message");
        reply_bulk(r, channel_name(ch));
        reply_bulk(r, payload);
        if (r->failed)
            out->failed = true;
        else
            resp_write(out, buf_slice(r), c->proto);
    }
    conn_pushed(c);
}

struct copying {
    struct channel *channel;
    size_t left; /* bytes that may still be copied in this portion */
};

/* Copies a message to the next subscribers. True: all have it now. */
static bool pubsub_copy_to_some(void *arg, struct slice body)
{
    struct copying *k = arg;
    struct channel *ch = k->channel;
    if (!ch->midway)
        ch->at = ch->first;
    ch->midway = true;
    while (ch->at && k->left) {
        struct subscription *s = ch->at;
        ch->at = s->next;
        if (!conn_is_doomed(s->conn))
            pubsub_push(s->conn, ch, body);
        k->left -= body.len + PUSH_BYTES < k->left ? body.len + PUSH_BYTES : k->left;
    }
    if (ch->at)
        return false;
    ch->midway = false;
    return true;
}

bool pubsub_copy(struct channel *ch)
{
    struct view *v = loop_view(ch->set->loop);
    struct copying k = {ch, PORTION_BYTES};
    return !v || follower_read(&ch->follower, v, ch->subject, PORTION_BYTES, pubsub_copy_to_some, &k);
}
