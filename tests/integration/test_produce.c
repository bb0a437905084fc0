/*
 * test_produce.c: tests SEND, MSEND and their options, through hiredis.
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
    static const char *const flags[] = {"--max_message_bytes", "100000", NULL};
    broker = spawn_broker(flags);
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

static void sent(const char *expected, const char *topic, const char *body, const char *more)
{
    char line[300];
    snprintf(line, sizeof line, "SEND %s %s %s", topic, body, more);
    char *id = talk_string(c, line);
    assert_string_equal(id, expected);
    free(id);
}

static void test_ids_count_from_zero(void **state)
{
    (void)state;
    sent("ids:2:0", "ids", "a", "QUEUE 2");
    sent("ids:2:1", "ids", "b", "queue 2");
    sent("ids:0:0", "ids", "c", "QUEUE 0");
    talk_error(c, "ERR", "SEND ids d QUEUE 4"); /* a topic made by SEND has 4 queues */
    sent("ids:3:0", "ids", "e", "QUEUE 3");
}

/* The ids show that messages are spread over the 4 queues of a topic. */
static void test_spreads_over_queues(void **state)
{
    (void)state;
    int seen[4] = {0};
    for (int i = 0; i < 40; i++) {
        char *id = talk_string(c, "SEND spread %d", i);
        seen[id[strlen("spread:")] - '0']++;
        free(id);
    }
    for (int q = 0; q < 4; q++)
        assert_true(seen[q] > 0);
}

static void test_order_keeps_queue(void **state)
{
    (void)state;
    char first[64] = "";
    long long last = -1;
    for (int i = 0; i < 20; i++) {
        char *id = talk_string(c, "SEND ordered %d ORDER %s", i, "customer 7");
        char *offset = strrchr(id, ':');
        assert_true(strtoll(offset + 1, NULL, 10) > last);
        last = strtoll(offset + 1, NULL, 10);
        *offset = '\0';
        if (i == 0)
            snprintf(first, sizeof first, "%s", id);
        assert_string_equal(id, first);
        free(id);
    }
    talk_error(c, "ERR", "SEND ordered x ORDER k QUEUE 1");
}

static void test_attributes(void **state)
{
    (void)state;
    char *id = talk_string(
        c, "SEND attr body QUEUE 1 KEY k1 KEY k2 TAG red TTL 1h PROP color blue PROP size %s",
        "ten cm");
    redisReply *m = talk(c, "GET %s", id);
    talk_is_message(m, "attr:1:0", "body");
    const redisReply *a = talk_attributes(m), *p = talk_properties(m);
    const redisReply *keys = talk_get(a, "key");
    assert_non_null(keys);
    assert_int_equal(keys->elements, 2);
    assert_string_equal(keys->element[0]->str, "k1");
    assert_string_equal(keys->element[1]->str, "k2");
    assert_string_equal(talk_get_string(a, "tag"), "red");
    assert_int_equal(talk_get_int(a, "expires"), talk_get_int(a, "stored") + 3600000);
    assert_string_equal(talk_get_string(p, "color"), "blue");
    assert_string_equal(talk_get_string(p, "size"), "ten cm");
    assert_null(talk_get(a, "order"));
    freeReplyObject(m);
    free(id);
    id = talk_string(c, "SEND attr body ORDER %s", "o k");
    m = talk(c, "GET %s", id);
    assert_string_equal(talk_get_string(talk_attributes(m), "order"), "o k");
    assert_null(talk_get(talk_attributes(m), "key"));
    assert_int_equal(talk_properties(m)->elements, 0);
    freeReplyObject(m);
    free(id);
}

static void test_bodies_are_bytes(void **state)
{
    (void)state;
    static const char bytes[] = "\0\r\n$-1\r\n\xff\xfe";
    redisReply *r = talk(c, "SEND bytes %b QUEUE 0", bytes, sizeof bytes);
    assert_string_equal(r->str, "bytes:0:0");
    freeReplyObject(r);
    r = talk(c, "SEND bytes %b QUEUE 0", "", (size_t)0);
    assert_string_equal(r->str, "bytes:0:1");
    freeReplyObject(r);
    r = talk_array(c, 2, "READ bytes 0 0 COUNT 5");
    assert_int_equal(r->element[0]->element[1]->len, sizeof bytes);
    assert_memory_equal(r->element[0]->element[1]->str, bytes, sizeof bytes);
    assert_int_equal(r->element[1]->element[1]->len, 0);
    freeReplyObject(r);
}

static void test_dedup(void **state)
{
    (void)state;
    sent("once:0:0", "once", "a", "QUEUE 0 DEDUP d1");
    sent("once:0:0", "once", "a", "QUEUE 0 DEDUP d1");
    sent("once:0:0", "once", "other", "DEDUP d1");
    sent("once:0:1", "once", "b", "QUEUE 0 DEDUP d2");
    sent("twice:0:0", "twice", "a", "QUEUE 0 DEDUP d1"); /* DEDUP ids of another topic are separate */
    freeReplyObject(talk_array(c, 2, "READ once 0 0 COUNT 10"));
}

