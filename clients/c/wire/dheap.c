/*
 * dheap.c: see dheap.h. Children of index i are 2i+1 and 2i+2; no child is earlier than its parent.
 */
#include "clients/c/wire/dheap.h"

#include <assert.h>
#include <stdlib.h>

void dheap_fini(struct dheap *h)
{
    assert(h->n == 0);
    free(h->nodes);
    *h = (struct dheap){0};
}

bool dheap_reserve(struct dheap *h)
{
    if (h->n < h->size)
        return true;
    size_t size = h->size ? h->size * 2 : 64;
    struct dheap_node **grown = realloc(h->nodes, size * sizeof(struct dheap_node *));
    if (!grown)
        return false;
    h->nodes = grown;
    h->size = size;
    return true;
}

static void put(struct dheap *h, size_t at, struct dheap_node *node)
{
    h->nodes[at] = node;
    node->at = at;
}

static void sift_up(struct dheap *h, size_t at, struct dheap_node *node)
{
    while (at > 0 && h->nodes[(at - 1) / 2]->when_ms > node->when_ms) {
        put(h, at, h->nodes[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(h, at, node);
}

static void sift_down(struct dheap *h, size_t at, struct dheap_node *node)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < h->n && h->nodes[child + 1]->when_ms < h->nodes[child]->when_ms)
            child++;
        if (child >= h->n || h->nodes[child]->when_ms >= node->when_ms)
            break;
        put(h, at, h->nodes[child]);
        at = child;
    }
    put(h, at, node);
}

void dheap_add(struct dheap *h, struct dheap_node *node, int64_t when_ms)
{
    assert(h->n < h->size && node->at == DHEAP_OUT);
    node->when_ms = when_ms;
    sift_up(h, h->n++, node);
}

void dheap_remove(struct dheap *h, struct dheap_node *node)
{
    if (node->at == DHEAP_OUT)
        return;
    assert(node->at < h->n && h->nodes[node->at] == node);
    size_t at = node->at;
    struct dheap_node *last = h->nodes[--h->n];
    node->at = DHEAP_OUT;
    if (last == node)
        return;
    if (at > 0 && h->nodes[(at - 1) / 2]->when_ms > last->when_ms)
        sift_up(h, at, last);
    else
        sift_down(h, at, last);
}
