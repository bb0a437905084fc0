/*
 * users.h: all users as of one moment: made once, read by any thread, and never changed.
 *
 *   rows a ──► users_new, users_add ... ──► struct users ◄── users_hold ── a loop, a connection, an entry
 *                                               │
 *                              users_find ──► struct access_user: good as long as the users are held
 *
 * Bounds: USERS_MAX users and `default`, each with at most USER_PATTERNS_MAX patterns of a kind.
 */
#ifndef HALFMQ_STORAGE_USERS_H
#define HALFMQ_STORAGE_USERS_H

#include "protocol/base/hash.h"
#include "storage/access/user.h"

struct users;

/* What of a command is to be judged, bits. */
enum users_look {
    LOOK_AT_ALL = 1, /* more than its names: its right, a part of it, bounds */
    LOOK_IN_STORE = 2, /* the store judges it, too, or chooses what is shown */
};

/* Its slices point into it. */
struct access_user {
    struct hash_node node; /* first; by the name */
    struct users *users;
    struct slice name;
    bool free; /* it is on, may do everything, and has no bound of commands and bytes: nothing else need be looked at */
    bool damaged; /* its row cannot be read: it is off, and may do nothing */
    uint64_t rights[RIGHT_WORDS];
    uint8_t looks[COMMAND_COUNT]; /* enum users_look: what is to be looked at of each command */
    struct user_row row;
    uint8_t bytes[];
};

/* NULL: no memory. One holds it. */
struct users *users_new(void);
void users_hold(struct users *us);
void users_release(struct users *us); /* NULL: nothing is done. The last one frees it */

/* Before anybody else sees it: adds a user by the bytes of its row; those that make no sense are a damaged user. ST_NOMEM. */
enum status users_add(struct users *us, struct slice name, struct slice row) MUST_CHECK;

/* After the last one: adds `default` where it is missing, and sorts. ST_NOMEM. */
enum status users_finish(struct users *us) MUST_CHECK;

/* NULL: there is none. */
const struct access_user *users_find(const struct users *us, struct slice name);

/* The user `default`. Never NULL. */
const struct access_user *users_default(const struct users *us);

/* By name: the i-th of users_count. */
uint32_t users_count(const struct users *us);
const struct access_user *users_at(const struct users *us, uint32_t i);

#endif
