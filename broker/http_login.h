/*
 * http_login.h: who asks for a page: nobody in particular (`default`), or a user by Basic or Bearer.
 *
 *   request ──► http_login ──┬── protected mode, and from elsewhere ──► 403
 *                            ├── no header, and default needs no password ─┐
 *                            └── auth_begin ··· the worker's answer ───────┴─► may it use INFO? ──► the page
 *                                                   └► 401 (wrong), 503 (busy)   └► 403, 503
 *
 * A request that waits for the worker is libevent's meanwhile; where its client has gone, or it took too long, libevent
 * keeps it without a connection, and drops what is answered.
 *
 * Threads: the main thread's, but for what the worker calls.
 */
#ifndef HALFMQ_BROKER_HTTP_LOGIN_H
#define HALFMQ_BROKER_HTTP_LOGIN_H

#include <event2/event.h>
#include <event2/http.h>

#include "protocol/command/command.h"

struct server;
struct http_login;

typedef void http_answer_fn(struct evhttp_request *req, int code, const char *text);

/* What is shown to who may do a command. */
struct http_wanted {
    enum command_id needs; /* CMD_QUIT: everybody may, but for protected mode */
    void (*show)(struct server *s, struct evhttp_request *req);
};

/* NULL: no memory. answer: sends a short text. */
struct http_login *http_login_new(struct server *s, struct event_base *base, http_answer_fn *answer);
void http_login_free(struct http_login *h); /* after entrance_stop, or before any request; NULL is fine */

/* Shows it, where the one who asks may see it; answers an error otherwise. wanted: static. */
void http_login_show(struct http_login *h, struct evhttp_request *req, const struct http_wanted *wanted);

#endif
