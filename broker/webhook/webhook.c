/*
 * webhook.c: the webhooks' thread: its turns, its groups, its place in the journal.
 *
 *   wait for sockets, timers, letters ──► turn: journal_turn ─► letters: news, then entries
 *        ▲                                      └─ settings changed? read the list again
 *        └──────────────────────────────────────────┘
 *
 * News comes with every group commit of the broker; only what concerns a group with a CHECKURL is worth
 * waking this thread. `watched` is a set of bits by key, written here and read by whoever leads the
 * journal: a bit too many wakes for nothing, and a group's bit is set before its first CHECKS is
 * submitted, so none is missed.
 */
#include "broker/webhook/webhook.h"

#include <assert.h>
#include <event2/event.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/base/log.h"
#include "broker/base/timers.h"
#include "broker/journal/mailbox.h"
#include "broker/webhook/webhook_group.h"
#include "protocol/base/text.h"
#include "storage/query.h"

#define SETTINGS_WAIT_MS 1000
#define WATCH_BITS 65536
#define GROUP_BUCKETS 4096

struct webhook {
    struct webhook_shared shared; /* first: the journal's callbacks get its client's address */
    struct event *wake;
    struct mailbox box;
    struct letters letters;
    struct webhook_group *groups, *gone;
    struct webhook_group *by_key[GROUP_BUCKETS];
    size_t group_bytes; /* of those that are not gone */
    uint32_t left_out; /* found no memory when settings were read the last time ... */
    char left_out_name[NAME_BYTES_MAX + 1]; /* ... and the first of them */
    struct event *reread; /* read the settings again */
    int64_t settings_ms; /* monotonic: not before this */
    pthread_t thread;
    bool runs;
    /* ---- any thread ---- */
    _Atomic uint64_t watched[WATCH_BITS / 64]; /* news of these, by key, is worth a letter */
    atomic_bool settings_changed;
};

static struct webhook *webhook_of(struct journal_client *c)
{
    return (struct webhook *)(void *)c;
}

/* ---- the journal's callbacks ---- */

static void webhook_on_post(struct journal_client *c, struct entry_list *done)
{
    mailbox_post_done(&webhook_of(c)->box, done);
}

static bool webhook_is_watched(struct webhook *w, uint64_t key)
{
    uint64_t bit = key % WATCH_BITS;
    return atomic_load(&w->watched[bit / 64]) >> (bit % 64) & 1;
}

static void webhook_on_news(struct journal_client *c, const struct effects *fx)
{
    struct webhook *w = webhook_of(c);
    bool ours = fx->overflow;
    for (uint32_t i = 0; i < fx->n_keys && !ours; i++)
        ours = webhook_is_watched(w, fx->keys[i]);
    if (ours)
        mailbox_post_news(&w->box, fx);
    if (fx->pgroups_changed) {
        atomic_store(&w->settings_changed, true);
        mailbox_order(&w->box, ORDER_TURN, 0);
    }
}

static void webhook_on_nudge(struct journal_client *c)
{
    mailbox_order(&webhook_of(c)->box, ORDER_TURN, 0);
}

/* ---- settings ---- */

static void webhook_watch(struct webhook *w, uint64_t key)
{
    uint64_t bit = key % WATCH_BITS;
    atomic_fetch_or(&w->watched[bit / 64], UINT64_C(1) << (bit % 64));
}

static struct webhook_group **webhook_bucket_of(struct webhook *w, uint64_t key)
{
    return &w->by_key[key % GROUP_BUCKETS];
}

static struct webhook_group *webhook_find(struct webhook *w, struct slice name)
{
    struct webhook_group *g = *webhook_bucket_of(w, news_key(NEWS_PGROUP, name, slice_of(NULL, 0)));
    while (g && !slice_equal(g->name, name))
        g = g->next_key;
    return g;
}

static void webhook_link_in(struct webhook_group **list, struct webhook_group *g)
{
    g->prev = NULL;
    g->next = *list;
    if (g->next)
        g->next->prev = g;
    *list = g;
}

static void webhook_link_out(struct webhook_group **list, struct webhook_group *g)
{
    *(g->prev ? &g->prev->next : list) = g->next;
    if (g->next)
        g->next->prev = g->prev;
}

static size_t webhook_group_bytes_max(const struct webhook *w)
{
    return (size_t)settings_num(w->shared.settings, SET_memory) / 16;
}

static void webhook_add(struct webhook *w, const struct pgroup_hook *hook)
{
    if (w->group_bytes + webhook_group_size(hook) > webhook_group_bytes_max(w)) {
        if (w->left_out++ == 0)
            snprintf(w->left_out_name, sizeof w->left_out_name, "%.*s", (int)hook->pgroup.len,
                     (const char *)hook->pgroup.data);
        return;
    }
    struct webhook_group *g = webhook_group_new(&w->shared, hook);
    if (!g)
        return;
    struct webhook_group **bucket = webhook_bucket_of(w, g->key);
    g->next_key = *bucket;
    *bucket = g;
    webhook_link_in(&w->groups, g);
    g->listed = true;
    w->group_bytes += g->size;
    webhook_watch(w, g->key);
    webhook_group_pull(g);
}

