/* test_token.c: tokens that are good, and those of people who hope; files of keys. The keys are made here. */
#include <jwt.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/auth/token.h"

#define NOW_MS INT64_C(1700000000000)
#define SECRET "0123456789abcdef0123456789abcdef"

struct pair {
    EVP_PKEY *key;
    char secret[4096], open[4096]; /* PEM */
};

static struct pair rsa, ec, other_ec;
static char folder[256], path[300], secret_path[300];

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void take_pem(BIO *b, char *out, size_t size)
{
    char *text;
    long n = BIO_get_mem_data(b, &text);
    assert_true(n > 0 && (size_t)n < size);
    memcpy(out, text, (size_t)n);
    out[n] = '\0';
    BIO_free(b);
}

static void make_pair(struct pair *p, EVP_PKEY *key)
{
    assert_non_null(key);
    p->key = key;
    BIO *b = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL), 1);
    take_pem(b, p->secret, sizeof p->secret);
    b = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PUBKEY(b, key), 1);
    take_pem(b, p->open, sizeof p->open);
}

/* ---- making tokens ---- */

static char token_text[16384];

static const char *sign_json(jwt_alg_t alg, const char *key, const char *kid, const char *claims)
{
    jwt_t *jwt;
    assert_int_equal(jwt_new(&jwt), 0);
    assert_int_equal(jwt_add_grants_json(jwt, claims), 0);
    if (kid)
        assert_int_equal(jwt_add_header(jwt, "kid", kid), 0);
    assert_int_equal(jwt_set_alg(jwt, alg, (const unsigned char *)key, key ? (int)strlen(key) : 0), 0);
    char *text = jwt_encode_str(jwt);
    assert_non_null(text);
    snprintf(token_text, sizeof token_text, "%s", text);
    free(text);
    jwt_free(jwt);
    return token_text;
}

#define GOOD "{\"sub\":\"ann\",\"exp\":1700000001}"

static struct token_keys *read_keys(const char *keys, const char *secret, const char *issuer, const char *audience)
{
    struct token_files files = {keys, secret, issuer, audience};
    struct token_keys *ks;
    char err[512] = "";
    if (token_keys_read(&files, &ks, err, sizeof err) != ST_OK)
        fail_msg("%s", err);
    return ks;
}

static enum status check(const struct token_keys *ks, const char *text)
{
    struct token_claims t;
    const char *why;
    enum status s = token_check(ks, slice_str(text), NOW_MS, &t, &why);
    if (s == ST_OK)
        assert_string_equal(t.sub, "ann");
    return s;
}

static void good_tokens_are_taken(void **state)
{
    (void)state;
    char both[8192];
    snprintf(both, sizeof both, "%s%s", rsa.open, ec.open);
    write_file(path, both);
    write_file(secret_path, SECRET "\n");
    struct token_keys *ks = read_keys(path, secret_path, "", "");
    assert_int_equal(ks->n, 3);
    assert_int_equal(check(ks, sign_json(JWT_ALG_RS256, rsa.secret, NULL, GOOD)), ST_OK);
    assert_int_equal(check(ks, sign_json(JWT_ALG_ES256, ec.secret, "7", GOOD)), ST_OK);
    assert_int_equal(check(ks, sign_json(JWT_ALG_HS256, SECRET, NULL, GOOD)), ST_OK);
    assert_int_equal(check(ks, sign_json(JWT_ALG_ES256, other_ec.secret, NULL, GOOD)), ST_WRONGPASS);
    assert_int_equal(check(ks, sign_json(JWT_ALG_RS384, rsa.secret, NULL, GOOD)), ST_WRONGPASS);
    assert_int_equal(check(ks, sign_json(JWT_ALG_HS512, SECRET, NULL, GOOD)), ST_WRONGPASS);
    token_keys_drop(ks);
}

