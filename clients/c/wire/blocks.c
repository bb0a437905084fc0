/* blocks.c: keeps a few blocks for the next one who needs one of their size; see blocks.h. */
#include "clients/c/wire/blocks.h"

#include <stdlib.h>
#include <string.h>

bool blocks_init(struct blocks *b)
{
    memset(b, 0, sizeof *b);
    return pthread_mutex_init(&b->lock, NULL) == 0;
}

void blocks_clear(struct blocks *b)
{
    pthread_mutex_lock(&b->lock);
    for (size_t i = 0; i < BLOCKS_KEPT; i++) {
        free(b->kept[i]);
        b->kept[i] = NULL;
        b->size[i] = 0;
    }
    b->bytes = 0;
    pthread_mutex_unlock(&b->lock);
}

void blocks_fini(struct blocks *b)
{
    blocks_clear(b);
    pthread_mutex_destroy(&b->lock);
}

size_t blocks_size(size_t wanted)
{
    size_t step = BLOCK_BYTES_LEAST / 4;
    if (wanted < BLOCK_BYTES_LEAST || wanted > BLOCKS_BYTES_KEPT)
        return wanted;
    while (step * 8 <= wanted)
        step *= 2;
    return (wanted + step - 1) / step * step;
}

/* Under the lock: the place of the smallest one that is large enough, and not far too large. BLOCKS_KEPT: there is none. */
static size_t blocks_fitting(const struct blocks *b, size_t size)
{
    size_t at = BLOCKS_KEPT;
    for (size_t i = 0; i < BLOCKS_KEPT; i++)
        if (b->size[i] >= size && b->size[i] / 4 <= size && (at == BLOCKS_KEPT || b->size[i] < b->size[at]))
            at = i;
    return at;
}

void *blocks_take(struct blocks *b, size_t *size)
{
    void *block = NULL;
    if (!b || *size < BLOCK_BYTES_LEAST)
        return malloc(*size);
    pthread_mutex_lock(&b->lock);
    size_t at = blocks_fitting(b, *size);
    if (at < BLOCKS_KEPT) {
        block = b->kept[at];
        *size = b->size[at];
        b->kept[at] = NULL;
        b->size[at] = 0;
        b->bytes -= *size;
    }
    pthread_mutex_unlock(&b->lock);
    return block ? block : malloc(*size);
}

/* Under the lock: the place of the smallest one, or a free one. */
static size_t blocks_smallest(const struct blocks *b)
{
    size_t at = 0;
    for (size_t i = 1; i < BLOCKS_KEPT; i++)
        if (b->size[i] < b->size[at])
            at = i;
    return at;
}

void blocks_give(struct blocks *b, void *block, size_t size, size_t most)
{
    if (!b || size < BLOCK_BYTES_LEAST || size > BLOCKS_BYTES_KEPT) {
        free(block);
        return;
    }
    most = most < BLOCKS_BYTES_KEPT ? most : BLOCKS_BYTES_KEPT;
    pthread_mutex_lock(&b->lock);
    size_t at = blocks_smallest(b);
    if (b->size[at] < size && b->bytes - b->size[at] + size <= most) {
        void *smaller = b->kept[at];
        b->bytes += size - b->size[at];
        b->kept[at] = block;
        b->size[at] = size;
        block = smaller;
    }
    pthread_mutex_unlock(&b->lock);
    free(block);
}
