/*
 * txids.c: an open hash table of (txid, due); 0 is a free place. Taking one out moves those behind
 * it up, so that a search may stop at the first free place.
 */
#include "bench/roles/txids.h"

#include <pthread.h>
#include <stdlib.h>

struct entry {
    uint64_t txid;
    int64_t due_ns;
};

struct txids {
    pthread_mutex_t lock;
    struct entry *at;
    size_t n, size; /* size: a power of two, at least twice n */
};

struct txids *txids_new(void)
{
    struct txids *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->size = 1024;
    t->at = calloc(t->size, sizeof *t->at);
    if (!t->at || pthread_mutex_init(&t->lock, NULL) != 0) {
        free(t->at);
        free(t);
        return NULL;
    }
    return t;
}

void txids_free(struct txids *t)
{
    if (!t)
        return;
    pthread_mutex_destroy(&t->lock);
    free(t->at);
    free(t);
}

static size_t home(const struct txids *t, uint64_t txid)
{
    return (size_t)(txid * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (t->size - 1);
}

/* Where it is, or the free place where it would be. */
static size_t find(const struct txids *t, uint64_t txid)
{
    size_t i = home(t, txid);
    while (t->at[i].txid != 0 && t->at[i].txid != txid)
        i = (i + 1) & (t->size - 1);
    return i;
}

static bool grow(struct txids *t)
{
    struct txids larger = {.size = 2 * t->size};
    larger.at = calloc(larger.size, sizeof *larger.at);
    if (!larger.at)
        return false;
    for (size_t i = 0; i < t->size; i++) {
        if (t->at[i].txid != 0)
            larger.at[find(&larger, t->at[i].txid)] = t->at[i];
    }
    free(t->at);
    t->at = larger.at;
    t->size = larger.size;
    return true;
}

bool txids_put(struct txids *t, uint64_t txid, int64_t due_ns)
{
    pthread_mutex_lock(&t->lock);
    bool ok = 2 * (t->n + 1) <= t->size || grow(t);
    if (ok) {
        struct entry *e = &t->at[find(t, txid)];
        t->n += e->txid == 0;
        *e = (struct entry){txid, due_ns};
    }
    pthread_mutex_unlock(&t->lock);
    return ok;
}

static void close_gap(struct txids *t, size_t gap)
{
    size_t mask = t->size - 1;
    t->at[gap].txid = 0;
    for (size_t i = (gap + 1) & mask; t->at[i].txid != 0; i = (i + 1) & mask) {
        size_t from_home = (i - home(t, t->at[i].txid)) & mask;
        if (from_home < ((i - gap) & mask))
            continue;
        t->at[gap] = t->at[i];
        t->at[i].txid = 0;
        gap = i;
    }
}

bool txids_take(struct txids *t, uint64_t txid, int64_t *ret_due_ns)
{
    pthread_mutex_lock(&t->lock);
    size_t i = find(t, txid);
    bool found = t->at[i].txid == txid;
    if (found) {
        *ret_due_ns = t->at[i].due_ns;
        t->n--;
        close_gap(t, i);
    }
    pthread_mutex_unlock(&t->lock);
    return found;
}

size_t txids_count(struct txids *t)
{
    pthread_mutex_lock(&t->lock);
    size_t n = t->n;
    pthread_mutex_unlock(&t->lock);
    return n;
}
