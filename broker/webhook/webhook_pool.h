/*
 * webhook_pool.h: connections to services, and those that wait for the next request.
 *
 *   pool_link_new ──► in use ──► pool_give ──► waits, by host and port ──► pool_take ──► in use
 *                  │            └─ no room, not whole, too old ─► freed     │
 *                  └─ pool_link_free                closed by the other side, or POOL_IDLE_MS over ─► freed
 *
 * A connection that waits may die at any moment, unseen until something is sent: what to do then is the
 * caller's business (webhook_call.c). One is used for POOL_AGE_MS at most, so that a name that was moved is
 * looked up again. An address was allowed for its host and port (webhook_allow.h), which is what it is kept by.
 *
 * Bounds: POOL_HOST_MAX wait for one host and port, POOL_MAX in all; the oldest goes first. Threads: the
 * event base's own. Not to be called from libevent's HTTP callbacks: it frees what they use.
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
    struct pool_link *prev, *next; /* of those that wait, the newest first */
    struct evhttp_connection *http;
    int64_t born_ms, idle_ms;
    bool waits;
    bool closed; /* by either side */
    bool sent, heard; /* since it was taken: bytes have left, have come */
    char authority[];
};

struct pool *pool_new(struct event_base *base); /* NULL: no memory */
void pool_free(struct pool *p); /* nothing may be in use; NULL is fine */

/* A connection to that address, which connects with its first request. NULL: no memory. */
struct pool_link *pool_link_new(struct pool *p, const char *authority, const struct sockaddr *to, socklen_t len);
void pool_link_free(struct pool_link *l);

/* NULL: none waits. */
struct pool_link *pool_take(struct pool *p, const char *authority);

/* The answer is whole and says that it stays open: keeps it, or frees it. */
void pool_give(struct pool_link *l);

#endif
