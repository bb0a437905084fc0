/*
 * human.h: prints JSON trees (view.h) for people.
 *
 *   object            a table of names and values; lists of objects in it follow as tables
 *   list of objects   a table, a column for each name
 *   message           a line with its attributes, a line for each property, the body
 *   page              its items, then a line that says how to get the next page
 */
#ifndef HALFMQ_CLIENTS_CLI_HUMAN_H
#define HALFMQ_CLIENTS_CLI_HUMAN_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "protocol/base/slice.h"

/* Writes the tree to standard output. False: no memory. */
bool human_print(const cJSON *tree);

/* The same, with a table of names and values for each object of a list: for those that have too many for a line. */
bool human_print_each(const cJSON *tree);

void human_message(const cJSON *message);

/* Prints bytes and a line end; on a terminal, control bytes are printed as \xHH. */
void human_bytes(struct slice s);

#endif
