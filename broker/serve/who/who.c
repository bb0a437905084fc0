/* who.c: which user a connection is (who.h). */
#include "broker/serve/who/who.h"

#include <assert.h>

#include "broker/serve/session.h"

struct users *who_users(struct loop *l)
{
    struct serve_loop *sl = serve_of(l);
    struct users *fresh = NULL;
    uint64_t gen = 0;
    if (sl->users && sl->users_gen == roster_gen(sl->env.roster))
        return sl->users;
    if (roster_users(sl->env.roster, &l->client, &fresh, &gen) != ST_OK)
        return NULL;
    users_release(sl->users);
    sl->users = fresh;
    sl->users_gen = gen;
    allowed_forget(&sl->allowed);
    return fresh;
}

static struct who *who_of(struct conn *c)
{
    return &session_of(c)->who;
}

/* It is u from now on, which has counted it. */
static void who_take(struct conn *c, const struct access_user *u, struct use *use)
{
    struct who *w = who_of(c);
    w->user = u;
    w->gen = serve_of(c->loop)->users_gen;
    w->free_gen = u->free && !w->until_ms ? w->gen : 0;
    w->born = u->row.born;
    w->use = use;
    w->later = ST_OK;
    c->stranger = false;
}

static void who_drop(struct conn *c)
{
    struct who *w = who_of(c);
    if (w->use) {
        use_leaves(w->use);
        use_release(&serve_of(c->loop)->env.roster->uses, w->use);
    }
    *w = (struct who){0};
    c->stranger = true;
}

void who_leave(struct conn *c)
{
    who_drop(c);
}

/* A use that has counted the connection. ST_NOMEM, ST_LIMIT. */
static enum status who_count(struct conn *c, const struct access_user *u, struct use **ret_use)
{
    struct uses *uses = &serve_of(c->loop)->env.roster->uses;
    struct use *use = use_of(uses, u->name);
    if (!use)
        return ST_NOMEM;
    if (!use_connects(use, u->row.conns)) {
        use_release(uses, use);
        return ST_LIMIT;
    }
    *ret_use = use;
    return ST_OK;
}

enum status session_become(struct conn *c, struct slice user, enum who_how how, int64_t until_ms)
{
    struct users *us = who_users(c->loop);
    const struct access_user *u = us ? users_find(us, user) : NULL;
    struct use *use = NULL;
    if (!us)
        return ST_BUSY;
    if (!u || !u->row.on)
        return ST_WRONGPASS;
    enum status s = who_of(c)->use && slice_equal(session_user(c), user) ? ST_OK : who_count(c, u, &use);
    if (s == ST_OK && use)
        s = conn_set_text(c, &c->user, u == users_default(us) ? slice_of(NULL, 0) : user);
    if (s != ST_OK) {
        if (use)
            use_leaves(use);
        use_release(&serve_of(c->loop)->env.roster->uses, use);
        return s;
    }
    if (use)
        who_drop(c);
    who_of(c)->how = (uint8_t)how;
    who_of(c)->until_ms = until_ms;
    who_take(c, u, use ? use : who_of(c)->use);
    return ST_OK;
}

static void who_nobody(struct conn *c)
{
    who_drop(c);
    enum status s = conn_set_text(c, &c->user, slice_of(NULL, 0));
    assert(s == ST_OK); /* taking a name away needs no memory */
}

/* ST_WRONGPASS: there is nobody whom it could be without logging in. */
static enum status who_default(struct conn *c)
{
    struct users *us = who_users(c->loop);
    const struct access_user *u = us ? users_default(us) : NULL;
    struct use *use = NULL;
    if (!us)
        return ST_BUSY;
    if (!u || !u->row.on || !u->row.nopass)
        return ST_WRONGPASS;
    enum status s = who_count(c, u, &use);
    if (s == ST_OK)
        who_take(c, u, use);
    return s;
}

void session_begin(struct conn *c)
{
    who_nobody(c);
    const char *certified = session_of(c)->certified;
    enum status s = certified ? session_become(c, slice_str(certified), WHO_CERTIFICATE, 0) : who_default(c);
    who_of(c)->later = (uint8_t)(s == ST_WRONGPASS ? ST_OK : s);
}

struct slice session_user(struct conn *c)
{
    if (!who_of(c)->use)
        return slice_of(NULL, 0);
    return c->user ? slice_str(c->user) : SLICE_LIT("default");
}

const struct access_user *who_is(struct conn *c)
{
    struct who *w = who_of(c);
    struct users *us = who_users(c->loop);
    if (!us || !w->use)
        return NULL;
    if (w->gen == serve_of(c->loop)->users_gen)
        return w->user;
    const struct access_user *u = c->user ? users_find(us, slice_str(c->user)) : users_default(us);
    bool same = u && u->row.on && (u->row.born == w->born || !c->user);
    w->gen = serve_of(c->loop)->users_gen;
    w->user = same ? u : NULL;
    w->free_gen = same && u->free && !w->until_ms ? w->gen : 0;
    return w->user;
}
