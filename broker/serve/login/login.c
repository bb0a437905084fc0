/* login.c: logins of connections (login.h). */
#include "broker/serve/login/login.h"

#include <stdio.h>

#include "broker/auth/auth.h"
#include "broker/base/clock.h"
#include "broker/serve/answer.h"
#include "broker/serve/local/local_answer.h"
#include "broker/serve/login/audit.h"
#include "broker/serve/session.h"
#include "broker/serve/who/revoke.h"
#include "broker/serve/who/who.h"
#include "storage/access/users.h"

static const char login_wrong[] = "invalid username-password pair or user is disabled.";

/* ---- the end of a token ---- */

static void login_ends(struct timer *t, void *arg)
{
    struct session *s = (struct session *)((char *)t - offsetof(struct session, token_ends));
    struct conn *c = (struct conn *)((char *)s - offsetof(struct conn, session));
    (void)arg;
    revoke_ended(c);
}

/* until_ms: Unix ms; 0: it does not end. */
static void login_set_end(struct conn *c, int64_t until_ms)
{
    struct session *s = session_of(c);
    int64_t left_ms = until_ms - clock_wall_ms();
    timer_clear(&c->loop->timers, &s->token_ends);
    s->token_ends.fire = login_ends;
    if (until_ms && timer_set(&c->loop->timers, &s->token_ends, timers_now() + (left_ms > 0 ? left_ms : 0)) != ST_OK)
        conn_cut(c, "closing a connection: no memory for the end of its token");
}

void login_drop(struct conn *c)
{
    timer_clear(&c->loop->timers, &session_of(c)->token_ends);
}

void login_reset(struct conn *c)
{
    login_set_end(c, 0);
    session_begin(c);
}

/* ---- the decision ---- */

static void login_fails(struct conn *c, const struct auth_login *l, struct request rq, const char *why)
{
    audit_login_failed(c, slice_str(l->name), why);
    conn_refuse(c, rq, ST_WRONGPASS, login_wrong);
}

/* Has the user been changed since the login began? Then its password may be another one. */
static bool login_is_stale(struct conn *c, const struct auth_login *l)
{
    const struct users *us = who_users(c->loop);
    const struct access_user *u = us ? users_find(us, slice_str(l->name)) : NULL;
    return !l->token && u && u->row.ref != l->ref;
}

static void login_right(struct conn *c, const struct auth_login *l, const struct command *then, struct request rq)
{
    if (login_is_stale(c, l)) {
        conn_refuse(c, rq, ST_BUSY, "the user was changed at this moment: try again");
        return;
    }
    enum status s = session_become(c, slice_str(l->name), l->token ? WHO_TOKEN : WHO_PASSWORD, l->expires_ms);
    if (s == ST_WRONGPASS) {
        auth_failed(serve_of(c->loop)->env.auth, &l->from);
        login_fails(c, l, rq, "the user does not exist or is off");
        return;
    }
    if (s != ST_OK) {
        conn_refuse(c, rq, s, s == ST_LIMIT ? "the user has as many connections as it may" : NULL);
        return;
    }
    login_set_end(c, l->expires_ms);
    if (then->info->id == CMD_HELLO)
        serve_of(c->loop)->execs.run_local(c, then, rq);
    else
        local_ok(c, rq);
}

static void login_decide(struct conn *c, const struct auth_login *l, enum login_result r, const struct command *then,
                         struct request rq)
{
    if (r == LOGIN_RIGHT)
        login_right(c, l, then, rq);
    else if (r == LOGIN_WRONG)
        login_fails(c, l, rq, l->why);
    else
        conn_refuse(c, rq, ST_BUSY, "too many logins at a time: try again later");
}

/* ---- there and back ---- */

/* The worker's thread. */
static void login_done(struct auth_login *l)
{
    struct entry *carrier = l->owner;
    struct entry_list one = {0};
    struct journal_client *owner = carrier->owner;
    entry_push(&one, carrier);
    owner->post(owner, &one);
}

static void login_back(struct journal_client *owner, struct entry *e)
{
    struct loop *l = loop_of(owner);
    struct auth_login *login = e->arg;
    struct conn *c = conn_at(l, e->slot, e->generation);
    if (!c) {
        conn_entry_lost(l, e);
    } else {
        struct request rq = session_request_of(e);
        c->stops &= ~(unsigned)STOP_LOGIN;
        conn_entry_back(c, e);
        if (!conn_is_doomed(c))
            login_decide(c, login, login->result, &e->cmd, rq);
        conn_touch(c);
    }
    login_free(login);
    entry_free(e);
}

static void login_take(struct conn *c, struct auth_login *l)
{
    const struct users *us = who_users(c->loop);
    const struct access_user *u = us ? users_find(us, slice_str(l->name)) : NULL;
    l->from = c->from;
    if (u)
        login_take_user(l, u->row.on, u->row.nopass, u->row.ref, u->row.hash, u->row.n_hashes);
}

/* Begins it, with everything that it needs to come back. False: it is decided already. */
static enum login_result login_give(struct conn *c, struct auth_login *l, struct entry *e, struct request rq)
{
    answer_address(e, c, rq);
    e->owner = &c->loop->client;
    e->done = login_back;
    e->arg = l;
    e->lent = true;
    l->owner = e;
    l->done = login_done;
    enum login_result r = auth_begin(serve_of(c->loop)->env.auth, l);
    if (r != LOGIN_PENDING)
        return r;
    loop_lend(c->loop, e);
    conn_entry_out(c, e);
    c->stops |= STOP_LOGIN;
    return r;
}

bool login_needs_none(struct conn *c, struct slice password)
{
    const struct users *us = who_users(c->loop);
    const struct access_user *u = us ? users_default(us) : NULL;
    return u && u->row.on && u->row.nopass && !auth_is_token(serve_of(c->loop)->env.auth, password);
}

void login_begin(struct conn *c, struct slice user, struct slice password, const struct command *then, struct request rq)
{
    if (!who_users(c->loop)) {
        conn_refuse(c, rq, ST_BUSY, "the users cannot be read now: try again");
        return;
    }
    struct auth_login *l = login_new(user.len ? user : SLICE_LIT("default"), password);
    struct entry *e = l ? entry_new(&c->loop->entries, then) : NULL;
    if (!e) {
        login_free(l);
        conn_refuse(c, rq, ST_BUSY, NULL);
        return;
    }
    login_take(c, l);
    enum login_result r = login_give(c, l, e, rq);
    if (r == LOGIN_PENDING)
        return;
    login_decide(c, l, r, then, rq);
    login_free(l);
    entry_free(e);
}
