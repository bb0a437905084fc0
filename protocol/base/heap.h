/*
 * heap.h: the earliest of many deadlines: a binary heap of nodes that lie inside their owners.
 *
 *   wait.deadline ─┐
 *   group.retry ───┼──► nodes[0] is the earliest; no child is earlier than its parent
 *   conn.linger ───┘    children of i: 2i+1, 2i+2              node->place == i + 1
 *
 * A node knows its place, so one in the middle is moved or taken out without a search: log2(n) steps at
 * most, and a few where many deadlines are cleared before they are due. The heap owns its array alone;
 * whoever owns a node takes it out before the node's memory goes.
 *
 * Adding may need memory. heap_set says when there is none; where nothing may fail half-way, heap_reserve
 * makes the room beforehand, and heap_set cannot fail then.
 *
 * Threads: one at a time. `due` is any number that orders; nodes of the same one come out in any order.
 */
#ifndef HALFMQ_PROTOCOL_HEAP_H
#define HALFMQ_PROTOCOL_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero: not in a heap. Only heap.c writes to it. */
struct heap_node {
    int64_t due;
    uint32_t place; /* from 1; 0: not in the heap */
};

/* All zero: empty. */
struct heap {
    struct heap_node **nodes;
    uint32_t n, size;
};

/* Frees the array. Nodes that are still in it must not be used with another heap afterwards. */
void heap_free(struct heap *h);

/* Room for so many nodes more than there are now; false: no memory. */
bool heap_reserve(struct heap *h, uint32_t more) __attribute__((warn_unused_result));

/* Adds the node, or moves it to another deadline. False: no memory, and node and heap are as before. */
bool heap_set(struct heap *h, struct heap_node *node, int64_t due) __attribute__((warn_unused_result));

/* As heap_set, of a node that is in the heap, or for which there is room: cannot fail. */
void heap_put(struct heap *h, struct heap_node *node, int64_t due);

/* Takes it out; does nothing where it is not in the heap. */
void heap_remove(struct heap *h, struct heap_node *node);

static inline bool heap_has(const struct heap_node *node) { return node->place != 0; }

/* The earliest; NULL: the heap is empty. */
static inline struct heap_node *heap_first(const struct heap *h) { return h->n ? h->nodes[0] : NULL; }

#endif
