/*
 * hash.h: a hash table of nodes that lie inside their owners: chains in buckets, a power of two of them.
 *
 *   buckets   hash & mask
 *   ┌───┐
 *   │ ──┼──► node ──► node        find:  n = hash_first(h, hash);
 *   ├───┤                                while (n && !is_it(n))
 *   │   │                                    n = hash_more(n);
 *   ├───┤
 *   │ ──┼──► node                 The table compares hashes; what is behind equal ones, the caller does.
 *   └───┘
 *
 * Adding never fails: the table doubles when there are as many nodes as buckets, and where it gets no memory for
 * that the chains become longer. The table owns its buckets alone; whoever owns a node takes it out before the
 * node's memory goes.
 *
 * The caller makes the hash. Its low bits choose the bucket, so they must differ from node to node: text_hash, or
 * numbers that ascend. Threads: one at a time.
 */
#ifndef HALFMQ_PROTOCOL_HASH_H
#define HALFMQ_PROTOCOL_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Only hash.c writes to it. */
struct hash_node {
    struct hash_node *next; /* in its bucket */
    uint64_t hash;
};

/* All zero: empty. */
struct hash {
    struct hash_node **buckets; /* NULL: one bucket, which is `only` */
    struct hash_node *only;
    size_t mask; /* number of buckets - 1 */
    size_t n;    /* nodes */
};

/* Frees the buckets; the table is empty afterwards. The nodes are their owners'. */
void hash_free(struct hash *h);

/* Adds a node that is in no table; several may have the same hash. */
void hash_add(struct hash *h, struct hash_node *node, uint64_t hash);

/* Takes out a node that is in this table. */
void hash_remove(struct hash *h, struct hash_node *node);

/* Gives back buckets where there are eight times as many as nodes. Not during a walk. */
void hash_trim(struct hash *h);

/* Walks over all nodes in no useful order: prev NULL gives the first, NULL is the end. Nothing may be added or
 * removed between two steps, but for prev itself when its successor was asked for before. */
struct hash_node *hash_walk(const struct hash *h, const struct hash_node *prev);

/* The node or one of those behind it, of that hash; NULL: there is none. */
static inline struct hash_node *hash_same(struct hash_node *node, uint64_t hash)
{
    while (node && node->hash != hash)
        node = node->next;
    return node;
}

/* A node with that hash, NULL: there is none; then hash_more gives the others. */
static inline struct hash_node *hash_first(const struct hash *h, uint64_t hash)
{
    return hash_same(h->buckets ? h->buckets[hash & h->mask] : h->only, hash);
}

static inline struct hash_node *hash_more(const struct hash_node *node)
{
    return hash_same(node->next, node->hash);
}

#endif
