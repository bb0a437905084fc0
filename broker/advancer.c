/* advancer.c: counts news, and paces rounds of advance_step (advancer.h). */
#include "broker/advancer.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "broker/base/clock.h"
#include "broker/net/net.h"
#include "broker/server_inner.h"
#include "storage/sift.h"

#define NICE 19
#define NEWS_SLOTS 4096
#define REST_TIMES 10      /* so much longer than it has worked does it rest ... */
#define REST_MS_MIN 20     /* ... and at least so long */
#define ROUND_MS_MIN 500   /* from the end of a round to the next */
#define REFUSED_MS 1000    /* after an ADVANCE that was not taken: the disk is full, or the journal */

struct advancer {
    struct journal_client client; /* first: advancer_of casts it back */
    struct server *server;
    pthread_t thread;
    bool runs;
    _Atomic uint32_t news[NEWS_SLOTS]; /* messages since the last round that looked, ADVANCE_LEAST at most */
    atomic_bool popped[NEWS_SLOTS];    /* since the last round, a POP has left much of such a group */
    atomic_bool idle;                  /* no group has a FILTER: only what may change that counts */
    /* ---- under lock ---- */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping, due;
    struct entry *back; /* the ADVANCE that was submitted, once it is done */
    /* ---- the thread's ---- */
    struct advance *walk;
    bool all;                  /* this round looks at all groups */
    bool look[NEWS_SLOTS];     /* else at these */
    bool busy[NEWS_SLOTS];     /* somebody consumes these: they are left alone, and looked at in the next round */
    bool met_more, met_busy;   /* some group is due again */
};

static struct advancer *advancer_of(struct journal_client *c)
{
    return (struct advancer *)(void *)c;
}

/* ---- the journal's callbacks ---- */

static void advancer_on_post(struct journal_client *c, struct entry_list *done)
{
    struct advancer *a = advancer_of(c);
    pthread_mutex_lock(&a->lock);
    a->back = entry_pop(done);
    pthread_cond_signal(&a->wake);
    pthread_mutex_unlock(&a->lock);
}

static void advancer_wake(struct advancer *a)
{
    pthread_mutex_lock(&a->lock);
    a->due = true;
    atomic_store_explicit(&a->idle, false, memory_order_relaxed); /* what comes during the next round counts */
    pthread_cond_signal(&a->wake);
    pthread_mutex_unlock(&a->lock);
}

/* True: the counter is full now, and was not before. */
static bool advancer_count(struct advancer *a, uint64_t key, uint32_t n)
{
    _Atomic uint32_t *slot = &a->news[key % NEWS_SLOTS];
    uint32_t was = atomic_load_explicit(slot, memory_order_relaxed);
    if (was >= ADVANCE_LEAST)
        return false;
    n = n < ADVANCE_LEAST ? n : ADVANCE_LEAST;
    return atomic_fetch_add_explicit(slot, n, memory_order_relaxed) + n >= ADVANCE_LEAST;
}

/* A count of 0 is of a group with a FILTER that a POP has left far behind. */
static bool advancer_hear(struct advancer *a, uint64_t key, uint32_t count)
{
    if (count == 0)
        atomic_store_explicit(&a->popped[key % NEWS_SLOTS], true, memory_order_relaxed);
    return advancer_count(a, key, count ? count : ADVANCE_LEAST);
}

static void advancer_on_news(struct journal_client *c, const struct effects *fx)
{
    struct advancer *a = advancer_of(c);
    bool idle = atomic_load_explicit(&a->idle, memory_order_relaxed), due = false;
    for (uint32_t i = 0; i < fx->n_keys; i++)
        if (!idle || fx->counts[i] == UINT32_MAX) /* a group was made, or its settings have changed */
            due = advancer_hear(a, fx->keys[i], fx->counts[i]) || due;
    if (fx->overflow)
        for (uint32_t i = 0; i < NEWS_SLOTS; i++)
            due = advancer_count(a, i, ADVANCE_LEAST) || due;
    if (due)
        advancer_wake(a);
}

/* Not this thread: a loop is to lead. */
static void advancer_on_nudge(struct journal_client *c)
{
    net_nudge(advancer_of(c)->server->net);
}

/* ---- the thread ---- */

static bool advancer_rests(struct advancer *a, int64_t ms)
{
    int64_t end_ns = clock_mono_ns() + ms * 1000000;
    pthread_mutex_lock(&a->lock);
    for (int64_t left = ms; !a->stopping && left > 0; left = (end_ns - clock_mono_ns() + 999999) / 1000000)
        clock_wait(&a->wake, &a->lock, left);
    bool goes_on = !a->stopping;
    pthread_mutex_unlock(&a->lock);
    return goes_on;
}

/* Waits for news, unless a round has left something. False: the end. */
static bool advancer_waits(struct advancer *a)
{
    pthread_mutex_lock(&a->lock);
    while (!a->stopping && !a->due && !a->met_more && !a->met_busy)
        pthread_cond_wait(&a->wake, &a->lock);
    bool goes_on = !a->stopping;
    a->due = false;
    pthread_mutex_unlock(&a->lock);
    return goes_on;
}

/* The next round looks at the group, too. */
static void advancer_keep(struct advancer *a, struct slice group, struct slice topic)
{
    (void)advancer_count(a, news_key(NEWS_GROUP, group, topic), ADVANCE_LEAST);
}

