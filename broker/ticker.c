/*
 * ticker.c: sleeps until the next timer row is due, then has a TICK submitted.
 *
 *   news (any thread): due earlier than what we sleep for? ──► wake the main thread
 *   main thread:       due now? ──► net_tick, look again soon: 5 ms, longer while nothing moves
 *                      due later ──► sleep until then, 250 ms at most
 *
 * Sleep is bounded because due times are on the logical clock and sleep is not: when the wall clock is set forward,
 * things are due earlier, and nothing tells the ticker. While the disk is full, a TICK is submitted each time: it makes
 * the journal look at the disk, so that an idle broker notices when there is room again.
 *
 * Invariant: asleep_until_ms is what the timer is set for. It is INT64_MAX while the timer is being set, so that news
 * in between wakes the main thread once too often rather than not at all; and INT64_MIN while a TICK is on its way,
 * since news need not wake it then.
 */
#include "broker/ticker.h"

#include <stdlib.h>

#include "broker/base/log.h"
#include "broker/base/store_write.h"
#include "broker/net/net.h"
#include "broker/server_inner.h"

#define SLEEP_MS_MAX 250
#define AGAIN_MS 5       /* while a TICK is on its way */
#define AGAIN_MS_MAX 160 /* while it does not help, as with a full disk */

struct ticker {
    struct journal_client client; /* first: ticker_of casts it back */
    struct server *server;
    struct event *timer;
    struct event *wake;   /* activated by any thread to look at the clock */
    struct event *nudged; /* ... and to call journal_turn */
    _Atomic int64_t asleep_until_ms; /* logical clock */
    atomic_bool running;
    /* ---- of the main thread alone ---- */
    int64_t last_due_ms; /* as of the last look */
    int64_t again_ms;
    bool disk_full, stuck; /* as the log was told */
    uint64_t postponed; /* timers, of which the log was told */
};

static struct ticker *ticker_of(struct journal_client *c)
{
    return (struct ticker *)(void *)c;
}

/* The ticker submits nothing through this client, so no entry ever comes back. */
static void ticker_on_post(struct journal_client *c, struct entry_list *done)
{
    (void)c;
    assert(done->n == 0);
}

static void ticker_on_news(struct journal_client *c, const struct effects *fx)
{
    struct ticker *t = ticker_of(c);
    if (fx->next_due_ms < atomic_load(&t->asleep_until_ms) && atomic_load(&t->running))
        event_active(t->wake, EV_TIMEOUT, 0);
}

static void ticker_on_nudge(struct journal_client *c)
{
    event_active(ticker_of(c)->nudged, EV_TIMEOUT, 0);
}

static void ticker_on_nudged(evutil_socket_t fd, short what, void *arg)
{
    struct ticker *t = arg;
    (void)fd;
    (void)what;
    journal_turn(t->server->journal, &t->client, TURN_NEWS_FIRST);
}

static int64_t ticker_sleep_ms(struct ticker *t, int64_t due_ms, int64_t now_ms)
{
    bool stuck = due_ms <= now_ms && due_ms == t->last_due_ms;
    t->last_due_ms = due_ms;
    t->again_ms = stuck ? 2 * t->again_ms : AGAIN_MS;
    if (t->again_ms > AGAIN_MS_MAX)
        t->again_ms = AGAIN_MS_MAX;
    if (due_ms <= now_ms)
        return t->again_ms;
    return due_ms - now_ms < SLEEP_MS_MAX ? due_ms - now_ms : SLEEP_MS_MAX;
}

static void ticker_tell_postponed(struct ticker *t, uint64_t postponed)
{
    if (postponed > t->postponed)
        log_event(LOG_ERROR, "some of what is due cannot be done, and is tried again later", " timers=%llu hint=%s",
                  (unsigned long long)(postponed - t->postponed),
                  "\"the lines before this one say what cannot be read\"");
    t->postponed = postponed;
}

static void ticker_tell_stuck(struct ticker *t)
{
    bool stuck = store_write_stuck();
    if (stuck && !t->stuck)
        log_event(LOG_ERROR, "the disk is full, the store waits for room", " hint=%s", "\"free some space\"");
    else if (!stuck && t->stuck)
        log_text(LOG_INFO, "the store has room again");
    t->stuck = stuck;
}

/* Asks the journal whether the disk is full, and logs each change, and what was postponed. */
static bool ticker_disk_is_full(struct ticker *t)
{
    struct journal_stats stats;
    journal_stats(t->server->journal, &stats);
    ticker_tell_postponed(t, stats.tally.timers_postponed);
    ticker_tell_stuck(t);
    if (stats.disk_full && !t->disk_full)
        log_event(LOG_ERROR, "the disk is full, writes are refused", " free_bytes=%lld hint=%s",
                  (long long)stats.disk_free_bytes,
                  "\"free some space, or lower disk_reserve; writes are then accepted again\"");
    else if (!stats.disk_full && t->disk_full)
        log_event(LOG_INFO, "the disk has free space again, writes are accepted", " free_bytes=%lld",
                  (long long)stats.disk_free_bytes);
    t->disk_full = stats.disk_full;
    return t->disk_full;
}

static void ticker_set_timer(struct ticker *t, int64_t ms)
{
    const struct timeval tv = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    event_add(t->timer, &tv);
}

static void ticker_on_time(evutil_socket_t fd, short what, void *arg)
{
    struct ticker *t = arg;
    struct journal *j = t->server->journal;
    (void)fd;
    (void)what;
    if (!atomic_load(&t->running))
        return;
    /* Stored before the journal is asked, so that a due time that changes in between is seen here, by the news, or
     * by both. */
    atomic_store(&t->asleep_until_ms, INT64_MAX);
    int64_t due_ms = journal_next_due_ms(j), now_ms = journal_now_ms(j);
    atomic_store(&t->asleep_until_ms, due_ms <= now_ms ? INT64_MIN : due_ms);
    bool full = ticker_disk_is_full(t);
    if ((due_ms <= now_ms || full) && journal_in_charge(j))
        net_tick(t->server->net);
    ticker_set_timer(t, ticker_sleep_ms(t, due_ms, now_ms));
}

struct ticker *ticker_new(struct server *s, struct event_base *base)
{
    struct ticker *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->server = s;
    t->again_ms = AGAIN_MS;
    t->client = (struct journal_client){.post = ticker_on_post, .news = ticker_on_news, .nudge = ticker_on_nudge};
    t->timer = evtimer_new(base, ticker_on_time, t);
    t->wake = event_new(base, -1, 0, ticker_on_time, t);
    t->nudged = event_new(base, -1, 0, ticker_on_nudged, t);
    if (!t->timer || !t->wake || !t->nudged) {
        ticker_free(t);
        return NULL;
    }
    journal_register(s->journal, &t->client);
    return t;
}

void ticker_start(struct ticker *t)
{
    atomic_store(&t->running, true);
    ticker_set_timer(t, 0);
}

void ticker_stop(struct ticker *t)
{
    atomic_store(&t->running, false);
    event_del(t->timer);
}

void ticker_free(struct ticker *t)
{
    if (!t)
        return;
    if (t->timer)
        event_free(t->timer);
    if (t->wake)
        event_free(t->wake);
    if (t->nudged)
        event_free(t->nudged);
    free(t);
}