/* The public key as a secret, `none`, and changes of each character. */
static void forged_tokens_are_not(void **state)
{
    (void)state;
    write_file(path, rsa.open);
    struct token_keys *ks = read_keys(path, "", "", "");
    assert_int_equal(check(ks, sign_json(JWT_ALG_HS256, rsa.open, NULL, GOOD)), ST_WRONGPASS);
    assert_int_equal(check(ks, sign_json(JWT_ALG_HS256, ks->keys[0].bytes, NULL, GOOD)), ST_WRONGPASS);
    assert_int_equal(check(ks, sign_json(JWT_ALG_NONE, NULL, NULL, GOOD)), ST_WRONGPASS);
    sign_json(JWT_ALG_RS256, rsa.secret, NULL, GOOD);
    assert_int_equal(check(ks, token_text), ST_OK);
    char *signature = strrchr(token_text, '.') + 1;
    char rest = *signature;
    *signature = '\0';
    assert_int_equal(check(ks, token_text), ST_WRONGPASS);
    *signature = rest;
    for (size_t i = 0; token_text[i + 1]; i++) { /* the last character has bits that mean nothing */
        char was = token_text[i];
        token_text[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(check(ks, token_text), ST_WRONGPASS);
        token_text[i] = was;
    }
    token_keys_drop(ks);
}

static void claims_decide(void **state)
{
    (void)state;
    static const struct {
        const char *claims;
        enum status s;
    } cases[] = {
        {"{\"sub\":\"ann\",\"exp\":1700000000}", ST_WRONGPASS}, /* this very moment */
        {"{\"sub\":\"ann\",\"exp\":1700000000.5}", ST_OK},
        {"{\"sub\":\"ann\",\"exp\":1699999999}", ST_WRONGPASS},
        {"{\"sub\":\"ann\"}", ST_WRONGPASS},
        {"{\"sub\":\"ann\",\"exp\":\"1700000001\"}", ST_WRONGPASS},
        {"{\"sub\":\"ann\",\"exp\":1e300}", ST_WRONGPASS},
        {"{\"sub\":\"ann\",\"exp\":-1}", ST_WRONGPASS},
        {"{\"sub\":\"ann\",\"exp\":null}", ST_WRONGPASS},
        {"{\"sub\":\"ann\",\"exp\":[1700000001]}", ST_WRONGPASS},
        {"{\"sub\":\"ann\",\"exp\":true}", ST_WRONGPASS},
        {"{\"sub\":\"ann\",\"exp\":1700000001,\"nbf\":1700000000}", ST_OK},
        {"{\"sub\":\"ann\",\"exp\":1700000001,\"nbf\":1700000000.5}", ST_WRONGPASS},
        {"{\"sub\":\"ann\",\"exp\":1700000001,\"nbf\":\"1\"}", ST_WRONGPASS},
        {"{\"exp\":1700000001}", ST_WRONGPASS},
        {"{\"sub\":\"\",\"exp\":1700000001}", ST_WRONGPASS},
        {"{\"sub\":7,\"exp\":1700000001}", ST_WRONGPASS},
        {"{\"sub\":[\"ann\"],\"exp\":1700000001}", ST_WRONGPASS},
    };
    write_file(secret_path, SECRET);
    struct token_keys *ks = read_keys("", secret_path, "", "");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum status s = check(ks, sign_json(JWT_ALG_HS256, SECRET, NULL, cases[i].claims));
        if (s != cases[i].s)
            fail_msg("%s", cases[i].claims);
    }
    char large[400];
    snprintf(large, sizeof large, "{\"sub\":\"%0200d\",\"exp\":1700000001}", 1);
    assert_int_equal(check(ks, sign_json(JWT_ALG_HS256, SECRET, NULL, large)), ST_WRONGPASS);
    token_keys_drop(ks);
}

