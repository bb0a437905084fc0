/*
 * scrypt.h: a password as a slow, salted hash, and as the text that is kept of it.
 *
 *   scrypt$14$8$2$<salt, 32 hex>$<hash, 64 hex>        2^14 blocks of 8 * 128 bytes, gone through twice
 *          │  │ └─ p: passes, one after the other
 *          │  └─── r: bytes a block / 128
 *          └────── N = 2^14
 *
 * Cost: with these numbers one hash takes 50 to 100 ms of one processor and 16 MiB of memory, which it gives back. N * r
 * decides the memory, and 16 MiB is what the smallest broker (`memory` 16 MiB, an idle one has less than that) can
 * still afford for a moment; so time comes from p. Whoever wants to try passwords against a stolen file pays the same for
 * each guess. Texts with other numbers are taken too, as long as they stay within these 16 MiB and a second or so; so the
 * numbers may be raised without making old passwords wrong.
 *
 * Passwords of one user share their salt where they can (scrypt_make's `like`): then one hash answers for all of them, and
 * a login takes as long for a user with five passwords as for one who does not exist.
 *
 * Any thread but a loop's: it takes too long. No locks, no state.
 */
#ifndef HALFMQ_BROKER_SCRYPT_H
#define HALFMQ_BROKER_SCRYPT_H

#include "protocol/base/buf.h"
#include "protocol/status.h"

#define SCRYPT_SALT_BYTES 16
#define SCRYPT_HASH_BYTES 32
#define SCRYPT_TEXT_MAX 128 /* with its NUL */

/* What a text says. */
struct scrypt {
    unsigned log_n, r, p;
    uint8_t salt[SCRYPT_SALT_BYTES];
    uint8_t hash[SCRYPT_HASH_BYTES];
};

/* False: it is no such text, or one that would cost too much. */
bool scrypt_parse(struct slice text, struct scrypt *ret);

/* Do they differ in the hash alone? Then one computation answers for both. */
bool scrypt_same_salt(const struct scrypt *a, const struct scrypt *b);

/* A cost and a salt that nobody's password has: for users who do not exist. */
void scrypt_nobody(struct scrypt *ret);

/* Has it today's cost? */
bool scrypt_is_current(const struct scrypt *s);

/* As text, with its NUL. */
void scrypt_print(const struct scrypt *s, char out[SCRYPT_TEXT_MAX]);

/* Computes the hash of a password, with the cost and the salt of `like`. ST_NOMEM: libcrypto could not. */
enum status scrypt_hash(const struct scrypt *like, struct slice password, uint8_t out[SCRYPT_HASH_BYTES]) MUST_CHECK;

/* Is it the hash of this password? False also where libcrypto could not. */
bool scrypt_is(const struct scrypt *s, struct slice password);

/* The hash to keep. like: cost and salt to use, NULL: today's cost and a new salt. ST_NOMEM as above; also where there is no
 * randomness. */
enum status scrypt_make(const struct scrypt *like, struct slice password, struct scrypt *ret) MUST_CHECK;

/* n random digits 0-9 a-f, and a NUL. False: there is no randomness. */
bool scrypt_random_text(char *out, size_t n) MUST_CHECK;

#endif
