/*
 * test_read.c: tests READ, GET and FIND, and live copies by SUBSCRIBE, through hiredis.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/talk.h"

static struct spawned *broker;
static redisContext *c;

static int start(void **state)
{
    (void)state;
    broker = spawn_broker(NULL);
    c = talk_open(broker);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    redisFree(c);
    int status = spawn_stop(broker);
    spawn_free(broker);
    return status;
}

static void fill(const char *topic, int from, int to)
{
    for (int i = from; i < to; i++)
        free(talk_string(c, "SEND %s %d QUEUE 0", topic, i));
}

static void test_read(void **state)
{
    (void)state;
    fill("log", 0, 30);
    redisReply *r = talk_array(c, 1, "READ log 0 7"); /* COUNT is 1 by default */
    talk_is_message(r->element[0], "log:0:7", "7");
    assert_null(talk_get(talk_attributes(r->element[0]), "attempt"));
    freeReplyObject(r);
    r = talk_array(c, 23, "READ log 0 7 COUNT 1000");
    for (size_t i = 0; i < 23; i++) {
        char id[20], body[8];
        snprintf(id, sizeof id, "log:0:%zu", i + 7);
        snprintf(body, sizeof body, "%zu", i + 7);
        talk_is_message(r->element[i], id, body);
    }
    freeReplyObject(r);
    talk_empty(c, "READ log 0 30");
    talk_empty(c, "READ log 0 9000000000");
    talk_empty(c, "READ log 1 0");
    talk_error(c, "ERR", "READ log 4 0");
    talk_error(c, "NOTOPIC", "READ nowhere 0 0");
    talk_error(c, "ERR", "READ log 0 0 COUNT 1001");
}

static void test_read_waits(void **state)
{
    (void)state;
    fill("slow", 0, 1);
    redisContext *waiting = talk_open(broker);
    int done = 0;
    redisAppendCommand(waiting, "READ slow 0 1 COUNT 10 WAIT 1h");
    while (!done)
        assert_int_equal(redisBufferWrite(waiting, &done), REDIS_OK);
    free(talk_string(c, "SEND slow other QUEUE 1")); /* a message in another queue does not end the WAIT */
    fill("slow", 1, 2);
    redisReply *r = talk_next(waiting);
    assert_int_equal(r->elements, 1);
    talk_is_message(r->element[0], "slow:0:1", "1");
    freeReplyObject(r);
    redisFree(waiting);
    talk_empty(c, "READ slow 0 2 WAIT 10ms");
    freeReplyObject(talk_array(c, 1, "READ slow 0 1 WAIT 1h")); /* there is a message, so READ does not wait */
}

static void test_get(void **state)
{
    (void)state;
    fill("one", 0, 2);
    redisReply *r = talk(c, "GET one:0:1");
    talk_is_message(r, "one:0:1", "1");
    freeReplyObject(r);
    static const char *const gone[] = {"GET one:0:2", "GET one:3:0", "GET one:900:0",
                                       "GET nowhere:0:0"};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        r = talk(c, gone[i]);
        assert_int_equal(r->type, REDIS_REPLY_NIL);
        freeReplyObject(r);
    }
    talk_error(c, "ERR", "GET nonsense");
}

static void test_find(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        free(talk_string(c, "SEND find %d KEY even KEY k%d", i * 2, i));
    free(talk_string(c, "SEND find odd KEY odd"));
    freeReplyObject(talk_array(c, 5, "FIND find KEY even"));
    freeReplyObject(talk_array(c, 2, "FIND find KEY even COUNT 2"));
    redisReply *r = talk_array(c, 1, "FIND find KEY k3");
    talk_is_message(r->element[0], NULL, "6");
    long long stored = talk_get_int(talk_attributes(r->element[0]), "stored");
    freeReplyObject(r);
    freeReplyObject(talk_array(c, 1, "FIND find KEY k3 FROM %lld TO %lld", stored, stored));
    talk_empty(c, "FIND find KEY k3 FROM %lld", stored + 1);
    talk_empty(c, "FIND find KEY k3 TO %lld", stored - 1);
    talk_empty(c, "FIND find KEY none");
    talk_empty(c, "FIND find KEY eve");
    talk_error(c, "NOTOPIC", "FIND nowhere KEY k");
    talk_error(c, "ERR", "FIND find");
}

static void is_push(redisContext *sub, const char *kind, const char *channel, const char *payload)
{
    redisReply *r = talk_next(sub);
    assert_int_equal(r->type, REDIS_REPLY_ARRAY);
    assert_int_equal(r->elements, 3);
    assert_string_equal(r->element[0]->str, kind);
    assert_string_equal(r->element[1]->str, channel);
    if (payload)
        assert_string_equal(r->element[2]->str, payload);
    freeReplyObject(r);
}

static void test_subscribe(void **state)
{
    (void)state;
    redisContext *sub = talk_open(broker);
    redisAppendCommand(sub, "SUBSCRIBE topic:live topic:later"); /* the topics need not exist */
    is_push(sub, "subscribe", "topic:live", NULL);
    is_push(sub, "subscribe", "topic:later", NULL);
    fill("live", 0, 3);
    char *txid = talk_string(c, "HALF p live half");
    fill("live", 3, 4);
    for (int i = 0; i < 4; i++) {
        char body[8];
        snprintf(body, sizeof body, "%d", i);
        is_push(sub, "message", "topic:live", body);
    }
    freeReplyObject(talk_array(c, 1, "COMMIT %s", txid));
    is_push(sub, "message", "topic:live", "half");
    free(txid);
    char *id = talk_string(sub, "SEND other x QUEUE 0"); /* a subscriber may send other commands */
    assert_string_equal(id, "other:0:0");
    free(id);
    fill("later", 0, 1);
    is_push(sub, "message", "topic:later", "0");
    talk_error(sub, "ERR", "SUBSCRIBE nonsense");
    redisReply *r = talk_array(sub, 3, "UNSUBSCRIBE topic:live");
    assert_string_equal(r->element[0]->str, "unsubscribe");
    assert_int_equal(r->element[2]->integer, 1);
    freeReplyObject(r);
    fill("live", 4, 5);
    fill("later", 1, 2);
    is_push(sub, "message", "topic:later", "1"); /* and no push for topic:live before it */
    r = talk_array(sub, 3, "UNSUBSCRIBE");
    assert_string_equal(r->element[1]->str, "topic:later");
    assert_int_equal(r->element[2]->integer, 0);
    freeReplyObject(r);
    talk_status(sub, "PONG", "PING");
    redisFree(sub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read), cmocka_unit_test(test_read_waits), cmocka_unit_test(test_get),
        cmocka_unit_test(test_find), cmocka_unit_test(test_subscribe),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
