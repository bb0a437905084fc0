/*
 * http.h: the HTTP port: /metrics, /healthz, /readyz. Runs on the main thread's event loop.
 */
#ifndef HALFMQ_BROKER_HTTP_H
#define HALFMQ_BROKER_HTTP_H

#include "broker/base/socket.h"

struct server;
struct event_base;
struct http;

/* Serves on all of sockets and takes ownership of them. NULL: no memory; sockets that are still in *sockets stay
 * the caller's. */
struct http *http_new(struct server *s, struct event_base *base, struct sockets *sockets);

/* Closes the sockets and all connections; the event loop must not run any more. NULL is fine. */
void http_free(struct http *h);

#endif
