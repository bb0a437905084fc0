/*
 * steps.h: commands that the broker does in bounded steps, however much there is to do: each reply says how much that was.
 * This asks again until all is done, and prints the sum.
 */
#ifndef HALFMQ_CLIENTS_CLI_STEPS_H
#define HALFMQ_CLIENTS_CLI_STEPS_H

#include "clients/cli/conn.h"

/* DLQ REDRIVE group [COUNT n | id ...]; words: all of them. With ids it is asked once. */
enum exit_code steps_redrive(struct cli_conn *conn, const struct slice *words, size_t n, bool json);

#endif
