/*
 * command_check.h: what makes a command well-formed, for the two parsers. The bounds come from limits.h
 * and are the same in every dialect.
 */
#ifndef HALFMQ_PROTOCOL_COMMAND_CHECK_H
#define HALFMQ_PROTOCOL_COMMAND_CHECK_H

#include "protocol/base/complaint.h"
#include "protocol/command/command.h"

#define QUOTED_BYTES 64                     /* of a client's word, shown in an error */
#define QUOTED_SIZE  (4 * QUOTED_BYTES + 4) /* what text_quote needs for them */

/* Reads o->v by the option's type into o->n, and checks its bounds in this command. */
enum status option_check(const struct command *cmd, struct option *o,
                         struct complaint c) MUST_CHECK;

/* Positional and repeating words, and what options may not stand together. Arity holds already. */
enum status command_check(struct command *cmd, struct complaint c) MUST_CHECK;

#endif
