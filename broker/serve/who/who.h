/*
 * who.h: which user a connection is, and for how long.
 *
 *   opened ──► default   while it is on and needs no password (and for good: a password that it gets later counts for new
 *     │                  connections)
 *     └──────► nobody ── session_become ──► a user ── it is deleted, made again or switched off: the connection is closed
 *                                            └─────── until_ms has come: commands answer NOAUTH until it becomes one again
 *
 * The name is with the connection (conn_set_user), as CLIENT LIST shows it. The user's rules are those of the loop's
 * users, found again when these change (allow.h).
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_WHO_H
#define HALFMQ_BROKER_WHO_H

#include "broker/net/conn.h"
#include "broker/serve/who/who_state.h"

/* The connection becomes that user. until_ms: Unix milliseconds at which that ends, 0: for good. ST_WRONGPASS: there is no
 * such user, or it is off; ST_LIMIT: it has as many connections as it may; ST_NOMEM, ST_BUSY: not now. In each of these it
 * stays who it was. */
enum status session_become(struct conn *c, struct slice user, enum who_how how, int64_t until_ms) MUST_CHECK;

/* As when the connection was opened: the user that its client's certificate names (session.certified), or nobody where that
 * is none; without a certificate `default`, or nobody. For RESET, and for a new connection. */
void session_begin(struct conn *c);

/* Its user's name; empty: nobody. */
struct slice session_user(struct conn *c);

/* The loop's users as of now; the loop holds them until this is called again. NULL: they cannot be read now. */
struct users *who_users(struct loop *l);

/* Who it is now: looks again where users changed. NULL: nobody, or its user is gone, or is another one by now. */
const struct access_user *who_is(struct conn *c);

/* The connection is freed. */
void who_leave(struct conn *c);

#endif
