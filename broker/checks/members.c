/* members.c: a hash table of counts, by key; a group stands in it while it has members. */
#include "broker/checks/members.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#define BUCKETS 1024

struct member_count {
    struct member_count *next;
    uint64_t key;
    uint32_t n;
};

struct members {
    pthread_mutex_t lock;
    struct member_count *buckets[BUCKETS];
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
    for (unsigned i = 0; i < BUCKETS; i++) {
        for (struct member_count *c = m->buckets[i], *next; c; c = next) {
            next = c->next;
            free(c);
        }
    }
    pthread_mutex_destroy(&m->lock);
    free(m);
}

static struct member_count **place_of(struct members *m, uint64_t key)
{
    struct member_count **at = &m->buckets[key % BUCKETS];
    while (*at && (*at)->key != key)
        at = &(*at)->next;
    return at;
}

void members_join(struct members *m, uint64_t key)
{
    if (!m)
        return;
    pthread_mutex_lock(&m->lock);
    struct member_count **at = place_of(m, key);
    if (!*at && (*at = calloc(1, sizeof **at)))
        (*at)->key = key;
    if (*at)
        (*at)->n++;
    pthread_mutex_unlock(&m->lock);
}

void members_leave(struct members *m, uint64_t key)
{
    if (!m)
        return;
    pthread_mutex_lock(&m->lock);
    struct member_count **at = place_of(m, key), *c = *at;
    if (c && --c->n == 0) {
        *at = c->next;
        free(c);
    }
    pthread_mutex_unlock(&m->lock);
}

uint32_t members_of(struct members *m, uint64_t key)
{
    if (!m)
        return 0;
    pthread_mutex_lock(&m->lock);
    const struct member_count *c = *place_of(m, key);
    uint32_t n = c ? c->n : 0;
    pthread_mutex_unlock(&m->lock);
    return n;
}
