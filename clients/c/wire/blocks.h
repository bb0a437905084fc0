/*
 * blocks.h: large blocks of memory that are used again. A consumer unpacks hundreds of records a second, each into blocks
 * of some hundred KB; given back to the system and taken anew, their pages cost more than the messages.
 *
 * At most BLOCKS_KEPT blocks of BLOCKS_BYTES_KEPT bytes together are kept. Any thread. A client has them behind
 * memory.h, where those that are kept count as well.
 */
#ifndef HALFMQ_CLIENTS_C_BLOCKS_H
#define HALFMQ_CLIENTS_C_BLOCKS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define BLOCKS_KEPT 48
#define BLOCKS_BYTES_KEPT (8u << 20)
#define BLOCK_BYTES_LEAST 32768 /* smaller ones are not worth it */

struct blocks {
    pthread_mutex_t lock;
    void *kept[BLOCKS_KEPT];
    size_t size[BLOCKS_KEPT];
    _Atomic size_t bytes; /* of all that are kept; changes under the lock */
};

bool blocks_init(struct blocks *b);
void blocks_fini(struct blocks *b);

/* The size to take a block in, a quarter more at most: blocks of almost the same size are of the same one then, so that each
 * is of use to all of them. */
size_t blocks_size(size_t wanted);

/* A block of at least so many bytes, with any content; *size becomes what it has. NULL: no memory. b NULL: malloc. */
void *blocks_take(struct blocks *b, size_t *size);

/* block NULL is fine. b NULL: free. It is kept only where all that are kept are `most` bytes at most. */
void blocks_give(struct blocks *b, void *block, size_t size, size_t most);

/* Frees all that are kept. */
void blocks_clear(struct blocks *b);

static inline size_t blocks_bytes(const struct blocks *b)
{
    return atomic_load(&b->bytes);
}

#endif
