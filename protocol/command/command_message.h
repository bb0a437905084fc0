/*
 * command_message.h: from a SEND or a HALF to the message that is stored.
 */
#ifndef HALFMQ_PROTOCOL_COMMAND_MESSAGE_H
#define HALFMQ_PROTOCOL_COMMAND_MESSAGE_H

#include "protocol/command/command.h"
#include "protocol/record/message.h"

/*
 * Takes the command's options KEY, TAG, ORDER, PRIORITY and PROP into a message with that body. The properties are
 * encoded into scratch, which must outlive the message; the other slices point into the command. The caller sets
 * born_ms and handles TTL, DELAY and DEDUP. ST_LIMIT: too many keys or properties. ST_TOOBIG: the properties
 * together are over PROPS_BYTES_MAX. ST_NOMEM.
 */
enum status command_message(const struct command *cmd, struct slice body, struct buf *scratch,
                            struct message *ret_m, char *err, size_t err_size) MUST_CHECK;

#endif
