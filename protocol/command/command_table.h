/*
 * command_table.h: look-ups in the tables of commands and options that only this room needs. Those
 * that everybody needs (command_info, command_find, option_find, ...) are in command.h.
 */
#ifndef HALFMQ_PROTOCOL_COMMAND_TABLE_H
#define HALFMQ_PROTOCOL_COMMAND_TABLE_H

#include "protocol/command/command.h"

/* The i-th of the table line's names (positional ones, then the repeating one); empty past the end. */
struct slice command_name(const struct command_info *info, size_t i);

/* True where the name behind the single positional words is the repeating one's own. */
bool command_rest_named(const struct command_info *info);

/* The option with that word, if the command has it. */
bool command_own_option(const struct command_info *info, struct slice word, enum option_id *ret_id);

bool option_repeats(enum option_id id);

#endif
