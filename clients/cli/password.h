/*
 * password.h: reads a password, so that nobody has to write it into a command line, which everybody on the machine can see.
 *
 *   a terminal       a prompt; what is typed is not shown
 *   a pipe, a file   its first line
 *
 * Bounds: PASSWORD_LINE_MAX bytes; no NUL, and not empty.
 */
#ifndef HALFMQ_CLIENTS_CLI_PASSWORD_H
#define HALFMQ_CLIENTS_CLI_PASSWORD_H

#include "clients/cli/options.h"
#include "protocol/base/buf.h"
#include "protocol/base/slice.h"

#define PASSWORD_LINE_MAX 16384 /* tokens are longer than passwords */

/* Appends the first line of standard input. At a terminal it asks for the password of `user`, and once more where `twice`.
 * EXIT_USAGE, EXIT_INTERRUPTED: standard error says why. */
enum exit_code password_ask(struct slice user, bool twice, struct buf *out);

/* Appends the first line of a file. EXIT_USAGE: as above. */
enum exit_code password_from_file(struct slice path, struct buf *out);

/* Overwrites it, and frees it. */
void password_forget(struct buf *b);

#endif
