/*
 * command_build.h: fills a command piece by piece, for the two parsers (command_parse.c from words,
 * command_named.c from named values). Both fill the same space and end in command_check, so that a rule is
 * written once.
 *
 *   build_start ─► build_add_rest / build_add_option, in the order sent ─► command_check
 *
 * Invariant: cmd->rest and cmd->opt are set anew after each append, because the space moves as it grows.
 */
#ifndef HALFMQ_PROTOCOL_COMMAND_BUILD_H
#define HALFMQ_PROTOCOL_COMMAND_BUILD_H

#include "protocol/base/complaint.h"
#include "protocol/command/command.h"

#define SLICES_KEPT 1024 /* a space with room for more gives it back at the next command */

/* Frees the room for repeating words. */
void build_give_back(struct command_space *s);

/* Empties the space and the command for another request. */
static inline void build_start(struct command_space *s, const struct command_info *info, struct command *cmd)
{
    if (s->slices_size > SLICES_KEPT)
        build_give_back(s);
    s->n_slices = s->n_options = 0;
    cmd->info = info;
    cmd->n_pos = cmd->n_rest = cmd->n_opt = 0;
    for (int i = 0; i < COMMAND_POS_MAX; i++)
        cmd->pos[i] = slice_of(NULL, 0);
    cmd->rest = NULL;
    cmd->opt = NULL;
    cmd->has = 0;
    cmd->batch = (struct batch_facts){0};
    cmd->sifted = slice_of(NULL, 0);
    cmd->client = 0;
    cmd->user = NULL;
}

/* Appends a repeating word; false without memory. */
bool build_add_rest(struct command_space *s, struct command *cmd, struct slice v) MUST_CHECK;

/* Appends an option that belongs to the command: availability, repetition and bounds are checked. */
enum status build_add_option(struct command_space *s, struct command *cmd, struct option o,
                             struct complaint c) MUST_CHECK;

enum status build_no_memory(struct complaint c);
enum status build_not_yet(const struct command_info *info, struct complaint c);

#endif
