/*
 * test_connection.c: tests the commands of the section Connection in PROTOCOL.md, through hiredis.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/talk.h"

static struct spawned *broker;

static int start(void **state)
{
    (void)state;
    broker = spawn_broker(NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    int status = spawn_stop(broker);
    spawn_free(broker);
    return status;
}

static void test_ping_and_echo(void **state)
{
    (void)state;
    redisContext *c = talk_open(broker);
    talk_status(c, "PONG", "PING");
    talk_status(c, "PONG", "ping");
    char *text = talk_string(c, "PING %s", "hello there");
    assert_string_equal(text, "hello there");
    free(text);
    redisReply *r = talk(c, "ECHO %b", "a\0b\r\n", (size_t)5);
    assert_int_equal(r->type, REDIS_REPLY_STRING);
    assert_int_equal(r->len, 5);
    assert_memory_equal(r->str, "a\0b\r\n", 5);
    freeReplyObject(r);
    redisFree(c);
}

static void test_hello(void **state)
{
    (void)state;
    redisContext *c = talk_open(broker);
    redisReply *r = talk(c, "HELLO 2 SETNAME me");
    assert_int_equal(talk_get_int(r, "proto"), 2);
    assert_string_equal(talk_get_string(r, "server"), "halfmq");
    assert_true(strlen(talk_get_string(r, "version")) > 0);
    freeReplyObject(r);
    char *name = talk_string(c, "CLIENT GETNAME");
    assert_string_equal(name, "me");
    free(name);
    r = talk(c, "HELLO");
    assert_int_equal(talk_get_int(r, "proto"), 2);
    freeReplyObject(r);
    talk_error(c, "NOPROTO", "HELLO 4");
    talk_error(c, "NOPROTO", "HELLO 1");
    talk_status(c, "PONG", "PING");
    redisFree(c);
}

static void test_select_reset_quit(void **state)
{
    (void)state;
    redisContext *c = talk_open(broker);
    talk_status(c, "OK", "SELECT 0");
    talk_error(c, "ERR", "SELECT 1");
    talk_status(c, "OK", "CLIENT SETNAME x");
    talk_status(c, "RESET", "RESET");
    talk_status(c, "OK", "QUIT");
    void *none = NULL;
    redisAppendCommand(c, "PING");
    assert_int_equal(redisGetReply(c, &none), REDIS_ERR);
    redisFree(c);
}

static void test_client(void **state)
{
    (void)state;
    redisContext *c = talk_open(broker), *other = talk_open(broker);
    redisReply *mine = talk(c, "CLIENT ID"), *its = talk(other, "CLIENT ID");
    assert_int_equal(mine->type, REDIS_REPLY_INTEGER);
    assert_true(its->integer > mine->integer);
    talk_status(other, "OK", "CLIENT SETNAME victim");
    talk_status(c, "OK", "CLIENT SETINFO LIB-NAME tests");
    char *list = talk_string(c, "CLIENT LIST");
    assert_non_null(strstr(list, "victim"));
    free(list);
    talk_status(c, "OK", "CLIENT KILL %lld", its->integer);
    void *none = NULL;
    redisAppendCommand(other, "PING");
    assert_int_equal(redisGetReply(other, &none), REDIS_ERR);
    talk_error(c, "ERR", "CLIENT KILL 4000000000");
    talk_error(c, "ERR", "CLIENT NONSENSE");
    freeReplyObject(mine);
    freeReplyObject(its);
    redisFree(c);
    redisFree(other);
}

static bool lists(const redisReply *r, const char *word)
{
    for (size_t i = 0; i < r->elements; i++) {
        if (strcasecmp(r->element[i]->str, word) == 0)
            return true;
    }
    return false;
}

static void test_command(void **state)
{
    (void)state;
    redisContext *c = talk_open(broker);
    redisReply *count = talk(c, "COMMAND COUNT"), *list = talk(c, "COMMAND LIST");
    assert_int_equal(count->type, REDIS_REPLY_INTEGER);
    assert_int_equal(list->type, REDIS_REPLY_ARRAY);
    assert_int_equal(list->elements, count->integer);
    assert_true(lists(list, "send") && lists(list, "half") && lists(list, "pop"));
    redisReply *all = talk(c, "COMMAND"), *docs = talk(c, "COMMAND DOCS send");
    assert_int_equal(all->type, REDIS_REPLY_ARRAY);
    assert_int_equal(all->elements, count->integer);
    assert_int_equal(docs->type, REDIS_REPLY_ARRAY);
    assert_int_equal(docs->elements, 2);
    redisReply *info = talk_array(c, 2, "COMMAND INFO send nonsense");
    assert_int_equal(info->element[0]->type, REDIS_REPLY_ARRAY);
    assert_int_equal(info->element[1]->type, REDIS_REPLY_NIL);
    freeReplyObject(count);
    freeReplyObject(list);
    freeReplyObject(all);
    freeReplyObject(docs);
    freeReplyObject(info);
    redisFree(c);
}

static void test_help(void **state)
{
    (void)state;
    redisContext *c = talk_open(broker);
    char *all = talk_string(c, "HELP"), *one = talk_string(c, "HELP send"),
         *two = talk_string(c, "HELP topic create");
    assert_non_null(strstr(all, "SEND"));
    assert_non_null(strstr(all, "COMMIT"));
    assert_non_null(strstr(one, "SEND topic body"));
    assert_non_null(strstr(two, "TOPIC CREATE name"));
    free(all);
    free(one);
    free(two);
    talk_error(c, "ERR", "HELP nonsense");
    redisFree(c);
}

/* An error says what was expected, and names the word that is wrong. */
static void test_wrong_words(void **state)
{
    (void)state;
    static const struct {
        const char *command, *says;
    } cases[] = {
        {"NONSENSE a b", "NONSENSE"},
        {"SEND", "SEND topic body"},
        {"SEND t b FOO 1", "FOO"},
        {"SEND t b QUEUE x", "QUEUE"},
        {"SEND t b TTL soon", "TTL"},
        {"POP g t COUNT 0", "COUNT"},
        {"POP g t COUNT 1001", "COUNT"},
        {"READ t 0 x", "offset"},
        {"ACK g nonsense", "receipt"},
        {"COMMIT abc", "txid"},
        {"TOPIC CREATE t QUEUES 0", "QUEUES"},
        {"SEND t b KEY", "KEY"},
    };
    redisContext *c = talk_open(broker);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        redisReply *r = talk(c, cases[i].command);
        if (r->type != REDIS_REPLY_ERROR || strncmp(r->str, "ERR ", 4) != 0 ||
            !strcasestr(r->str, cases[i].says))
            fail_msg("`%s` answered `%s`, which says nothing of %s", cases[i].command,
                     r->str ? r->str : "?", cases[i].says);
        freeReplyObject(r);
    }
    talk_status(c, "PONG", "PING");
    redisFree(c);
}