static void issuer_and_audience_decide(void **state)
{
    (void)state;
    write_file(secret_path, SECRET);
    struct token_keys *ks = read_keys("", secret_path, "https://id", "halfmq");
#define CLAIMS(iss, aud) "{\"sub\":\"ann\",\"exp\":1700000001" iss aud "}"
    static const char *const good[] = {CLAIMS(",\"iss\":\"https://id\"", ",\"aud\":\"halfmq\""),
                                       CLAIMS(",\"iss\":\"https://id\"", ",\"aud\":[\"x\",\"halfmq\"]")};
    static const char *const bad[] = {CLAIMS("", ",\"aud\":\"halfmq\""), CLAIMS(",\"iss\":\"https://id\"", ""),
                                      CLAIMS(",\"iss\":\"https://id/\"", ",\"aud\":\"halfmq\""),
                                      CLAIMS(",\"iss\":[\"https://id\"]", ",\"aud\":\"halfmq\""),
                                      CLAIMS(",\"iss\":\"https://id\"", ",\"aud\":[]"),
                                      CLAIMS(",\"iss\":\"https://id\"", ",\"aud\":[[\"halfmq\"]]"),
                                      CLAIMS(",\"iss\":\"https://id\"", ",\"aud\":{\"a\":\"halfmq\"}")};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(check(ks, sign_json(JWT_ALG_HS256, SECRET, NULL, good[i])), ST_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(check(ks, sign_json(JWT_ALG_HS256, SECRET, NULL, bad[i])), ST_WRONGPASS);
    token_keys_drop(ks);
}

static void what_is_no_token(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "ey", "ey.ey", "ey..ey", ".ey.ey", "ey.ey.", "ey.ey.ey.ey", "ey.e y.ey",
                                        "secret", "ey.ey.e+", "ey.ey.e=", "ey.ey.\xff", "EY.a.b"};
    write_file(secret_path, SECRET);
    struct token_keys *ks = read_keys("", secret_path, "", "");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_false(token_looks_like(slice_str(texts[i])));
        assert_int_equal(check(ks, texts[i]), ST_WRONGPASS);
    }
    assert_false(token_looks_like(slice_of("ey.\0.ey", 7)));
    static const char *const unreadable[] = {"ey.ey.ey", "eyA.eyA.eyA", "eyJ9.e30.e30", "eyJhbGciOjF9.e30.e30"};
    for (size_t i = 0; i < sizeof unreadable / sizeof *unreadable; i++)
        assert_int_equal(check(ks, unreadable[i]), ST_WRONGPASS);
    memset(token_text, 'a', sizeof token_text);
    memcpy(token_text, "ey.a.", 5);
    token_text[TOKEN_BYTES_MAX] = '\0';
    assert_true(token_looks_like(slice_str(token_text)));
    assert_int_equal(check(ks, token_text), ST_WRONGPASS);
    token_text[TOKEN_BYTES_MAX] = 'a';
    token_text[TOKEN_BYTES_MAX + 1] = '\0';
    assert_false(token_looks_like(slice_str(token_text)));
    token_keys_drop(ks);
}

/* ---- files ---- */

static void put_number(char *out, EVP_PKEY *key, const char *name)
{
    BIGNUM *n = NULL;
    uint8_t bytes[512], text[1024];
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &n), 1);
    int len = strcmp(name, OSSL_PKEY_PARAM_EC_PUB_X) == 0 || strcmp(name, OSSL_PKEY_PARAM_EC_PUB_Y) == 0
                  ? BN_bn2binpad(n, bytes, 32)
                  : BN_bn2bin(n, bytes);
    EVP_EncodeBlock(text, bytes, len);
    size_t at = 0;
    for (size_t i = 0; text[i] && text[i] != '='; i++)
        out[at++] = (char)(text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
    out[at] = '\0';
    BN_free(n);
}

