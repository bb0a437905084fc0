/*
 * passwords.h: the rules >password and <password of ACL SETUSER, turned into #hash and !hash, which are stored.
 *
 *   ["on", ">secret", "+@all"]  ──► worker: scrypt ──►  ["on", "#scrypt$14$8$2$...", "+@all"]
 *
 * A new password gets the salt of the user's others, if there are any: so a login costs one hash however many there are, and
 * the same password twice is the same hash. <password is compared with the hashes that the user has, and with those that
 * the rules before it add.
 *
 * Bounds: PASSWORDS_MAX passwords in one command.
 *
 * Threads: made and freed by one; `done` is called on the worker's, as of any job.
 */
#ifndef HALFMQ_BROKER_PASSWORDS_H
#define HALFMQ_BROKER_PASSWORDS_H

#include "broker/auth/scrypt.h"
#include "broker/auth/worker.h"
#include "protocol/limits.h"

#define PASSWORDS_MAX (2 * USER_PASSWORDS_MAX)

struct passwords {
    struct worker_job job; /* first; done is set by the owner */
    uint32_t n;
    struct slice rules[PASSWORDS_MAX]; /* those that are passwords, with their first character; they point behind it */
    char hashed[PASSWORDS_MAX][SCRYPT_TEXT_MAX + 1]; /* the rule for each, when it is done */
    uint32_t n_had;
    struct scrypt had[USER_PASSWORDS_MAX + PASSWORDS_MAX]; /* hashes of the user, then those that were made */
    enum status result; /* ST_OK, ST_GONE: <password is none of the user's, ST_NOMEM, ST_BUSY */
    void *owner;
    size_t bytes;
    uint8_t text[];
};

/* Is the rule a password? */
static inline bool password_is_rule(struct slice rule)
{
    return rule.len > 0 && (rule.data[0] == '>' || rule.data[0] == '<');
}

/* How many of the rules are. */
uint32_t passwords_count(const struct slice *rules, uint32_t n);

/* Copies the passwords among the rules, at most PASSWORDS_MAX. hashes: what the user has. NULL: no memory. */
struct passwords *passwords_new(const struct slice *rules, uint32_t n, const struct slice *hashes, uint32_t n_hashes);
void passwords_free(struct passwords *p); /* overwrites them; NULL is fine */

#endif
