/*
 * test_restart.c: tests that everything that was acknowledged is there after a stop, and after a kill.
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

static void again(bool by_kill)
{
    redisFree(c);
    if (by_kill)
        spawn_kill(broker);
    else
        assert_int_equal(spawn_stop(broker), 0);
    spawn_again(broker);
    c = talk_open(broker);
}

struct story {
    char *yes, *no, *open; /* txids */
    const char *topic;
};

static void begin(struct story *s)
{
    free(talk_string(c, "SEND %s zero QUEUE 0 KEY k TAG t PROP a b DEDUP d", s->topic));
    freeReplyObject(talk_array(c, 3, "MSEND %s.m one two three", s->topic));
    free(talk_string(c, "SEND %s one QUEUE 0", s->topic));
    free(talk_string(c, "SEND %s two QUEUE 0", s->topic));
    s->yes = talk_string(c, "HALF p %s yes QUEUE 1", s->topic);
    s->no = talk_string(c, "HALF p %s no QUEUE 1", s->topic);
    s->open = talk_string(c, "HALF p %s open QUEUE 1", s->topic);
    freeReplyObject(talk_array(c, 1, "COMMIT %s", s->yes));
    talk_status(c, "OK", "ROLLBACK %s", s->no);
    talk_status(c, "OK", "GROUP CREATE %s %s FROM earliest LEASE 1h", s->topic, s->topic);
    freeReplyObject(talk_array(c, 3, "POP %s %s COUNT 3", s->topic, s->topic));
    talk_int(c, 1, "ACK %s %s:0:0#1", s->topic, s->topic);
    talk_status(c, "OK", "NACK %s %s:0:1#1", s->topic, s->topic);
}

static void messages_are_there(const struct story *s)
{
    redisReply *r = talk_array(c, 3, "READ %s 0 0 COUNT 10", s->topic);
    talk_is_message(r->element[0], NULL, "zero");
    const redisReply *a = talk_attributes(r->element[0]);
    assert_string_equal(talk_get(a, "key")->element[0]->str, "k");
    assert_string_equal(talk_get_string(a, "tag"), "t");
    assert_string_equal(talk_get_string(talk_properties(r->element[0]), "a"), "b");
    freeReplyObject(r);
    r = talk_array(c, 1, "READ %s 1 0 COUNT 10", s->topic);
    talk_is_message(r->element[0], NULL, "yes");
    freeReplyObject(r);
    freeReplyObject(talk_array(c, 1, "FIND %s KEY k", s->topic));
    char *id = talk_string(c, "SEND %s zero DEDUP d", s->topic), expected[40];
    snprintf(expected, sizeof expected, "%s:0:0", s->topic);
    assert_string_equal(id, expected);
    free(id);
}

static void transactions_are_there(const struct story *s)
{
    redisReply *r = talk_array(c, 1, "COMMIT %s", s->yes);
    char expected[40];
    snprintf(expected, sizeof expected, "%s:1:0", s->topic);
    assert_string_equal(r->element[0]->str, expected);
    freeReplyObject(r);
    talk_error(c, "TXNCONFLICT", "COMMIT %s", s->no);
    talk_status(c, "OK", "ROLLBACK %s", s->no);
    r = talk(c, "TXN INFO %s", s->open);
    assert_string_equal(talk_get_string(r, "state"), "pending");
    freeReplyObject(r);
    char *next = talk_string(c, "HALF p %s.other x", s->topic);
    assert_true(strtoll(next, NULL, 10) > strtoll(s->open, NULL, 10));
    free(next);
    freeReplyObject(talk_array(c, 1, "COMMIT %s", s->open));
    freeReplyObject(talk_array(c, 2, "READ %s 1 0 COUNT 10", s->topic));
}

static void leases_are_there(const struct story *s)
{
    talk_int(c, 0, "ACK %s %s:0:0#1 %s:0:1#1", s->topic, s->topic, s->topic);
    talk_int(c, 1, "ACK %s %s:0:2#1", s->topic, s->topic);
    redisReply *r = talk_array(c, 1, "POP %s %s", s->topic, s->topic);
    char expected[40];
    snprintf(expected, sizeof expected, "%s:0:1#2", s->topic);
    talk_is_message(r->element[0], expected, "one");
    freeReplyObject(r);
}

static void tell(const char *topic, bool by_kill)
{
    struct story s = {.topic = topic};
    begin(&s);
    again(by_kill);
    messages_are_there(&s);
    leases_are_there(&s);
    transactions_are_there(&s);
    again(!by_kill);
    freeReplyObject(talk_array(c, 2, "READ %s 1 0 COUNT 10", topic));
    talk_int(c, 0, "ACK %s %s:0:2#1", topic, topic);
    talk_int(c, 1, "ACK %s %s:0:1#2", topic, topic);
    free(s.yes);
    free(s.no);
    free(s.open);
}

static void test_after_stop(void **state)
{
    (void)state;
    tell("stopped", false);
}

static void test_after_kill(void **state)
{
    (void)state;
    tell("killed", true);
}

static void test_offsets_after_purge_and_restart(void **state)
{
    (void)state;
    free(talk_string(c, "SEND offsets a QUEUE 0"));
    free(talk_string(c, "SEND offsets b QUEUE 0"));
    talk_status(c, "OK", "TOPIC PURGE offsets");
    again(true);
    talk_empty(c, "READ offsets 0 0");
    char *id = talk_string(c, "SEND offsets c QUEUE 0");
    assert_string_equal(id, "offsets:0:2");
    free(id);
}

static void test_check_is_asked_after_restart(void **state)
{
    (void)state;
    char *txid = talk_string(c, "HALF later t x CHECKIN 100ms");
    again(true);
    redisReply *r = talk_array(c, 1, "CHECKS later WAIT 20s");
    assert_non_null(strstr(r->element[0]->str, txid));
    freeReplyObject(r);
    talk_status(c, "OK", "ROLLBACK %s", txid);
    free(txid);
}

static void test_lease_ends_after_restart(void **state)
{
    (void)state;
    free(talk_string(c, "SEND ends a QUEUE 0"));
    freeReplyObject(talk_array(c, 1, "POP e ends LEASE 300ms"));
    again(true);
    redisReply *r = talk_array(c, 1, "POP e ends WAIT 20s");
    talk_is_message(r->element[0], "ends:0:0#2", "a");
    freeReplyObject(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_after_stop),
        cmocka_unit_test(test_after_kill),
        cmocka_unit_test(test_offsets_after_purge_and_restart),
        cmocka_unit_test(test_check_is_asked_after_restart),
        cmocka_unit_test(test_lease_ends_after_restart),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
