/*
 * webhook.c: the webhooks' thread: its turns, and its place in the journal.
 *
 *   wait for sockets, timers, letters ──► turn: journal_turn ─► letters: news, then entries
 *        ▲                                      └─ settings changed? read the list again
 *        └──────────────────────────────────────────┘
 */
#include "broker/webhook/webhook.h"

#include <assert.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/base/log.h"
#include "broker/base/timers.h"
#include "broker/journal/mailbox.h"
#include "broker/webhook/webhook_list.h"
#include "protocol/base/text.h"

#define SETTINGS_WAIT_MS 1000

struct webhook {
    struct webhook_shared shared; /* first: the journal's callbacks get its client's address */
    struct event *wake;
    struct mailbox box;
    struct letters letters;
    struct webhook_list list;
    struct event *reread;  /* read the list again */
    int64_t not_before_ms; /* monotonic: when that may be, at the earliest */
    pthread_t thread;
    bool runs;
    atomic_bool settings_changed; /* of some producer group. Any thread */
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

static void webhook_on_news(struct journal_client *c, const struct effects *fx)
{
    struct webhook *w = webhook_of(c);
    if (webhook_list_concerns(&w->list, fx))
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

static void webhook_read_later(struct webhook *w, int64_t wait_ms)
{
    const struct timeval tv = {.tv_sec = (time_t)(wait_ms / 1000), .tv_usec = (suseconds_t)(wait_ms % 1000 * 1000)};
    (void)event_add(w->reread, &tv); /* cannot fail: a timer's place was made with it */
}

/*
 * The list is read as a whole. After that it is not read again for ten times as long as it took, so that this thread
 * has time for its work while somebody sets thousands of CHECKURLs one by one. The pause is SETTINGS_WAIT_MS at most:
 * the reading may have taken long because the whole machine stood still. A list that could not be read is read again
 * after that pause.
 */
static void webhook_read_settings(struct webhook *w)
{
    int64_t began = timers_now(), wait = w->not_before_ms - began;
    if (wait > 0) {
        webhook_read_later(w, wait);
        return;
    }
    atomic_store(&w->settings_changed, false);
    bool read = webhook_list_read(&w->list);
    int64_t now = timers_now(), pause = 10 * (now - began);
    w->not_before_ms = now + (read && pause < SETTINGS_WAIT_MS ? pause : SETTINGS_WAIT_MS);
    if (read)
        return;
    atomic_store(&w->settings_changed, true);
    webhook_read_later(w, SETTINGS_WAIT_MS);
}

static void webhook_on_settings(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg; /* the turn looks */
}

/* ---- turns ---- */

static void webhook_begin_stop(struct webhook *w)
{
    if (w->shared.stopping)
        return;
    w->shared.stopping = true;
    webhook_list_take_back(&w->list);
}

static void webhook_deliver(struct webhook *w)
{
    struct entry *e;
    mailbox_take(&w->box, &w->letters);
    webhook_list_news(&w->list, w->letters.news);
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
    webhook_list_free_gone(&w->list);
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
    w->list.shared = &w->shared;
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

void webhook_free(struct webhook *w)
{
    if (!w)
        return;
    webhook_list_fini(&w->list);
    room_fini(&w->shared.room);
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
