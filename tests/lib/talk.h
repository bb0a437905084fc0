/*
 * talk.h: a Redis client (hiredis, with RESP2) for tests of a whole broker, with assertions.
 *
 *   redisContext *c = talk_open(broker);
 *   talk_status(c, "OK", "TOPIC CREATE %s", "orders");
 *   redisReply *r = talk(c, "POP g orders COUNT 2");     the caller frees replies
 *
 * The format is that of hiredis: %s is a word, %b is bytes and their size_t length. The test fails if the connection
 * is lost or if a reply does not come in time.
 */
#ifndef HALFMQ_TESTS_TALK_H
#define HALFMQ_TESTS_TALK_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/lib/spawn.h"

#define TALK_DEADLINE_MS 30000

redisContext *talk_open(const struct spawned *broker);

redisReply *talk(redisContext *c, const char *format, ...);
redisReply *talk_next(
    redisContext *c); /* a reply to something sent with redisAppendCommand, or a push */

void talk_status(redisContext *c, const char *expected, const char *format, ...);
void talk_int(redisContext *c, long long expected, const char *format, ...);
void talk_error(redisContext *c, const char *code, const char *format, ...);
void talk_empty(redisContext *c, const char *format, ...); /* expects an empty array */

/* Expects a bulk string and returns a copy; the caller frees it. */
char *talk_string(redisContext *c, const char *format, ...);

/* Expects an array of n elements; the caller frees it. */
redisReply *talk_array(redisContext *c, size_t n, const char *format, ...);

/* The value of a name in a flat array name, value, ...; NULL: there is none. */
const redisReply *talk_get(const redisReply *map, const char *name);
const char *talk_get_string(const redisReply *map, const char *name); /* must be there */
long long talk_get_int(const redisReply *map, const char *name); /* must be there */

/* Checks that this is a message (an array of four, with the attributes that are always there), and its id and body
 * if they are not NULL. */
void talk_is_message(const redisReply *message, const char *id, const char *body);
const redisReply *talk_attributes(const redisReply *message);
const redisReply *talk_properties(const redisReply *message);

#endif
