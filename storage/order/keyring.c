/* keyring.c: keys, their holders and who waits behind them, in two hash tables (keyring.h). */
#include "storage/order/keyring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RING_SIZE_MIN 64
#define RING_BUCKETS 4 /* for each node: chains are short */

/* How the nodes of both pools begin. */
struct ring_node {
    uint32_t chain; /* the next one in its bucket, or in the list of spare ones; */
    uint32_t hash;
};

struct ring_key {
    uint32_t chain, hash;
    uint64_t top; /* no holder has a greater offset */
    uint32_t queue, key;
    uint32_t holders;
    uint32_t first, last; /* skipped; 0: none */
    uint32_t hint;        /* the one that was put between others last; 0: none */
};

static inline struct ring_node *keyring_at(const struct ring_pool *p, size_t each, uint32_t place)
{
    return (struct ring_node *)(void *)(p->nodes + (size_t)(place - 1) * each);
}

static struct ring_message *keyring_message(const struct keyring *kr, uint32_t place)
{
    return (struct ring_message *)(void *)keyring_at(&kr->messages, sizeof(struct ring_message), place);
}

static struct ring_key *keyring_key(const struct keyring *kr, uint32_t place)
{
    return (struct ring_key *)(void *)keyring_at(&kr->keys, sizeof(struct ring_key), place);
}

static uint32_t keyring_place_of(const struct keyring *kr, const struct ring_message *m)
{
    return (uint32_t)(((const uint8_t *)m - kr->messages.nodes) / (ptrdiff_t)sizeof(*m)) + 1;
}

static uint32_t keyring_hash(uint32_t queue, uint64_t n)
{
    uint64_t h = (n ^ (uint64_t)queue << 44) * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(h >> 32);
}

/* Sixteen neighbours are in one line of the processor's cache: mostly they come, and go, together. */
static uint32_t keyring_hash_offset(uint32_t queue, uint64_t offset)
{
    return keyring_hash(queue, offset / 16) << 4 | (uint32_t)(offset % 16);
}

/* The bucket of a hash. */
static inline uint32_t *keyring_bucket(const struct ring_pool *p, uint32_t hash)
{
    return &p->buckets[hash & (RING_BUCKETS * p->size - 1)];
}

/* Makes room for one more node: doubles when all are used. ST_NOMEM: unchanged. */
static enum status keyring_room(struct ring_pool *p, size_t each)
{
    if (p->spare || p->used < p->size)
        return ST_OK;
    uint32_t size = p->size ? 2 * p->size : RING_SIZE_MIN;
    uint32_t *buckets = calloc((size_t)RING_BUCKETS * size, sizeof(*buckets));
    uint8_t *nodes = buckets ? realloc(p->nodes, size * each) : NULL;
    if (!nodes) {
        free(buckets);
        return ST_NOMEM;
    }
    free(p->buckets);
    p->nodes = nodes;
    p->buckets = buckets;
    p->size = size;
    for (uint32_t place = 1; place <= p->used; place++) { /* all of them are in use */
        struct ring_node *node = keyring_at(p, each, place);
        uint32_t *bucket = keyring_bucket(p, node->hash);
        node->chain = *bucket;
        *bucket = place;
    }
    return ST_OK;
}

/* Adds a node, for which there is room; all but its chain and hash is zero. */
static inline __attribute__((always_inline)) uint32_t keyring_add(struct ring_pool *p, size_t each, uint32_t hash)
{
    uint32_t place = p->spare ? p->spare : ++p->used;
    struct ring_node *node = keyring_at(p, each, place);
    if (p->spare)
        p->spare = node->chain;
    memset(node, 0, each);
    uint32_t *bucket = keyring_bucket(p, hash);
    *node = (struct ring_node){.chain = *bucket, .hash = hash};
    *bucket = place;
    p->n++;
    return place;
}

static inline __attribute__((always_inline)) void keyring_remove(struct ring_pool *p, size_t each, uint32_t place)
{
    struct ring_node *node = keyring_at(p, each, place);
    uint32_t *link = keyring_bucket(p, node->hash);
    while (*link != place)
        link = &keyring_at(p, each, *link)->chain;
    *link = node->chain;
    node->chain = p->spare;
    p->spare = place;
    p->n--;
}

static void keyring_free_pool(struct ring_pool *p)
{
    free(p->nodes);
    free(p->buckets);
    *p = (struct ring_pool){0};
}

void keyring_free_all(struct keyring *kr)
{
    keyring_free_pool(&kr->messages);
    keyring_free_pool(&kr->keys);
    kr->tangled = false;
    kr->asked = kr->asked_key = 0;
}

size_t keyring_bytes(const struct keyring *kr)
{
    return kr->messages.size * (sizeof(struct ring_message) + RING_BUCKETS * sizeof(uint32_t)) +
           kr->keys.size * (sizeof(struct ring_key) + RING_BUCKETS * sizeof(uint32_t));
}

