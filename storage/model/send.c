/*
 * send.c: SEND and MSEND. The reply is the id, or the token of a delayed one (delay.h); the journal holds
 * it back until the group is on disk.
 */
#include "storage/model/send.h"

#include <stdio.h>

#include "protocol/command/command_message.h"
#include "storage/model/dedup.h"
#include "storage/model/delay.h"
#include "storage/apply/handlers.h"
#include "storage/model/tail.h"

void send_refuse(struct outcome *out, enum status s, struct slice topic)
{
    char name[160];
    text_quote(topic, 130, name, sizeof(name));
    if (s == ST_NOTOPIC)
        reply_error(&out->reply, s, "no topic '%s', and auto_create_topics is off: TOPIC CREATE it first", name);
    else if (s == ST_LIMIT)
        reply_error(&out->reply, s, "cannot create topic '%s': there are %d already, which is the most", name,
                    TOPICS_MAX);
    else
        state_fail(out, s, "storing the message");
}

enum status send_prepare(struct state *st, const struct stamp *stamp, const struct command *cmd,
                         struct slice body, struct message *ret_m, struct outcome *out)
{
    char err[ERR_SIZE];
    buf_reset(&st->props, KIB(64));
    enum status s = command_message(cmd, body, &st->props, ret_m, err, sizeof(err));
    if (s != ST_OK) {
        reply_error(&out->reply, s, "%s", err);
        return s;
    }
    ret_m->born_ms = stamp->now_ms;
    return ST_OK;
}

bool send_queue_ok(const struct topic *t, const struct command *cmd, uint32_t *ret_queue,
                   const uint32_t **ret_wanted, struct outcome *out)
{
    *ret_wanted = NULL;
    if (!command_has(cmd, OPT(QUEUE)))
        return true;
    int64_t queue = command_number(cmd, OPT_ID_QUEUE, 0);
    uint32_t n_queues = t ? t->n_queues : QUEUES_DEFAULT;
    if (queue >= (int64_t)n_queues) {
        reply_error(&out->reply, ST_ERR, "QUEUE %lld does not exist: the topic has queues 0 to %u",
                    (long long)queue, n_queues - 1);
        return false;
    }
    *ret_queue = (uint32_t)queue;
    *ret_wanted = ret_queue;
    return true;
}

bool send_due(const struct stamp *stamp, const struct command *cmd, int64_t *ret_due_ms, struct outcome *out)
{
    int64_t at = command_number(cmd, OPT_ID_AT, 0);
    if (at > stamp->now_ms && at - stamp->now_ms > DURATION_MS_MAX) {
        reply_error(&out->reply, ST_ERR, "AT is more than 366 days ahead, which is the most");
        return false;
    }
    *ret_due_ms = command_has(cmd, OPT(DELAY)) ? stamp->now_ms + command_number(cmd, OPT_ID_DELAY, 0) : at;
    return true;
}

bool send_again(struct state *st, const struct stamp *stamp, const struct topic *t,
                const struct option *dedup, struct outcome *out)
{
    if (!dedup || !t)
        return false;
    buf_reset(&st->scratch, KIB(64));
    enum status s = dedup_find(st, stamp, t, dedup->v, &st->scratch);
    if (s == ST_GONE)
        return false;
    if (s == ST_OK)
        reply_bulk(&out->reply, buf_slice(&st->scratch));
    else
        state_fail(out, s, "looking for the DEDUP id");
    return true;
}

bool send_topic(struct state *st, const struct stamp *stamp, struct slice name, struct topic **t,
                struct outcome *out)
{
    enum status s = *t ? ST_OK : topic_need(st, stamp, name, t);
    if (s != ST_OK)
        send_refuse(out, s, name);
    return s == ST_OK;
}

/* The first answer is kept in scratch, as it was given. */
static void send_answer(struct state *st, const struct stamp *stamp, const struct topic *t,
                        const struct option *dedup, struct outcome *out)
{
    st->sick = st->sick || st->scratch.failed;
    reply_bulk(&out->reply, buf_slice(&st->scratch));
    if (dedup)
        dedup_remember(st, stamp, t, dedup->v, &st->scratch);
}

