/*
 * command_parse.h: what the two parsers (command_parse.c, command_named.c) and command_usage.c
 * share. Nobody else includes it; the public functions are in command.h.
 */
#ifndef HALFMQ_PROTOCOL_COMMAND_PARSE_H
#define HALFMQ_PROTOCOL_COMMAND_PARSE_H

#include "protocol/command/command.h"
#include "protocol/command/command_check.h"

#define QUOTED_BYTES 64                     /* of a client's word, shown in an error */
#define QUOTED_SIZE  (4 * QUOTED_BYTES + 4) /* what text_quote needs for them */
#define LIST_SIZE    700                    /* a list of words in an error */

/* The i-th of the table line's names (positional ones, then the repeating one); empty past the end.
 */
struct slice command_name(const struct command_info *info, size_t i);

/* True where the name behind the single positional words is the repeating one's own. */
bool command_rest_named(const struct command_info *info);

/* Empties the space and the command for another request. */
void parse_start(struct command_space *s, const struct command_info *info, struct command *cmd);

/* Appends a repeating word; false without memory. */
bool parse_add_rest(struct command_space *s, struct command *cmd, struct slice v) MUST_CHECK;

/* Appends an option that belongs to the command: availability, repetition and bounds are checked.
 */
enum status parse_add_option(struct command_space *s, struct command *cmd, struct option o,
                             struct complaint c) MUST_CHECK;

/* The option with that word, if the command has it. */
bool parse_own_option(const struct command_info *info, struct slice word, enum option_id *ret_id);

enum status parse_no_memory(struct complaint c);
enum status parse_not_yet(const struct command_info *info, struct complaint c);

#endif
