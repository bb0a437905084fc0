/*
 * body.h: a message's body that is not one of the words of the command.
 *
 *   send orders -              standard input, all of it
 *   send orders --file f.bin   a file
 *
 * Only the word in the place of the body is looked at, in commands that have one. A body that is itself "-" or
 * "--file" can be given on standard input.
 */
#ifndef HALFMQ_CLIENTS_CLI_BODY_H
#define HALFMQ_CLIENTS_CLI_BODY_H

#include "clients/cli/options.h"
#include "protocol/base/buf.h"
#include "protocol/command/command.h"

/*
 * Replaces the word by the bytes. The words are changed (and *n, when --file and its name become
 * one word); the new word points into body, which the caller initialises and frees.
 * stdin_is_free: false while commands come from standard input; then "-" is refused.
 * EXIT_USAGE, with a text on standard error: the bytes could not be read.
 */
enum exit_code body_fill(struct slice *words, size_t *n, struct buf *body,
                         bool stdin_is_free) MUST_CHECK;

#endif
