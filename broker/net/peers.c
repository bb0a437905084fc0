/* peers.c: counts connections by address (peers.h). */
#include "broker/net/peers.h"

#include <assert.h>
#include <stdlib.h>

#include "protocol/base/text.h"

struct peers_entry {
    struct hash_node node; /* first */
    struct net_address address;
    uint64_t n;
};

bool peers_init(struct peers *ps)
{
    ps->by_address = (struct hash){0};
    return pthread_mutex_init(&ps->lock, NULL) == 0;
}

void peers_fini(struct peers *ps)
{
    for (struct hash_node *node = hash_walk(&ps->by_address, NULL), *next; node; node = next) {
        next = hash_walk(&ps->by_address, node);
        hash_remove(&ps->by_address, node);
        free(node);
    }
    hash_free(&ps->by_address);
    pthread_mutex_destroy(&ps->lock);
}

static struct peers_entry *peers_find(const struct peers *ps, const struct net_address *a, uint64_t hash)
{
    struct hash_node *node = hash_first(&ps->by_address, hash);
    while (node && !address_equal(&((struct peers_entry *)node)->address, a))
        node = hash_more(node);
    return (struct peers_entry *)node;
}

static uint64_t peers_hash(const struct net_address *a)
{
    return text_hash(slice_of(a, sizeof *a));
}

static struct peers_entry *peers_add(struct peers *ps, const struct net_address *a, uint64_t hash)
{
    struct peers_entry *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->address = *a;
    hash_add(&ps->by_address, &p->node, hash);
    return p;
}

enum peers_state peers_enter(struct peers *ps, const struct net_address *from, uint64_t most)
{
    uint64_t hash = peers_hash(from);
    if (from->kind != ADDRESS_IP4 && from->kind != ADDRESS_IP6)
        return PEER_FREE;
    pthread_mutex_lock(&ps->lock);
    struct peers_entry *p = peers_find(ps, from, hash);
    enum peers_state s = most && p && p->n >= most ? PEER_FULL : PEER_COUNTED;
    if (s == PEER_COUNTED && !p)
        p = peers_add(ps, from, hash);
    if (!p)
        s = PEER_FREE;
    else if (s == PEER_COUNTED)
        p->n++;
    pthread_mutex_unlock(&ps->lock);
    return s;
}

void peers_leave(struct peers *ps, const struct net_address *from)
{
    pthread_mutex_lock(&ps->lock);
    struct peers_entry *p = peers_find(ps, from, peers_hash(from));
    assert(p && p->n > 0);
    if (--p->n == 0) {
        hash_remove(&ps->by_address, &p->node);
        free(p);
    }
    pthread_mutex_unlock(&ps->lock);
}
