/* token_keys.c: reads the keys of tokens (token_keys.h). libjwt wants public keys as PEM, so that is what is kept. */
#include "broker/auth/token_keys.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/auth/secret_file.h"
#include "broker/base/json.h"
#include "broker/base/log.h"

#define SECRET_BYTES_WEAK 32 /* RFC 7518 wants at least as many for HS256 */

/* While a file is read. */
struct reading {
    struct token_keys *keys;
    unsigned passed_over;
    bool no_memory;
};

static void keys_put(struct reading *r, enum token_alg alg, const char *kid, const void *bytes, size_t n)
{
    struct token_keys *ks = r->keys;
    if (ks->n == TOKEN_KEYS_MAX) {
        r->passed_over++;
        return;
    }
    char *copy = malloc(n + 1);
    if (!copy) {
        r->no_memory = true;
        return;
    }
    memcpy(copy, bytes, n);
    copy[n] = '\0';
    struct token_key *k = &ks->keys[ks->n++];
    *k = (struct token_key){.alg = alg, .bytes = copy, .n = n};
    snprintf(k->kid, sizeof k->kid, "%s", kid);
}

/* key NULL: what was read is none that can be used. */
static void keys_put_public(struct reading *r, const EVP_PKEY *key, const char *kid)
{
    enum token_alg alg;
    char *text = NULL;
    if (!key || !token_jwk_alg(key, &alg)) {
        r->passed_over++;
        return;
    }
    BIO *out = BIO_new(BIO_s_mem());
    long n = out && PEM_write_bio_PUBKEY(out, key) == 1 ? BIO_get_mem_data(out, &text) : 0;
    if (n > 0)
        keys_put(r, alg, kid, text, (size_t)n);
    else
        r->no_memory = true;
    BIO_free(out);
}

static void keys_take_jwk(void *arg, struct slice object)
{
    char kid[TOKEN_KID_MAX];
    EVP_PKEY *key = token_jwk_read(object, kid);
    keys_put_public(arg, key, kid);
    EVP_PKEY_free(key);
}

/* Each block between BEGIN and END PUBLIC KEY; of a block of another kind it is only known that it is there. */
static bool keys_take_pem(struct reading *r, struct slice text)
{
    char *name, *header;
    unsigned char *der;
    long n;
    BIO *in = BIO_new_mem_buf(text.data, (int)text.len);
    if (!in)
        return false;
    while (PEM_read_bio(in, &name, &header, &der, &n) == 1) {
        const unsigned char *at = der;
        EVP_PKEY *key = strcmp(name, PEM_STRING_PUBLIC) == 0 ? d2i_PUBKEY(NULL, &at, n) : NULL;
        keys_put_public(r, key, "");
        EVP_PKEY_free(key);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
    }
    ERR_clear_error();
    BIO_free(in);
    return true;
}

static bool keys_is_json(struct slice text)
{
    size_t i = 0;
    while (i < text.len && strchr(" \t\r\n", text.data[i]))
        i++;
    return i < text.len && text.data[i] == '{';
}

static enum status keys_read_public(struct token_keys *ks, const char *path, char *err, size_t err_size)
{
    struct reading r = {.keys = ks};
    struct buf file;
    buf_init(&file, 2 * SECRET_FILE_BYTES_MAX);
    enum status s = secret_file_read("jwt_keys", path, &file, err, err_size);
    bool read = s == ST_OK && (keys_is_json(buf_slice(&file)) ? json_each(buf_slice(&file), "keys", keys_take_jwk, &r)
                                                              : keys_take_pem(&r, buf_slice(&file)));
    buf_free(&file);
    if (s != ST_OK)
        return s;
    if (read && ks->n && !r.no_memory) {
        log_event(LOG_INFO, "keys for tokens were read", " keys=%u passed_over=%u", ks->n, r.passed_over);
        return ST_OK;
    }
    snprintf(err, err_size,
             r.no_memory ? "jwt_keys: %.200s: no memory"
                         : "jwt_keys: %.200s: there is no public key in it that can be used: write RSA (2048 bits or more) "
                           "or P-256 keys as PEM (BEGIN PUBLIC KEY) or as a JWKS",
             path);
    return ST_ERR;
}

static enum status keys_read_secret(struct token_keys *ks, const char *path, char *err, size_t err_size)
{
    struct reading r = {.keys = ks};
    struct buf line;
    buf_init(&line, 2 * SECRET_FILE_BYTES_MAX);
    enum status s = secret_file_line("jwt_secret_file", path, &line, err, err_size);
    if (s == ST_OK) {
        if (line.len < SECRET_BYTES_WEAK)
            log_text(LOG_WARN, "the secret of jwt_secret_file is short: HS256 wants 32 random bytes or more");
        keys_put(&r, TOKEN_HS256, "", line.data, line.len);
        if (!ks->n || r.no_memory) {
            snprintf(err, err_size, "jwt_secret_file: no memory");
            s = ST_NOMEM;
        }
    }
    secret_forget(&line);
    return s;
}

static enum status keys_fill(struct token_keys *ks, const struct token_files *f, char *err, size_t err_size)
{
    snprintf(ks->issuer, sizeof ks->issuer, "%s", f->issuer);
    snprintf(ks->audience, sizeof ks->audience, "%s", f->audience);
    enum status s = f->secret[0] ? keys_read_secret(ks, f->secret, err, err_size) : ST_OK;
    unsigned secrets = ks->n;
    if (s == ST_OK && f->keys[0])
        s = keys_read_public(ks, f->keys, err, err_size);
    if (s == ST_OK && f->keys[0] && ks->n == secrets) {
        snprintf(err, err_size, "jwt_keys: %.200s: there is no public key in it that can be used", f->keys);
        s = ST_ERR;
    }
    return s;
}

enum status token_keys_read(const struct token_files *files, struct token_keys **ret, char *err, size_t err_size)
{
    *ret = NULL;
    if (!files->keys[0] && !files->secret[0])
        return ST_OK;
    struct token_keys *ks = calloc(1, sizeof *ks);
    if (!ks) {
        snprintf(err, err_size, "jwt_keys: no memory");
        return ST_NOMEM;
    }
    atomic_init(&ks->users, 1);
    enum status s = keys_fill(ks, files, err, err_size);
    if (s != ST_OK)
        token_keys_drop(ks);
    else
        *ret = ks;
    return s;
}

struct token_keys *token_keys_keep(struct token_keys *k)
{
    if (k)
        atomic_fetch_add(&k->users, 1);
    return k;
}

void token_keys_drop(struct token_keys *k)
{
    if (!k || atomic_fetch_sub(&k->users, 1) != 1)
        return;
    for (unsigned i = 0; i < k->n; i++) {
        OPENSSL_cleanse(k->keys[i].bytes, k->keys[i].n);
        free(k->keys[i].bytes);
    }
    free(k);
}
