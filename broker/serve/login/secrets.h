/*
 * secrets.h: ACL SETUSER with passwords: they are hashed by the auth worker before the command is submitted.
 *
 *   ACL SETUSER ann on >secret ──► carrier, passwords ──► worker ──► ACL SETUSER ann on #scrypt$... ──► journal
 *                │ no more commands of the connection are taken (STOP_LOGIN)        └─► they are again
 *
 * Threads: the loop's own, but for what the worker calls.
 */
#ifndef HALFMQ_BROKER_SECRETS_H
#define HALFMQ_BROKER_SECRETS_H

#include "broker/net/conn.h"

/* Is it such a command? */
bool secrets_are_in(const struct command *cmd);

/* Begins; submit is called with the command to do, or there is a reply. */
void secrets_begin(struct conn *c, const struct command *cmd, struct request rq,
                   void (*submit)(struct conn *c, const struct command *cmd, struct request rq));

#endif
