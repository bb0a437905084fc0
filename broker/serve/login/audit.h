/*
 * audit.h: lines in the log about who was refused and who administers, and what ACL LOG remembers.
 *
 *   level=warn msg="login failed" audit=1 user=ann addr=10.0.0.7 client=12 reason="..."
 *   level=info msg="administration" audit=1 user=ann addr=10.0.0.7 client=12 command="TOPIC DELETE" object=orders
 *
 * Each is written, however many there are in a second: failed logins are slow by themselves (auth.h). No line has more of a
 * command than its name and its first word, so that no secret gets into the log.
 */
#ifndef HALFMQ_BROKER_AUDIT_H
#define HALFMQ_BROKER_AUDIT_H

#include "broker/net/conn.h"

/* user: as the client gave it. why: a few words, static. */
void audit_login_failed(struct conn *c, struct slice user, const char *why);

/* A command that its user may do, and that is about to be done: a line, if it is one of @admin or @manage. */
void audit_command(struct conn *c, const struct command *cmd);

/* A command that was refused. reason: "command" "topic" "group" "pgroup", static; object: which one. */
void audit_refused(struct conn *c, const char *reason, struct slice object);

#endif
