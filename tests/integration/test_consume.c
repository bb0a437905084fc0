/*
 * test_consume.c: tests consumer groups, leases, retries and dead letters, through hiredis.
 *
 *   ready ──POP──► leased ──ACK──► done
 *     ▲              │ NACK, lease expires: attempt + 1
 *     └──────────────┤
 *                    └─ REJECT, or ATTEMPTS used up ──► %DLQ%<group>
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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

/* Sends n messages "0", "1", ... to queue 0. */
static void fill(const char *topic, int n)
{
    for (int i = 0; i < n; i++)
        free(talk_string(c, "SEND %s %d QUEUE 0", topic, i));
}

static void popped(const char *pop, const char *receipt, const char *body)
{
    redisReply *r = talk_array(c, 1, pop);
    talk_is_message(r->element[0], receipt, body);
    freeReplyObject(r);
}

/* Checks the numbers in one line of LAG. */
static void lag_is(const char *group, long long ready, long long inflight, long long delayed,
                   long long dead)
{
    redisReply *r = talk_array(c, 1, "LAG %s", group);
    const redisReply *m = r->element[0];
    assert_string_equal(talk_get_string(m, "group"), group);
    assert_int_equal(talk_get_int(m, "ready"), ready);
    assert_int_equal(talk_get_int(m, "inflight"), inflight);
    assert_int_equal(talk_get_int(m, "delayed"), delayed);
    assert_int_equal(talk_get_int(m, "dead"), dead);
    assert_int_equal(talk_get_int(m, "lag"), ready + inflight + delayed);
    assert_true(talk_get_int(m, "oldest_ms") >= 0);
    freeReplyObject(r);
}

static void test_pop_and_ack(void **state)
{
    (void)state;
    fill("work", 5);
    popped("POP g work", "work:0:0#1", "0");
    redisReply *r = talk_array(c, 2, "POP g work COUNT 2 LEASE 1h");
    talk_is_message(r->element[0], "work:0:1#1", "1");
    talk_is_message(r->element[1], "work:0:2#1", "2");
    const redisReply *a = talk_attributes(r->element[0]);
    assert_int_equal(talk_get_int(a, "attempt"), 1);
    assert_true(talk_get_int(a, "lease_until") > talk_get_int(a, "stored") + 3500000);
    freeReplyObject(r);
    lag_is("g", 2, 3, 0, 0);
    talk_int(c, 2, "ACK g work:0:0#1 work:0:2#1");
    talk_int(c, 0, "ACK g work:0:0#1");
    talk_int(c, 1, "ACK g work:0:1#1 work:0:1#1"); /* the second one repeats the first */
    talk_int(c, 0, "ACK g work:0:3#1 work:3:9#1"); /* the second one was never delivered */
    talk_error(c, "ERR", "ACK g work:0:3");
    talk_error(c, "ERR", "ACK g work:0:3#0");
    talk_error(c, "NOGROUP", "ACK nobody work:0:3#1");
    lag_is("g", 2, 0, 0, 0);
    freeReplyObject(talk_array(c, 2, "POP g work COUNT 100"));
    talk_empty(c, "POP g work COUNT 100");
    talk_error(c, "NOTOPIC", "POP g nowhere");
}

static void test_groups_are_independent(void **state)
{
    (void)state;
    fill("shared", 1);
    popped("POP one shared", "shared:0:0#1", "0");
    popped("POP two shared", "shared:0:0#1", "0");
    talk_int(c, 1, "ACK one shared:0:0#1");
    lag_is("one", 0, 0, 0, 0);
    lag_is("two", 0, 1, 0, 0);
}

static void test_several_topics(void **state)
{
    (void)state;
    fill("ta", 2);
    fill("tb", 2);
    redisReply *r = talk_array(c, 4, "POP both ta tb COUNT 10");
    int a = 0;
    for (size_t i = 0; i < 4; i++)
        a += strncmp(r->element[i]->element[0]->str, "ta:", 3) == 0;
    assert_int_equal(a, 2);
    freeReplyObject(r);
    freeReplyObject(talk_array(c, 2, "LAG both"));
}

static void test_lease_ends(void **state)
{
    (void)state;
    fill("lease", 1);
    popped("POP l lease LEASE 50ms", "lease:0:0#1", "0");
    popped("POP l lease LEASE 50ms WAIT 20s", "lease:0:0#2", "0");
    popped("POP l lease LEASE 1h WAIT 20s", "lease:0:0#3", "0");
    talk_int(c, 0, "ACK l lease:0:0#1 lease:0:0#2");
    talk_error(c, "STALE", "EXTEND l lease:0:0#2 1m");
    talk_error(c, "STALE", "NACK l lease:0:0#1");
    talk_error(c, "STALE", "REJECT l lease:0:0#2");
    talk_int(c, 1, "ACK l lease:0:0#3");
}

