/* auth.c: logins: what is known at once, and what the worker does (auth.h). */
#include "broker/auth/auth.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>

#include "broker/auth/known.h"
#include "broker/auth/throttle.h"
#include "broker/auth/token.h"
#include "broker/base/clock.h"

struct auth {
    struct auth_worker *worker;
    struct known *known;
    struct throttle *throttle;
    pthread_mutex_t lock; /* guards keys */
    struct token_keys *keys; /* NULL: tokens are not taken */
};

static int64_t auth_now_ms(void)
{
    return clock_mono_ns() / 1000000;
}

/* ---- logins ---- */

struct auth_login *login_new(struct slice name, struct slice password)
{
    if (password.len > TOKEN_BYTES_MAX + 1)
        password.len = TOKEN_BYTES_MAX + 1; /* longer than any that is right, as it was before */
    struct auth_login *l = calloc(1, sizeof *l + password.len);
    if (!l)
        return NULL;
    if (name.len <= NAME_BYTES_MAX && name.len)
        memcpy(l->name, name.data, name.len);
    if (password.len)
        memcpy(l->password, password.data, password.len);
    l->password_len = password.len;
    l->why = "";
    return l;
}

void login_free(struct auth_login *l)
{
    if (!l)
        return;
    OPENSSL_cleanse(l->password, l->password_len);
    free(l);
}

void login_take_user(struct auth_login *l, bool on, bool nopass, uint64_t ref, const struct slice *hashes, uint32_t n)
{
    l->on = on;
    l->nopass = nopass;
    l->ref = ref;
    l->n_hashes = 0;
    for (uint32_t i = 0; i < n && l->n_hashes < USER_PASSWORDS_MAX; i++)
        l->n_hashes += scrypt_parse(hashes[i], &l->hashes[l->n_hashes]);
}

static struct slice auth_password(const struct auth_login *l)
{
    return slice_of(l->password, l->password_len);
}

static bool auth_is_known(const struct auth_login *l)
{
    return l->on && !l->nopass &&
           known_has(l->auth->known, slice_str(l->name), auth_password(l), l->ref, auth_now_ms());
}

/* Passwords have no NUL: scrypt takes a password and the same with a NUL behind it for one. */
static bool auth_may_be_right(const struct auth_login *l)
{
    return l->on && l->n_hashes > 0 && l->password_len && !memchr(l->password, 0, l->password_len);
}

/* Compares with all hashes of the user; those of the same salt need one computation. */
static enum login_result auth_compare(const struct auth_login *l)
{
    struct scrypt nobody;
    scrypt_nobody(&nobody);
    bool exists = auth_may_be_right(l);
    const struct scrypt *hashes = exists ? l->hashes : &nobody;
    uint32_t n = exists ? l->n_hashes : 1;
    uint8_t hash[SCRYPT_HASH_BYTES];
    bool right = false;
    for (uint32_t i = 0; i < n; i++) {
        if ((i == 0 || !scrypt_same_salt(&hashes[i - 1], &hashes[i])) &&
            scrypt_hash(&hashes[i], auth_password(l), hash) != ST_OK)
            return LOGIN_BUSY;
        right = right || (exists && CRYPTO_memcmp(hash, hashes[i].hash, sizeof hash) == 0);
    }
    OPENSSL_cleanse(hash, sizeof hash);
    return right ? LOGIN_RIGHT : LOGIN_WRONG;
}

static enum login_result auth_by_password(struct auth_login *l)
{
    if (l->on && l->nopass)
        return LOGIN_RIGHT;
    if (auth_is_known(l))
        return LOGIN_RIGHT;
    enum login_result r = auth_compare(l);
    l->why = r == LOGIN_WRONG ? "wrong password, or the user does not exist, is off or has no password" : "";
    if (r == LOGIN_RIGHT)
        known_add(l->auth->known, slice_str(l->name), auth_password(l), l->ref, auth_now_ms());
    return r;
}

static struct token_keys *auth_keep_keys(struct auth *a)
{
    pthread_mutex_lock(&a->lock);
    struct token_keys *keys = token_keys_keep(a->keys);
    pthread_mutex_unlock(&a->lock);
    return keys;
}

