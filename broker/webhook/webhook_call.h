/*
 * webhook_call.h: one POST to one URL, and its outcome. Besides it only http.c and webhook_pool.c know libevent's HTTP.
 *
 *   name ──► addresses ──► allowed? ──► connect ──► POST ──► answer, cut at its bound
 *     │          │             │           │          │         │
 *     └──────────┴── no ───────┴───────────┘          │         ▼
 *          CALL_NOT_CONNECTED: nothing was sent,      │    CALL_ANSWERED: with any status
 *          and no further address is left to try      └──► CALL_UNANSWERED: sent, but no whole
 *                                                          answer in time, or one that is too long
 *
 * A connection that was kept after an earlier call is taken first; afterwards the connection is kept if the service
 * keeps it open (webhook_pool.h). Redirects are not followed: their status is the answer. A call takes at most
 * timeout_ms, the look-up of the name included.
 */
#ifndef HALFMQ_BROKER_WEBHOOK_CALL_H
#define HALFMQ_BROKER_WEBHOOK_CALL_H

#include "broker/webhook/webhook_allow.h"
#include "broker/webhook/webhook_dns.h"
#include "broker/webhook/webhook_pool.h"
#include "protocol/base/buf.h"
#include "protocol/limits.h"

#define WEBHOOK_ADDRESSES_MAX 8

enum webhook_end { CALL_NOT_CONNECTED, CALL_UNANSWERED, CALL_ANSWERED };

struct webhook_answer {
    enum webhook_end end;
    int status; /* ANSWERED */
    struct slice body; /* ANSWERED; good during the callback */
    const char *why; /* not ANSWERED: what went wrong */
};

struct webhook_post {
    struct event_base *base;
    struct resolver *resolver;
    struct pool *pool;
    const struct webhook_allow *allow; /* must outlive the call, as must the three above */
    const struct webhook_url *url;
    const char *key; /* Idempotency-Key; copied, as url and signature */
    const char *signature; /* NULL: none */
    int64_t timeout_ms;
    void (*done)(void *arg, const struct webhook_answer *answer); /* called once, from the event loop */
    void *arg;
};

struct webhook_call;

/* Begins a call, and takes over the body's bytes. NULL: no memory, and done will not be called. */
struct webhook_call *webhook_call_new(const struct webhook_post *post, struct buf *body);

/* Ends a call at once; done is not called. Not to be called from within done, after which the call is freed. */
void webhook_call_free(struct webhook_call *call);

#endif
