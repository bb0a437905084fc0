/*
 * unserved.c: walks over the producer groups that have something due, and counts those without a member (unserved.h).
 */
#include "broker/unserved.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/checks/members.h"
#include "broker/server_inner.h"
#include "storage/query.h"

/* What a walk has found. */
struct unserved_found {
    struct members *members;
    struct due_walk walk;
    uint64_t n;
    size_t len;
    char names[UNSERVED_NAMES_MAX];
};

struct unserved {
    struct server *server;
    struct event *go_on; /* of the main thread; any thread may activate it. NULL: all is read at once */
    pthread_mutex_t lock;
    /* ---- under the lock: the last reading that is complete ---- */
    uint64_t n;
    char names[UNSERVED_NAMES_MAX];
    /* ---- the main thread's: the reading under way; view NULL: there is none ---- */
    struct view *view;
    struct unserved_found found;
};

static void unserved_look(void *arg, struct slice pgroup)
{
    struct unserved_found *f = arg;
    if (members_of(f->members, news_key(NEWS_PGROUP, pgroup, slice_of(NULL, 0))) != 0)
        return;
    f->n++;
    size_t need = pgroup.len + 2;
    if (f->len + need <= UNSERVED_NAMES_MAX)
        f->len += (size_t)snprintf(f->names + f->len, need, "%s%.*s", f->len ? "," : "", (int)pgroup.len,
                                   (const char *)pgroup.data);
}

static void unserved_begin(const struct unserved *u, struct unserved_found *f)
{
    *f = (struct unserved_found){.members = u->server->members};
}

static enum status unserved_step(const struct unserved *u, struct view *v, struct unserved_found *f)
{
    return query_due_pgroups(v, journal_now_ms(u->server->journal), UNSERVED_AT_ONCE, &f->walk, unserved_look, f);
}

/* ---- the reading on the main thread ---- */

static void unserved_end(struct unserved *u)
{
    view_close(u->view);
    u->view = NULL;
}

static void unserved_show(struct unserved *u)
{
    pthread_mutex_lock(&u->lock);
    u->n = u->found.n;
    memcpy(u->names, u->found.names, sizeof u->names);
    pthread_mutex_unlock(&u->lock);
}

static void unserved_on_turn(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval soon = {0, 1000};
    struct unserved *u = arg;
    (void)fd;
    (void)what;
    if (!u->view) {
        u->view = journal_view(u->server->journal, NULL);
        unserved_begin(u, &u->found);
    }
    bool read = u->view && unserved_step(u, u->view, &u->found) == ST_OK;
    if (read && u->found.walk.ended)
        unserved_show(u);
    if (!read || u->found.walk.ended || event_add(u->go_on, &soon) != 0)
        unserved_end(u);
}

/* ---- from outside ---- */

struct unserved *unserved_new(struct server *s, struct event_base *base)
{
    struct unserved *u = calloc(1, sizeof *u);
    if (!u)
        return NULL;
    u->server = s;
    u->go_on = base ? evtimer_new(base, unserved_on_turn, u) : NULL;
    if ((u->go_on || !base) && pthread_mutex_init(&u->lock, NULL) == 0)
        return u;
    if (u->go_on)
        event_free(u->go_on);
    free(u);
    return NULL;
}

void unserved_free(struct unserved *u)
{
    if (!u)
        return;
    if (u->go_on)
        event_free(u->go_on);
    pthread_mutex_destroy(&u->lock);
    view_close(u->view);
    free(u);
}

bool unserved_find(struct unserved *u, struct view *v, uint64_t *ret_n, char names[UNSERVED_NAMES_MAX])
{
    struct unserved_found f;
    unserved_begin(u, &f);
    bool read = v && unserved_step(u, v, &f) == ST_OK;
    while (read && !f.walk.ended && !u->go_on)
        read = unserved_step(u, v, &f) == ST_OK;
    *ret_n = f.n;
    memcpy(names, f.names, sizeof f.names);
    if (!read || f.walk.ended)
        return read;
    pthread_mutex_lock(&u->lock);
    *ret_n = u->n;
    memcpy(names, u->names, sizeof u->names);
    pthread_mutex_unlock(&u->lock);
    event_active(u->go_on, EV_TIMEOUT, 0);
    return true;
}