static void test_pipeline_keeps_order(void **state)
{
    (void)state;
    redisContext *c = talk_open(broker);
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(redisAppendCommand(c, "ECHO %d", i), REDIS_OK);
        assert_int_equal(redisAppendCommand(c, "SEND pipeline %d QUEUE 0", i), REDIS_OK);
    }
    for (int i = 0; i < 2000; i++) {
        char echo[16], id[32];
        snprintf(echo, sizeof echo, "%d", i);
        snprintf(id, sizeof id, "pipeline:0:%d", i);
        redisReply *first = talk_next(c), *second = talk_next(c);
        assert_string_equal(first->str, echo);
        assert_string_equal(second->str, id);
        freeReplyObject(first);
        freeReplyObject(second);
    }
    redisFree(c);
}

static void test_multi(void **state)
{
    (void)state;
    redisContext *c = talk_open(broker);
    static const char *const words[] = {"MULTI", "SEND together a QUEUE 0", "ECHO b", "SEND together c QUEUE 99",
                                        "SEND together d QUEUE 0", "EXEC"};
    for (int i = 0; i < 6; i++)
        assert_int_equal(redisAppendCommand(c, words[i]), REDIS_OK);
    for (int i = 0; i < 5; i++) {
        redisReply *r = talk_next(c);
        assert_string_equal(r->str, i ? "QUEUED" : "OK");
        freeReplyObject(r);
    }
    redisReply *r = talk_next(c);
    assert_int_equal(r->type, REDIS_REPLY_ARRAY);
    assert_int_equal(r->elements, 4);
    assert_string_equal(r->element[0]->str, "together:0:0");
    assert_string_equal(r->element[1]->str, "b");
    assert_int_equal(r->element[2]->type, REDIS_REPLY_ERROR);
    assert_string_equal(r->element[3]->str, "together:0:1");
    freeReplyObject(r);
    redisFree(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ping_and_echo),
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_select_reset_quit),
        cmocka_unit_test(test_client),
        cmocka_unit_test(test_command),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_wrong_words),
        cmocka_unit_test(test_pipeline_keeps_order),
        cmocka_unit_test(test_multi),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
