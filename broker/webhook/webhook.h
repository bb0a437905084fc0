/*
 * webhook.h: check-backs by HTTP: when a producer group has a CHECKURL, its check-backs are POSTed there as they fall
 * due.
 *
 *   settings ──► group ── CHECKS, as a subscriber's ──► journal ──► objects ──► POST, POST, POST
 *                  ▲                                                               │
 *                  │   200 {"decision":"commit"} ──► COMMIT, ROLLBACK, UNKNOWN ◄───┤
 *                  │   any other answer, none in time ──► UNKNOWN ◄────────────────┤
 *                  └── no connection: UNASK, and a pause of 1 s, 2 s ... 1 min ◄───┘
 *
 * The webhooks have a thread and an event base of their own, so that no client has to wait while a body of megabytes is
 * turned into JSON, or while this thread leads a group commit. The thread is a client of the journal, as a loop is, and
 * sleeps until there is news, an answer, or time is up. No group waits for another: each has its own pause, its own
 * requests in flight (webhook_concurrency a URL) and a place that others cannot take.
 *
 * Bounds: groups take at most a sixteenth of the setting `memory`, some hundred bytes each while nothing is due. At
 * most WEBHOOK_POSTS_MAX requests are in flight; beyond those one a group, up to WEBHOOK_CALLS_MAX in all. For bodies
 * see webhook_room.h.
 *
 * Threads: new, stop and free by the main thread; webhook_url_ok and webhook_list_ok by any.
 */
#ifndef HALFMQ_BROKER_WEBHOOK_H
#define HALFMQ_BROKER_WEBHOOK_H

#include "broker/base/counters.h"
#include "broker/checks/members.h"
#include "broker/journal/journal.h"
#include "broker/settings/settings.h"

#define WEBHOOK_POSTS_MAX 128
#define WEBHOOK_CALLS_MAX 1024

struct webhook;

/* What it works with; all of it outlives the webhooks. */
struct webhook_env {
    struct settings *settings;
    struct journal *journal;
    struct members *members;
    struct counters *counters; /* written by the webhooks' thread only */
};

/* Registers with the journal: before anything is submitted. env is copied. NULL: err says why. */
struct webhook *webhook_new(const struct webhook_env *env, char *err, size_t err_size);

/* Starts the thread. False: it cannot be started. */
bool webhook_start(struct webhook *w) MUST_CHECK;

/* Stops: no more asks, and those without an answer are taken back. webhook_join waits for that; the journal must still
 * be there. */
void webhook_stop(struct webhook *w);
void webhook_join(struct webhook *w);

void webhook_free(struct webhook *w); /* after the journal; NULL is fine */

/* May this be a CHECKURL? False: err says why not, as a sentence. */
bool webhook_url_ok(const struct webhook *w, struct slice url, char *err, size_t err_size);

/* May this be the setting webhook_allow? False: err says why not, as a sentence. */
bool webhook_list_ok(const char *list, char *err, size_t err_size);

#endif
