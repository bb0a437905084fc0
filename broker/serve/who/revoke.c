/* revoke.c: ends what connections have begun and may not go on with (revoke.h). */
#include "broker/serve/who/revoke.h"

#include "broker/serve/pubsub.h"
#include "broker/serve/stream.h"
#include "broker/serve/wait.h"
#include "broker/serve/who/allow.h"
#include "broker/serve/who/who.h"

/* The command that a client would open the stream with. */
static bool revoke_keeps_stream(struct conn *c, const struct stream *s)
{
    struct command opens = s->cmd;
    opens.info = command_info(s->cmd.info->kind == KIND_QUERY ? CMD_STREAM_QUEUE : CMD_STREAM_GROUP);
    return allow_still(c, &opens);
}

static void revoke_streams(struct conn *c)
{
    for (struct stream *s = session_of(c)->streams, *next; s && !conn_is_doomed(c); s = next) {
        next = s->next;
        if (!revoke_keeps_stream(c, s))
            stream_end(s, ST_NOPERM, "the user may not read this stream any more");
    }
}

static bool revoke_keeps_channel(struct conn *c, struct slice name)
{
    struct command joins = {.info = command_info(CMD_SUBSCRIBE), .n_rest = 1, .rest = &name};
    return allow_still(c, &joins);
}

static bool revoke_keeps_nothing(struct conn *c, struct slice name)
{
    (void)c;
    (void)name;
    return false;
}

void revoke_ended(struct conn *c)
{
    waits_end(c);
    for (struct stream *s = session_of(c)->streams, *next; s && !conn_is_doomed(c); s = next) {
        next = s->next;
        stream_end(s, ST_NOAUTH, "token expired");
    }
    pubsub_revoke(c, revoke_keeps_nothing);
    conn_touch(c);
}

static void revoke_of(struct conn *c)
{
    if (conn_is_ending(c) || allow_is_free(c) || !session_of(c)->who.use)
        return;
    if (who_users(c->loop) && !who_is(c)) {
        conn_dismiss(c);
        return;
    }
    waits_revoke(c);
    revoke_streams(c);
    pubsub_revoke(c, revoke_keeps_channel);
    conn_touch(c);
}

void revoke_all(struct loop *l)
{
    struct serve_loop *sl = serve_of(l);
    uint64_t gen = roster_gen(sl->env.roster);
    if (sl->swept_gen == gen)
        return;
    sl->swept_gen = gen;
    for (uint32_t i = 0; i < l->slots.size; i++) {
        struct conn *c = l->slots.slot[i].conn;
        if (!c)
            continue;
        (void)who_is(c);
        revoke_of(c);
    }
}
