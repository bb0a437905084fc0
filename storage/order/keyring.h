/*
 * keyring.h: which ORDER keys of an ordered group are held, and which messages wait behind them.
 *
 *   key (queue, hash) ─┬─► holders   messages that are leased, or that wait for a retry
 *                      └─► skipped   messages that POP has passed over, by offset:  17 ─► 21 ─► 40
 *
 *            hold             free, and nothing skipped
 *   unknown ──────► held ───────────────────────────────► unknown
 *                   │  ▲
 *              free ▼  │ take: its first skipped one becomes the holder
 *                   ready                                   drop: it leaves (it has expired); the next one is ready
 *
 * A message is known by (queue, offset), so whoever is done with it need not remember its key. A key that is known is
 * not delivered: its messages are held, or skipped ones go first. So one message a key is out at a time.
 *
 * Two keys with the same hash are one key here: their messages wait for each other, which is slower and nothing worse.
 *
 * Only where a group became ordered while it had leases may a key have several holders (`tangled`). Those that are
 * redelivered meanwhile are demoted: they wait among the skipped ones, in order.
 *
 * Memory and hashes only: no store, no clock. Adding may fail for want of memory; nothing else may.
 */
#ifndef HALFMQ_STORAGE_KEYRING_H
#define HALFMQ_STORAGE_KEYRING_H

#include "protocol/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Nodes in an array that grows, found by a hash. Places count from 1, so that 0 is none. */
struct ring_pool {
    uint8_t *nodes;
    uint32_t *buckets; /* RING_BUCKETS for each of `size` nodes */
    uint32_t size, used, spare, n;
};

/* A message to be added. */
struct ring_place {
    uint64_t offset;
    uint64_t index; /* of the commit group that stored it: its age */
    uint32_t queue;
    uint32_t key;   /* hash; 0: it has none, so it neither holds nor waits */
    uint32_t bytes; /* about how large it is */
};

/* One that is known. It stays where it is until the next one is added. */
struct ring_message {
    uint32_t chain, hash; /* of its pool */
    uint64_t offset, index;
    void *block; /* skipped: where it is stored (skips.h); NULL: a holder */
    uint32_t queue, bytes;
    uint32_t key;  /* place of its key; 0: it has none, and is skipped and ready */
    uint32_t next; /* the skipped one behind it; 0: none */
};

struct keyring {
    struct ring_pool messages, keys;
    uint32_t asked; /* the place of the key that was looked up last, 0: it is not known; ... */
    uint32_t asked_queue, asked_key; /* ... that key; 0: there is none */
    bool tangled; /* some key has, or had, several holders, or a holder behind a skipped one */
};

/* All zero is an empty one. */
void keyring_free_all(struct keyring *kr);
size_t keyring_bytes(const struct keyring *kr);

/* True where a fresh message of that key must wait. */
bool keyring_knows(struct keyring *kr, uint32_t queue, uint32_t key);

/* Says that a fresh message of that key is about to be met. */
void keyring_expect_key(const struct keyring *kr, uint32_t queue, uint32_t key);

/* Adds a holder. It is not known yet; its key may have other holders. ST_NOMEM. */
enum status keyring_hold(struct keyring *kr, const struct ring_place *p) MUST_CHECK;

/* Adds a skipped message, which is not known yet, in order. Whether it is ready is not said here. ST_NOMEM. */
enum status keyring_skip(struct keyring *kr, const struct ring_place *p, void *block) MUST_CHECK;

/* NULL: not known; such a message has no key, or is neither held nor skipped. */
struct ring_message *keyring_find(const struct keyring *kr, uint32_t queue, uint64_t offset);

/* Says that the message, which has a key, is about to be freed. */
void keyring_expect(const struct keyring *kr, const struct ring_message *m);

/* The skipped message can be had: no earlier one of its key is left. */
bool keyring_ready(const struct keyring *kr, const struct ring_message *m);

/* The holder is delivered for good, or dead. Returns the skipped message that is ready now, or NULL. */
struct ring_message *keyring_free(struct keyring *kr, struct ring_message *m);

/* The ready message becomes the holder of its key. */
void keyring_take(struct keyring *kr, struct ring_message *m);

/* The ready message leaves. Returns the one behind it, which is ready now, or NULL. */
struct ring_message *keyring_drop(struct keyring *kr, struct ring_message *m);

/* True where a holder may be delivered again when its time comes: it is the only one, and no earlier one is skipped. */
bool keyring_first(const struct keyring *kr, const struct ring_message *m);

/* Makes a skipped message of a holder. Returns the message of its key that is ready now, or NULL. */
struct ring_message *keyring_demote(struct keyring *kr, struct ring_message *m, void *block);

/* Forgets all messages below the floors of their queues, whatever their state. Others may become ready by that. */
typedef uint64_t ring_floor_fn(const void *arg, uint32_t queue);
void keyring_cut(struct keyring *kr, ring_floor_fn *floor, const void *arg);

/* Walks over all messages in no useful order: NULL gives the first, NULL is the end. */
struct ring_message *keyring_walk(const struct keyring *kr, const struct ring_message *prev);

#endif
