/*
 * txids.c: an entry for each transaction, in a hash table. They are as many as a rate and a time to wait make, and
 * each lives for seconds, so one allocation for each costs nothing that a figure would show.
 */
#include "bench/roles/txids.h"

#include <pthread.h>
#include <stdlib.h>

#include "protocol/base/hash.h"

struct txids_entry {
    struct hash_node node; /* first, so that a node is its entry */
    int64_t due_ns;
};

struct txids {
    pthread_mutex_t lock;
    struct hash entries;
};

struct txids *txids_new(void)
{
    struct txids *t = calloc(1, sizeof *t);
    if (t && pthread_mutex_init(&t->lock, NULL) != 0) {
        free(t);
        return NULL;
    }
    return t;
}

void txids_free(struct txids *t)
{
    if (!t)
        return;
    for (struct hash_node *node = hash_walk(&t->entries, NULL), *next; node; node = next) {
        next = hash_walk(&t->entries, node);
        free(node);
    }
    hash_free(&t->entries);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* Ids are alike in their low bits. Different ids have different hashes, so nothing else is compared. */
static uint64_t txids_hash(uint64_t txid)
{
    uint64_t mixed = txid * UINT64_C(0x9e3779b97f4a7c15);
    return mixed ^ mixed >> 32;
}

bool txids_put(struct txids *t, uint64_t txid, int64_t due_ns)
{
    uint64_t hash = txids_hash(txid);
    pthread_mutex_lock(&t->lock);
    struct txids_entry *e = (struct txids_entry *)hash_first(&t->entries, hash);
    if (!e && (e = calloc(1, sizeof *e)))
        hash_add(&t->entries, &e->node, hash);
    if (e)
        e->due_ns = due_ns;
    pthread_mutex_unlock(&t->lock);
    return e != NULL;
}

bool txids_take(struct txids *t, uint64_t txid, int64_t *ret_due_ns)
{
    pthread_mutex_lock(&t->lock);
    struct txids_entry *e = (struct txids_entry *)hash_first(&t->entries, txids_hash(txid));
    if (e) {
        *ret_due_ns = e->due_ns;
        hash_remove(&t->entries, &e->node);
    }
    pthread_mutex_unlock(&t->lock);
    free(e);
    return e != NULL;
}

size_t txids_count(struct txids *t)
{
    pthread_mutex_lock(&t->lock);
    size_t n = t->entries.n;
    pthread_mutex_unlock(&t->lock);
    return n;
}
