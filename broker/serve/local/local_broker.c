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

static enum setting_id local_setting_of(struct slice name)
{
    static const char *const names[SETTING_COUNT] = {
#define SETTING(name, type, dflt, min, max, live, help) #name,
#include "broker/settings/settings.def"
#undef SETTING
    };
    unsigned i = 0;
    while (i < SETTING_COUNT && !slice_equal_nocase(name, slice_str(names[i])))
        i++;
    return (enum setting_id)i;
}

void local_CONFIG_SET(struct conn *c, const struct command *cmd, struct request rq)
{
    const struct serve_env *env = &serve_of(c->loop)->env;
    char err[512] = "";
    enum status st = settings_set(c->loop->env.settings, cmd->pos[0], cmd->pos[1], err, sizeof err);
    if (st != ST_OK) {
        conn_refuse(c, rq, st, err[0] ? err : NULL);
        return;
    }
    enum setting_id id = local_setting_of(cmd->pos[0]);
    if (id != SETTING_COUNT)
        env->setting_changed(env->broker, id);
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
