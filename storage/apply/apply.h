/* apply.h: what state.c calls: finds the handler of a command (handlers.h). */
#ifndef HALFMQ_STORAGE_APPLY_H
#define HALFMQ_STORAGE_APPLY_H

#include "storage/model/core.h"

/* Does one WRITE or INNER command. Always answers: a reply, or grants. */
void apply_command(struct state *st, const struct stamp *stamp, const struct command *cmd, struct outcome *out);

/* True where the command has a DEDUP id that is known: its first answer, or an error, was given. Nothing is changed. */
bool apply_repeated(struct state *st, const struct stamp *stamp, const struct command *cmd, struct outcome *out);

#endif
