/*
 * token.h: a JWT as a password: whose it is and until when, if it is good.
 *
 *   head.claims.signature      each base64url; head {"alg","kid"}, claims {"sub","exp","nbf","iss","aud"}
 *
 * The key is chosen by what kind the key is, not by what the token says: an RSA key checks RS256 and nothing else. So no
 * public key can be taken for the secret of an HS256, and `none` has no key at all. What libjwt has read as `alg` is
 * compared once more afterwards.
 *
 *   alg     RS256 (RSA, at least 2048 bits), ES256 (P-256), HS256 where there is a secret. The libjwt of Debian 12 has no
 *           EdDSA: such keys are passed over.
 *   exp     required, and in the future; nbf in the past where it is there. Without leeway.
 *   iss     equal to the issuer, where one is set; aud: the audience, or an array with it, where one is set
 *   typ     JWT or none (libjwt refuses others), crit: refused, since nothing of it would be understood
 *
 * Threads: any; keys do not change once they are made (token_keys.h).
 */
#ifndef HALFMQ_BROKER_TOKEN_H
#define HALFMQ_BROKER_TOKEN_H

#include "broker/auth/token_keys.h"
#include "protocol/base/slice.h"
#include "protocol/limits.h"
#include "protocol/status.h"

#define TOKEN_BYTES_MAX ((size_t)KIB(8))

struct token_claims {
    char sub[NAME_BYTES_MAX + 1];
    int64_t expires_ms; /* Unix ms */
};

/* Is it written as a token? Then it is never tried as a password. */
bool token_looks_like(struct slice text);

/* Checks everything but whether `sub` is a user. ST_WRONGPASS: *ret_why says why, for the log; ST_NOMEM. now_ms: Unix ms. */
enum status token_check(const struct token_keys *keys, struct slice text, int64_t now_ms, struct token_claims *ret,
                        const char **ret_why) MUST_CHECK;

#endif
