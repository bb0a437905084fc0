/*
 * wait.h: the waits of a connection: a POP, CHECKS or READ with WAIT that found nothing.
 *
 *   first answer `nothing`, WAIT left      woken: news, time            comes back
 *   ──────────────► waiter PARKED ────────► submitted again ──────────► something: replied to, freed
 *                       │  ▲                 (same entry)               nothing: news was missed?
 *             deadline, │  └─────────────────────────────────────────── submitted again, else parked
 *             EOF: empty reply
 *
 * On a text connection a wait stops the parser (conn_wait_begins) until its reply is sent.
 *
 * A client that has closed its connection is delivered nothing. So before a reply with messages, the socket is
 * looked at once more: the client may have closed it since the last read.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_WAIT_H
#define HALFMQ_BROKER_WAIT_H

#include "broker/net/conn.h"

struct waiter;

#define WAITS_MAX 1024 /* parked at once by one connection */

/* True where the command can wait, and asks for it (WAIT over 0). */
bool wait_allowed(const struct command *cmd);

/* True where nothing more may be parked for the connection: it has WAITS_MAX, or memory is short. */
bool waits_full(struct conn *c);

/* A POP or CHECKS came back with `nothing`: parks it, and the entry becomes the waiter's. False: reply now. */
bool wait_park(struct conn *c, struct entry *e) MUST_CHECK;

/* A READ found nothing: parks a copy of it, as its hint says. False: reply with what there is. */
struct query_hint;
bool wait_park_read(struct conn *c, const struct command *cmd, struct request rq, const struct query_hint *hint) MUST_CHECK;

/* The entry of a waiter (entry->arg) came back from the journal. Takes the entry. */
void wait_back(struct loop *l, struct entry *e);

/* Replies to a command with WAIT, also to one that found something at once. The entry stays the caller's, who
 * frees it with delivery_free. */
void wait_answer(struct conn *c, struct entry *e);

/* Ends those that are parked with an empty reply: the client has half-closed, or the loop drains. */
void waits_end(struct conn *c);

/* Ends those empty that are parked and no longer allowed. */
void waits_revoke(struct conn *c);

/* Ends all without a reply: the connection ends. */
void waits_drop(struct conn *c);

#endif
