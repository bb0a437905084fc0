/*
 * dheap.h: the earliest of many deadlines. A binary heap of nodes that sit inside their owners.
 *
 * Invariant: node->at is the node's index while it is in the heap, DHEAP_OUT otherwise.
 * Room is reserved before a node is made, so that adding never fails half-way through something.
 */
#ifndef HALFMQ_CLIENTS_C_DHEAP_H
#define HALFMQ_CLIENTS_C_DHEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DHEAP_OUT ((size_t)-1)

struct dheap_node {
    int64_t when_ms;
    size_t at;
};

struct dheap {
    struct dheap_node **nodes;
    size_t n, size;
};

void dheap_fini(struct dheap *h);

/* Room for one more node; false: no memory. */
bool dheap_reserve(struct dheap *h);

/* Adds a node that is out; there must be room. */
void dheap_add(struct dheap *h, struct dheap_node *node, int64_t when_ms);

/* Takes it out; nothing happens where it is out already. */
void dheap_remove(struct dheap *h, struct dheap_node *node);

/* The earliest, or NULL. */
static inline struct dheap_node *dheap_first(const struct dheap *h)
{
    return h->n ? h->nodes[0] : NULL;
}

#endif
