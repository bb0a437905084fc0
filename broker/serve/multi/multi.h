/*
 * multi.h: MULTI: the commands of a connection are queued until EXEC, which does them all (exec.h), or DISCARD.
 *
 *             MULTI             a command is refused
 *   MULTI_NONE ──► MULTI_OPEN ────────────────────► MULTI_ABORTED    commands answer QUEUED, and nothing is kept
 *      │ ▲            │ ▲ └─ a command: QUEUED              │
 *      │ └────────────┴─┴────────── EXEC, DISCARD ──────────┤        EXEC answers -EXECABORT
 *      └─ MULTI itself is refused ──► MULTI_REFUSED ────────┘        commands answer -ERR, and nothing is done
 *
 * A client that pipelines MULTI, commands and EXEC, and whose MULTI is refused, would have its commands done one by one
 * if they were taken as ordinary ones. So nothing is done until EXEC or DISCARD.
 *
 * A queued command is checked when it comes as far as it can be without the store, and kept as the entry that it will be
 * in the journal. A connection without MULTI has a state and a NULL pointer.
 *
 * Which commands cannot be queued: those that answer more than once or not in order (SUBSCRIBE, CLIENT LIST, streams),
 * change how replies are written (HELLO) or who asks (AUTH), or end the broker. RESET, QUIT, EXEC and DISCARD are done at
 * once. Text connections only: replies by MessagePack-RPC carry ids and come in any order, so there is no "between".
 *
 * Bounds: MULTI_COMMANDS_MAX, MULTI_BYTES_MAX; while connections hold too much memory, MULTI_SHORT_BYTES. What it keeps is
 * in the connection's account. A client that leaves much queued and sends nothing is closed while others need the memory
 * (CONN_QUEUES).
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_MULTI_H
#define HALFMQ_BROKER_MULTI_H

#include "broker/net/conn.h"

#define MULTI_SHORT_BYTES ((size_t)KIB(16)) /* in the account */

enum multi_state { MULTI_NONE, MULTI_OPEN, MULTI_ABORTED, MULTI_REFUSED };

struct view;

struct multi {
    struct conn *conn;
    struct entry_list queue; /* the commands; while the journal has them, empty; then those that are not answered yet */
    size_t bytes; /* of their words */
    uint32_t n_writes, n_queries;
    size_t messages; /* that its POPs may lease */
    bool slow; /* entry.slow of the EXEC */
    size_t kept; /* bytes that the connection is charged with */
    /* ---- exec.c's ---- */
    struct multi *prev, *next; /* of those that are being sifted or answered */
    struct view *view; /* of before; NULL: no query is left */
    bool sifting; /* the POPs from ... */
    struct entry *sift_next;  /* ... here on are to be looked at (exec_sift.h) ... */
    struct entry *sift_first; /* ... and this one has a sifter at work; NULL: none has */
    uint8_t stuck; /* looks since the last reply was made */
    bool answering;
    bool stepping; /* the first command is a query that has more steps ... */
    bool begun; /* ... of whose reply a piece was sent */
};

/* Done at once, also while commands are queued? */
bool multi_passes(const struct command *cmd);

/* Queues the command, or refuses it. Something is queued, or was refused (the session's multi_state). */
void multi_queue(struct conn *c, const struct command *cmd, struct request rq);

/* A request could not even be parsed, or was refused elsewhere; word: the first one of it. */
void multi_refused(struct conn *c, struct slice word);

/* Will EXEC answer little? */
bool multi_is_small(struct conn *c);

/* MULTI, DISCARD, WATCH. */
void multi_begin(struct conn *c, struct request rq);
void multi_discard(struct conn *c, struct request rq);
void multi_watch(struct conn *c, struct request rq);

/* Forgets what is queued, if anything is, without a reply: RESET. */
void multi_reset(struct conn *c);

/* ---- of this folder ---- */

void multi_charge(struct multi *m, size_t bytes);

/* Frees it; the commands are freed, and what is in no list of exec.c's. The state is MULTI_NONE afterwards. */
void multi_free(struct multi *m);

#endif
