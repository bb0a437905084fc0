/* token.c: checks tokens with libjwt. The only file that knows it (token.h). */
#include "broker/auth/token.h"

#include <errno.h>
#include <jwt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/json.h"

#define TIME_S_MAX 9e15 /* what a double holds exactly */

/* One of these characters a byte; libjwt would skip others, and one token would have many spellings. */
static bool token_is_base64url(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool token_looks_like(struct slice text)
{
    unsigned dots = 0;
    if (text.len < 5 || text.len > TOKEN_BYTES_MAX || memcmp(text.data, "ey", 2) != 0) /* `{"` */
        return false;
    for (size_t i = 0; i < text.len; i++) {
        bool dot = text.data[i] == '.';
        if (dot && (i + 1 == text.len || text.data[i - 1] == '.'))
            return false; /* an empty part */
        if (!dot && !token_is_base64url(text.data[i]))
            return false;
        dots += dot;
    }
    return dots == 2;
}

static const jwt_alg_t token_algs[] = {
    [TOKEN_RS256] = JWT_ALG_RS256,
    [TOKEN_ES256] = JWT_ALG_ES256,
    [TOKEN_HS256] = JWT_ALG_HS256,
};

static bool token_may_be_of(const struct token_key *k, jwt_alg_t alg, const char *kid)
{
    return token_algs[k->alg] == alg && (!kid || !k->kid[0] || strcmp(k->kid, kid) == 0);
}

/* Tries the keys of this algorithm; where the token names one, only those that have this name or none. NULL: it is signed by
 * none of them. */
static jwt_t *token_open(const struct token_keys *keys, const char *text, jwt_alg_t alg, const char *kid)
{
    for (unsigned i = 0; i < keys->n; i++) {
        const struct token_key *k = &keys->keys[i];
        jwt_t *jwt = NULL;
        if (!token_may_be_of(k, alg, kid) ||
            jwt_decode(&jwt, text, (const unsigned char *)k->bytes, (int)k->n) != 0)
            continue;
        if (jwt_get_alg(jwt) == alg)
            return jwt;
        jwt_free(jwt);
    }
    return NULL;
}

/* A claim as the text of its JSON value. False: it is not there, or is too long. */
static bool token_json(jwt_t *jwt, const char *name, char *out, size_t out_size)
{
    char *text = jwt_get_grants_json(jwt, name);
    bool fits = text && strlen(text) < out_size;
    if (fits)
        snprintf(out, out_size, "%s", text);
    free(text);
    return fits;
}

/* A claim that is a number of seconds. 1: *ret_ms has it, 0: it is not there, -1: it is something else. */
static int token_time(jwt_t *jwt, const char *name, int64_t *ret_ms)
{
    char text[64], *end;
    char *there = jwt_get_grants_json(jwt, name);
    bool has = there != NULL;
    free(there);
    if (!has)
        return 0;
    if (!token_json(jwt, name, text, sizeof text) || (text[0] != '-' && (text[0] < '0' || text[0] > '9')))
        return -1;
    double s = strtod(text, &end);
    if (*end || !isfinite(s) || s < -TIME_S_MAX || s > TIME_S_MAX)
        return -1;
    *ret_ms = (int64_t)floor(s * 1000);
    return 1;
}

static bool token_is_for(jwt_t *jwt, const char *audience)
{
    char text[4096];
    return !audience[0] || (token_json(jwt, "aud", text, sizeof text) && json_names(slice_str(text), audience));
}

/* What is wrong with what it claims; NULL: nothing. */
static const char *token_flaw(const struct token_keys *keys, jwt_t *jwt, int64_t now_ms, struct token_claims *ret)
{
    int64_t not_before_ms = 0;
    const char *sub = jwt_get_grant(jwt, "sub"), *issuer = jwt_get_grant(jwt, "iss");
    char *critical = jwt_get_headers_json(jwt, "crit");
    bool has_critical = critical != NULL;
    free(critical);
    if (has_critical)
        return "it has extensions that must be understood (crit)";
    if (token_time(jwt, "exp", &ret->expires_ms) != 1)
        return "it has no exp, or one that is no time";
    if (ret->expires_ms <= now_ms)
        return "it has expired";
    int begins = token_time(jwt, "nbf", &not_before_ms);
    if (begins < 0 || (begins && not_before_ms > now_ms))
        return "it is not valid yet, or its nbf is no time";
    if (keys->issuer[0] && (!issuer || strcmp(issuer, keys->issuer) != 0))
        return "it is from another issuer";
    if (!token_is_for(jwt, keys->audience))
        return "it is for another audience";
    if (!sub || !sub[0] || strlen(sub) >= sizeof ret->sub)
        return "its sub is missing, or too long for a name";
    snprintf(ret->sub, sizeof ret->sub, "%s", sub);
    return NULL;
}

/* The algorithm and the key that it says it was signed with; unproved. False: it cannot be read. */
static bool token_head(const char *text, jwt_alg_t *ret_alg, char kid[TOKEN_KID_MAX], bool *ret_has_kid)
{
    jwt_t *jwt = NULL;
    if (jwt_decode(&jwt, text, NULL, 0) != 0)
        return false;
    const char *alg = jwt_get_header(jwt, "alg"), *name = jwt_get_header(jwt, "kid");
    bool good = alg && (!name || strlen(name) < TOKEN_KID_MAX);
    if (good) {
        *ret_alg = jwt_str_alg(alg);
        *ret_has_kid = name != NULL;
        snprintf(kid, TOKEN_KID_MAX, "%s", name ? name : "");
    }
    jwt_free(jwt);
    return good;
}

enum status token_check(const struct token_keys *keys, struct slice text, int64_t now_ms, struct token_claims *ret,
                        const char **ret_why)
{
    char copy[TOKEN_BYTES_MAX + 1], kid[TOKEN_KID_MAX];
    jwt_alg_t alg = JWT_ALG_NONE;
    bool has_kid = false;
    *ret_why = "it is no token, or of another algorithm";
    if (!token_looks_like(text))
        return ST_WRONGPASS;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    errno = 0;
    if (!token_head(copy, &alg, kid, &has_kid) || alg == JWT_ALG_NONE || alg == JWT_ALG_INVAL)
        return errno == ENOMEM ? ST_NOMEM : ST_WRONGPASS;
    jwt_t *jwt = token_open(keys, copy, alg, has_kid ? kid : NULL);
    if (!jwt) {
        *ret_why = "no key has signed it";
        return errno == ENOMEM ? ST_NOMEM : ST_WRONGPASS;
    }
    *ret_why = token_flaw(keys, jwt, now_ms, ret);
    jwt_free(jwt);
    return *ret_why ? ST_WRONGPASS : ST_OK;
}
