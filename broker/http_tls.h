/*
 * http_tls.h: HTTPS: what libevent's HTTP server reads and writes a connection through, where there is a certificate.
 */
#ifndef HALFMQ_BROKER_HTTP_TLS_H
#define HALFMQ_BROKER_HTTP_TLS_H

#include <stdbool.h>

struct bufferevent;
struct event_base;
struct server;

/* For one new connection. NULL: no memory. A client that does not speak TLS gets 400, and is closed. */
struct bufferevent *http_tls_new(struct server *s, struct event_base *base);

/* Is TLS spoken on the HTTP port? */
bool http_tls_is_on(const struct server *s);

/* Is it, but not on this connection? */
bool http_tls_is_missing(const struct server *s, struct bufferevent *bev);

#endif
