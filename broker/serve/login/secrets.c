/* secrets.c: passwords on their way into the store (secrets.h). */
#include "broker/serve/login/secrets.h"

#include <stdlib.h>

#include "broker/auth/auth.h"
#include "broker/auth/passwords.h"
#include "broker/serve/answer.h"
#include "broker/serve/local/local_answer.h"
#include "broker/serve/session.h"
#include "broker/serve/who/who.h"
#include "storage/access/rule.h"

/* What a carrier brings. */
struct secret_rules {
    struct passwords *passwords;
    void (*submit)(struct conn *c, const struct command *cmd, struct request rq);
};

bool secrets_are_in(const struct command *cmd)
{
    return cmd->info->id == CMD_ACL_SETUSER && rules_have_password(cmd->rest, cmd->n_rest);
}

/* The carrier is a copy of the command: its passwords must not stay in a block that is used again. */
static void secrets_forget(struct entry *e)
{
    for (uint32_t i = 0; i < e->cmd.n_rest; i++) {
        if (password_is_rule(e->cmd.rest[i]))
            explicit_bzero((void *)e->cmd.rest[i].data, e->cmd.rest[i].len);
    }
}

static void secrets_free(struct secret_rules *s, struct entry *e)
{
    passwords_free(s->passwords);
    free(s);
    secrets_forget(e);
    entry_free(e);
}

/* The worker's thread. */
static void secrets_done(struct worker_job *j)
{
    struct passwords *p = (struct passwords *)j;
    struct entry *carrier = p->owner;
    struct entry_list one = {0};
    struct journal_client *owner = carrier->owner;
    entry_push(&one, carrier);
    owner->post(owner, &one);
}

/* The command with its hashes. */
static void secrets_submit(struct conn *c, const struct entry *e, const struct secret_rules *s, struct request rq)
{
    struct slice *rules = calloc(e->cmd.n_rest, sizeof *rules);
    if (!rules) {
        conn_refuse(c, rq, ST_BUSY, NULL);
        return;
    }
    for (uint32_t i = 0, k = 0; i < e->cmd.n_rest; i++)
        rules[i] = password_is_rule(e->cmd.rest[i]) ? slice_str(s->passwords->hashed[k++]) : e->cmd.rest[i];
    struct command cmd = e->cmd;
    cmd.rest = rules;
    cmd.user = NULL;
    s->submit(c, &cmd, rq);
    free(rules);
}

static void secrets_go_on(struct conn *c, const struct entry *e, const struct secret_rules *s, struct request rq)
{
    if (s->passwords->result == ST_OK)
        secrets_submit(c, e, s, rq);
    else if (s->passwords->result == ST_GONE)
        conn_refuse(c, rq, ST_ERR, "a password to be removed is none of the user's");
    else
        conn_refuse(c, rq, ST_BUSY, "passwords cannot be hashed now: try again later");
}

static void secrets_back(struct journal_client *owner, struct entry *e)
{
    struct loop *l = loop_of(owner);
    struct secret_rules *s = e->arg;
    struct conn *c = conn_at(l, e->slot, e->generation);
    if (c) {
        c->stops &= ~(unsigned)STOP_LOGIN;
        conn_entry_back(c, e);
        if (!conn_is_doomed(c))
            secrets_go_on(c, e, s, session_request_of(e));
        conn_touch(c);
    } else {
        conn_entry_lost(l, e);
    }
    secrets_free(s, e);
}

/* NULL: no memory. */
static struct secret_rules *secrets_new(struct conn *c, const struct command *cmd)
{
    const struct users *us = who_users(c->loop);
    const struct access_user *u = us ? users_find(us, cmd->pos[0]) : NULL;
    struct secret_rules *s = calloc(1, sizeof *s);
    if (s)
        s->passwords = passwords_new(cmd->rest, cmd->n_rest, u ? u->row.hash : NULL, u ? u->row.n_hashes : 0);
    if (s && s->passwords)
        return s;
    free(s);
    return NULL;
}

/* False: refused. */
static bool secrets_check(struct conn *c, const struct command *cmd, struct request rq)
{
    if (passwords_count(cmd->rest, cmd->n_rest) <= PASSWORDS_MAX)
        return true;
    local_refuse(c, rq, ST_LIMIT, "there are too many passwords in one ACL SETUSER: at most %d", PASSWORDS_MAX);
    return false;
}

void secrets_begin(struct conn *c, const struct command *cmd, struct request rq,
                   void (*submit)(struct conn *c, const struct command *cmd, struct request rq))
{
    if (!secrets_check(c, cmd, rq))
        return;
    struct secret_rules *s = secrets_new(c, cmd);
    struct entry *e = s ? entry_new(&c->loop->entries, cmd) : NULL;
    if (!e) {
        if (s)
            passwords_free(s->passwords);
        free(s);
        conn_refuse(c, rq, ST_BUSY, NULL);
        return;
    }
    answer_address(e, c, rq);
    e->owner = &c->loop->client;
    e->done = secrets_back;
    e->arg = s;
    e->lent = true;
    s->submit = submit;
    s->passwords->owner = e;
    s->passwords->job.done = secrets_done;
    if (auth_give(serve_of(c->loop)->env.auth, &s->passwords->job) != ST_OK) {
        secrets_free(s, e);
        conn_refuse(c, rq, ST_BUSY, "passwords cannot be hashed now: try again later");
        return;
    }
    loop_lend(c->loop, e);
    conn_entry_out(c, e);
    c->stops |= STOP_LOGIN;
}
