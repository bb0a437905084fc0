/*
 * topic_set.c: TOPIC SET changes the settings of a topic while it is in use.
 *
 *   QUEUES      more of them: they begin empty, at the end. ORDER keys keep to the first `order_queues`, so that the
 *               messages of a key stay in one queue. Groups find the new ones when they look at the topic next
 *   RETENTION   what is too old by the new setting goes with the next TICK ...
 *   MAXBYTES    ... and so does what is too much (model/keep.h)
 */
#include "storage/apply/handlers.h"
#include "storage/model/keep.h"

/* False: it was refused, and nothing is changed. */
static bool topic_set_allowed(const struct command *cmd, const struct topic *t, struct outcome *out)
{
    int64_t queues = command_number(cmd, OPT_ID_QUEUES, t->n_queues);
    if (queues >= t->n_queues)
        return true;
    reply_error(&out->reply, ST_ERR, "QUEUES %lld: the topic has %u queues, and they can only become more",
                (long long)queues, t->n_queues);
    return false;
}

void apply_topic_set(struct state *st, const struct stamp *stamp, const struct command *cmd, struct outcome *out)
{
    struct topic *t = NULL;
    enum status s = topic_get(st, cmd->pos[0], &t);
    if (s == ST_GONE) {
        char name[160];
        text_quote(cmd->pos[0], 135, name, sizeof(name));
        reply_error(&out->reply, ST_NOTOPIC, "no topic '%s'", name);
        return;
    }
    if (s == ST_OK && !topic_set_allowed(cmd, t, out))
        return;
    if (s == ST_OK)
        s = topic_grow(st, t, (uint32_t)command_number(cmd, OPT_ID_QUEUES, t->n_queues));
    if (s != ST_OK) {
        core_fail(out, s, "TOPIC SET");
        return;
    }
    keep_set(st, t, stamp->now_ms, command_number(cmd, OPT_ID_RETENTION, t->retention_ms),
             (uint64_t)command_number(cmd, OPT_ID_MAXBYTES, (int64_t)t->max_bytes));
    topic_touch(st, t);
    reply_ok(&out->reply);
}
