/* allow.c: judges commands, and what they have begun (allow.h). */
#include "broker/serve/who/allow.h"

#include <stdio.h>

#include "broker/access/admit.h"
#include "broker/base/clock.h"
#include "broker/serve/login/audit.h"
#include "broker/serve/who/who.h"

static struct who *allow_who(struct conn *c)
{
    return &session_of(c)->who;
}

static bool allow_is_over(const struct who *w)
{
    return w->until_ms && clock_wall_ms() >= w->until_ms;
}

/* ---- a command ---- */

static bool allow_refuse(struct conn *c, struct request rq, enum status s, const char *text)
{
    conn_refuse(c, rq, s, text);
    return false;
}

static const char allow_unread[] = "the users cannot be read now: try again";

/* It could not become its user when it came, since that had too many connections or memory was short: perhaps it can by
 * now. */
static bool allow_later(struct conn *c, const struct command *cmd, struct request rq)
{
    char why[ADMIT_WHY_SIZE];
    session_begin(c);
    if (!allow_who(c)->later)
        return allow_who(c)->use || allow_refuse(c, rq, ST_NOAUTH, "Authentication required.");
    if (judge_is_open(cmd))
        return true;
    if (allow_who(c)->later != ST_LIMIT)
        return allow_refuse(c, rq, ST_BUSY, allow_unread);
    const struct users *us = serve_of(c->loop)->users;
    const char *certified = session_of(c)->certified;
    const struct access_user *u = certified ? users_find(us, slice_str(certified)) : users_default(us);
    if (!u) /* it is gone meanwhile */
        return allow_refuse(c, rq, ST_NOAUTH, "Authentication required.");
    admit_say_conns(u, why);
    return allow_refuse(c, rq, ST_LIMIT, why);
}

/* True: it is somebody, or may do the command as nobody. */
static bool allow_nobody(struct conn *c, const struct command *cmd, struct request rq)
{
    if (allow_who(c)->later)
        return allow_later(c, cmd, rq);
    if (judge_is_open(cmd))
        return true;
    if (!who_users(c->loop))
        return allow_refuse(c, rq, ST_BUSY, allow_unread);
    return allow_refuse(c, rq, ST_NOAUTH, "Authentication required.");
}

/* For ACL LOG. */
static void allow_remember(struct conn *c, const struct denial *d)
{
    char name[RIGHT_NAME_SIZE];
    struct slice object = d->reason == DENIED_COMMAND ? slice_str(right_rule_name(d->right, name)) : d->object;
    audit_refused(c, denied_word(d->reason), object);
}

static bool allow_user(struct conn *c, const struct access_user *u, const struct command *cmd, struct request rq)
{
    struct who *w = allow_who(c);
    struct denial d;
    char why[ADMIT_WHY_SIZE];
    if (allow_is_over(w) && !judge_is_open(cmd))
        return allow_refuse(c, rq, ST_NOAUTH, "token expired");
    enum status s = admit_judge(u, &serve_of(c->loop)->allowed, cmd, why, &d);
    if (s == ST_NOPERM)
        allow_remember(c, &d);
    if (s == ST_OK && !w->counted)
        s = admit_spend(u, w->use, cmd, why);
    if (s != ST_OK)
        return allow_refuse(c, rq, s, why);
    w->counted = true;
    return true;
}

bool allow(struct conn *c, const struct command *cmd, struct request rq, const struct access_user **ret_by_store)
{
    const struct access_user *u = who_is(c);
    *ret_by_store = NULL;
    if (!u && !allow_nobody(c, cmd, rq))
        return false;
    u = u ? u : who_is(c);
    if (!u)
        return true;
    *ret_by_store = judge_by_store(u, cmd);
    return allow_user(c, u, cmd, rq);
}

bool allow_hides(struct conn *c, struct slice word)
{
    static const char *const open[] = {"AUTH", "HELLO", "QUIT", "RESET"};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        if (slice_equal_nocase(word, slice_str(open[i])))
            return false;
    return !allow_is_free(c) && !who_is(c) && !allow_who(c)->later && who_users(c->loop);
}

void allow_ends(struct conn *c, enum verdict v)
{
    allow_who(c)->counted = v != GO_ON; /* it comes again */
}

/* ---- what was begun ---- */

bool allow_queued(struct conn *c, struct entry *e)
{
    struct denial d;
    const struct access_user *u = who_is(c);
    if (!u || !judge(u, &serve_of(c->loop)->allowed, &e->cmd, &d))
        return false;
    entry_judged_by(e, judge_by_store(u, &e->cmd));
    return true;
}

bool allow_still(struct conn *c, const struct command *cmd)
{
    struct denial d;
    if (allow_is_free(c))
        return true;
    const struct access_user *u = who_is(c);
    return u && !allow_is_over(allow_who(c)) && judge(u, &serve_of(c->loop)->allowed, cmd, &d);
}
