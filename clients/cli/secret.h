/*
 * secret.h: which words of a command are passwords: they are not kept in the history, and not shown in the list of processes.
 *
 *   AUTH [user] password                HELLO 3 AUTH user password
 *   ACL SETUSER user >password <old     CONFIG SET password word
 */
#ifndef HALFMQ_CLIENTS_CLI_SECRET_H
#define HALFMQ_CLIENTS_CLI_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/base/slice.h"

/* Whether word i of n is a password. */
bool secret_is(const struct slice *words, size_t n, size_t i);

/* Whether a line, as it is typed, may have a password in it. */
bool secret_in_line(struct slice line);

/* Copies the passwords among the words, and overwrites those that a list of processes shows. words: they point into argv
 * as main got it. False: no memory. Either way secret_forget is to be called when
 * the command is over. */
bool secret_hide(struct slice *words, size_t n);

/* Erases and frees the copies. argv: where the words pointed to at first. */
void secret_forget(struct slice *words, size_t n, char *const *argv);

#endif
