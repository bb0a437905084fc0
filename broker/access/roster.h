/*
 * roster.h: all users as of now, for all threads, and what they use.
 *
 *   a group that changed users is durable ── news ──► roster_gen rises, before anybody is answered
 *   a thread that sees another gen than it knows ───► roster_users: the first one reads the rows, the others share them
 *
 * So a change counts from the next command of every connection, whichever thread has it. A thread keeps the users that it
 * was given (held) until it sees a later gen.
 *
 * Threads: roster_gen and roster_users any; the others the main thread's.
 */
#ifndef HALFMQ_BROKER_ROSTER_H
#define HALFMQ_BROKER_ROSTER_H

#include <stdatomic.h>

#include "broker/access/use.h"
#include "broker/journal/journal.h"
#include "storage/access/users.h"

struct roster {
    _Atomic uint64_t gen; /* from 1 on */
    struct uses uses;
    /* ---- roster.c's ---- */
    struct journal_client client;
    struct journal *journal;
    pthread_mutex_t lock;
    struct users *users; /* under lock, as the next; NULL: not read yet */
    uint64_t users_gen;
};

/* Registers with the journal; nothing may be submitted yet. NULL: no memory. */
struct roster *roster_new(struct journal *j);
void roster_free(struct roster *r); /* after the journal, and all threads that ask; NULL is fine */

static inline uint64_t roster_gen(const struct roster *r)
{
    return atomic_load_explicit(&r->gen, memory_order_acquire);
}

/* The users as of *ret_gen or later; the caller holds them. c: the client whose thread this is, or NULL. ST_NOMEM, ST_IO,
 * ST_DAMAGED: they cannot be read now. */
enum status roster_users(struct roster *r, struct journal_client *c, struct users **ret_users, uint64_t *ret_gen) MUST_CHECK;

#endif
