/*
 * run.h: runs one command, from its words to the printed reply.
 *
 *   words ──► help?  ──► tail? ──► shorthands ──► body, password from a file ──► broker ──► show
 *              here       tail.c    shorthand.c    body.c, acl.c
 *
 * Commands that are not known here go to the broker as they are, and so do all options of known ones: the
 * broker checks its own commands.
 */
#ifndef HALFMQ_CLIENTS_CLI_RUN_H
#define HALFMQ_CLIENTS_CLI_RUN_H

#include "clients/cli/conn.h"

struct cli_run {
    struct cli_options options;
    struct cli_conn conn;
    bool stdin_is_free; /* false while commands are read from standard input */
};

/* words: n >= 1 of them. */
enum exit_code run_words(struct cli_run *run, const struct slice *words, size_t n);

/*
 * Commands one by one from a stream that is no terminal, in the notation of the protocol's inline
 * lines; empty lines and lines that begin with # are skipped. Continues after a refusal, but not after a lost
 * connection. Returns the first code that was not EXIT_DONE.
 */
enum exit_code run_lines(struct cli_run *run, FILE *f);

/* One line of text, without its line end. */
enum exit_code run_line(struct cli_run *run, struct slice line);

#endif
