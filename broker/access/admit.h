/*
 * admit.h: may a user do a command now? What its rules say (storage/access/judge.h), and then its bounds (use.h). Every
 * dialect, and HTTP, asks here.
 */
#ifndef HALFMQ_BROKER_ADMIT_H
#define HALFMQ_BROKER_ADMIT_H

#include "broker/access/use.h"
#include "storage/access/judge.h"

#define ADMIT_WHY_SIZE 800

/* May it do the command, as far as rules say? ST_NOPERM: why (ADMIT_WHY_SIZE bytes) has the sentence, ret_denial the
 * details. */
enum status admit_judge(const struct access_user *u, const struct command *cmd, char *why, struct denial *ret_denial) MUST_CHECK;

/* Counts it against the user's bounds. ST_BUSY: it is over one of them, nothing was counted, and why has the sentence. */
enum status admit_spend(const struct access_user *u, struct use *use, const struct command *cmd, char *why) MUST_CHECK;

/* The sentence for a user who has as many connections as it may. */
void admit_say_conns(const struct access_user *u, char *why);

#endif
