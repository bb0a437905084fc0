/*
 * login.h: AUTH and HELLO ... AUTH: a connection becomes a user, by a password or a token.
 *
 *   AUTH ──► login_begin ──► auth_begin ──┬── at once ─────────────────────────────┐
 *              │ no more commands of it    └── worker ──► the carrier is posted ──► login_back ──► session_become ──► reply
 *              └ are taken (STOP_LOGIN)
 *
 * The carrier is an entry that the journal never sees: the worker puts it into the loop's mailbox, so that a login comes
 * back as a command does, and counts as one in flight until then. It has the HELLO that is done afterwards, without its
 * password.
 *
 * A token ends: then what waits ends empty, subscriptions and streams are closed, and commands answer NOAUTH (allow.h)
 * until the connection becomes a user again.
 *
 * Threads: the loop's own, but for what the worker calls.
 */
#ifndef HALFMQ_BROKER_LOGIN_H
#define HALFMQ_BROKER_LOGIN_H

#include "broker/net/conn.h"

/* Begins a login; the reply comes when it is decided. user: empty: `default`, and whoever a token names. then: what is done
 * afterwards: AUTH answers OK, HELLO (without a password) does what it does. */
void login_begin(struct conn *c, struct slice user, struct slice password, const struct command *then, struct request rq);

/* AUTH with a password alone: `default` needs none, and it is no token either. */
bool login_needs_none(struct conn *c, struct slice password);

/* RESET: the connection is again who it was when it was opened, and no token of it ends any more. */
void login_reset(struct conn *c);

/* The connection is freed. */
void login_drop(struct conn *c);

#endif
