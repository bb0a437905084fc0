/*
 * command_build.c: fills a command, piece by piece; see command_build.h.
 */
#include "protocol/command/command_build.h"

#include <stdlib.h>

#include "protocol/command/command_check.h"
#include "protocol/command/command_table.h"

void command_space_init(struct command_space *s)
{
    *s = (struct command_space){0};
    buf_init(&s->text, REQUEST_BYTES_MAX);
}

void command_space_free(struct command_space *s)
{
    if (!s)
        return;
    free(s->slices);
    free(s->options);
    buf_free(&s->text);
    command_space_init(s);
}

void build_give_back(struct command_space *s)
{
    free(s->slices);
    s->slices = NULL;
    s->slices_size = 0;
}

enum status build_no_memory(struct complaint c)
{
    return complain(c, ST_NOMEM, "out of memory, nothing was done: try again");
}

enum status build_not_yet(const struct command_info *info, struct complaint c)
{
    return complain(c, ST_ERR, "not available yet: %s; nothing was done", info->words);
}

static bool build_grow(void **array, uint32_t *size, size_t item)
{
    uint32_t more = *size ? *size * 2 : 16;
    void *grown = realloc(*array, more * item);
    if (!grown)
        return false;
    *array = grown;
    *size = more;
    return true;
}

bool build_add_rest(struct command_space *s, struct command *cmd, struct slice v)
{
    if (s->n_slices == s->slices_size) {
        void *array = s->slices;
        if (!build_grow(&array, &s->slices_size, sizeof *s->slices))
            return false;
        s->slices = array;
    }
    s->slices[s->n_slices++] = v;
    cmd->rest = s->slices;
    cmd->n_rest = s->n_slices;
    return true;
}

enum status build_add_option(struct command_space *s, struct command *cmd, struct option o,
                             struct complaint c)
{
    uint64_t bit = UINT64_C(1) << o.id;
    if (cmd->info->later & bit)
        return complain(c, ST_ERR, "not available yet: %s of %s; nothing was done",
                        option_word(o.id), cmd->info->words);
    if ((cmd->has & bit) && !option_repeats(o.id))
        return complain(c, ST_ERR, "%s is given twice: it may be given once", option_word(o.id));
    enum status st = option_check(cmd, &o, c);
    if (st)
        return st;
    if (s->n_options == s->options_size) {
        void *array = s->options;
        if (!build_grow(&array, &s->options_size, sizeof *s->options))
            return build_no_memory(c);
        s->options = array;
    }
    s->options[s->n_options++] = o;
    cmd->opt = s->options;
    cmd->n_opt = s->n_options;
    cmd->has |= bit;
    return ST_OK;
}
