/*
 * allow.h: the judge's place among the connections: each command is judged here, before it becomes an entry or a query.
 *
 *   command ──► allow_is_free: the user may do everything ─────────────────► done
 *           └─► allow: nobody? over? rules (admit.h), then bounds ──► refused, or done with command.user
 *
 * What was submitted before a change of users is done; a POP with WAIT that comes back after it is judged again
 * (allow_still), and so is what MULTI has queued. revoke.h does the rest.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_ALLOW_H
#define HALFMQ_BROKER_ALLOW_H

#include "broker/serve/session.h"
#include "storage/access/judge.h"

/* Is nothing to be judged? A few instructions. */
static inline bool allow_is_free(struct conn *c)
{
    return session_of(c)->who.free_gen == roster_gen(serve_of(c->loop)->env.roster);
}

/* May the connection's user do the command now? False: it was refused, and that was answered. True: cmd->user is set. After
 * it was dispatched allow_ends is to be called. */
bool allow(struct conn *c, struct command *cmd, struct request rq);
void allow_ends(struct conn *c, enum verdict v);

/* Is what was begun still allowed? */
bool allow_still(struct conn *c, const struct command *cmd);

/* The same for a command that MULTI has queued; and who judges it in the store is set again. */
bool allow_queued(struct conn *c, struct entry *e);

#endif
