/*
 * entrance.h: what settings say about who may come in: the password of `default`, keys of tokens, protected mode.
 *
 *   entrance_check ──► entrance_new ──► entrance_set_password ── loops and listening begin
 *     files are read     auth, acl_log     a command, and it is durable
 *
 * The setting `password` makes `default` have exactly this password and be on. What it may do stays, unless no user is left
 * who could change that (ACL SETUSER) and is on: then `default` may do everything again. So the setting lets an operator in
 * who has locked everybody out.
 *
 * Threads: the main thread's, but for entrance_is_protected: any.
 */
#ifndef HALFMQ_BROKER_ENTRANCE_H
#define HALFMQ_BROKER_ENTRANCE_H

#include <stdbool.h>
#include <stddef.h>

struct entrance;
struct server;

#define ENTRANCE_PROTECTED_TEXT \
    "this broker has no password and serves only its own machine: set a password for the user default (setting password " \
    "or password_file, or ACL SETUSER default >secret from this machine), or switch protected_mode off"

/* Reads what the settings name, before the store is opened. NULL: err says why. */
struct entrance *entrance_new(struct server *s, char *err, size_t err_size);
void entrance_free(struct entrance *e); /* after the loops; NULL is fine */

/* Registers with the journal, before anything is submitted. */
void entrance_register(struct entrance *e);

/* Where the setting `password` is set: makes it so; returns when that is durable. False: err says why. */
bool entrance_set_password(struct entrance *e, char *err, size_t err_size);

/* SIGHUP: the keys of tokens are read again; those that cannot be read leave the old ones in place. */
void entrance_reload(struct entrance *e);

/* No more logins: those that wait are answered BUSY. */
void entrance_stop(struct entrance *e);

/* Are connections from other machines refused now? */
bool entrance_is_protected(struct server *s);

#endif
