/*
 * unserved.c: walks over the producer groups that have something due, and counts those without a member.
 */
#include "broker/unserved.h"

#include <stdio.h>

#include "broker/checks/members.h"
#include "broker/server_inner.h"
#include "storage/query.h"

struct unserved {
    struct members *members;
    uint64_t n;
    char *names;
    size_t len;
    uint32_t looked;
};

static bool unserved_look(void *arg, struct slice pgroup)
{
    struct unserved *u = arg;
    if (members_of(u->members, news_key(NEWS_PGROUP, pgroup, slice_of(NULL, 0))) == 0) {
        u->n++;
        size_t need = pgroup.len + 2;
        if (u->len + need <= UNSERVED_NAMES_MAX)
            u->len += (size_t)snprintf(u->names + u->len, need, "%s%.*s", u->len ? "," : "",
                                       (int)pgroup.len, (const char *)pgroup.data);
    }
    return ++u->looked < UNSERVED_LOOK_MAX;
}

bool unserved_find(struct server *s, struct view *v, uint64_t *ret_n, char names[UNSERVED_NAMES_MAX])
{
    struct unserved u = {.members = s->members, .names = names};
    names[0] = 0;
    bool read = v && query_due_pgroups(v, journal_now_ms(s->journal), unserved_look, &u) == ST_OK;
    *ret_n = u.n;
    return read;
}
