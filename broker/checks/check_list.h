/*
 * check_list.h: reads the reply of CHECKS check by check, and builds the UNASK command that undoes asks.
 *
 *   CHECKS ──► [ {txid attempt ...}, {...} ] ── check_list_next ──► struct check ──► a member
 *                                                                       └─ nobody ──► struct unask
 */
#ifndef HALFMQ_BROKER_CHECK_LIST_H
#define HALFMQ_BROKER_CHECK_LIST_H

#include "broker/checks/asks.h"
#include "protocol/command/command.h"

struct check {
    struct ask ask;
    struct slice object; /* one reply-token value: the map */
    bool is_note; /* ... of a long transaction: its messages are still to be read (asked.h) */
};

struct check_list {
    struct cursor c;
    int64_t left;
};

/* False: the reply is no array (an error). */
bool check_list_open(struct slice reply, struct check_list *ret_l);
bool check_list_next(struct check_list *l, struct check *ret_check);

/* Gathers asks for one UNASK command. */
#define UNASK_WORDS_MAX 256

struct unask {
    struct buf text;
    uint32_t n;
    size_t ends[UNASK_WORDS_MAX];
    struct slice words[UNASK_WORDS_MAX];
};

void unask_init(struct unask *u);
void unask_fini(struct unask *u);
void unask_add(struct unask *u, struct ask ask); /* u must not be full */

static inline bool unask_full(const struct unask *u)
{
    return u->n == UNASK_WORDS_MAX;
}

/* Makes the command, which borrows from u, and empties u for the next one. False: u is empty, or memory ran
 * out. */
bool unask_command(struct unask *u, struct command *ret_cmd) MUST_CHECK;

#endif
