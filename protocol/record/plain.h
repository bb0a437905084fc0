/*
 * plain.h: a stored message that has a body only (message.h: no fields), read without a struct message. Most messages are
 * plain, and who reads millions of them a second has no use for the other members, which would be cleared and copied.
 */
#ifndef HALFMQ_PROTOCOL_PLAIN_H
#define HALFMQ_PROTOCOL_PLAIN_H

#include "protocol/base/slice.h"

/* Whether the message, of at least one byte, is plain; not whether it is whole. */
static inline bool plain_is(struct slice bytes) { return bytes.data[0] == 0; }

/* When a message was born, from the number in its bytes. It wraps, so that no time, however odd, is undefined. */
static inline int64_t plain_born(int64_t stored_ms, uint64_t zigzag)
{
    return (int64_t)((uint64_t)stored_ms - ((zigzag >> 1) ^ (0 - (zigzag & 1))));
}

/* message_decode for a plain message. False: damaged bytes, or some are left over. */
static inline bool plain_decode(struct slice bytes, int64_t stored_ms, int64_t *ret_born_ms, struct slice *ret_body)
{
    struct cursor c = cursor_of(bytes);
    (void)cursor_varint(&c); /* the fields: none */
    (void)cursor_varint(&c); /* its place in the group commit */
    *ret_born_ms = plain_born(stored_ms, cursor_varint(&c));
    *ret_body = cursor_sized(&c);
    return !c.bad && cursor_left(&c) == 0;
}

#endif
