/* apply.h: what state.c calls: finds the handler of a command (handlers.h). */
#ifndef HALFMQ_STORAGE_APPLY_H
#define HALFMQ_STORAGE_APPLY_H

#include "storage/model/core.h"
#include "storage/need.h"

/* Does one WRITE or INNER command. Always answers: a reply, or grants. */
void apply_command(struct state *st, const struct stamp *stamp, const struct command *cmd, struct outcome *out);

/* As state_ahead, of a command that has something to be read before it is applied; ST_OK: others. apply_forget_ahead: and
 * nothing of it stays in memory. */
enum status apply_ahead(struct state *st, const struct stamp *stamp, const struct command *cmd, size_t *large);
void apply_forget_ahead(struct state *st);

/* As state_need. */
void apply_need(struct state *st, const struct stamp *stamp, const struct command *cmd, struct need *need);

/* True where the command has a DEDUP id that is known: its first answer, or an error, was given. Nothing is changed. */
bool apply_repeated(struct state *st, const struct stamp *stamp, const struct command *cmd, struct outcome *out);

#endif
