/*
 * shorthand.h: short forms of commands, which only this program knows.
 *
 *   topic | group | pgroup | txn             X LIST
 *   topic | group | pgroup | txn NAME        X INFO NAME, where NAME is no subcommand
 *   acl                                      ACL LIST
 *   acl NAME, acl show NAME                  ACL GETUSER NAME
 *   dlq | delayed NAME ...                   X LIST NAME ..., the same
 *   seek | leases ...                        GROUP SEEK ..., GROUP LEASES ...
 *   redrive ...                              DLQ REDRIVE ..., as often as it takes (steps.h)
 *   find TOPIC KEY                           FIND TOPIC KEY KEY
 *
 * A new one: a line in the tables of shorthand.c.
 */
#ifndef HALFMQ_CLIENTS_CLI_SHORTHAND_H
#define HALFMQ_CLIENTS_CLI_SHORTHAND_H

#include <stddef.h>

#include "protocol/base/slice.h"

#define SHORTHAND_WORDS_MORE 1 /* words that one may become more */

/* The words written out; out has room for n + SHORTHAND_WORDS_MORE. Returns how many they are. */
size_t shorthand_expand(const struct slice *words, size_t n, struct slice *out);

/* Word number i that stands for the first words of a command, and which: "SEEK", "GROUP SEEK". False past the last one. */
bool shorthand_at(size_t i, struct slice *ret_word, struct slice *ret_command, const char **ret_what);

#endif
