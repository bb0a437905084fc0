/* enqueue.c: checks what a message asks for, and makes its topic (enqueue.h). */
#include "storage/model/enqueue.h"

#include "protocol/command/command_message.h"
#include "storage/model/dedup.h"

void enqueue_refuse(struct outcome *out, enum status s, struct slice topic)
{
    char name[160];
    text_quote(topic, 130, name, sizeof(name));
    if (s == ST_NOTOPIC)
        reply_error(&out->reply, s, "no topic '%s', and auto_create_topics is off: TOPIC CREATE it first", name);
    else if (s == ST_LIMIT)
        reply_error(&out->reply, s, "cannot create topic '%s': there are too many, at most %d", name,
                    TOPICS_MAX);
    else
        core_fail(out, s, "storing the message");
}

/* Makes the message of the command, born now; its properties are in st->props. False: refused, and answered. */
static bool enqueue_message(struct state *st, const struct stamp *stamp, const struct command *cmd,
                            struct slice body, struct message *ret_m, struct outcome *out)
{
    char err[ERR_SIZE];
    buf_reset(&st->props, KIB(64));
    enum status s = command_message(cmd, body, &st->props, ret_m, err, sizeof(err));
    if (s != ST_OK) {
        reply_error(&out->reply, s, "%s", err);
        return false;
    }
    ret_m->born_ms = stamp->now_ms;
    return true;
}

bool enqueue_queue_ok(const struct topic *t, const struct command *cmd, uint32_t *ret_queue,
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

/* *ret_due_ms: when it becomes visible; now or before: at once. False: AT is too far ahead, which is answered. */
static bool enqueue_due(const struct stamp *stamp, const struct command *cmd, int64_t *ret_due_ms, struct outcome *out)
{
    int64_t at = command_number(cmd, OPT_ID_AT, 0);
    if (at > stamp->now_ms && at - stamp->now_ms > DURATION_MS_MAX) {
        reply_error(&out->reply, ST_ERR, "AT is too far ahead: at most 366 days");
        return false;
    }
    *ret_due_ms = command_has(cmd, OPT(DELAY)) ? stamp->now_ms + command_number(cmd, OPT_ID_DELAY, 0) : at;
    return true;
}

/* Appends the first answer to the DEDUP id. ST_GONE: it is new. */
static enum status enqueue_first_answer(struct state *st, const struct stamp *stamp, const struct command *cmd,
                                        struct slice topic, const struct topic *t, struct slice id, struct outcome *out)
{
    if (cmd->info->id == CMD_HALF) {
        uint64_t txid = 0;
        enum status s = dedup_half_find(st, stamp, topic, t, id, &st->scratch, &txid);
        if (s == ST_OK)
            reply_bulk_uint(&out->reply, txid);
        return s;
    }
    buf_reset(&st->scratch, KIB(64));
    enum status s = t ? dedup_find(st, stamp, t, DEDUP_SEND, id, &st->scratch) : ST_GONE;
    if (s == ST_OK)
        reply_bulk(&out->reply, buf_slice(&st->scratch));
    return s;
}

/* True where the DEDUP id is known, and its first answer, or an error, was given. t: NULL where there is no topic. */
static bool enqueue_again(struct state *st, const struct stamp *stamp, const struct command *cmd, struct slice topic,
                          const struct topic *t, struct outcome *out)
{
    const struct option *dedup = command_option(cmd, OPT_ID_DEDUP);
    if (!dedup)
        return false;
    enum status s = enqueue_first_answer(st, stamp, cmd, topic, t, dedup->v, out);
    if (s != ST_OK && s != ST_GONE)
        core_fail(out, s, "looking for the DEDUP id");
    return s != ST_GONE;
}

bool enqueue_repeated(struct state *st, const struct stamp *stamp, const struct command *cmd, struct slice topic,
                      struct outcome *out)
{
    struct topic *t = NULL;
    enum status s = command_has(cmd, OPT(DEDUP)) ? topic_get(st, topic, &t) : ST_NOTOPIC;
    return (s == ST_OK || s == ST_GONE) && enqueue_again(st, stamp, cmd, topic, t, out);
}

bool enqueue_accept(struct state *st, const struct stamp *stamp, const struct command *cmd, struct slice topic,
                    struct slice body, struct arrival *ret_a, struct outcome *out)
{
    ret_a->topic = NULL;
    ret_a->dedup = command_option(cmd, OPT_ID_DEDUP);
    enum status s = topic_find(st, stamp, topic, &ret_a->topic);
    if ((s == ST_OK || s == ST_NOTOPIC) && enqueue_again(st, stamp, cmd, topic, ret_a->topic, out))
        return false;
    if (s != ST_OK) {
        enqueue_refuse(out, s, topic);
        return false;
    }
    return enqueue_queue_ok(ret_a->topic, cmd, &ret_a->queue, &ret_a->wanted, out) &&
           enqueue_due(stamp, cmd, &ret_a->due_ms, out) && enqueue_message(st, stamp, cmd, body, &ret_a->m, out);
}

bool enqueue_topic(struct state *st, const struct stamp *stamp, struct slice name, struct topic **t,
                   struct outcome *out)
{
    enum status s = *t ? ST_OK : topic_need(st, stamp, name, t);
    if (s != ST_OK)
        enqueue_refuse(out, s, name);
    return s == ST_OK;
}
