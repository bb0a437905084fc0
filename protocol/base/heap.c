/*
 * heap.c: a node moves up while its parent is later, and down while a child is earlier; heap.h has the picture.
 */
#include "protocol/base/heap.h"

#include <assert.h>
#include <stdlib.h>

#define HEAP_SIZE_MIN 64

void heap_free(struct heap *h)
{
    free(h->nodes);
    *h = (struct heap){0};
}

bool heap_reserve(struct heap *h, uint32_t more)
{
    if (h->size - h->n >= more)
        return true;
    uint32_t size = h->size ? h->size * 2 : HEAP_SIZE_MIN;
    if (size - h->n < more)
        size = h->n + more;
    struct heap_node **nodes = realloc(h->nodes, size * sizeof(struct heap_node *));
    if (!nodes)
        return false;
    h->nodes = nodes;
    h->size = size;
    return true;
}

static inline void heap_place(struct heap *h, uint32_t i, struct heap_node *node)
{
    h->nodes[i] = node;
    node->place = i + 1;
}

/* Puts the node at i, or as far above as it belongs. */
static void heap_up(struct heap *h, uint32_t i, struct heap_node *node)
{
    while (i > 0) {
        uint32_t parent = (i - 1) / 2;
        if (h->nodes[parent]->due <= node->due)
            break;
        heap_place(h, i, h->nodes[parent]);
        i = parent;
    }
    heap_place(h, i, node);
}

/* Puts the node at i, or as far below as it belongs. */
static void heap_down(struct heap *h, uint32_t i, struct heap_node *node)
{
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= h->n)
            break;
        if (child + 1 < h->n && h->nodes[child + 1]->due < h->nodes[child]->due)
            child++;
        if (h->nodes[child]->due >= node->due)
            break;
        heap_place(h, i, h->nodes[child]);
        i = child;
    }
    heap_place(h, i, node);
}

/* Place i is the node's or free, and the rest is in order. */
static void heap_settle(struct heap *h, uint32_t i, struct heap_node *node)
{
    if (i > 0 && h->nodes[(i - 1) / 2]->due > node->due)
        heap_up(h, i, node);
    else
        heap_down(h, i, node);
}

void heap_put(struct heap *h, struct heap_node *node, int64_t due)
{
    node->due = due;
    if (node->place) {
        assert(node->place <= h->n && h->nodes[node->place - 1] == node);
        heap_settle(h, node->place - 1, node);
        return;
    }
    assert(h->n < h->size);
    heap_up(h, h->n++, node);
}

bool heap_set(struct heap *h, struct heap_node *node, int64_t due)
{
    if (!node->place && !heap_reserve(h, 1))
        return false;
    heap_put(h, node, due);
    return true;
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    if (!node->place)
        return;
    uint32_t i = node->place - 1;
    assert(i < h->n && h->nodes[i] == node);
    struct heap_node *last = h->nodes[--h->n];
    node->place = 0;
    if (last != node)
        heap_settle(h, i, last);
}
