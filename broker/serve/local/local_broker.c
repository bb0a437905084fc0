/*
 * local_broker.c: LOCAL commands that concern the whole broker: INFO, CONFIG, SHUTDOWN.
 */
#include "broker/serve/local/local.h"
#include "broker/serve/local/local_answer.h"
#include "broker/serve/session.h"
#include "protocol/base/reply.h"

void local_INFO(struct conn *c, const struct command *cmd, struct request rq)
{
    struct buf text;
    buf_init(&text, 0);
    const struct serve_env *env = &serve_of(c->loop)->env;
    env->write_info(env->broker, loop_view_now(c->loop), cmd->rest, cmd->n_rest, &text);
    struct buf *r = loop_reply(c->loop);
    reply_text(r, buf_slice(&text));
    buf_free(&text);
    conn_answer(c, rq, buf_slice(r));
}

void local_CONFIG_GET(struct conn *c, const struct command *cmd, struct request rq)
{
    struct buf *r = loop_reply(c->loop);
    settings_get(c->loop->env.settings, cmd->rest, cmd->n_rest, r);
    conn_answer(c, rq, buf_slice(r));
}

#define SET_WORDS_MAX (2 * (size_t)SETTING_COUNT)

/* The names and values of a CONFIG SET in one list. 0: they are no pairs, or more than there are settings. */
static size_t local_set_words(const struct command *cmd, struct slice words[SET_WORDS_MAX])
{
    if (cmd->n_rest % 2 != 0 || cmd->n_rest + 2 > SET_WORDS_MAX)
        return 0;
    words[0] = cmd->pos[0];
    words[1] = cmd->pos[1];
    for (size_t i = 0; i < cmd->n_rest; i++)
        words[2 + i] = cmd->rest[i];
    return 2 + cmd->n_rest;
}

void local_CONFIG_SET(struct conn *c, const struct command *cmd, struct request rq)
{
    const struct serve_env *env = &serve_of(c->loop)->env;
    struct slice words[SET_WORDS_MAX];
    struct setting_change changes[SETTING_COUNT];
    char err[1024] = "";
    size_t n = local_set_words(cmd, words) / 2;
    if (!n) {
        conn_refuse(c, rq, ST_ERR, "CONFIG SET takes pairs: a name and its value, and so on, each name once");
        return;
    }
    enum status st = settings_check(words, n, changes, err, sizeof err);
    if (st == ST_OK && !env->settings_fit(env->broker, changes, n, err, sizeof err))
        st = ST_ERR;
    if (st == ST_OK)
        st = settings_set(c->loop->env.settings, changes, n, err, sizeof err);
    if (st != ST_OK) {
        conn_refuse(c, rq, st, err[0] ? err : NULL);
        return;
    }
    env->settings_changed(env->broker, changes, n);
    local_ok(c, rq);
}

void local_CONFIG_REWRITE(struct conn *c, const struct command *cmd, struct request rq)
{
    (void)cmd;
    char err[512] = "";
    enum status st = settings_rewrite(c->loop->env.settings, err, sizeof err);
    if (st == ST_OK)
        local_ok(c, rq);
    else
        conn_refuse(c, rq, st, err[0] ? err : NULL);
}

void local_SHUTDOWN(struct conn *c, const struct command *cmd, struct request rq)
{
    (void)cmd;
    const struct serve_env *env = &serve_of(c->loop)->env;
    local_ok(c, rq);
    env->stop(env->broker);
}
