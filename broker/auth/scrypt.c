/* scrypt.c: libcrypto's scrypt, and its text (scrypt.h). */
#include "broker/auth/scrypt.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>

#include "protocol/base/text.h"
#include "protocol/limits.h"

#define COST_LOG_N 14
#define COST_R 8
#define COST_P 2
#define COST_BYTES_MAX ((uint64_t)MIB(16))
#define COST_P_MAX 32 /* about a second */
#define WORK_BYTES_MAX ((uint64_t)MIB(17)) /* what libcrypto may take: these, and some KiB for its blocks */

static bool scrypt_affordable(uint64_t log_n, uint64_t r, uint64_t p)
{
    return log_n >= 1 && log_n <= 20 && r >= 1 && r <= 64 && p >= 1 && p <= COST_P_MAX &&
           (r * 128) << log_n <= COST_BYTES_MAX;
}

static int scrypt_digit(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool scrypt_from_hex(struct slice text, uint8_t *out, size_t n)
{
    if (text.len != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int high = scrypt_digit(text.data[2 * i]), low = scrypt_digit(text.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* Takes what stands before the next '$' off the front. */
static struct slice scrypt_part(struct slice *text)
{
    size_t n = 0;
    while (n < text->len && text->data[n] != '$')
        n++;
    struct slice part = slice_of(text->data, n);
    size_t used = n < text->len ? n + 1 : n;
    *text = slice_of(text->data + used, text->len - used);
    return part;
}

bool scrypt_parse(struct slice text, struct scrypt *ret)
{
    struct scrypt s;
    uint64_t log_n, r, p;
    if (text.len >= SCRYPT_TEXT_MAX || !slice_equal(scrypt_part(&text), SLICE_LIT("scrypt")))
        return false;
    if (!text_uint(scrypt_part(&text), &log_n) || !text_uint(scrypt_part(&text), &r) || !text_uint(scrypt_part(&text), &p))
        return false;
    if (!scrypt_affordable(log_n, r, p))
        return false;
    s.log_n = (unsigned)log_n;
    s.r = (unsigned)r;
    s.p = (unsigned)p;
    if (!scrypt_from_hex(scrypt_part(&text), s.salt, sizeof s.salt) || !scrypt_from_hex(text, s.hash, sizeof s.hash))
        return false;
    *ret = s;
    return true;
}

bool scrypt_same_salt(const struct scrypt *a, const struct scrypt *b)
{
    return a->log_n == b->log_n && a->r == b->r && a->p == b->p && memcmp(a->salt, b->salt, sizeof a->salt) == 0;
}

void scrypt_nobody(struct scrypt *ret)
{
    *ret = (struct scrypt){.log_n = COST_LOG_N, .r = COST_R, .p = COST_P};
}

bool scrypt_is_current(const struct scrypt *s)
{
    return s->log_n == COST_LOG_N && s->r == COST_R && s->p == COST_P;
}

enum status scrypt_hash(const struct scrypt *like, struct slice password, uint8_t out[SCRYPT_HASH_BYTES])
{
    const char *bytes = password.len ? (const char *)password.data : "";
    int done = EVP_PBE_scrypt(bytes, password.len, like->salt, sizeof like->salt, UINT64_C(1) << like->log_n, like->r,
                              like->p, WORK_BYTES_MAX, out, SCRYPT_HASH_BYTES);
    return done == 1 ? ST_OK : ST_NOMEM;
}

static size_t scrypt_put_hex(char *out, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return 2 * n;
}

bool scrypt_random_text(char *out, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    if (RAND_bytes((unsigned char *)out, (int)n) != 1)
        return false;
    for (size_t i = 0; i < n; i++)
        out[i] = digits[out[i] & 15];
    out[n] = '\0';
    return true;
}

bool scrypt_is(const struct scrypt *s, struct slice password)
{
    uint8_t hash[SCRYPT_HASH_BYTES];
    return scrypt_hash(s, password, hash) == ST_OK && CRYPTO_memcmp(hash, s->hash, sizeof hash) == 0;
}

void scrypt_print(const struct scrypt *s, char out[SCRYPT_TEXT_MAX])
{
    int n = snprintf(out, SCRYPT_TEXT_MAX, "scrypt$%u$%u$%u$", s->log_n, s->r, s->p);
    char *at = out + n;
    at += scrypt_put_hex(at, s->salt, sizeof s->salt);
    *at++ = '$';
    scrypt_put_hex(at, s->hash, sizeof s->hash);
}

enum status scrypt_make(const struct scrypt *like, struct slice password, struct scrypt *ret)
{
    struct scrypt s;
    scrypt_nobody(&s);
    if (like)
        s = *like;
    else if (RAND_bytes(s.salt, sizeof s.salt) != 1)
        return ST_NOMEM;
    enum status hashed = scrypt_hash(&s, password, s.hash);
    if (hashed == ST_OK)
        *ret = s;
    return hashed;
}
