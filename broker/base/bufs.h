/*
 * bufs.h: a few empty buffers that move from one connection to the next, so that memory follows the bytes under
 * way and not the connections. One set a loop; its thread's own.
 */
#ifndef HALFMQ_BROKER_BUFS_H
#define HALFMQ_BROKER_BUFS_H

#include "protocol/base/buf.h"
#include "protocol/limits.h"

#define BUFS_MAX 64
#define BUFS_BYTES_KEEP ((size_t)KIB(64)) /* a larger one is freed */

struct bufs {
    struct buf spare[BUFS_MAX];
    uint32_t n;
};

/* Gives b memory, where it has none and there is some. cap: its bound from now on. */
void bufs_take(struct bufs *bs, struct buf *b, size_t cap);

/* Takes b's memory away, to keep it or to free it. b is empty afterwards and keeps its bound. */
void bufs_give(struct bufs *bs, struct buf *b);

void bufs_fini(struct bufs *bs);

#endif
