/*
 * admit.h: may a user do a command now? What its rules say (storage/access/judge.h), and then its bounds (use.h). Every
 * dialect, and HTTP, asks here.
 */
#ifndef HALFMQ_BROKER_ADMIT_H
#define HALFMQ_BROKER_ADMIT_H

#include "broker/access/roster.h"
#include "storage/access/judge.h"

#define ADMIT_WHY_SIZE 800

/* May it do the command, as far as rules say? known: as judge's. ST_NOPERM: why (ADMIT_WHY_SIZE bytes) has the sentence,
 * ret_denial the details. */
enum status admit_judge(const struct access_user *u, struct allowed_names *known, const struct command *cmd, char *why,
                        struct denial *ret_denial) MUST_CHECK;

/* Counts it against the user's bounds. ST_BUSY: it is over one of them, nothing was counted, and why has the sentence. */
enum status admit_spend(const struct access_user *u, struct use *use, const struct command *cmd, char *why) MUST_CHECK;

/*
 * A request that has no connection of its own, as over HTTP: may that user do the command now? It counts against the user's
 * bounds of commands and bytes. c: the client whose thread this is, or NULL. ST_NOAUTH: there is no such user, it is off, or
 * it needs a password and `proved` says that none was shown; ST_NOPERM, ST_BUSY: why (ADMIT_WHY_SIZE bytes) says more.
 */
enum status admit_request(struct roster *r, struct journal_client *c, struct slice user, bool proved,
                          const struct command *cmd, char *why) MUST_CHECK;

/* The sentence for a user who has as many connections as it may. */
void admit_say_conns(const struct access_user *u, char *why);

#endif