static void test_dedup_window_ends(void **state)
{
    (void)state;
    sent("window:0:0", "window", "a", "QUEUE 0 DEDUP w");
    talk_status(c, "OK", "CONFIG SET dedup_window 50ms");
    int64_t end = spawn_now_ms() + SPAWN_DEADLINE_MS;
    bool fresh = false;
    while (!fresh && spawn_now_ms() < end) {
        char *id = talk_string(c, "SEND window b QUEUE 0 DEDUP w2");
        fresh = strcmp(id, "window:0:1") != 0; /* dedup_window has passed since the first one */
        free(id);
        spawn_pause();
    }
    assert_true(fresh);
    talk_status(c, "OK", "CONFIG SET dedup_window 10m");
}

static void test_dedup_in_one_pipeline(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++)
        redisAppendCommand(c, "SEND piped %d DEDUP same QUEUE 0", i);
    for (int i = 0; i < 50; i++) {
        redisReply *r = talk_next(c);
        assert_string_equal(r->str, "piped:0:0");
        freeReplyObject(r);
    }
    freeReplyObject(talk_array(c, 1, "READ piped 0 0 COUNT 100"));
}

static long long lag(const char *group, const char *name)
{
    redisReply *r = talk_array(c, 1, "LAG %s", group);
    long long n = talk_get_int(r->element[0], name);
    freeReplyObject(r);
    return n;
}

static void test_ttl(void **state)
{
    (void)state;
    sent("brief:0:0", "brief", "gone", "QUEUE 0 TTL 50ms");
    sent("brief:0:1", "brief", "stays", "QUEUE 0 TTL 1h");
    talk_status(c, "OK", "GROUP CREATE late brief");
    int64_t end = spawn_now_ms() + SPAWN_DEADLINE_MS;
    while (lag("late", "lag") != 1 && spawn_now_ms() < end)
        spawn_pause();
    assert_int_equal(lag("late", "lag"), 1);
    redisReply *r = talk_array(c, 1, "POP late brief COUNT 10");
    talk_is_message(r->element[0], "brief:0:1#1", "stays");
    freeReplyObject(r);
}

static void test_msend(void **state)
{
    (void)state;
    redisReply *r = talk_array(c, 3, "MSEND many one two three");
    for (size_t i = 0; i < 3; i++) {
        static const char *const bodies[] = {"one", "two", "three"};
        redisReply *m = talk(c, "GET %s", r->element[i]->str);
        talk_is_message(m, r->element[i]->str, bodies[i]);
        freeReplyObject(m);
    }
    freeReplyObject(r);
    talk_error(c, "ERR", "MSEND many");
}

static void test_names(void **state)
{
    (void)state;
    char name[129];
    memset(name, 'n', sizeof name);
    name[128] = '\0';
    talk_error(c, "BADNAME", "SEND %s b", name);
    talk_error(c, "BADNAME", "SEND %s b", "");
    talk_error(c, "BADNAME", "SEND %s b", "a b");
    talk_error(c, "BADNAME", "SEND %s b", "a:b");
    talk_error(c, "BADNAME", "SEND %s b", "caf\xc3\xa9");
    talk_error(c, "BADNAME", "SEND %s b", "%DLQ%g");
    talk_error(c, "BADNAME", "SEND %s b", "%RETRY%g");
    talk_error(c, "BADNAME", "SEND t b TAG %s", "a b");
    talk_error(c, "BADNAME", "MSEND %s b", "a/b");
    talk_error(c, "BADNAME", "HALF %s t b", "a/b");
    name[127] = '\0';
    free(talk_string(c, "SEND %s b", name));
    free(talk_string(c, "SEND A.z_0-9 b"));
}

static void test_too_big(void **state)
{
    (void)state;
    size_t n = 100000;
    char *body = malloc(n + 1);
    assert_non_null(body);
    memset(body, 'x', n + 1);
    redisReply *r = talk(c, "SEND big %b QUEUE 0", body, n);
    assert_int_equal(r->type, REDIS_REPLY_STRING);
    freeReplyObject(r);
    talk_error(c, "TOOBIG", "SEND big %b QUEUE 0", body, n + 1);
    talk_error(c, "TOOBIG", "MSEND big small %b", body, n + 1);
    talk_error(c, "TOOBIG", "HALF p big %b", body, n + 1);
    talk_error(c, "TOOBIG", "SEND big b PROP name %b", body, (size_t)32 * 1024 + 1);
    talk_status(c, "PONG", "PING"); /* the connection still works */
    freeReplyObject(talk_array(c, 1, "READ big 0 0 COUNT 10"));
    free(body);
}

static void test_topics_by_hand(void **state)
{
    (void)state;
    talk_status(c, "OK", "CONFIG SET auto_create_topics no");
    talk_error(c, "NOTOPIC", "SEND nowhere b");
    talk_error(c, "NOTOPIC", "MSEND nowhere b");
    talk_error(c, "NOTOPIC", "HALF p nowhere b");
    talk_status(c, "OK", "TOPIC CREATE nowhere QUEUES 1");
    sent("nowhere:0:0", "nowhere", "b", "");
    talk_status(c, "OK", "CONFIG SET auto_create_topics yes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_count_from_zero),
        cmocka_unit_test(test_spreads_over_queues),
        cmocka_unit_test(test_order_keeps_queue),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_bodies_are_bytes),
        cmocka_unit_test(test_dedup),
        cmocka_unit_test(test_dedup_window_ends),
        cmocka_unit_test(test_dedup_in_one_pipeline),
        cmocka_unit_test(test_ttl),
        cmocka_unit_test(test_msend),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_too_big),
        cmocka_unit_test(test_topics_by_hand),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
