/*
 * token_jwk.h: public keys as libcrypto has them, out of the JSON of a JWKS; and whether tokens may be checked with one.
 */
#ifndef HALFMQ_BROKER_TOKEN_JWK_H
#define HALFMQ_BROKER_TOKEN_JWK_H

#include <openssl/types.h>

#include "protocol/base/slice.h"

#define TOKEN_KID_MAX 128

enum token_alg { TOKEN_RS256, TOKEN_ES256, TOKEN_HS256 };

/* A key out of one object of a JWKS, with its kid. NULL: it is of another kind, for encryption, or malformed. */
EVP_PKEY *token_jwk_read(struct slice object, char kid[TOKEN_KID_MAX]);

/* Which tokens it checks. False: none that are taken. */
bool token_jwk_alg(const EVP_PKEY *key, enum token_alg *ret);

#endif