static void test_extend(void **state)
{
    (void)state;
    fill("longer", 1);
    popped("POP e longer LEASE 1h", "longer:0:0#1", "0");
    talk_status(c, "OK", "EXTEND e longer:0:0#1 50ms");
    popped("POP e longer WAIT 20s LEASE 100ms", "longer:0:0#2", "0");
    talk_status(c, "OK", "EXTEND e longer:0:0#2 1h");
    talk_empty(
        c, "POP e longer WAIT 300ms"); /* the first lease of 100 ms would have expired by now */
    talk_int(c, 1, "ACK e longer:0:0#2");
}

static void test_nack(void **state)
{
    (void)state;
    fill("nack", 1);
    popped("POP n nack", "nack:0:0#1", "0");
    talk_status(c, "OK", "NACK n nack:0:0#1");
    popped("POP n nack", "nack:0:0#2", "0");
    talk_status(c, "OK", "NACK n nack:0:0#2 DELAY 1h REASON %s", "bank is down");
    lag_is("n", 0, 0, 1, 0);
    talk_empty(c, "POP n nack");
    talk_error(c, "STALE", "NACK n nack:0:0#2");
    fill("nack", 1);
    popped("POP n nack", "nack:0:1#1", "0"); /* a message that waits for its retry does not delay others */
    talk_status(c, "OK", "NACK n nack:0:1#1 DELAY 20ms");
    popped("POP n nack WAIT 20s", "nack:0:1#2", "0");
    talk_error(c, "ERR", "NACK n nonsense");
}

static void is_dead(const char *body, const char *origin, long long attempts, const char *reason)
{
    redisReply *r = talk(c, "READ %s 0 0 COUNT 100", "%DLQ%d");
    assert_int_equal(r->type, REDIS_REPLY_ARRAY);
    assert_true(r->elements > 0);
    const redisReply *m = r->element[r->elements - 1];
    talk_is_message(m, NULL, body);
    const redisReply *a = talk_attributes(m);
    assert_string_equal(talk_get_string(a, "origin"), origin);
    assert_int_equal(talk_get_int(a, "attempts"), attempts);
    assert_string_equal(talk_get_string(a, "group"), "d");
    if (reason)
        assert_string_equal(talk_get_string(a, "reason"), reason);
    else
        assert_true(strlen(talk_get_string(a, "reason")) > 0);
    freeReplyObject(r);
}

static void test_dead_letters(void **state)
{
    (void)state;
    fill("deadly", 3);
    talk_status(c, "OK", "GROUP CREATE d deadly ATTEMPTS 2");
    popped("POP d deadly", "deadly:0:0#1", "0");
    talk_status(c, "OK", "REJECT d deadly:0:0#1 REASON %s", "no such customer");
    is_dead("0", "deadly:0:0", 1, "no such customer");
    popped("POP d deadly", "deadly:0:1#1", "1");
    talk_status(c, "OK", "NACK d deadly:0:1#1");
    popped("POP d deadly", "deadly:0:1#2", "1");
    talk_status(c, "OK", "NACK d deadly:0:1#2 REASON %s", "still broken");
    is_dead("1", "deadly:0:1", 2, "still broken");
    popped("POP d deadly LEASE 20ms", "deadly:0:2#1", "2");
    popped("POP d deadly LEASE 20ms WAIT 20s", "deadly:0:2#2", "2");
    talk_empty(c, "POP d deadly WAIT 500ms");
    is_dead("2", "deadly:0:2", 2, NULL);
    lag_is("d", 0, 0, 0, 3);
    talk_error(c, "BADNAME", "SEND %s x", "%DLQ%d");
    talk_status(c, "OK", "GROUP DELETE d");
    talk_error(c, "NOTOPIC", "READ %s 0 0", "%DLQ%d"); /* its dead letters too */
}

static void test_backoff(void **state)
{
    (void)state;
    fill("back", 1);
    talk_status(c, "OK", "GROUP CREATE b back BACKOFF 20ms,1h");
    popped("POP b back", "back:0:0#1", "0");
    talk_status(c, "OK", "NACK b back:0:0#1");
    popped("POP b back WAIT 20s", "back:0:0#2", "0");
    talk_status(c, "OK", "NACK b back:0:0#2");
    lag_is("b", 0, 0, 1, 0);
    talk_empty(c, "POP b back");
}

static void test_where_groups_begin(void **state)
{
    (void)state;
    fill("begin", 1);
    redisReply *m = talk(c, "GET begin:0:0");
    long long stored = talk_get_int(talk_attributes(m), "stored");
    freeReplyObject(m);
    talk_status(c, "OK", "GROUP CREATE late begin FROM latest");
    talk_status(c, "OK", "GROUP CREATE early begin FROM earliest");
    talk_status(c, "OK", "GROUP CREATE exact begin FROM %lld", stored);
    talk_status(c, "OK", "GROUP CREATE after begin FROM %lld", stored + 1);
    talk_error(c, "EXISTS", "GROUP CREATE late begin");
    talk_error(c, "NOTOPIC", "GROUP CREATE late nowhere");
    lag_is("late", 0, 0, 0, 0);
    lag_is("early", 1, 0, 0, 0);
    lag_is("exact", 1, 0, 0, 0); /* a time is inclusive */
    lag_is("after", 0, 0, 0, 0);
    fill("begin", 1);
    popped("POP late begin", "begin:0:1#1", "0");
    popped("POP after begin", "begin:0:1#1", "0");
}

