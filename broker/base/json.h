/*
 * json.h: turns a reply into JSON text, for check-backs (SUBSCRIBE check:..., CHECKURL); reads the answer of a
 * CHECKURL, and the keys and claims of tokens.
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
 * False: damaged tokens, nesting deeper than 16, or no memory; the caller throws away what was appended.
 */
bool json_from_reply(struct slice reply_value, struct buf *out);

/* Copies the string under a key of a JSON object to out, NUL-ended. False: the text is not one JSON object, or there
 * is no such key or it is there twice, or its value is no string or does not fit. For short texts: it is parsed as a
 * whole. */
bool json_member(struct slice text, const char *key, char *out, size_t out_size);

/* Hands each object of the array under a key of a JSON object to each, as JSON text that is good during the call. False: the
 * text is not one JSON object, or there is no such array, or no memory. */
bool json_each(struct slice text, const char *key, void (*each)(void *arg, struct slice object), void *arg);

/* Is the JSON text this string, or an array with this string in it? */
bool json_names(struct slice text, const char *value);

#endif
