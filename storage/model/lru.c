/* lru.c: the ring of what is in memory (lru.h). */
#include "storage/model/lru.h"

#include <assert.h>

void lru_add(struct lru *l, struct lru_node *node, enum lru_kind kind, size_t bytes)
{
    assert(!node->next);
    *node = (struct lru_node){.bytes = bytes, .kind = kind, .used = true};
    if (l->hand) {
        node->next = l->hand;
        node->prev = l->hand->prev;
        node->prev->next = node;
        node->next->prev = node;
    } else {
        node->next = node->prev = l->hand = node;
    }
    l->bytes += bytes;
    l->grown += bytes;
    l->n++;
}

void lru_remove(struct lru *l, struct lru_node *node)
{
    if (!node->next)
        return;
    if (l->hand == node)
        l->hand = node->next == node ? NULL : node->next;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = NULL;
    l->bytes -= node->bytes;
    l->n--;
}

void lru_resize(struct lru *l, struct lru_node *node, size_t bytes)
{
    if (!node->next)
        return;
    l->bytes = l->bytes - node->bytes + bytes;
    node->bytes = bytes;
}

struct lru_node *lru_next(struct lru *l)
{
    struct lru_node *node = l->hand;
    if (node)
        l->hand = node->next;
    return node;
}
