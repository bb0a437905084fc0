/*
 * hash.c: chains in buckets, newest node first; hash.h has the picture.
 */
#include "protocol/base/hash.h"

#include <assert.h>
#include <stdlib.h>

#define HASH_SIZE_MIN 64

void hash_free(struct hash *h)
{
    free(h->buckets);
    *h = (struct hash){0};
}

static struct hash_node **hash_bucket(struct hash *h, uint64_t hash)
{
    return h->buckets ? &h->buckets[hash & h->mask] : &h->only;
}

static void hash_chain(struct hash *h, struct hash_node *node)
{
    struct hash_node **bucket = hash_bucket(h, node->hash);
    node->next = *bucket;
    *bucket = node;
}

/* Deals the nodes out to so many buckets. Without memory all stays as it is. */
static void hash_resize(struct hash *h, size_t size)
{
    struct hash other = {.buckets = calloc(size, sizeof(struct hash_node *)), .mask = size - 1, .n = h->n};
    if (!other.buckets)
        return;
    for (struct hash_node *node = hash_walk(h, NULL), *next; node; node = next) {
        next = hash_walk(h, node);
        hash_chain(&other, node);
    }
    free(h->buckets);
    *h = other;
}

void hash_trim(struct hash *h)
{
    size_t size = h->mask + 1;
    if (!h->buckets || size == HASH_SIZE_MIN || h->n >= size / 8)
        return;
    while (size > HASH_SIZE_MIN && h->n < size / 2)
        size /= 2;
    hash_resize(h, size);
}

void hash_add(struct hash *h, struct hash_node *node, uint64_t hash)
{
    if (h->n > h->mask || !h->buckets)
        hash_resize(h, h->buckets ? (h->mask + 1) * 2 : HASH_SIZE_MIN);
    node->hash = hash;
    hash_chain(h, node);
    h->n++;
}

void hash_remove(struct hash *h, struct hash_node *node)
{
    struct hash_node **at = hash_bucket(h, node->hash);
    while (*at != node) {
        assert(*at);
        at = &(*at)->next;
    }
    *at = node->next;
    node->next = NULL;
    h->n--;
}

struct hash_node *hash_walk(const struct hash *h, const struct hash_node *prev)
{
    if (prev && prev->next)
        return prev->next;
    if (!h->buckets)
        return prev ? NULL : h->only;
    for (size_t i = prev ? (prev->hash & h->mask) + 1 : 0; i <= h->mask; i++)
        if (h->buckets[i])
            return h->buckets[i];
    return NULL;
}