static void webhook_retire(struct webhook *w, struct webhook_group *g)
{
    struct webhook_group **at = webhook_bucket_of(w, g->key);
    while (*at != g)
        at = &(*at)->next_key;
    *at = g->next_key;
    webhook_link_out(&w->groups, g);
    webhook_link_in(&w->gone, g);
    w->group_bytes -= g->size;
    webhook_group_retire(g);
}

static void webhook_on_hook(void *arg, const struct pgroup_hook *hook)
{
    struct webhook *w = arg;
    struct webhook_group *g = webhook_find(w, hook->pgroup);
    if (g && slice_equal(g->url, hook->url) && slice_equal(g->secret, hook->secret)) {
        g->listed = true;
        return;
    }
    if (g)
        webhook_retire(w, g);
    webhook_add(w, hook);
}

static bool webhook_read_hooks(struct webhook *w)
{
    struct view *v = journal_view(w->shared.journal, &w->shared.client);
    for (struct webhook_group *g = w->groups; g; g = g->next)
        g->listed = false;
    bool read = v && query_pgroup_hooks(v, webhook_on_hook, w) == ST_OK;
    if (v)
        view_close(v);
    if (!read)
        return false;
    for (struct webhook_group *g = w->groups, *next; g; g = next) {
        next = g->next;
        if (!g->listed)
            webhook_retire(w, g);
    }
    return true;
}

/* All of them: which one has changed is not told. Ten times as long as that took it is not done again, so that
 * somebody who sets thousands, one by one, leaves this thread time for its work; but no longer than
 * SETTINGS_WAIT_MS, since it may have taken long because the whole machine stood still. */
static void webhook_read_settings(struct webhook *w)
{
    int64_t began = timers_now(), wait = w->settings_ms - began;
    if (wait > 0) {
        const struct timeval tv = {.tv_sec = (time_t)(wait / 1000),
                                   .tv_usec = (suseconds_t)(wait % 1000 * 1000)};
        (void)event_add(w->reread, &tv); /* cannot fail: a timer's place was made with it */
        return;
    }
    atomic_store(&w->settings_changed, false);
    w->left_out = 0;
    if (!webhook_read_hooks(w))
        log_text(LOG_ERROR,
                 "cannot read the settings of producer groups; CHECKURLs stay as they were");
    if (w->left_out > 0)
        log_event(LOG_WARN,
                  "too many CHECKURLs for this `memory`, so some are not called: raise it, or ask these otherwise",
                  " pgroups=%" PRIu32 " first=%s", w->left_out, w->left_out_name);
    int64_t now = timers_now(), pause = 10 * (now - began);
    w->settings_ms = now + (pause < SETTINGS_WAIT_MS ? pause : SETTINGS_WAIT_MS);
}

static void webhook_on_settings(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg; /* the turn looks */
}

/* ---- turns ---- */

static void webhook_has_news(struct webhook_group *g, const struct news *news)
{
    g->seen = news->index;
    webhook_group_pull(g);
}

static void webhook_hand_out_news(struct webhook *w, const struct news *news)
{
    if (!news->index)
        return;
    for (struct webhook_group *g = news->overflow ? w->groups : NULL; g; g = g->next)
        webhook_has_news(g, news);
    for (uint32_t i = 0; i < news->n && !news->overflow; i++) {
        for (struct webhook_group *g = *webhook_bucket_of(w, news->keys[i]); g; g = g->next_key) {
            if (g->key == news->keys[i])
                webhook_has_news(g, news);
        }
    }
}

static void webhook_free_gone(struct webhook *w)
{
    for (struct webhook_group *g = w->gone, *next; g; g = next) {
        next = g->next;
        if (!webhook_group_idle(g))
            continue;
        webhook_link_out(&w->gone, g);
        webhook_group_free(g);
    }
}

static void webhook_begin_stop(struct webhook *w)
{
    if (w->shared.stopping)
        return;
    w->shared.stopping = true;
    for (struct webhook_group *g = w->groups; g; g = g->next)
        webhook_group_take_back(g);
    for (struct webhook_group *g = w->gone; g; g = g->next)
        webhook_group_take_back(g);
}

static void webhook_deliver(struct webhook *w)
{
    struct entry *e;
    mailbox_take(&w->box, &w->letters);
    webhook_hand_out_news(w, w->letters.news);
    while ((e = entry_pop(&w->letters.done))) {
        w->shared.in_flight--;
        e->done(&w->shared.client, e);
    }
    unsigned orders = w->letters.orders;
    letters_clear(&w->letters);
    if (orders & ORDER_TURN)
        w->shared.again = true;
    if (orders & ORDER_DRAIN)
        webhook_begin_stop(w);
    if (!w->shared.stopping && atomic_load(&w->settings_changed))
        webhook_read_settings(w);
    webhook_free_gone(w);
}

