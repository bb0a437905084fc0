/*
 * prompt.h: commands typed at a terminal, with history and completion. Only this pair of
 * files uses libedit.
 */
#ifndef HALFMQ_CLIENTS_CLI_PROMPT_H
#define HALFMQ_CLIENTS_CLI_PROMPT_H

#include "clients/cli/run.h"

/* Reads commands until `exit`, `quit` or the end of input. */
enum exit_code prompt_run(struct cli_run *run);

#endif
