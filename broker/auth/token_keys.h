/*
 * token_keys.h: the keys that tokens are checked with, as they were read from the files of jwt_keys and jwt_secret_file.
 *
 *   jwt_keys         PEM: any number of public keys      JWKS: {"keys":[{"kty":"RSA","kid":"1","n":"..","e":"AQAB"}, ...]}
 *   jwt_secret_file  the secret of HS256, without the end of its last line
 *
 * Keys of other kinds, or for encryption, are passed over; a file without any key that can be used is an error.
 *
 * What is read does not change any more. A reload makes new ones; whoever checks a token at that moment keeps the old ones
 * until it is done (token_keys_keep, token_keys_drop).
 */
#ifndef HALFMQ_BROKER_TOKEN_KEYS_H
#define HALFMQ_BROKER_TOKEN_KEYS_H

#include <stdatomic.h>
#include <stddef.h>

#include "broker/auth/token_jwk.h"
#include "protocol/status.h"

#define TOKEN_KEYS_MAX 32
#define TOKEN_RULE_MAX 256

struct token_key {
    enum token_alg alg;
    char kid[TOKEN_KID_MAX]; /* "": it has none */
    char *bytes; /* a public key as PEM, or the secret */
    size_t n;
};

struct token_keys {
    _Atomic unsigned users;
    char issuer[TOKEN_RULE_MAX], audience[TOKEN_RULE_MAX]; /* "": any */
    unsigned n;
    struct token_key keys[TOKEN_KEYS_MAX];
};

/* Where they come from; "": not set. */
struct token_files {
    const char *keys, *secret, *issuer, *audience;
};

/* Reads both files; NULL in *ret where neither is set. On failure err is a sentence with the file's name. */
enum status token_keys_read(const struct token_files *files, struct token_keys **ret, char *err, size_t err_size) MUST_CHECK;

struct token_keys *token_keys_keep(struct token_keys *k);
void token_keys_drop(struct token_keys *k); /* NULL is fine */

#endif
