/*
 * handlers.h: one function for each WRITE or INNER command; the table is in apply.c. Each fills in the outcome, and
 * does either all of its command or nothing.
 */
#ifndef HALFMQ_STORAGE_HANDLERS_H
#define HALFMQ_STORAGE_HANDLERS_H

#include "storage/model/core.h"
#include "storage/need.h"

typedef void apply_fn(struct state *st, const struct stamp *stamp, const struct command *cmd,
                      struct outcome *out);

apply_fn apply_send, apply_msend;                                             /* send.c */
apply_fn apply_produce;                                                       /* produce.c */
apply_fn apply_delayed_cancel;                                                /* delay.c */
apply_fn apply_half;                                                          /* half.c */
apply_fn apply_commit, apply_rollback;                                        /* commit.c */
apply_fn apply_unknown, apply_txn_extend, apply_checks, apply_unask;          /* check.c */
apply_fn apply_pgroup_set, apply_pgroup_delete;                                /* pgroup_set.c */
apply_fn apply_pop;                                                           /* pop.c */
apply_fn apply_advance;                                                       /* group_seek.c */
apply_fn apply_ack, apply_nack, apply_extend, apply_reject, apply_release, apply_skip;    /* ack.c */
apply_fn apply_group_create, apply_group_delete;                              /* manage.c */
apply_fn apply_group_set, apply_group_pause, apply_group_resume;              /* group_set.c */
apply_fn apply_group_seek;                                                    /* group_seek.c */
apply_fn apply_topic_create, apply_topic_purge, apply_topic_delete;           /* manage.c */
apply_fn apply_topic_set;                                                     /* topic_set.c */
apply_fn apply_dlq_redrive, apply_dlq_purge;                                  /* redrive.c */
apply_fn apply_acl_setuser, apply_acl_deluser;                                /* acl/acl.c */
apply_fn apply_tick;                                                          /* timer.c */

/* Reads some of what a COMMIT of a long transaction needs. ST_BUSY: there is more. Else it is to be applied, whatever this is:
 * what could not be read is read then. large: as of state_ahead. Between two groups. commit_forget: and nothing of it stays in
 * memory. */
enum status commit_ahead(struct state *st, const struct stamp *stamp, const struct command *cmd, size_t *large);
void commit_forget(struct state *st);

/* Adds what the group of a COMMIT will write, if its transaction is long. */
void commit_need(struct state *st, const struct stamp *stamp, const struct command *cmd, struct need *need);

/* True where it is a PRODUCE whose DEDUP id is known: its first answer, or an error, was given. Nothing is changed. */
bool produce_repeated(struct state *st, const struct stamp *stamp, const struct command *cmd, struct outcome *out);

#endif
