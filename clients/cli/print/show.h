/*
 * show.h: prints replies on standard output, for people or as JSON.
 */
#ifndef HALFMQ_CLIENTS_CLI_SHOW_H
#define HALFMQ_CLIENTS_CLI_SHOW_H

#include "clients/cli/options.h"
#include "clients/cli/print/view.h"

/* Prints the reply and flushes; an error goes to standard error as `CODE text`. EXIT_REFUSED for
 * an error, and when the output cannot be written. */
enum exit_code show_reply(const redisReply *reply, enum reply_shape shape, bool json);

/* One message that was pushed to a subscriber: [message, channel, payload]. */
enum exit_code show_push(const redisReply *reply, bool json);

/* One message of a list, with a blank line before all but the first. */
enum exit_code show_message(const redisReply *message, bool json, bool first);

#endif
