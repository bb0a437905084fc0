/* known.c: the table of remembered pairs (known.h): sets of four places, the oldest of which is taken. */
#include "broker/auth/known.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define SETS 256
#define PLACES 4
#define MAC_BYTES 32
#define KEY_BYTES 32
#define PAIR_BYTES_MAX 1280 /* a longer pair is hashed each time */

struct known_pair {
    uint8_t mac[MAC_BYTES];
    uint64_t ref;
    int64_t until_ms; /* 0: nobody's */
};

struct known {
    pthread_mutex_t lock;
    uint8_t key[KEY_BYTES];
    struct known_pair pairs[SETS][PLACES]; /* under the lock */
};

struct known *known_new(void)
{
    struct known *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    /* From the kernel: with its first random byte libcrypto sets itself up, which takes 2 MB, and a broker without
     * passwords never needs it. */
    if (getentropy(k->key, sizeof k->key) != 0 || pthread_mutex_init(&k->lock, NULL) != 0) {
        free(k);
        return NULL;
    }
    return k;
}

void known_free(struct known *k)
{
    if (!k)
        return;
    pthread_mutex_destroy(&k->lock);
    OPENSSL_cleanse(k, sizeof *k);
    free(k);
}

/* False: the pair is too long, or libcrypto could not. */
static bool known_mac(const struct known *k, struct slice user, struct slice password, uint8_t mac[MAC_BYTES])
{
    uint8_t pair[PAIR_BYTES_MAX];
    unsigned n = 0;
    if (user.len + 1 + password.len > sizeof pair)
        return false;
    if (user.len)
        memcpy(pair, user.data, user.len);
    pair[user.len] = 0; /* names have no NUL */
    if (password.len)
        memcpy(pair + user.len + 1, password.data, password.len);
    bool made = HMAC(EVP_sha256(), k->key, sizeof k->key, pair, user.len + 1 + password.len, mac, &n) && n == MAC_BYTES;
    OPENSSL_cleanse(pair, sizeof pair);
    return made;
}

/* The pair's place in its set, or the one to use for it: a free one, else the oldest. */
static struct known_pair *known_place(struct known *k, const uint8_t mac[MAC_BYTES], int64_t now_ms, bool *there)
{
    struct known_pair *set = k->pairs[mac[0]], *oldest = set;
    *there = false;
    for (unsigned i = 0; i < PLACES; i++) {
        if (set[i].until_ms > now_ms && CRYPTO_memcmp(set[i].mac, mac, MAC_BYTES) == 0) {
            *there = true;
            return &set[i];
        }
        if (set[i].until_ms < oldest->until_ms)
            oldest = &set[i];
    }
    return oldest;
}

bool known_has(struct known *k, struct slice user, struct slice password, uint64_t ref, int64_t now_ms)
{
    uint8_t mac[MAC_BYTES];
    bool there;
    if (!known_mac(k, user, password, mac))
        return false;
    pthread_mutex_lock(&k->lock);
    const struct known_pair *p = known_place(k, mac, now_ms, &there);
    bool right = there && p->ref == ref;
    pthread_mutex_unlock(&k->lock);
    return right;
}

void known_add(struct known *k, struct slice user, struct slice password, uint64_t ref, int64_t now_ms)
{
    uint8_t mac[MAC_BYTES];
    bool there;
    if (!known_mac(k, user, password, mac))
        return;
    pthread_mutex_lock(&k->lock);
    struct known_pair *p = known_place(k, mac, now_ms, &there);
    memcpy(p->mac, mac, sizeof mac);
    p->ref = ref;
    p->until_ms = now_ms + KNOWN_MS;
    pthread_mutex_unlock(&k->lock);
}
