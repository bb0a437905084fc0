/* bufs.c: keeps spare buffers in a stack, the last used on top. */
#include "broker/base/bufs.h"

void bufs_take(struct bufs *bs, struct buf *b, size_t cap)
{
    if (b->data)
        return;
    if (bs->n)
        *b = bs->spare[--bs->n];
    b->cap = cap;
}

void bufs_give(struct bufs *bs, struct buf *b)
{
    if (!b->data)
        return;
    if (bs->n < BUFS_MAX && b->size <= BUFS_BYTES_KEEP) {
        buf_reset(b, BUFS_BYTES_KEEP);
        bs->spare[bs->n++] = *b;
        *b = (struct buf){.cap = b->cap};
        return;
    }
    buf_free(b);
}

void bufs_fini(struct bufs *bs)
{
    for (uint32_t i = 0; i < bs->n; i++)
        buf_free(&bs->spare[i]);
    bs->n = 0;
}
