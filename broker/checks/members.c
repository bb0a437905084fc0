/* members.c: a hash table of counts by key. A group is in it as long as it has members. */
#include "broker/checks/members.h"

#include <pthread.h>
#include <stdlib.h>

#include "protocol/base/hash.h"

struct member_count {
    struct hash_node node; /* first, so that a node is its count; the hash is the key */
    uint32_t n;
};

struct members {
    pthread_mutex_t lock;
    struct hash counts;
};

struct members *members_new(void)
{
    struct members *m = calloc(1, sizeof *m);
    if (m)
        pthread_mutex_init(&m->lock, NULL);
    return m;
}

void members_free(struct members *m)
{
    if (!m)
        return;
    for (struct hash_node *node = hash_walk(&m->counts, NULL), *next; node; node = next) {
        next = hash_walk(&m->counts, node);
        free(node);
    }
    hash_free(&m->counts);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

void members_join(struct members *m, uint64_t key)
{
    if (!m)
        return;
    pthread_mutex_lock(&m->lock);
    struct member_count *c = (struct member_count *)hash_first(&m->counts, key);
    if (!c && (c = calloc(1, sizeof *c)))
        hash_add(&m->counts, &c->node, key);
    if (c)
        c->n++;
    pthread_mutex_unlock(&m->lock);
}

void members_leave(struct members *m, uint64_t key)
{
    if (!m)
        return;
    pthread_mutex_lock(&m->lock);
    struct member_count *c = (struct member_count *)hash_first(&m->counts, key);
    if (c && --c->n == 0) {
        hash_remove(&m->counts, &c->node);
        free(c);
    }
    pthread_mutex_unlock(&m->lock);
}

uint32_t members_of(struct members *m, uint64_t key)
{
    if (!m)
        return 0;
    pthread_mutex_lock(&m->lock);
    const struct member_count *c = (struct member_count *)hash_first(&m->counts, key);
    uint32_t n = c ? c->n : 0;
    pthread_mutex_unlock(&m->lock);
    return n;
}
