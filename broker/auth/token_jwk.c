/* token_jwk.c: RSA and P-256 keys out of JSON (token_jwk.h; RFC 7517, RFC 7518 section 6). */
#include "broker/auth/token_jwk.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdlib.h>

#include "broker/base/json.h"

#define VALUE_MAX 2048 /* n of RSA with 8192 bits is 1366 characters */
#define RSA_BITS_MIN 2048
#define POINT_BYTES 32

/* base64url without padding; how many bytes, 0: it is none. out has room for 3/4 of it and 2 more. */
static size_t jwk_decode(const char *text, uint8_t *out, size_t out_size)
{
    char plain[VALUE_MAX + 4];
    size_t n = strlen(text), padded = (n + 3) / 4 * 4;
    if (n == 0 || n % 4 == 1 || padded >= sizeof plain || padded / 4 * 3 > out_size)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '+' || text[i] == '/' || text[i] == '=')
            return 0;
        plain[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
    }
    memset(plain + n, '=', padded - n);
    int made = EVP_DecodeBlock(out, (const unsigned char *)plain, (int)padded);
    return made < 0 ? 0 : (size_t)made - (padded - n);
}

static BIGNUM *jwk_number(struct slice object, const char *name)
{
    char text[VALUE_MAX];
    uint8_t bytes[VALUE_MAX];
    if (!json_member(object, name, text, sizeof text))
        return NULL;
    size_t n = jwk_decode(text, bytes, sizeof bytes);
    return n ? BN_bin2bn(bytes, (int)n, NULL) : NULL;
}

/* A key of the parameters that were built. */
static EVP_PKEY *jwk_make(const char *type, OSSL_PARAM_BLD *build)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *jwk_rsa(struct slice object)
{
    BIGNUM *n = jwk_number(object, "n"), *e = jwk_number(object, "e");
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    if (n && e && build && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        key = jwk_make("RSA", build);
    OSSL_PARAM_BLD_free(build);
    BN_free(n);
    BN_free(e);
    return key;
}

/* The uncompressed point 4 || x || y. */
static bool jwk_point(struct slice object, uint8_t point[1 + 2 * POINT_BYTES])
{
    static const char *const names[] = {"x", "y"};
    point[0] = 4;
    for (unsigned i = 0; i < 2; i++) {
        char text[64];
        uint8_t bytes[POINT_BYTES + 4];
        if (!json_member(object, names[i], text, sizeof text) || jwk_decode(text, bytes, sizeof bytes) != POINT_BYTES)
            return false;
        memcpy(point + 1 + i * POINT_BYTES, bytes, POINT_BYTES);
    }
    return true;
}

static EVP_PKEY *jwk_ec(struct slice object)
{
    uint8_t point[1 + 2 * POINT_BYTES];
    char curve[16];
    if (!json_member(object, "crv", curve, sizeof curve) || strcmp(curve, "P-256") != 0 || !jwk_point(object, point))
        return NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    if (build && OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) == 1)
        key = jwk_make("EC", build);
    OSSL_PARAM_BLD_free(build);
    return key;
}

/* Is a member absent, or one of two texts? */
static bool jwk_allows(struct slice object, const char *name, const char *one, const char *other)
{
    char text[64];
    return !json_member(object, name, text, sizeof text) || strcmp(text, one) == 0 || strcmp(text, other) == 0;
}

EVP_PKEY *token_jwk_read(struct slice object, char kid[TOKEN_KID_MAX])
{
    char type[16];
    if (!json_member(object, "kid", kid, TOKEN_KID_MAX))
        kid[0] = '\0';
    if (!json_member(object, "kty", type, sizeof type) || !jwk_allows(object, "use", "sig", "sig") ||
        !jwk_allows(object, "alg", "RS256", "ES256"))
        return NULL;
    if (strcmp(type, "RSA") == 0)
        return jwk_rsa(object);
    return strcmp(type, "EC") == 0 ? jwk_ec(object) : NULL;
}

bool token_jwk_alg(const EVP_PKEY *key, enum token_alg *ret)
{
    char curve[32];
    size_t n = 0;
    if (EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) >= RSA_BITS_MIN) {
        *ret = TOKEN_RS256;
        return true;
    }
    *ret = TOKEN_ES256;
    return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, curve, sizeof curve, &n) == 1 &&
           strcmp(curve, "prime256v1") == 0;
}