/* A group that somebody consumes goes on by that; an ADVANCE would only pass what a POP has just looked at. */
static bool advancer_is_due(void *arg, struct slice group, struct slice topic)
{
    struct advancer *a = arg;
    uint64_t own = news_key(NEWS_GROUP, group, topic) % NEWS_SLOTS;
    if (!a->all && !a->look[own] && !a->look[news_key(NEWS_TOPIC, topic, slice_of(NULL, 0)) % NEWS_SLOTS])
        return false;
    if (!a->busy[own])
        return true;
    a->met_busy = true;
    advancer_keep(a, group, topic);
    return false;
}

/* What this round looks at. */
static void advancer_begin_round(struct advancer *a)
{
    a->met_more = a->met_busy = false;
    for (uint32_t i = 0; i < NEWS_SLOTS; i++) {
        a->busy[i] = atomic_load_explicit(&a->popped[i], memory_order_relaxed);
        if (a->busy[i])
            atomic_store_explicit(&a->popped[i], false, memory_order_relaxed);
        a->look[i] = atomic_load_explicit(&a->news[i], memory_order_relaxed) >= ADVANCE_LEAST;
        if (a->look[i])
            atomic_store_explicit(&a->news[i], 0, memory_order_relaxed);
    }
}

/* Submits it and waits until it is done. Returns its fate; the stop does not wait. */
static enum status advancer_submit(struct advancer *a, const struct advance_found *found)
{
    struct slice topic = found->topic;
    struct command cmd = {.info = command_info(CMD_ADVANCE), .n_pos = 1, .n_rest = 1, .pos = {found->group}, .rest = &topic};
    struct entry *e = entry_new(NULL, &cmd);
    if (!e)
        return ST_NOMEM;
    e->cmd.sifted = found->sifted; /* stays as it is until the next step, or advancer_free */
    if (!journal_submit(a->server->journal, &a->client, e)) {
        entry_free(e);
        return ST_BUSY;
    }
    net_nudge(a->server->net);
    pthread_mutex_lock(&a->lock);
    while (!a->back && !a->stopping)
        pthread_cond_wait(&a->wake, &a->lock);
    e = a->back;
    a->back = NULL;
    pthread_mutex_unlock(&a->lock);
    enum status fate = e ? e->fate : ST_BUSY;
    entry_free(e);
    return fate;
}

/* One step, and what follows from it. False: the round is over. */
static bool advancer_step(struct advancer *a, int64_t *ret_rest_ms)
{
    struct advance_found found;
    struct journal *j = a->server->journal;
    int64_t began_ns = clock_mono_ns();
    struct view *v = journal_in_charge(j) ? journal_view(j, NULL) : NULL;
    enum status s = v ? advance_step(a->walk, v, journal_now_ms(j), advancer_is_due, a, &found) : ST_GONE;
    view_close(v);
    int64_t rest_ms = (clock_mono_ns() - began_ns) * REST_TIMES / 1000000;
    *ret_rest_ms = rest_ms > REST_MS_MIN ? rest_ms : REST_MS_MIN;
    if (s == ST_OK && advancer_submit(a, &found) != ST_OK) {
        *ret_rest_ms = REFUSED_MS;
        found.more = true;
    }
    if (s == ST_OK && found.more) {
        a->met_more = true;
        advancer_keep(a, found.group, found.topic);
    }
    return s == ST_OK || s == ST_BUSY;
}

/* Unless a group may have got a FILTER since the round began. */
static void advancer_idle(struct advancer *a)
{
    pthread_mutex_lock(&a->lock);
    if (!a->due)
        atomic_store_explicit(&a->idle, advance_filtered(a->walk) == 0, memory_order_relaxed);
    pthread_mutex_unlock(&a->lock);
}

/* False: the end. */
static bool advancer_round(struct advancer *a)
{
    int64_t rest_ms = 0;
    advancer_begin_round(a);
    while (advancer_step(a, &rest_ms))
        if (!advancer_rests(a, rest_ms))
            return false;
    a->all = false;
    advancer_idle(a);
    return advancer_rests(a, a->met_more ? rest_ms : ROUND_MS_MIN);
}

static void *advancer_run(void *arg)
{
    struct advancer *a = arg;
    (void)setpriority(PRIO_PROCESS, 0, NICE); /* Linux keeps it for each thread */
    while (advancer_waits(a) && advancer_round(a))
        ;
    return NULL;
}

/* ---- start and stop ---- */

struct advancer *advancer_new(struct server *s)
{
    struct advancer *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->server = s;
    a->all = a->due = true;
    a->client = (struct journal_client){.post = advancer_on_post, .news = advancer_on_news, .nudge = advancer_on_nudge};
    a->walk = advance_new(ADVANCE_LEAST);
    pthread_mutex_init(&a->lock, NULL);
    if (!a->walk || !clock_cond_new(&a->wake)) {
        pthread_mutex_destroy(&a->lock);
        advance_free(a->walk);
        free(a);
        return NULL;
    }
    journal_register(s->journal, &a->client);
    return a;
}

bool advancer_start(struct advancer *a)
{
    a->runs = pthread_create(&a->thread, NULL, advancer_run, a) == 0;
    return a->runs;
}

void advancer_stop(struct advancer *a)
{
    if (!a || !a->runs)
        return;
    pthread_mutex_lock(&a->lock);
    a->stopping = true;
    pthread_cond_signal(&a->wake);
    pthread_mutex_unlock(&a->lock);
    pthread_join(a->thread, NULL);
    a->runs = false;
}

void advancer_free(struct advancer *a)
{
    if (!a)
        return;
    entry_free(a->back); /* done after the stop */
    advance_free(a->walk);
    pthread_cond_destroy(&a->wake);
    pthread_mutex_destroy(&a->lock);
    free(a);
}
