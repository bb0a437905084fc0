/*
 * test_manage.c: tests topics, statistics, settings and SHUTDOWN, through hiredis.
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
    int status = spawn_runs(broker) ? spawn_stop(broker) : 0;
    spawn_free(broker);
    return status;
}

static void test_topic_life(void **state)
{
    (void)state;
    talk_error(c, "NOTOPIC", "TOPIC INFO t");
    talk_status(c, "OK", "TOPIC CREATE t QUEUES 2");
    talk_error(c, "EXISTS", "TOPIC CREATE t");
    talk_error(c, "BADNAME", "TOPIC CREATE %s", "a b");
    talk_error(c, "BADNAME", "TOPIC CREATE %s", "%DLQ%x");
    free(talk_string(c, "SEND t b QUEUE 1"));
    talk_error(c, "ERR", "SEND t b QUEUE 2");
    redisReply *r = talk(c, "TOPIC INFO t");
    assert_int_equal(r->type, REDIS_REPLY_ARRAY);
    assert_string_equal(talk_get_string(r, "name"), "t");
    freeReplyObject(r);
    free(talk_string(c, "SEND t b QUEUE 0"));
    talk_status(c, "OK", "GROUP CREATE g t");
    char *half = talk_string(c, "HALF p t b");
    talk_status(c, "OK", "ROLLBACK %s", half);
    free(half);
    talk_status(c, "OK", "TOPIC DELETE t");
    talk_error(c, "NOTOPIC", "TOPIC DELETE t");
    talk_error(c, "NOTOPIC", "READ t 0 0");
    talk_error(c, "NOTOPIC", "POP g t");
    talk_error(c, "NOTOPIC", "TOPIC PURGE t");
}

static void test_purge(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        free(talk_string(c, "SEND purge %d QUEUE 0 KEY k", i));
    freeReplyObject(talk_array(c, 1, "POP g purge LEASE 1h"));
    talk_status(c, "OK", "TOPIC PURGE purge");
    talk_empty(c, "READ purge 0 0 COUNT 10");
    talk_empty(c, "FIND purge KEY k");
    talk_empty(c, "POP g purge");
    redisReply *r = talk(c, "GET purge:0:3");
    assert_int_equal(r->type, REDIS_REPLY_NIL);
    freeReplyObject(r);
    r = talk_array(c, 1, "LAG g");
    assert_int_equal(talk_get_int(r->element[0], "lag"), 0);
    freeReplyObject(r);
    char *id = talk_string(c, "SEND purge next QUEUE 0");
    assert_string_equal(id, "purge:0:10");
    free(id);
    r = talk_array(c, 1, "READ purge 0 0 COUNT 10"); /* a READ below the oldest message starts at the oldest one */
    talk_is_message(r->element[0], "purge:0:10", "next");
    freeReplyObject(r);
    r = talk_array(c, 1, "POP g purge");
    talk_is_message(r->element[0], "purge:0:10#1", "next");
    freeReplyObject(r);
}

static void test_topic_list(void **state)
{
    (void)state;
    talk_status(c, "OK", "TOPIC CREATE list.a");
    talk_status(c, "OK", "TOPIC CREATE list.b");
    freeReplyObject(talk_array(c, 2, "TOPIC LIST list.*"));
    freeReplyObject(talk_array(c, 1, "TOPIC LIST list.b"));
    talk_empty(c, "TOPIC LIST nothing*");
    redisReply *r = talk(c, "TOPIC LIST");
    assert_true(r->elements >= 2);
    freeReplyObject(r);
}

static void test_info(void **state)
{
    (void)state;
    char *all = talk_string(c, "INFO"), *server = talk_string(c, "INFO server");
    assert_non_null(strstr(all, "# Server"));
    assert_non_null(strstr(server, "version:"));
    assert_true(strlen(server) < strlen(all));
    free(all);
    free(server);
}

static void config_is(const char *name, const char *value)
{
    redisReply *r = talk_array(c, 2, "CONFIG GET %s", name);
    assert_string_equal(r->element[0]->str, name);
    assert_string_equal(r->element[1]->str, value);
    freeReplyObject(r);
}

static void test_config(void **state)
{
    (void)state;
    config_is("fsync", "always");
    config_is("auto_create_topics", "yes");
    redisReply *r = talk(c, "CONFIG GET check*");
    assert_int_equal(r->elements, 6); /* checkin, check_every, check_max */
    freeReplyObject(r);
    talk_empty(c, "CONFIG GET nonsense");
    talk_status(c, "OK", "CONFIG SET check_max 7");
    config_is("check_max", "7");
    talk_error(c, "ERR", "CONFIG SET check_max many");
    talk_error(c, "ERR", "CONFIG SET nonsense 1");
    talk_error(c, "ERR", "CONFIG SET port 1"); /* cannot change while running */
    config_is("check_max", "7");
}

static void test_second_broker_is_refused(void **state)
{
    (void)state;
    struct spawned *second = NULL;
    const char *const flags[] = {"--data", broker->data, NULL};
    int status = spawn_refused(flags, &second);
    assert_int_not_equal(status, 0);
    assert_true(status < 128);
    spawn_free(second);
    talk_status(c, "PONG", "PING");
}

static void test_shutdown(void **state)
{
    (void)state;
    redisContext *last = talk_open(broker);
    redisReply *r = redisCommand(last, "SHUTDOWN"); /* gets a reply, or the connection is closed */
    if (r) {
        assert_int_equal(r->type, REDIS_REPLY_STATUS);
        freeReplyObject(r);
    }
    assert_int_equal(spawn_wait(broker), 0);
    redisFree(last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_topic_life), cmocka_unit_test(test_purge),
        cmocka_unit_test(test_topic_list), cmocka_unit_test(test_info),
        cmocka_unit_test(test_config),     cmocka_unit_test(test_second_broker_is_refused),
        cmocka_unit_test(test_shutdown),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
