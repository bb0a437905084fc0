/*
 * command_check.h: what makes a command well-formed; shared by command_parse.c and rpc_command.c
 * and used nowhere else. The bounds come from limits.h and are the same in every dialect.
 */
#ifndef HALFMQ_PROTOCOL_COMMAND_CHECK_H
#define HALFMQ_PROTOCOL_COMMAND_CHECK_H

#include "protocol/command/command.h"

/* Where the sentence for the person goes. */
struct complaint {
    char *text;
    size_t size;
};

/* Writes the sentence and hands back s, so that a check ends in `return command_refuse(...)`. */
enum status command_refuse(struct complaint c, enum status s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

enum option_type option_type(enum option_id id);
bool option_repeats(enum option_id id);

/* Reads o->v by the option's type into o->n, and checks its bounds in this command. */
enum status option_check(const struct command *cmd, struct option *o,
                         struct complaint c) MUST_CHECK;

/* Positional and repeating words, and what options may not stand together. Arity holds already. */
enum status command_check(struct command *cmd, struct complaint c) MUST_CHECK;

/* Forgets what the last command put into the space; gives back what was very large. */
void command_space_reset(struct command_space *s);

#endif