/* True: there is more to do, do not wait. */
static bool webhook_turn(struct webhook *w)
{
    w->shared.again = false;
    journal_turn(w->shared.journal, &w->shared.client, TURN_NEWS_FIRST);
    webhook_deliver(w);
    return w->shared.again;
}

static void *webhook_run(void *arg)
{
    struct webhook *w = arg;
    bool more = webhook_turn(w);
    while (!w->shared.stopping || w->shared.in_flight > 0) {
        bool waits = !more && mailbox_sleep(&w->box, true);
        if (event_base_loop(w->shared.base, waits ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0) {
            log_text(LOG_ERROR,
                     "the event loop of the webhooks failed; no CHECKURL is called any more");
            abort();
        }
        if (waits)
            mailbox_awake(&w->box);
        more = webhook_turn(w);
    }
    /* What was cancelled tells so by a last callback. */
    event_base_loop(w->shared.base, EVLOOP_NONBLOCK);
    return NULL;
}

static void webhook_on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct webhook *w = arg;
    (void)fd, (void)what;
    mailbox_drain_event(&w->box);
}

/* ---- birth and death ---- */

static bool webhook_make_parts(struct webhook *w)
{
    w->shared.base = event_base_new();
    if (!w->shared.base)
        return false;
    w->wake = event_new(w->shared.base, w->box.event_fd, EV_READ | EV_PERSIST, webhook_on_wake, w);
    w->shared.resolver = resolver_new(w->shared.base);
    w->shared.pool = pool_new(w->shared.base);
    w->reread = evtimer_new(w->shared.base, webhook_on_settings, w);
    return w->wake && w->reread && w->shared.resolver && w->shared.pool && event_add(w->wake, NULL) == 0;
}

struct webhook *webhook_new(const struct webhook_env *env, char *err, size_t err_size)
{
    struct webhook_allow *allow =
        webhook_allow_new(settings_text(env->settings, SET_webhook_allow), err, err_size);
    if (!allow)
        return NULL;
    snprintf(err, err_size, "no memory for the webhooks");
    struct webhook *w = calloc(1, sizeof *w);
    if (!w || mailbox_init(&w->box) != ST_OK) {
        webhook_allow_free(allow);
        free(w);
        return NULL;
    }
    w->shared = (struct webhook_shared){
        .client = {.post = webhook_on_post, .news = webhook_on_news, .nudge = webhook_on_nudge},
        .settings = env->settings,
        .journal = env->journal,
        .members = env->members,
        .counters = env->counters,
        .allow = allow,
        .room = {.settings = env->settings,
                 .posts_max = WEBHOOK_POSTS_MAX,
                 .calls_max = WEBHOOK_CALLS_MAX,
                 .pull = webhook_group_on_turn},
    };
    atomic_store(&w->settings_changed, true);
    if (letters_init(&w->letters) == ST_OK && webhook_make_parts(w)) {
        journal_register(env->journal, &w->shared.client);
        return w;
    }
    webhook_free(w);
    return NULL;
}

bool webhook_start(struct webhook *w)
{
    w->runs = pthread_create(&w->thread, NULL, webhook_run, w) == 0;
    return w->runs;
}

void webhook_stop(struct webhook *w)
{
    mailbox_order(&w->box, ORDER_DRAIN, 0);
}

void webhook_join(struct webhook *w)
{
    if (!w->runs)
        return;
    int failed = pthread_join(w->thread, NULL);
    assert(!failed);
    w->runs = false;
}

static void webhook_free_all(struct webhook_group *g)
{
    for (struct webhook_group *next; g; g = next) {
        next = g->next;
        webhook_group_free(g);
    }
}

void webhook_free(struct webhook *w)
{
    if (!w)
        return;
    webhook_free_all(w->groups);
    webhook_free_all(w->gone);
    pool_free(w->shared.pool);
    resolver_free(w->shared.resolver);
    if (w->wake)
        event_free(w->wake);
    if (w->reread)
        event_free(w->reread);
    if (w->shared.base)
        event_base_free(w->shared.base);
    letters_fini(&w->letters);
    mailbox_fini(&w->box);
    webhook_allow_free(w->shared.allow);
    free(w);
}

bool webhook_url_ok(const struct webhook *w, struct slice url, char *err, size_t err_size)
{
    char quoted[160];
    struct webhook_url u;
    if (!webhook_url_parse(url, &u)) {
        snprintf(err, err_size, "CHECKURL must be a URL such as http://host:port/path");
        return false;
    }
    if (webhook_allow_url(w->shared.allow, &u))
        return true;
    text_quote(slice_str(u.host), 100, quoted, sizeof quoted);
    snprintf(err, err_size,
             "CHECKURL must not name the host '%s': the setting webhook_allow forbids it", quoted);
    return false;
}

bool webhook_list_ok(const char *list, char *err, size_t err_size)
{
    struct webhook_allow *allow = webhook_allow_new(list, err, err_size);
    webhook_allow_free(allow);
    return allow != NULL;
}
