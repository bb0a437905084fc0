/*
 * help.h: what `--help`, `help` and `help command` print. Usage lines and summaries come from the
 * command table; examples come from example.def.
 */
#ifndef HALFMQ_CLIENTS_CLI_HELP_H
#define HALFMQ_CLIENTS_CLI_HELP_H

#include "clients/cli/options.h"
#include "protocol/base/slice.h"

void help_program(void);

/* words: those behind `help`; none: a list of all commands. EXIT_USAGE: there is no such command. */
enum exit_code help_command(const struct slice *words, size_t n);

#endif
