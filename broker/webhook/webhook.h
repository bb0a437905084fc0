/*
 * webhook.h: check-backs by HTTP: what is due of a producer group with a CHECKURL is POSTed there.
 *
 *   settings ──► group ── CHECKS, as a subscriber's ──► journal ──► objects ──► POST, POST, POST
 *                  ▲                                                               │
 *                  │   200 {"decision":"commit"} ──► COMMIT, ROLLBACK, UNKNOWN ◄───┤
 *                  │   any other answer, none in time ──► UNKNOWN ◄────────────────┤
 *                  └── no connection: UNASK, and a pause of 1 s, 2 s ... 1 min ◄───┘
 *
 * One thread of its own, with its own event base: a body of megabytes that is made into JSON, or a
 * group commit that this thread happens to lead, delays neither the accepting of connections nor any
 * client. It is one more client of the journal, as a loop is, and sleeps until news, time or an
 * answer. No group waits for another: each has its own pause, its own requests in flight
 * (webhook_concurrency a URL) and a place that others cannot take.
 *
 * Bounds: groups take a sixteenth of the setting `memory`, some hundred bytes each while nothing is due;
 * WEBHOOK_POSTS_MAX requests are in flight, and one a group beyond, up to WEBHOOK_CALLS_MAX; bodies as
 * webhook_room.h says.
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

/* Starts the thread. False: there is none to be had. */
bool webhook_start(struct webhook *w) MUST_CHECK;

/* Asks no more and takes back what has no answer. webhook_join waits for that; the journal must still
 * be there. */
void webhook_stop(struct webhook *w);
void webhook_join(struct webhook *w);

void webhook_free(struct webhook *w); /* after the journal; NULL is fine */

/* May this be a CHECKURL? False: err is a sentence. */
bool webhook_url_ok(const struct webhook *w, struct slice url, char *err, size_t err_size);

/* May this be the setting webhook_allow? False: err is a sentence. */
bool webhook_list_ok(const char *list, char *err, size_t err_size);

#endif
