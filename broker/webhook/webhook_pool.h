/*
 * webhook_pool.h: connections to services; those that may be used again are kept for the next request.
 *
 *   pool_link_new ──► in use ──► pool_give ──► kept, by host and port ──► pool_take ──► in use
 *                        │          └─ no room, not clean ─► freed  │
 *                        └─ pool_link_free                          └─ closed by the other side, not used for
 *                                                                      POOL_IDLE_MS, older than POOL_AGE_MS ─► freed
 *
 * A kept connection may die at any moment, which shows only when something is sent: the caller has to expect that
 * (webhook_call.c). A connection is used for POOL_AGE_MS at most, so that a name that now leads elsewhere is looked up
 * again. Connections are kept by host and port because that is what their address was allowed for (webhook_allow.h).
 *
 * Bounds: POOL_HOST_MAX are kept for one host and port, POOL_MAX in all; the oldest goes first. Threads: the event
 * base's own. Not to be called from libevent's HTTP callbacks: it frees what they use.
 */
#ifndef HALFMQ_BROKER_WEBHOOK_POOL_H
#define HALFMQ_BROKER_WEBHOOK_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "protocol/limits.h"

#define WEBHOOK_ANSWER_HEADERS_MAX ((size_t)KIB(16)) /* of any answer on a connection ... */
#define WEBHOOK_ANSWER_BODY_MAX ((size_t)KIB(48))    /* ... what is longer is no answer */

#define POOL_HOST_MAX 16
#define POOL_MAX 256
#define POOL_IDLE_MS 4000
#define POOL_AGE_MS 60000

struct event_base;
struct evhttp_connection;
struct pool;

struct pool_link {
    struct pool *pool;
    struct pool_link *prev, *next; /* of those that are kept, the newest first */
    struct evhttp_connection *http;
    int64_t born_ms, idle_ms;
    bool waits;       /* it is kept, and not in use */
    bool closed;      /* by either side */
    bool sent, heard; /* since it was taken: bytes have left, have come */
    char authority[];
};

struct pool *pool_new(struct event_base *base); /* NULL: no memory */
void pool_free(struct pool *p); /* nothing may be in use; NULL is fine */

/* Makes a connection to that address; it connects with its first request. NULL: no memory. */
struct pool_link *pool_link_new(struct pool *p, const char *authority, const struct sockaddr *to, socklen_t len);
void pool_link_free(struct pool_link *l);

/* Takes a kept connection. NULL: there is none. */
struct pool_link *pool_take(struct pool *p, const char *authority);

/* To be called when the answer is whole and the service keeps the connection open: keeps it, or frees it. */
void pool_give(struct pool_link *l);

#endif
