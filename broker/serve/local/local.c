/*
 * local.c: finds the function of a LOCAL command: a table that command.def fills.
 */
#include "broker/serve/local/local.h"

#include <assert.h>

typedef void local_function(struct conn *c, const struct command *cmd, struct request rq);

#define LOCAL_FOR_LOCAL(id) [CMD_##id] = local_##id,
static local_function *const local_functions[COMMAND_COUNT] = {
#define COMMAND(id, words, kind, category, names, touches, min, max, rest, options, later, summary) \
    LOCAL_FOR_##kind(id)
#include "protocol/command/command.def"
#undef COMMAND
};

void local_run(struct conn *c, const struct command *cmd, struct request rq)
{
    local_function *f = local_functions[cmd->info->id];
    assert(f);
    f(c, cmd, rq);
}