/* POP asks for a key and adds a message of it then: the key that was looked up last is remembered. */
static uint32_t keyring_find_key(struct keyring *kr, uint32_t queue, uint32_t key)
{
    const struct ring_pool *p = &kr->keys;
    if (kr->asked_key == key && kr->asked_queue == queue)
        return kr->asked;
    uint32_t place = p->size ? *keyring_bucket(p, keyring_hash(queue, key)) : 0;
    while (place && (keyring_key(kr, place)->key != key || keyring_key(kr, place)->queue != queue))
        place = keyring_key(kr, place)->chain;
    kr->asked = place;
    kr->asked_key = key;
    kr->asked_queue = queue;
    return place;
}

bool keyring_knows(struct keyring *kr, uint32_t queue, uint32_t key)
{
    return keyring_find_key(kr, queue, key) != 0;
}

struct ring_message *keyring_find(const struct keyring *kr, uint32_t queue, uint64_t offset)
{
    const struct ring_pool *p = &kr->messages;
    uint32_t place = p->size ? *keyring_bucket(p, keyring_hash_offset(queue, offset)) : 0;
    for (; place; place = keyring_message(kr, place)->chain) {
        struct ring_message *m = keyring_message(kr, place);
        if (m->offset == offset && m->queue == queue)
            return m;
    }
    return NULL;
}

void keyring_expect(const struct keyring *kr, const struct ring_message *m)
{
    __builtin_prefetch(keyring_key(kr, m->key), 1);
}

void keyring_expect_key(const struct keyring *kr, uint32_t queue, uint32_t key)
{
    if (kr->keys.size)
        __builtin_prefetch(keyring_bucket(&kr->keys, keyring_hash(queue, key)), 1);
}

/* Adds a message, and its key if that is not known yet. ST_NOMEM: unchanged. */
static enum status keyring_add_message(struct keyring *kr, const struct ring_place *p, uint32_t *ret_place)
{
    if (keyring_room(&kr->messages, sizeof(struct ring_message)) != ST_OK ||
        keyring_room(&kr->keys, sizeof(struct ring_key)) != ST_OK)
        return ST_NOMEM;
    uint32_t key = p->key ? keyring_find_key(kr, p->queue, p->key) : 0;
    if (p->key && !key) {
        key = keyring_add(&kr->keys, sizeof(struct ring_key), keyring_hash(p->queue, p->key));
        keyring_key(kr, key)->queue = p->queue;
        keyring_key(kr, key)->key = p->key;
        kr->asked = key;
    }
    *ret_place = keyring_add(&kr->messages, sizeof(struct ring_message), keyring_hash_offset(p->queue, p->offset));
    struct ring_message *m = keyring_message(kr, *ret_place);
    m->offset = p->offset;
    m->index = p->index;
    m->queue = p->queue;
    m->bytes = p->bytes;
    m->key = key;
    return ST_OK;
}

enum status keyring_hold(struct keyring *kr, const struct ring_place *p)
{
    uint32_t place = 0;
    assert(p->key != 0);
    if (keyring_add_message(kr, p, &place) != ST_OK)
        return ST_NOMEM;
    struct ring_key *k = keyring_key(kr, keyring_message(kr, place)->key);
    k->holders++;
    k->top = k->holders == 1 || p->offset > k->top ? p->offset : k->top;
    kr->tangled = kr->tangled || k->holders > 1 || k->first;
    return ST_OK;
}

/* Puts a message among the skipped ones of its key: mostly behind the last one. Others are earlier than all that POP
 * has passed over since the group was ordered, and mostly come in order, so the search begins behind the last of them. */
static void keyring_queue_up(struct keyring *kr, struct ring_key *k, uint32_t place)
{
    struct ring_message *m = keyring_message(kr, place);
    if (k->holders && m->offset < k->top)
        kr->tangled = true;
    if (!k->last || keyring_message(kr, k->last)->offset < m->offset) {
        uint32_t *link = k->last ? &keyring_message(kr, k->last)->next : &k->first;
        *link = k->last = place;
        m->next = 0;
        return;
    }
    uint32_t *link = &k->first;
    if (k->hint && keyring_message(kr, k->hint)->offset < m->offset)
        link = &keyring_message(kr, k->hint)->next;
    while (keyring_message(kr, *link)->offset < m->offset)
        link = &keyring_message(kr, *link)->next;
    m->next = *link;
    *link = k->hint = place;
}

enum status keyring_skip(struct keyring *kr, const struct ring_place *p, void *block)
{
    uint32_t place = 0;
    if (keyring_add_message(kr, p, &place) != ST_OK)
        return ST_NOMEM;
    struct ring_message *m = keyring_message(kr, place);
    m->block = block;
    if (m->key)
        keyring_queue_up(kr, keyring_key(kr, m->key), place);
    return ST_OK;
}