static enum login_result auth_by_token(struct auth_login *l)
{
    struct token_claims token;
    struct token_keys *keys = auth_keep_keys(l->auth);
    if (!keys) {
        l->why = "tokens are not taken any more";
        return LOGIN_WRONG;
    }
    enum status s = token_check(keys, auth_password(l), clock_wall_ms(), &token, &l->why);
    token_keys_drop(keys);
    if (s != ST_OK)
        return s == ST_NOMEM ? LOGIN_BUSY : LOGIN_WRONG;
    memcpy(l->name, token.sub, sizeof l->name);
    l->expires_ms = token.expires_ms;
    return LOGIN_RIGHT;
}

/* On the worker's thread. A failure that was not held back before is held back afterwards, so that of many that come at
 * once not all are answered. */
static void auth_work(struct worker_job *j)
{
    struct auth_login *l = (struct auth_login *)j;
    struct auth *a = l->auth;
    bool was_held = j->due.due != 0;
    l->result = l->token ? auth_by_token(l) : auth_by_password(l);
    if (l->result == LOGIN_WRONG)
        throttle_failed(a->throttle, &l->from, auth_now_ms());
    if (!was_held && l->result != LOGIN_BUSY)
        j->hold_ms = throttle_hold_ms(a->throttle, &l->from, auth_now_ms());
}

static void auth_worked(struct worker_job *j)
{
    struct auth_login *l = (struct auth_login *)j;
    if (j->dropped)
        l->result = LOGIN_BUSY;
    l->done(l);
}

bool auth_is_token(struct auth *a, struct slice password)
{
    return token_looks_like(password) && auth_takes_tokens(a);
}

enum login_result auth_begin(struct auth *a, struct auth_login *l)
{
    l->auth = a;
    l->token = auth_is_token(a, auth_password(l));
    l->job.quick = l->token;
    l->job.work = auth_work;
    l->job.done = auth_worked;
    l->job.due.due = 0;
    l->job.hold_ms = throttle_hold_ms(a->throttle, &l->from, auth_now_ms());
    if (!l->job.hold_ms && !l->token && ((l->on && l->nopass) || auth_is_known(l)))
        l->result = LOGIN_RIGHT;
    else
        l->result = LOGIN_PENDING;
    enum login_result begun = l->result; /* once given it is the worker's */
    if (begun == LOGIN_PENDING && worker_give(a->worker, &l->job) != ST_OK)
        begun = l->result = LOGIN_BUSY;
    return begun;
}

void auth_failed(struct auth *a, const struct net_address *from)
{
    throttle_failed(a->throttle, from, auth_now_ms());
}

enum status auth_give(struct auth *a, struct worker_job *j)
{
    j->hold_ms = 0;
    return worker_give(a->worker, j);
}

/* ---- beginning and end ---- */

struct auth *auth_new(void)
{
    struct auth *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    if (pthread_mutex_init(&a->lock, NULL) != 0) {
        free(a);
        return NULL;
    }
    a->known = known_new();
    a->throttle = throttle_new();
    a->worker = a->known && a->throttle ? worker_new() : NULL;
    if (a->worker)
        return a;
    auth_free(a);
    return NULL;
}

void auth_set_keys(struct auth *a, struct token_keys *keys)
{
    pthread_mutex_lock(&a->lock);
    struct token_keys *old = a->keys;
    a->keys = keys;
    pthread_mutex_unlock(&a->lock);
    token_keys_drop(old);
}

bool auth_takes_tokens(struct auth *a)
{
    pthread_mutex_lock(&a->lock);
    bool takes = a->keys != NULL;
    pthread_mutex_unlock(&a->lock);
    return takes;
}

void auth_stop(struct auth *a)
{
    worker_stop(a->worker);
}

void auth_free(struct auth *a)
{
    if (!a)
        return;
    worker_free(a->worker);
    known_free(a->known);
    throttle_free(a->throttle);
    token_keys_drop(a->keys);
    pthread_mutex_destroy(&a->lock);
    free(a);
}
