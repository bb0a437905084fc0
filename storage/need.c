/* need.c: how values fall into blocks (need.h). */
#include "storage/need.h"

#define ARENA_BYTES ((size_t)MIB(1)) /* RocksDB's blocks, where its write buffers have 8 MiB or more */
#define OWN_BYTES (ARENA_BYTES / 4)  /* a value of more has a block of its own */
#define ROW_BYTES 256                /* a row's key, attributes and other rows, beside the value */

static void need_block(struct need *n, size_t bytes)
{
    if (n->n_blocks < NEED_BLOCKS_MAX)
        n->block[n->n_blocks++] = bytes;
}

void need_add(struct need *n, size_t value_bytes, size_t values)
{
    size_t row = value_bytes + ROW_BYTES;
    n->batch += row * values;
    if (value_bytes <= OWN_BYTES) {
        n->shared += row * values;
        return;
    }
    for (size_t i = 0; i < values; i++)
        need_block(n, row);
}

void need_add_command(struct need *n, const struct command *cmd)
{
    enum command_id id = cmd->info->id;
    if (id == CMD_SEND || id == CMD_PRODUCE)
        need_add(n, cmd->pos[1].len, 1);
    else if (id == CMD_HALF)
        need_add(n, cmd->pos[2].len, 1);
    for (uint32_t i = 0; id == CMD_MSEND && i < cmd->n_rest; i++)
        need_add(n, cmd->rest[i].len, 1);
}

void need_end(struct need *n)
{
    for (; n->shared > 0; n->shared -= n->shared < ARENA_BYTES ? n->shared : ARENA_BYTES)
        need_block(n, ARENA_BYTES);
}
