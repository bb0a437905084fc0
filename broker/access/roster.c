/* roster.c: reads the users when news say that they changed (roster.h). */
#include "broker/access/roster.h"

#include <assert.h>
#include <stdlib.h>

#include "storage/query.h"

static struct roster *roster_of(struct journal_client *c)
{
    return (struct roster *)(void *)((char *)c - offsetof(struct roster, client));
}

/* Nothing is submitted through this client. */
static void roster_on_post(struct journal_client *c, struct entry_list *done)
{
    (void)c;
    assert(done->n == 0);
}

static void roster_on_news(struct journal_client *c, const struct effects *fx)
{
    if (fx->users_changed)
        atomic_fetch_add_explicit(&roster_of(c)->gen, 1, memory_order_release);
}

static void roster_on_nudge(struct journal_client *c)
{
    (void)c;
}

struct roster *roster_new(struct journal *j)
{
    struct roster *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    if (uses_init(&r->uses) != 0) {
        free(r);
        return NULL;
    }
    if (pthread_mutex_init(&r->lock, NULL) != 0) {
        uses_fini(&r->uses);
        free(r);
        return NULL;
    }
    r->journal = j;
    atomic_init(&r->gen, 1);
    r->client = (struct journal_client){.post = roster_on_post, .news = roster_on_news, .nudge = roster_on_nudge};
    journal_register(j, &r->client);
    return r;
}

void roster_free(struct roster *r)
{
    if (!r)
        return;
    users_release(r->users);
    pthread_mutex_destroy(&r->lock);
    uses_fini(&r->uses);
    free(r);
}

/* With the lock. */
static enum status roster_read(struct roster *r, struct journal_client *c, uint64_t gen)
{
    struct users *fresh = NULL;
    struct view *v = journal_view(r->journal, c);
    enum status s = v ? query_users(v, &fresh) : ST_NOMEM;
    view_close(v);
    if (s != ST_OK)
        return s;
    users_release(r->users);
    r->users = fresh;
    r->users_gen = gen;
    return ST_OK;
}

enum status roster_users(struct roster *r, struct journal_client *c, struct users **ret_users, uint64_t *ret_gen)
{
    uint64_t gen = roster_gen(r); /* before the view is opened, so that the view has what it stands for */
    pthread_mutex_lock(&r->lock);
    enum status s = r->users_gen >= gen ? ST_OK : roster_read(r, c, gen);
    if (s == ST_OK) {
        users_hold(r->users);
        *ret_users = r->users;
        *ret_gen = r->users_gen;
    }
    pthread_mutex_unlock(&r->lock);
    return s;
}
