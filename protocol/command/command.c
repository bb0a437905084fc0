/*
 * command.c: what is asked of a command that was parsed: its options, and a copy that owns its bytes.
 */
#include "protocol/command/command.h"

#include "protocol/base/text.h"

const struct option *command_option(const struct command *cmd, enum option_id id)
{
    if (!(cmd->has & (UINT64_C(1) << id)))
        return NULL;
    for (uint32_t i = 0; i < cmd->n_opt; i++) {
        if (cmd->opt[i].id == id)
            return &cmd->opt[i];
    }
    return NULL;
}

int64_t command_number(const struct command *cmd, enum option_id id, int64_t otherwise)
{
    const struct option *o = command_option(cmd, id);
    return o ? o->n : otherwise;
}

/* Are these bytes among those that a copy need not have of its own? */
static bool stays(struct slice s, struct slice kept)
{
    return (uintptr_t)s.data - (uintptr_t)kept.data < kept.len;
}

static size_t clone_bytes(struct slice s, struct slice kept)
{
    return stays(s, kept) ? 0 : s.len;
}

size_t command_clone_size_beside(const struct command *cmd, struct slice kept)
{
    size_t bytes = cmd->n_opt * sizeof *cmd->opt + cmd->n_rest * sizeof *cmd->rest;
    for (uint32_t i = 0; i < cmd->n_pos; i++)
        bytes += clone_bytes(cmd->pos[i], kept);
    for (uint32_t i = 0; i < cmd->n_rest; i++)
        bytes += clone_bytes(cmd->rest[i], kept);
    for (uint32_t i = 0; i < cmd->n_opt; i++)
        bytes += clone_bytes(cmd->opt[i].v, kept) + clone_bytes(cmd->opt[i].v2, kept);
    return bytes;
}

static struct slice copy_bytes(struct slice s, struct slice kept, uint8_t **at)
{
    if (s.len == 0)
        return slice_of(NULL, 0);
    if (stays(s, kept))
        return s;
    uint8_t *mine = *at;
    memcpy(mine, s.data, s.len);
    *at += s.len;
    return slice_of(mine, s.len);
}

void command_clone_beside(const struct command *cmd, struct slice kept, void *mem, struct command *ret_cmd)
{
    struct option *opt = mem;
    struct slice *rest = (struct slice *)(opt + cmd->n_opt);
    uint8_t *at = (uint8_t *)(rest + cmd->n_rest);
    *ret_cmd = *cmd;
    ret_cmd->sifted = slice_of(NULL, 0);
    ret_cmd->opt = cmd->n_opt ? opt : NULL;
    ret_cmd->rest = cmd->n_rest ? rest : NULL;
    for (uint32_t i = 0; i < cmd->n_pos; i++)
        ret_cmd->pos[i] = copy_bytes(cmd->pos[i], kept, &at);
    for (uint32_t i = cmd->n_pos; i < COMMAND_POS_MAX; i++)
        ret_cmd->pos[i] = slice_of(NULL, 0);
    for (uint32_t i = 0; i < cmd->n_rest; i++)
        rest[i] = copy_bytes(cmd->rest[i], kept, &at);
    for (uint32_t i = 0; i < cmd->n_opt; i++) {
        opt[i] = cmd->opt[i];
        opt[i].v = copy_bytes(cmd->opt[i].v, kept, &at);
        opt[i].v2 = copy_bytes(cmd->opt[i].v2, kept, &at);
    }
}

struct slice command_bytes(const struct command *cmd, struct slice kept)
{
    const uint8_t *from = NULL, *to = NULL;
    for (uint32_t i = 0; i < cmd->n_pos + cmd->n_rest; i++) {
        struct slice word = i < cmd->n_pos ? cmd->pos[i] : cmd->rest[i - cmd->n_pos];
        if (word.len == 0 || (kept.len && !stays(word, kept)))
            continue;
        from = !from || word.data < from ? word.data : from;
        to = !to || word.data + word.len > to ? word.data + word.len : to;
    }
    return slice_of(from, (size_t)(to - from));
}

bool command_point(struct slice s, int64_t *ret_n)
{
    if (slice_equal_nocase(s, SLICE_LIT("EARLIEST"))) {
        *ret_n = POINT_EARLIEST;
        return true;
    }
    if (slice_equal_nocase(s, SLICE_LIT("LATEST"))) {
        *ret_n = POINT_LATEST;
        return true;
    }
    if (!text_time(s, ret_n))
        return false;
    if (*ret_n < 0) /* nothing was stored before 1970, and the points are negative numbers */
        *ret_n = 0;
    return true;
}
