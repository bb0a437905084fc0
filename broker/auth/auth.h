/*
 * auth.h: logins: is this the user's password, or a good token? And passwords turned into what is stored of them.
 *
 *   auth_begin ──┬─ no password is needed, or the pair is known ──► the result at once
 *                └─► worker: token_check, or scrypt ──► login.done, on the worker's thread
 *                      ▲                            └─► throttle: failures of its address
 *                      └─ held back first, where the address has failed too often
 *
 * A login knows nothing of the users: whoever begins it copies what it needs of the user into it (login_take_user), and
 * looks again at the user when it is done, since the user may have changed meanwhile.
 *
 * A wrong password, a user who does not exist, one who is off and one without any password cost the same: one hash.
 *
 * Bounds: worker.h, known.h, throttle.h. A login is one block, of less than 16 KiB.
 *
 * Threads: any may begin a login; it belongs to the worker until `done`.
 */
#ifndef HALFMQ_BROKER_AUTH_H
#define HALFMQ_BROKER_AUTH_H

#include "broker/auth/scrypt.h"
#include "broker/auth/token_keys.h"
#include "broker/auth/worker.h"
#include "broker/base/address.h"
#include "protocol/limits.h"

struct auth;

enum login_result {
    LOGIN_PENDING, /* done will be called */
    LOGIN_RIGHT,
    LOGIN_WRONG,
    LOGIN_BUSY, /* too many at once, or no memory: nothing was decided */
};

struct auth_login {
    struct worker_job job; /* first: a job is its login */
    struct auth *auth;
    /* ---- as asked ---- */
    struct net_address from;
    char name[NAME_BYTES_MAX + 1]; /* of the user; after a token was taken, the user that it names */
    bool on, nopass; /* of the user; both false: there is none */
    uint64_t ref;
    uint32_t n_hashes;
    struct scrypt hashes[USER_PASSWORDS_MAX];
    bool token; /* the password is a token */
    /* ---- the result ---- */
    enum login_result result;
    int64_t expires_ms; /* of a token, Unix ms; 0: it does not end */
    const char *why; /* it is wrong, for the log; static */
    /* ---- the owner's ---- */
    void (*done)(struct auth_login *l); /* on the worker's thread; must not wait */
    void *owner;
    uint64_t ids[3];
    size_t password_len;
    uint8_t password[];
};

/* NULL: no memory. name: at most NAME_BYTES_MAX bytes; a longer one is nobody's. */
struct auth_login *login_new(struct slice name, struct slice password);
void login_free(struct auth_login *l); /* overwrites the password; NULL is fine */

/* What the login needs of the user: hashes as they are stored. Those that make no sense match nothing. */
void login_take_user(struct auth_login *l, bool on, bool nopass, uint64_t ref, const struct slice *hashes, uint32_t n);

/* NULL: no memory, no randomness or no thread. */
struct auth *auth_new(void);

/* Keys for tokens, from now on; takes them over. NULL: no tokens. */
void auth_set_keys(struct auth *a, struct token_keys *keys);
bool auth_takes_tokens(struct auth *a);

/* Will the password be taken as a token? */
bool auth_is_token(struct auth *a, struct slice password);

/* Begins a login. Anything but LOGIN_PENDING: it is done, and stays the caller's. */
enum login_result auth_begin(struct auth *a, struct auth_login *l) MUST_CHECK;

/* A login that was right came to nothing, since its user is not there or is off: it counts as a failure. */
void auth_failed(struct auth *a, const struct net_address *from);

/* Gives the worker something else to do, of the same kind (passwords.h). ST_BUSY: full; the job stays the caller's. */
enum status auth_give(struct auth *a, struct worker_job *j) MUST_CHECK;

/* All that waits is done with LOGIN_BUSY, and so is what comes later. Before the loops end. */
void auth_stop(struct auth *a);
void auth_free(struct auth *a); /* NULL is fine */

#endif