static void jwks_are_read(void **state)
{
    (void)state;
    char n[1024], e[64], x[64], y[64], x2[64], y2[64], file[8192];
    put_number(n, rsa.key, OSSL_PKEY_PARAM_RSA_N);
    put_number(e, rsa.key, OSSL_PKEY_PARAM_RSA_E);
    put_number(x, ec.key, OSSL_PKEY_PARAM_EC_PUB_X);
    put_number(y, ec.key, OSSL_PKEY_PARAM_EC_PUB_Y);
    put_number(x2, other_ec.key, OSSL_PKEY_PARAM_EC_PUB_X);
    put_number(y2, other_ec.key, OSSL_PKEY_PARAM_EC_PUB_Y);
    snprintf(file, sizeof file,
             "\n {\"keys\":[{\"kty\":\"RSA\",\"kid\":\"r\",\"use\":\"sig\",\"n\":\"%s\",\"e\":\"%s\"},"
             "{\"kty\":\"EC\",\"kid\":\"a\",\"alg\":\"ES256\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"},"
             "{\"kty\":\"EC\",\"kid\":\"b\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"},"
             "{\"kty\":\"EC\",\"kid\":\"off the curve\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"},"
             "{\"kty\":\"EC\",\"use\":\"enc\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"},"
             "{\"kty\":\"oct\",\"k\":\"" SECRET "\"},{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\"},"
             "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"},{},7,null]} ",
             n, e, x, y, x2, y2, x, y2, x, y, x);
    write_file(path, file);
    struct token_keys *ks = read_keys(path, "", "", "");
    assert_int_equal(ks->n, 3);
    assert_int_equal(check(ks, sign_json(JWT_ALG_RS256, rsa.secret, "r", GOOD)), ST_OK);
    assert_int_equal(check(ks, sign_json(JWT_ALG_RS256, rsa.secret, NULL, GOOD)), ST_OK);
    assert_int_equal(check(ks, sign_json(JWT_ALG_ES256, ec.secret, "a", GOOD)), ST_OK);
    assert_int_equal(check(ks, sign_json(JWT_ALG_ES256, other_ec.secret, "b", GOOD)), ST_OK);
    assert_int_equal(check(ks, sign_json(JWT_ALG_ES256, other_ec.secret, "a", GOOD)), ST_WRONGPASS);
    assert_int_equal(check(ks, sign_json(JWT_ALG_ES256, ec.secret, "c", GOOD)), ST_WRONGPASS);
    assert_int_equal(check(ks, sign_json(JWT_ALG_HS256, SECRET, NULL, GOOD)), ST_WRONGPASS);
    assert_ptr_equal(token_keys_keep(ks), ks);
    token_keys_drop(ks);
    token_keys_drop(ks);
}

static void refused(const char *keys, const char *secret, const char *part)
{
    struct token_files files = {keys, secret, "", ""};
    struct token_keys *ks = NULL;
    char err[512] = "";
    assert_int_not_equal(token_keys_read(&files, &ks, err, sizeof err), ST_OK);
    assert_null(ks);
    if (!strstr(err, part))
        fail_msg("%s", err);
}

static void files_that_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "hello", "{}", "{\"keys\":{}}", "{\"keys\":[]}", "{\"keys\":[{}]", "[]",
                                      "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(path, bad[i]);
        refused(path, "", "no public key");
    }
    write_file(path, ec.secret); /* a private key is not asked for, and not taken */
    refused(path, "", "no public key");
    refused("/nonexistent/keys", "", "/nonexistent/keys: No such file");
    refused(folder, "", "Is a directory");
    write_file(secret_path, "\n");
    refused("", secret_path, "empty");
    char *large = malloc(300000);
    memset(large, 'x', 299999);
    large[299999] = '\0';
    write_file(path, large);
    free(large);
    refused(path, "", "larger than 256 KiB");
    struct token_files none = {"", "", "", ""};
    struct token_keys *ks;
    char err[64];
    assert_int_equal(token_keys_read(&none, &ks, err, sizeof err), ST_OK);
    assert_null(ks);
}

static int begin(void **state)
{
    (void)state;
    make_pair(&rsa, EVP_RSA_gen(2048));
    make_pair(&ec, EVP_EC_gen("P-256"));
    make_pair(&other_ec, EVP_EC_gen("P-256"));
    snprintf(folder, sizeof folder, "/tmp/halfmq-token-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/keys", folder);
    snprintf(secret_path, sizeof secret_path, "%s/secret", folder);
    return 0;
}

static int end(void **state)
{
    (void)state;
    EVP_PKEY_free(rsa.key);
    EVP_PKEY_free(ec.key);
    EVP_PKEY_free(other_ec.key);
    unlink(path);
    unlink(secret_path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_tokens_are_taken), cmocka_unit_test(forged_tokens_are_not),
        cmocka_unit_test(claims_decide),         cmocka_unit_test(issuer_and_audience_decide),
        cmocka_unit_test(what_is_no_token),      cmocka_unit_test(jwks_are_read),
        cmocka_unit_test(files_that_are_refused),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
