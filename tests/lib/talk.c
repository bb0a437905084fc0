/*
 * talk.c: sends commands with hiredis and checks the replies (talk.h). The assertions are cmocka's, so a failure
 * names a line in this file; the command is printed before it.
 */
#include "tests/lib/talk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

redisContext *talk_open(const struct spawned *broker)
{
    struct timeval limit = {TALK_DEADLINE_MS / 1000, 0};
    redisContext *c = redisConnectWithTimeout("127.0.0.1", broker->port, limit);
    assert_non_null(c);
    if (c->err)
        fail_msg("cannot connect: %s", c->errstr);
    assert_int_equal(redisSetTimeout(c, limit), REDIS_OK);
    return c;
}

redisReply *talk_next(redisContext *c)
{
    void *reply = NULL;
    if (redisGetReply(c, &reply) != REDIS_OK)
        fail_msg("no reply: %s", c->errstr);
    return reply;
}

static redisReply *ask(redisContext *c, const char *format, va_list args)
{
    redisReply *r = redisvCommand(c, format, args);
    if (!r)
        fail_msg("no reply to `%s`: %s", format, c->errstr);
    return r;
}

static void wrong(const char *format, const redisReply *r, const char *expected)
{
    bool text = r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS ||
                r->type == REDIS_REPLY_ERROR;
    fail_msg("`%s` answered type %d, number %lld, %zu elements, text \"%s\"; expected %s", format,
             r->type, r->integer, r->elements, text ? r->str : "", expected);
}

redisReply *talk(redisContext *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *r = ask(c, format, args);
    va_end(args);
    return r;
}

void talk_status(redisContext *c, const char *expected, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *r = ask(c, format, args);
    va_end(args);
    if (r->type != REDIS_REPLY_STATUS || strcmp(r->str, expected) != 0)
        wrong(format, r, expected);
    freeReplyObject(r);
}

void talk_int(redisContext *c, long long expected, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *r = ask(c, format, args);
    va_end(args);
    if (r->type != REDIS_REPLY_INTEGER)
        wrong(format, r, "an integer");
    if (r->integer != expected)
        fail_msg("`%s` answered %lld, expected %lld", format, r->integer, expected);
    freeReplyObject(r);
}

void talk_error(redisContext *c, const char *code, const char *format, ...)
{
    va_list args;
    size_t n = strlen(code);
    va_start(args, format);
    redisReply *r = ask(c, format, args);
    va_end(args);
    if (r->type != REDIS_REPLY_ERROR || strncmp(r->str, code, n) != 0 || r->str[n] != ' ')
        wrong(format, r, code);
    freeReplyObject(r);
}

void talk_empty(redisContext *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *r = ask(c, format, args);
    va_end(args);
    if (r->type != REDIS_REPLY_ARRAY || r->elements != 0)
        wrong(format, r, "an empty array");
    freeReplyObject(r);
}

char *talk_string(redisContext *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *r = ask(c, format, args);
    va_end(args);
    if (r->type != REDIS_REPLY_STRING)
        wrong(format, r, "a bulk string");
    char *copy = strdup(r->str);
    assert_non_null(copy);
    freeReplyObject(r);
    return copy;
}

redisReply *talk_array(redisContext *c, size_t n, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *r = ask(c, format, args);
    va_end(args);
    if (r->type != REDIS_REPLY_ARRAY)
        wrong(format, r, "an array");
    if (r->elements != n)
        fail_msg("`%s` answered %zu elements, expected %zu", format, r->elements, n);
    return r;
}

const redisReply *talk_get(const redisReply *map, const char *name)
{
    assert_int_equal(map->type, REDIS_REPLY_ARRAY);
    assert_int_equal(map->elements % 2, 0);
    for (size_t i = 0; i < map->elements; i += 2) {
        if (strcmp(map->element[i]->str, name) == 0)
            return map->element[i + 1];
    }
    return NULL;
}

static const redisReply *need(const redisReply *map, const char *name, int type)
{
    const redisReply *r = talk_get(map, name);
    if (!r)
        fail_msg("the map has no `%s`", name);
    else if (r->type != type)
        fail_msg("`%s` is of type %d, expected %d", name, r->type, type);
    return r;
}

const char *talk_get_string(const redisReply *map, const char *name)
{
    return need(map, name, REDIS_REPLY_STRING)->str;
}

long long talk_get_int(const redisReply *map, const char *name)
{
    return need(map, name, REDIS_REPLY_INTEGER)->integer;
}

const redisReply *talk_attributes(const redisReply *message)
{
    return message->element[2];
}

const redisReply *talk_properties(const redisReply *message)
{
    return message->element[3];
}

void talk_is_message(const redisReply *message, const char *id, const char *body)
{
    assert_int_equal(message->type, REDIS_REPLY_ARRAY);
    assert_int_equal(message->elements, 4);
    assert_int_equal(message->element[0]->type, REDIS_REPLY_STRING);
    assert_int_equal(message->element[1]->type, REDIS_REPLY_STRING);
    assert_int_equal(message->element[3]->type, REDIS_REPLY_ARRAY);
    const redisReply *attributes = talk_attributes(message);
    char expected[200];
    snprintf(expected, sizeof expected, "%s:%lld:%lld", talk_get_string(attributes, "topic"),
             talk_get_int(attributes, "queue"), talk_get_int(attributes, "offset"));
    assert_memory_equal(message->element[0]->str, expected, strlen(expected));
    long long born = talk_get_int(attributes, "born");
    assert_true(born > 1500000000000 && born <= talk_get_int(attributes, "stored"));
    if (id)
        assert_string_equal(message->element[0]->str, id);
    if (body)
        assert_string_equal(message->element[1]->str, body);
}
