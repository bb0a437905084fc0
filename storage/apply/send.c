/*
 * send.c: SEND and MSEND. The reply is the id, or the token of a delayed message (delay.h); the journal holds
 * it back until the group is on disk.
 */
#include "storage/apply/handlers.h"
#include "storage/model/dedup.h"
#include "storage/model/delay.h"
#include "storage/model/enqueue.h"
#include "storage/model/tail.h"

/* Answers with the text in scratch, and remembers it under the DEDUP id. */
static void send_answer(struct state *st, const struct stamp *stamp, const struct topic *t,
                        const struct option *dedup, struct outcome *out)
{
    st->sick = st->sick || st->scratch.failed;
    reply_bulk(&out->reply, buf_slice(&st->scratch));
    if (dedup)
        dedup_remember(st, stamp, t, DEDUP_SEND, dedup->v, &st->scratch);
}

static void send_later(struct state *st, const struct stamp *stamp, const struct command *cmd, struct arrival *a)
{
    struct half_row half = {.topic = a->topic->name,
                            .has_queue = command_has(cmd, OPT(QUEUE)),
                            .queue = (uint32_t)command_number(cmd, OPT_ID_QUEUE, 0),
                            .ttl_ms = command_number(cmd, OPT_ID_TTL, -1)};
    uint64_t token = delay_put(st, stamp, a->topic, a->due_ms, &half, &a->m, true);
    buf_reset(&st->scratch, KIB(64));
    text_put_token(&st->scratch, token);
}

static enum status send_now(struct state *st, const struct stamp *stamp, const struct command *cmd, struct arrival *a)
{
    uint64_t offset = 0;
    uint32_t queue = 0;
    int64_t expires_ms = enqueue_expires(stamp->now_ms, command_number(cmd, OPT_ID_TTL, -1));
    enum status s = enqueue_store(st, stamp, a->topic, expires_ms, a->wanted, &a->m, &queue, &offset);
    buf_reset(&st->scratch, KIB(64));
    text_put_id(&st->scratch, a->topic->name, queue, offset);
    return s;
}

void apply_send(struct state *st, const struct stamp *stamp, const struct command *cmd,
                struct outcome *out)
{
    struct arrival a;
    if (!enqueue_accept(st, stamp, cmd, cmd->pos[0], cmd->pos[1], &a, out) ||
        !enqueue_topic(st, stamp, cmd->pos[0], &a.topic, out))
        return;
    enum status s = ST_OK;
    if (a.due_ms > stamp->now_ms)
        send_later(st, stamp, cmd, &a);
    else
        s = send_now(st, stamp, cmd, &a);
    if (s == ST_OK)
        send_answer(st, stamp, a.topic, a.dedup, out);
    else
        core_fail(out, s, "storing the message");
}

void apply_msend(struct state *st, const struct stamp *stamp, const struct command *cmd,
                 struct outcome *out)
{
    struct topic *t = NULL;
    enum status s = topic_need(st, stamp, cmd->pos[0], &t);
    if (s != ST_OK) {
        enqueue_refuse(out, s, cmd->pos[0]);
        return;
    }
    /* All bodies go to one queue, so that they stay together, in order, in one record. */
    struct message m = {.born_ms = stamp->now_ms};
    uint32_t queue = topic_route(t, &m, NULL);
    reply_array(&out->reply, cmd->n_rest);
    for (uint32_t i = 0; i < cmd->n_rest; i++) {
        uint64_t offset = 0;
        m.body = cmd->rest[i];
        s = tail_append(st, stamp->now_ms, t, queue, &m, &offset);
        if (s != ST_OK) {
            st->sick = true;
            core_fail(out, s, "storing the messages");
            return;
        }
        reply_id(&out->reply, t->name, queue, offset);
    }
}
