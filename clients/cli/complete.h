/*
 * complete.h: completes words of a command line, from the command table.
 */
#ifndef HALFMQ_CLIENTS_CLI_COMPLETE_H
#define HALFMQ_CLIENTS_CLI_COMPLETE_H

#include "protocol/base/slice.h"

/*
 * line: the text before the cursor. Calls found() for each word that may complete its last word, in any case;
 * *ret_typed is how many bytes of that word are typed already.
 */
void complete_line(struct slice line, void (*found)(void *arg, struct slice word), void *arg,
                   size_t *ret_typed);

#endif
