/*
 * tail.h: `halfmq tail topic [QUEUE n] [FROM latest|earliest|offset] [COUNT n]`.
 */
#ifndef HALFMQ_CLIENTS_CLI_TAIL_H
#define HALFMQ_CLIENTS_CLI_TAIL_H

#include "clients/cli/conn.h"

void tail_help(void);

/* words: those after `tail`. conn is used to ask about the topic; each queue gets a connection of its own.
 * Ends with ^C, after COUNT messages, or with an error. */
enum exit_code tail_run(struct cli_conn *conn, const struct slice *words, size_t n);

#endif
