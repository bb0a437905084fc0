/*
 * need.h: which blocks of memory the group of one large command will take, about: so that they can be made ready before.
 *
 *   values of the group   │ 4 MB      │ 4 MB      │ 60 KB │ 60 KB │ ...
 *   its write batch       │ all of them, one block ...                  │ need.batch
 *   the write buffer      │ 4 MB      │ 4 MB      │ 1 MiB │ 1 MiB │ ...   need.block
 *
 * RocksDB copies each value from the batch into its write buffer. There a value of more than a quarter of an arena's block has a
 * block of its own, and the others share blocks. This is only a forecast: where it is wrong a block is allocated when it is needed.
 */
#ifndef HALFMQ_STORAGE_NEED_H
#define HALFMQ_STORAGE_NEED_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/command/command.h"

#define NEED_BLOCKS_MAX 127
#define NEED_LARGE_BYTES ((size_t)MIB(2)) /* memory is made ready for the reading of a value of more */

struct need {
    size_t batch;
    size_t shared; /* bytes of values without a block of their own */
    uint32_t n_blocks;
    size_t block[NEED_BLOCKS_MAX];
};

/* Adds n values of so many bytes each. */
void need_add(struct need *n, size_t value_bytes, size_t values);

/* Adds what a SEND, an MSEND, a PRODUCE or a HALF writes; other commands: nothing. */
void need_add_command(struct need *n, const struct command *cmd);

/* Adds the blocks that values share, after the last value was added. */
void need_end(struct need *n);

#endif
