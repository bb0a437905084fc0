/*
 * allow.h: the judge's place among the connections: each command is judged here, before it becomes an entry or a query.
 *
 *   command ──► allow_is_free: the user may do everything ─────────────────► done
 *           ├─► allow_at_once: its names were allowed a moment ago ────────► done
 *           └─► allow: nobody? over? rules (admit.h), then bounds ──► refused, or done, some with command.user
 *
 * Names that the loop's users were allowed before are found without their patterns (storage/access/allowed.h); that ends
 * when the users change.
 *
 * What was submitted before a change of users is done; a POP with WAIT that comes back after it is judged again
 * (allow_still), and so is what MULTI has queued. revoke.h does the rest.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_ALLOW_H
#define HALFMQ_BROKER_ALLOW_H

#include "broker/base/clock.h"
#include "broker/serve/session.h"
#include "storage/access/judge.h"

/* Is nothing to be judged? A few instructions. */
static inline bool allow_is_free(struct conn *c)
{
    return session_of(c)->who.free_gen == roster_gen(serve_of(c->loop)->env.roster);
}

/* Is it known already that the connection's user may do the command now? True: *ret_by_store as allow's. False: allow says. */
static inline bool allow_at_once(struct conn *c, const struct command *cmd, const struct access_user **ret_by_store)
{
    const struct who *w = &session_of(c)->who;
    struct serve_loop *sl = serve_of(c->loop);
    return w->user && w->gen == roster_gen(sl->env.roster) && judge_at_once(w->user, &sl->allowed, cmd, ret_by_store) &&
           (!w->until_ms || clock_wall_ms() < w->until_ms);
}

/* May the connection's user do the command now? False: it was refused, and that was answered. *ret_by_store: what the
 * command's `user` is to be (judge_by_store). After it was dispatched allow_ends is to be called. */
bool allow(struct conn *c, const struct command *cmd, struct request rq, const struct access_user **ret_by_store);
void allow_ends(struct conn *c, enum verdict v);

/* A request that cannot be taken: its client is nobody, who is told no more than NOAUTH. False where its first word is one that
 * anybody may use. */
bool allow_hides(struct conn *c, struct slice word);

/* Is what was begun still allowed? */
bool allow_still(struct conn *c, const struct command *cmd);

/* The same for a command that MULTI has queued; and who judges it in the store is set again. */
bool allow_queued(struct conn *c, struct entry *e);

#endif
