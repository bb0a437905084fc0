/*
 * conn_slice.h: how long one connection may keep its loop busy before the others have their turn.
 *
 *   command ──► conn_run: its slice is used up? ──► STOP_SLICE, in loop.sliced ──► its turn again (loop_thread.c)
 *
 * Counted are the commands that may take some time (conn_duration), and the words of requests with very many. All others
 * are so quick that what is read at a time bounds them. Once a loop has spent LOOP_SLICES_NS in a turn on such commands,
 * each connection may do one more in that turn, so that a client that sends one at a time waits for nobody's hundreds;
 * but lists and other commands that may take long wait for their turn.
 *
 * A connection in loop.sliced is neither read nor parsed. Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_CONN_SLICE_H
#define HALFMQ_BROKER_CONN_SLICE_H

#include "broker/net/conn.h"

#define SLICE_NS INT64_C(1000000)
#define WORD_NS 20 /* what a word of a request takes, about */

/* Has the session do the command, and counts the time where it may take long. False: the connection must wait, and the
 * command is parsed again. */
bool conn_run(struct conn *c, const struct command *cmd, struct request rq);

/* Counts time that was spent on this connection's input. */
void conn_spend(struct conn *c, int64_t ns);

/* Takes it out: it has its turn again, or is freed. */
void conn_leave_slices(struct conn *c);

#define STRANGER_BYTES_MAX ((size_t)KIB(64)) /* of a request */

/* The largest request, and the largest word of one, that it may send. */
static inline size_t conn_request_max(const struct conn *c)
{
    return c->stranger ? STRANGER_BYTES_MAX : c->loop->request_max;
}

/* A request that cannot be taken: replies with the error (text "": the status's own words), or, to who is nobody yet, only that it
 * must log in; and tells the session. word: its first one, or empty. */
void conn_refuse_unknown(struct conn *c, struct request rq, enum status s, const char *text, struct slice word);

#endif
