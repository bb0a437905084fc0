/*
 * wait.h: the waits of a connection: a POP, CHECKS or READ with WAIT that found nothing.
 *
 *   first answer `nothing`, WAIT left      woken: news, time            comes back
 *   ──────────────► waiter PARKED ────────► submitted again ──────────► something: answered, freed
 *                       │  ▲                 (same entry)               nothing: news was missed?
 *             deadline, │  └─────────────────────────────────────────── submitted again, else parked
 *             EOF: empty answer
 *
 * On a text connection a wait stops the parser (conn_wait_begins) until it is answered.
 *
 * Who closes while it waits is handed nothing: before a wait is answered the socket is looked at once more, as the
 * close may be younger than the last read.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_WAIT_H
#define HALFMQ_BROKER_WAIT_H

#include "broker/net/conn.h"

struct waiter;

#define WAITS_MAX 1024 /* parked at once by one connection */

/* May the command park where it finds nothing? */
bool wait_allowed(const struct command *cmd);

/* True where the connection has WAITS_MAX of them already. */
bool waits_full(struct conn *c);

/* A POP or CHECKS came back with `nothing`: parks it; the entry is the waiter's from then on. False: it must be
 * answered now. */
bool wait_park(struct conn *c, struct entry *e) MUST_CHECK;

/* A READ found nothing: parks a copy. key: of its query_hint. False: answer what there is. */
bool wait_park_read(struct conn *c, const struct command *cmd, struct request rq, uint64_t key) MUST_CHECK;

/* A waiter's entry (entry->arg) is back from the journal. */
void wait_back(struct loop *l, struct entry *e);

/* Answers the entry of a command with WAIT, even of one that found something at once. */
void wait_answer(struct conn *c, const struct entry *e);

/* The client half-closed, or the loop drains: those that are parked end with an empty answer. */
void waits_end(struct conn *c);

/* The client is gone: waits end without an answer. */
void waits_drop(struct conn *c);

#endif
