/*
 * lru.h: which topics and groups have been used of late, and how much memory they take.
 *
 *   a ring of nodes, and a hand that goes round when there is too much:
 *        used since the hand was here?  yes: the mark is taken off    no: it may be unloaded (unload.h)
 *
 * The hand goes round once at most, so what every commit group uses stays, even where that alone is too much.
 * To use something costs a mark, no list operation. Nothing here decides what is stored: what is unloaded is clean, and
 * is read again when it is named.
 */
#ifndef HALFMQ_STORAGE_LRU_H
#define HALFMQ_STORAGE_LRU_H

#include <stdbool.h>
#include <stddef.h>

enum lru_kind { LRU_TOPIC, LRU_GT };

struct lru_node {
    struct lru_node *prev, *next; /* NULL: in no ring */
    size_t bytes;
    enum lru_kind kind;
    bool used;
};

struct lru {
    struct lru_node *hand; /* the next to be looked at; NULL: the ring is empty */
    size_t bytes, bytes_max;
    size_t grown; /* bytes that were added since the commit group began */
    size_t n;
};

/* Adds a node, which comes last; it takes so many bytes. */
void lru_add(struct lru *l, struct lru_node *node, enum lru_kind kind, size_t bytes);

/* Takes it out, if it is in. */
void lru_remove(struct lru *l, struct lru_node *node);

/* It takes so many bytes now. */
void lru_resize(struct lru *l, struct lru_node *node, size_t bytes);

static inline void lru_use(struct lru_node *node)
{
    node->used = true;
}

/* The node under the hand, which then moves on; NULL: the ring is empty. */
struct lru_node *lru_next(struct lru *l);

static inline bool lru_over(const struct lru *l)
{
    return l->bytes > l->bytes_max;
}

#endif