static void test_group_life(void **state)
{
    (void)state;
    fill("life", 1);
    talk_error(c, "NOGROUP", "GROUP INFO life");
    talk_error(c, "NOGROUP", "LAG life");
    talk_error(c, "NOGROUP", "GROUP DELETE life");
    talk_status(c, "OK", "GROUP CREATE life life LEASE 7s ATTEMPTS 3");
    redisReply *r = talk_array(c, 1, "GROUP INFO life"); /* a map for each topic */
    assert_string_equal(talk_get_string(r->element[0], "group"), "life");
    assert_string_equal(talk_get_string(r->element[0], "topic"), "life");
    assert_int_equal(talk_get_int(r->element[0], "lease"), 7000);
    assert_int_equal(talk_get_int(r->element[0], "attempts"), 3);
    freeReplyObject(r);
    r = talk(c, "GROUP LIST");
    assert_int_equal(r->type, REDIS_REPLY_ARRAY);
    assert_true(r->elements > 0);
    freeReplyObject(r);
    r = talk_array(c, 1, "POP life life");
    const redisReply *a = talk_attributes(r->element[0]);
    assert_true(talk_get_int(a, "lease_until") <= talk_get_int(a, "stored") + 60000);
    freeReplyObject(r);
    talk_status(c, "OK", "GROUP DELETE life");
    talk_error(c, "NOGROUP", "GROUP INFO life");
    /* A new group with that name starts from the beginning, but no attempt number of a message is given twice. */
    popped("POP life life", "life:0:0#2", "0");
}

/* A waiting POP gets a new message at once, well before the connection's deadline of 20 s. */
static void test_wait_wakes(void **state)
{
    (void)state;
    talk_status(c, "OK", "TOPIC CREATE wake");
    redisContext *waiting = talk_open(broker);
    redisAppendCommand(waiting, "POP w wake COUNT 10 WAIT 1h");
    int done = 0;
    while (!done)
        assert_int_equal(redisBufferWrite(waiting, &done), REDIS_OK);
    fill("wake", 1);
    redisReply *r = talk_next(waiting);
    assert_int_equal(r->elements, 1);
    talk_is_message(r->element[0], "wake:0:0#1", "0");
    freeReplyObject(r);
    redisFree(waiting);
    talk_empty(c, "POP w wake WAIT 10ms"); /* a WAIT that runs out gets an empty reply */
}

static void send_all(redisContext *to, const char *command)
{
    int done = 0;
    redisAppendCommand(to, command);
    while (!done)
        assert_int_equal(redisBufferWrite(to, &done), REDIS_OK);
}

/* A client that closes its connection during a WAIT gets no message leased. */
static void test_closed_while_waiting(void **state)
{
    (void)state;
    talk_status(c, "OK", "TOPIC CREATE closed");
    for (int i = 0; i < 20; i++) {
        redisContext *gone = talk_open(broker);
        send_all(gone, "POP w closed WAIT 1h");
        redisFree(gone);
        char receipt[40], pop[] = "POP w closed WAIT 20s";
        fill("closed", 1);
        snprintf(receipt, sizeof receipt, "closed:0:%d#1", i);
        redisReply *r = talk_array(c, 1, pop);
        const char *got = r->element[0]->element[0]->str;
        /* Either it was never leased, or the lease was released and its attempt number is used up. */
        assert_memory_equal(got, receipt, strlen(receipt) - 1);
        talk_int(c, 1, "ACK w %s", got);
        freeReplyObject(r);
    }
}

static void test_half_closed_wait_ends(void **state)
{
    (void)state;
    talk_status(c, "OK", "TOPIC CREATE halved");
    redisContext *half = talk_open(broker);
    send_all(half, "POP w halved WAIT 1h");
    assert_int_equal(shutdown(half->fd, SHUT_WR), 0);
    redisReply *r = talk_next(half);
    assert_int_equal(r->type, REDIS_REPLY_ARRAY);
    assert_int_equal(r->elements, 0);
    freeReplyObject(r);
    redisFree(half);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pop_and_ack),
        cmocka_unit_test(test_groups_are_independent),
        cmocka_unit_test(test_several_topics),
        cmocka_unit_test(test_lease_ends),
        cmocka_unit_test(test_extend),
        cmocka_unit_test(test_nack),
        cmocka_unit_test(test_dead_letters),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_where_groups_begin),
        cmocka_unit_test(test_group_life),
        cmocka_unit_test(test_wait_wakes),
        cmocka_unit_test(test_closed_while_waiting),
        cmocka_unit_test(test_half_closed_wait_ends),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
