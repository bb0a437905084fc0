/*
 * webhook_call.h: one POST to one URL, and what came of it. With http.c and webhook_pool.c the only file that
 * knows libevent's HTTP.
 *
 *   name ──► addresses ──► allowed? ──► connect ──► POST ──► answer, cut at its bound
 *     │          │             │           │          │         │
 *     └──────────┴── no ───────┴───────────┘          │         ▼
 *          CALL_NOT_CONNECTED (nobody was handed      │    CALL_ANSWERED: any status
 *          anything; the next address is tried first) └──► CALL_UNANSWERED: handed over, but no
 *                                                          whole answer in time, or too long
 *
 * A connection that waits from an earlier call is taken first, and one whose service keeps it open waits
 * afterwards (webhook_pool.h). Redirects are not followed: the answer is what it is. The whole, names
 * included, takes no longer than timeout_ms.
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
    const char *why; /* else: what went wrong */
};

struct webhook_post {
    struct event_base *base;
    struct resolver *resolver;
    struct pool *pool;
    const struct webhook_allow *allow; /* must outlive the call, as the three above */
    const struct webhook_url *url;
    const char *key; /* Idempotency-Key; copied, as url and signature */
    const char *signature; /* NULL: none */
    int64_t timeout_ms;
    void (*done)(void *arg, const struct webhook_answer *answer); /* once, from the event loop */
    void *arg;
};

struct webhook_call;

/* Takes over the body's bytes. NULL: no memory, and done will not be called. */
struct webhook_call *webhook_call_new(const struct webhook_post *post, struct buf *body);

/* Ends it at once, without done. Not from within done. */
void webhook_call_free(struct webhook_call *call);

#endif
