/*
 * body.h: where a message's body comes from when it is not one of the words.
 *
 *   send orders -              standard input, all of it
 *   send orders --file f.bin   a file
 *
 * Only the place of the body is looked at, in commands that have one; a body that is itself "-" or
 * "--file" can be given through standard input.
 */
#ifndef HALFMQ_CLIENTS_CLI_BODY_H
#define HALFMQ_CLIENTS_CLI_BODY_H

#include "clients/cli/options.h"
#include "protocol/base/buf.h"
#include "protocol/command/command.h"

/*
 * Puts the bytes in the body's place. The words are changed (and *n, when --file and its name become
 * one word); the new word points into body, which the caller initialises and frees.
 * stdin_is_free: false while commands come from standard input; then "-" is refused.
 * EXIT_USAGE with a text on standard error where the bytes cannot be had.
 */
enum exit_code body_fill(struct slice *words, size_t *n, struct buf *body,
                         bool stdin_is_free) MUST_CHECK;

#endif