int64_t send_expires(int64_t from_ms, int64_t ttl_ms)
{
    return ttl_ms < 0 ? INT64_MAX : from_ms + ttl_ms;
}

static void send_later(struct state *st, const struct stamp *stamp, const struct command *cmd,
                       struct topic *t, int64_t due_ms, const struct message *m)
{
    struct half_row half = {.topic = t->name,
                            .has_queue = command_has(cmd, OPT(QUEUE)),
                            .queue = (uint32_t)command_number(cmd, OPT_ID_QUEUE, 0),
                            .ttl_ms = command_number(cmd, OPT_ID_TTL, -1)};
    uint64_t token = delay_put(st, stamp, t, due_ms, &half, m);
    buf_reset(&st->scratch, KIB(64));
    text_put_token(&st->scratch, token);
}

enum status send_store(struct state *st, const struct stamp *stamp, struct topic *t, int64_t expires_ms,
                       const uint32_t *queue, struct message *m, uint32_t *ret_queue, uint64_t *ret_offset)
{
    if (expires_ms != INT64_MAX) {
        m->fields |= MSG_TTL;
        m->expires_ms = expires_ms;
    }
    *ret_queue = topic_route(t, m, queue);
    return tail_append(st, stamp->now_ms, t, *ret_queue, m, ret_offset);
}

static enum status send_now(struct state *st, const struct stamp *stamp, const struct command *cmd,
                            struct topic *t, const uint32_t *wanted, struct message *m)
{
    uint64_t offset = 0;
    uint32_t queue = 0;
    int64_t expires_ms = send_expires(stamp->now_ms, command_number(cmd, OPT_ID_TTL, -1));
    enum status s = send_store(st, stamp, t, expires_ms, wanted, m, &queue, &offset);
    buf_reset(&st->scratch, KIB(64));
    text_put_id(&st->scratch, t->name, queue, offset);
    return s;
}

void apply_send(struct state *st, const struct stamp *stamp, const struct command *cmd,
                struct outcome *out)
{
    struct topic *t = NULL;
    enum status s = topic_find(st, stamp, cmd->pos[0], &t);
    if (s != ST_OK) {
        send_refuse(out, s, cmd->pos[0]);
        return;
    }
    const struct option *dedup = command_option(cmd, OPT_ID_DEDUP);
    struct message m;
    uint32_t queue = 0;
    const uint32_t *wanted = NULL;
    int64_t due_ms = 0;
    if (send_again(st, stamp, t, dedup, out) || !send_queue_ok(t, cmd, &queue, &wanted, out) ||
        !send_due(stamp, cmd, &due_ms, out) || send_prepare(st, stamp, cmd, cmd->pos[1], &m, out) != ST_OK ||
        !send_topic(st, stamp, cmd->pos[0], &t, out))
        return;
    if (due_ms > stamp->now_ms)
        send_later(st, stamp, cmd, t, due_ms, &m);
    else
        s = send_now(st, stamp, cmd, t, wanted, &m);
    if (s == ST_OK)
        send_answer(st, stamp, t, dedup, out);
    else
        state_fail(out, s, "storing the message");
}

void apply_msend(struct state *st, const struct stamp *stamp, const struct command *cmd,
                 struct outcome *out)
{
    struct topic *t = NULL;
    enum status s = topic_need(st, stamp, cmd->pos[0], &t);
    if (s != ST_OK) {
        send_refuse(out, s, cmd->pos[0]);
        return;
    }
    /* All bodies to one queue: they stay together, in order, in one record. */
    struct message m = {.born_ms = stamp->now_ms};
    uint32_t queue = topic_route(t, &m, NULL);
    reply_array(&out->reply, cmd->n_rest);
    for (uint32_t i = 0; i < cmd->n_rest; i++) {
        uint64_t offset = 0;
        m.body = cmd->rest[i];
        s = tail_append(st, stamp->now_ms, t, queue, &m, &offset);
        if (s != ST_OK) {
            st->sick = true;
            state_fail(out, s, "storing the messages");
            return;
        }
        reply_id(&out->reply, t->name, queue, offset);
    }
}
