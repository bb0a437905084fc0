/*
 * exec.h: EXEC: does what MULTI has queued (multi.h), and answers the array of all replies.
 *
 *   EXEC ─► a view, where there are queries ─► one entry with all commands ─► journal: applied in a row, one group
 *                                                                                  │
 *   socket ◄── *n, then reply by reply, as the client takes them ◄─────────────────┘
 *              │  WRITE   as its entry says (answer.h); the messages of a POP are read when it is its turn
 *              │  QUERY   from the view of before, step by step
 *              └─ LOCAL   now
 *
 * All or nothing: a commit group is one record of the log, and the commands of an EXEC are never in two of them. Where the
 * journal refuses the entry (BUSY), or the disk is full, nothing is done and the EXEC is answered with that error. A single
 * command that cannot be done is its error in the array, and the others are done.
 *
 * The replies are written one behind the other into the output: in RESP that is an array. They may be very large, so no
 * further one is made while much is unsent; nothing else is parsed meanwhile (STOP_REPLY). A connection that has
 * subscriptions is the exception: a push must not get between, so its replies are made at once.
 *
 * Messages that were granted to a POP and whose turn has not come are requeued when the connection ends.
 *
 * Bounds: EXEC_VIEWS_MAX views a loop. A client that holds one and does not read its replies is cut after a minute, or at
 * the next sweep where all are taken.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_EXEC_H
#define HALFMQ_BROKER_EXEC_H

#include "broker/net/conn.h"

#define EXEC_VIEWS_MAX 64

struct execs;

/* run_local: does a LOCAL command, and replies once. */
void execs_init(struct execs *all,
                void (*run_local)(struct conn *c, const struct command *cmd, struct request rq));

/* Asked before exec_begin: GO_ON, or why it must wait. */
enum verdict exec_may_begin(struct conn *c);

/* Does what is queued, or refuses. */
void exec_begin(struct conn *c, struct request rq);

/* Goes on with one that has room. True: there is more to do. */
bool execs_run(struct loop *l);

/* The connection was idle for some seconds: it is cut if it keeps a view and does not read. */
void exec_look(struct conn *c);

/* The connection ends: requeues what was not delivered, and frees all of MULTI. */
void exec_drop(struct conn *c);

#endif