bool keyring_ready(const struct keyring *kr, const struct ring_message *m)
{
    if (!m->block || !m->key)
        return m->block != NULL;
    const struct ring_key *k = keyring_key(kr, m->key);
    return k->holders == 0 && keyring_message(kr, k->first) == m;
}

static void keyring_remove_key(struct keyring *kr, uint32_t key)
{
    kr->asked = kr->asked == key ? 0 : kr->asked;
    keyring_remove(&kr->keys, sizeof(struct ring_key), key);
}

/* Forgets a key that has neither holders nor skipped messages. Returns the message that is ready, or NULL. */
static struct ring_message *keyring_settle(struct keyring *kr, uint32_t key)
{
    const struct ring_key *k = keyring_key(kr, key);
    if (k->holders == 0 && !k->first)
        keyring_remove_key(kr, key);
    else if (k->holders == 0)
        return keyring_message(kr, k->first);
    return NULL;
}

static void keyring_remove_message(struct keyring *kr, const struct ring_message *m)
{
    keyring_remove(&kr->messages, sizeof(*m), keyring_place_of(kr, m));
}

struct ring_message *keyring_free(struct keyring *kr, struct ring_message *m)
{
    uint32_t key = m->key;
    assert(!m->block && keyring_key(kr, key)->holders > 0);
    keyring_key(kr, key)->holders--;
    keyring_remove_message(kr, m);
    return keyring_settle(kr, key);
}

/* Takes the first skipped message out of the row of its key. */
static void keyring_shift(struct keyring *kr, const struct ring_message *m)
{
    struct ring_key *k = keyring_key(kr, m->key);
    uint32_t place = keyring_place_of(kr, m);
    assert(k->first == place && k->holders == 0);
    k->first = m->next;
    k->last = k->first ? k->last : 0;
    k->hint = k->hint == place ? 0 : k->hint;
}

void keyring_take(struct keyring *kr, struct ring_message *m)
{
    if (!m->key) {
        keyring_remove_message(kr, m);
        return;
    }
    struct ring_key *k = keyring_key(kr, m->key);
    keyring_shift(kr, m);
    m->block = NULL;
    m->next = 0;
    k->holders = 1;
    k->top = m->offset;
}

struct ring_message *keyring_drop(struct keyring *kr, struct ring_message *m)
{
    uint32_t key = m->key;
    if (key)
        keyring_shift(kr, m);
    keyring_remove_message(kr, m);
    return key ? keyring_settle(kr, key) : NULL;
}

bool keyring_first(const struct keyring *kr, const struct ring_message *m)
{
    const struct ring_key *k = keyring_key(kr, m->key);
    assert(!m->block);
    return k->holders == 1 && (!k->first || keyring_message(kr, k->first)->offset > m->offset);
}

struct ring_message *keyring_demote(struct keyring *kr, struct ring_message *m, void *block)
{
    struct ring_key *k = keyring_key(kr, m->key);
    assert(!m->block && k->holders > 0);
    k->holders--;
    m->block = block;
    keyring_queue_up(kr, k, keyring_place_of(kr, m));
    return keyring_settle(kr, m->key);
}

/* Forgets a message below the floor; where it is skipped, all of its key up to there. */
static void keyring_cut_one(struct keyring *kr, const struct ring_message *m, uint64_t floor)
{
    uint32_t key = m->key;
    if (!key) {
        keyring_remove_message(kr, m);
        return;
    }
    struct ring_key *k = keyring_key(kr, key);
    if (!m->block) {
        k->holders--;
        keyring_remove_message(kr, m);
    }
    while (k->first && keyring_message(kr, k->first)->offset < floor) {
        const struct ring_message *first = keyring_message(kr, k->first);
        k->first = first->next;
        keyring_remove_message(kr, first);
    }
    k->last = k->first ? k->last : 0;
    k->hint = 0;
    (void)keyring_settle(kr, key);
}

void keyring_cut(struct keyring *kr, ring_floor_fn *floor, const void *arg)
{
    struct ring_message *m = keyring_walk(kr, NULL), *next = NULL;
    for (; m; m = next) {
        uint64_t below = floor(arg, m->queue);
        if (m->offset < below)
            keyring_cut_one(kr, m, below);
        next = keyring_walk(kr, m); /* by its place, so it may have left */
    }
}

struct ring_message *keyring_walk(const struct keyring *kr, const struct ring_message *prev)
{
    const struct ring_pool *p = &kr->messages;
    uint32_t place = prev ? keyring_place_of(kr, prev) : 0;
    while (place++ < p->used) {
        struct ring_message *m = keyring_message(kr, place);
        if (keyring_find(kr, m->queue, m->offset) == m)
            return m; /* otherwise its place is spare */
    }
    return NULL;
}
