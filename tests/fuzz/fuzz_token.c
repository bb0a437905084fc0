/*
 * fuzz_token.c: tokens and files of keys, as any bytes. The first byte chooses: a JWKS or PEM file, one key of a JWKS, the
 * claims of a token that is rightly signed, or a token as it comes.
 */
#include <assert.h>
#include <jwt.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/token.h"
#include "broker/auth/token_jwk.h"
#include "broker/base/json.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define NOW_MS INT64_C(1700000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct token_keys *secret_keys(void)
{
    static struct token_keys keys = {.users = 1, .audience = "halfmq", .n = 1};
    keys.keys[0] = (struct token_key){.alg = TOKEN_HS256, .bytes = SECRET, .n = sizeof SECRET - 1};
    return &keys;
}

static void check(struct slice text)
{
    struct token_claims t;
    const char *why = NULL;
    enum status s = token_check(secret_keys(), text, NOW_MS, &t, &why);
    assert(s == ST_OK ? t.sub[0] && t.expires_ms > NOW_MS : why != NULL);
}

static void try_claims(const char *claims)
{
    jwt_t *jwt = NULL;
    if (jwt_new(&jwt) == 0 && jwt_add_grants_json(jwt, claims) == 0 &&
        jwt_set_alg(jwt, JWT_ALG_HS256, (const unsigned char *)SECRET, sizeof SECRET - 1) == 0) {
        char *text = jwt_encode_str(jwt);
        if (text)
            check(slice_str(text));
        free(text);
    }
    jwt_free(jwt);
}

static void try_key(void *arg, struct slice object)
{
    char kid[TOKEN_KID_MAX];
    enum token_alg alg;
    (void)arg;
    EVP_PKEY *key = token_jwk_read(object, kid);
    if (key && token_jwk_alg(key, &alg))
        assert(strlen(kid) < TOKEN_KID_MAX);
    EVP_PKEY_free(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size || size > TOKEN_BYTES_MAX)
        return 0;
    char *text = malloc(size);
    if (!text)
        abort();
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    struct slice rest = slice_of(text, size - 1);
    switch (data[0] % 4) {
    case 0: check(rest); break;
    case 1: try_claims(text); break;
    case 2: try_key(NULL, rest); break;
    default: json_each(rest, "keys", try_key, NULL); break;
    }
    free(text);
    return 0;
}
