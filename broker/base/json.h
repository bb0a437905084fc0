/*
 * json.h: a reply as JSON text: check-back objects (SUBSCRIBE check:..., CHECKURL) and the HTTP API.
 */
#ifndef HALFMQ_BROKER_JSON_H
#define HALFMQ_BROKER_JSON_H

#include "protocol/base/buf.h"

/*
 * Appends one reply-token value (protocol/base/reply.h) as JSON without blanks. Map keys keep their order;
 * integers are printed in full. A value under the key `body` whose bytes are not UTF-8 becomes
 * `body_base64` instead (not among a message's `properties`: their names are the sender's); in other
 * strings each byte that is not UTF-8 becomes U+FFFD.
 *
 * False: damaged tokens, nesting deeper than 16, or no memory; what was appended is to be thrown away.
 */
bool json_from_reply(struct slice reply_value, struct buf *out);

/* The string under a key of a JSON object, NUL-ended. False: not one JSON object, no such key, no
 * string, or longer than fits. For small texts: it becomes a tree. */
bool json_member(struct slice text, const char *key, char *out, size_t out_size);

#endif
