/*
 * judge.h: may this user do this command? The one place where that is decided, for every dialect, from the table alone
 * (command.def: the category, and what the words name).
 *
 *   command ──► its right ─────────────── may not use SEND
 *           └─► each name in its words ── may not access topic t, group g, producer group p
 *           └─► a transaction, a token: only the store knows whose it is. Whoever has it applied sets command.user, and
 *               the store calls judge_topic and judge_pgroup when it knows. The same for lists, which show what may be seen.
 *
 * Names that a user was allowed before are not matched with its patterns again (allowed.h): judge_at_once.
 *
 * The topics %DLQ%<group> and %RETRY%<group> belong to who may access that group, whatever topics they may.
 *
 * What everybody may do, as a connection may that is no user yet: AUTH, HELLO with AUTH, QUIT and RESET. To add a kind of
 * name: a line in enum touch (protocol/command/command.h) and a case in judge_name.
 */
#ifndef HALFMQ_STORAGE_JUDGE_H
#define HALFMQ_STORAGE_JUDGE_H

#include "storage/access/allowed.h"

enum denied { DENIED_COMMAND, DENIED_TOPIC, DENIED_GROUP, DENIED_PGROUP };

/* What was refused. */
struct denial {
    enum denied reason;
    unsigned right;      /* COMMAND */
    struct slice object; /* of others: the name, borrowed from the command */
};

/* "command" "topic" "group" "pgroup". */
const char *denied_word(enum denied d);

bool judge_right(const struct access_user *u, unsigned right);
bool judge_topic(const struct access_user *u, struct slice topic);
bool judge_group(const struct access_user *u, struct slice group);
bool judge_pgroup(const struct access_user *u, struct slice pgroup);

/* May it do the command, as far as can be said without the store? False: ret_denial says what is refused. known: where names
 * are remembered that it is allowed; NULL: nowhere. */
bool judge(const struct access_user *u, struct allowed_names *known, const struct command *cmd, struct denial *ret_denial);

/* Options whose values are names. */
#define OPTION(id, word, type, repeat, touches) (TOUCH_##touches != TOUCH_NONE ? OPT(id) : 0) |
static const uint64_t judge_options =
#include "protocol/command/option.def"
    0;
#undef OPTION

/* Are all names of the command's words known as ones that the user may access? */
bool judge_known_names(const struct access_user *u, const struct allowed_names *known, const struct command *cmd);

/* The short way: is it known already that the user may do the command? True: it may, it has no bounds of commands and bytes,
 * and *ret_by_store is as judge_by_store says. False: judge knows. */
static inline bool judge_at_once(const struct access_user *u, const struct allowed_names *known, const struct command *cmd,
                                 const struct access_user **ret_by_store)
{
    unsigned looks = u->looks[cmd->info->id];
    *ret_by_store = looks ? u : NULL;
    return !(looks & LOOK_AT_ALL) && !(cmd->has & judge_options) && judge_known_names(u, known, cmd);
}

/* May everybody do it? */
bool judge_is_open(const struct command *cmd);

/* What the command's `user` is to be: u, where the store has to judge or to choose what is shown; else NULL. */
const struct access_user *judge_by_store(const struct access_user *u, const struct command *cmd);

/* "user alice may not use TOPIC CREATE": appended. */
void denial_print(struct buf *b, struct slice user, const struct denial *d);

#endif
