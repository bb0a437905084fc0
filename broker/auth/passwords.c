/* passwords.c: hashes the passwords of one ACL SETUSER, on the worker (passwords.h). */
#include "broker/auth/passwords.h"

#include <openssl/crypto.h>
#include <stdlib.h>

uint32_t passwords_count(const struct slice *rules, uint32_t n)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < n; i++)
        found += password_is_rule(rules[i]);
    return found;
}

static struct slice password_of(struct slice rule)
{
    return slice_of(rule.data + 1, rule.len - 1);
}

static void passwords_put(char *out, char what, const struct scrypt *hash)
{
    out[0] = what;
    scrypt_print(hash, out + 1);
}

/* >password */
static enum status passwords_add(struct passwords *p, uint32_t i)
{
    const struct scrypt *like = p->n_had && scrypt_is_current(&p->had[0]) ? &p->had[0] : NULL;
    struct scrypt *made = &p->had[p->n_had];
    enum status s = scrypt_make(like, password_of(p->rules[i]), made);
    if (s != ST_OK)
        return s;
    p->n_had++;
    passwords_put(p->hashed[i], '#', made);
    return ST_OK;
}

/* <password */
static enum status passwords_remove(struct passwords *p, uint32_t i)
{
    uint8_t hash[SCRYPT_HASH_BYTES];
    for (uint32_t k = 0; k < p->n_had; k++) {
        if ((k == 0 || !scrypt_same_salt(&p->had[k - 1], &p->had[k])) &&
            scrypt_hash(&p->had[k], password_of(p->rules[i]), hash) != ST_OK)
            return ST_NOMEM;
        if (CRYPTO_memcmp(hash, p->had[k].hash, sizeof hash) == 0) {
            passwords_put(p->hashed[i], '!', &p->had[k]);
            return ST_OK;
        }
    }
    return ST_GONE;
}

static void passwords_work(struct worker_job *j)
{
    struct passwords *p = (struct passwords *)j;
    p->result = ST_OK;
    for (uint32_t i = 0; i < p->n && p->result == ST_OK; i++)
        p->result = p->rules[i].data[0] == '>' ? passwords_add(p, i) : passwords_remove(p, i);
}

struct passwords *passwords_new(const struct slice *rules, uint32_t n, const struct slice *hashes, uint32_t n_hashes)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < n; i++)
        bytes += password_is_rule(rules[i]) ? rules[i].len : 0;
    struct passwords *p = calloc(1, sizeof *p + bytes);
    if (!p)
        return NULL;
    p->bytes = bytes;
    uint8_t *at = p->text;
    for (uint32_t i = 0; i < n && p->n < PASSWORDS_MAX; i++) {
        if (!password_is_rule(rules[i]))
            continue;
        memcpy(at, rules[i].data, rules[i].len);
        p->rules[p->n++] = slice_of(at, rules[i].len);
        at += rules[i].len;
    }
    for (uint32_t i = 0; i < n_hashes && p->n_had < USER_PASSWORDS_MAX; i++)
        p->n_had += scrypt_parse(hashes[i], &p->had[p->n_had]);
    p->result = ST_BUSY; /* what it stays where it is dropped */
    p->job.work = passwords_work;
    return p;
}

void passwords_free(struct passwords *p)
{
    if (!p)
        return;
    OPENSSL_cleanse(p->text, p->bytes);
    free(p);
}
