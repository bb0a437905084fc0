/*
 * test_txn.c: tests half messages, decisions and check-backs, through hiredis.
 *
 *   HALF ──► pending ──COMMIT──► committed       the first decision stands
 *              │  └────ROLLBACK─► rolledback
 *              └─ check_max asks ─► parked (still decidable)
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
    static const char *const flags[] = {"--checkin", "1h", "--check_every", "20ms", "--check_max",
                                        "3",         NULL};
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

static bool txn_is(const char *txid, const char *expected)
{
    redisReply *r = talk(c, "TXN INFO %s", txid);
    assert_string_equal(talk_get_string(r, "txid"), txid);
    bool same = strcmp(talk_get_string(r, "state"), expected) == 0;
    freeReplyObject(r);
    return same;
}

static void test_invisible_until_commit(void **state)
{
    (void)state;
    char *txid = talk_string(c, "HALF shop orders one QUEUE 0 KEY k");
    long long n = strtoll(txid, NULL, 10);
    assert_true(n > 4294967296LL);
    free(talk_string(c,
                     "SEND orders other QUEUE 0")); /* the half message does not delay it; it gets the first offset */
    redisReply *r = talk_array(c, 1, "READ orders 0 0 COUNT 10");
    talk_is_message(r->element[0], "orders:0:0", "other");
    freeReplyObject(r);
    freeReplyObject(talk_array(c, 1, "POP g orders COUNT 10"));
    talk_empty(c, "FIND orders KEY k");
    r = talk_array(c, 1, "COMMIT %s", txid);
    assert_string_equal(r->element[0]->str, "orders:0:1");
    freeReplyObject(r);
    r = talk_array(c, 1, "POP g orders COUNT 10");
    talk_is_message(r->element[0], "orders:0:1#1", "one");
    assert_string_equal(talk_get_string(talk_attributes(r->element[0]), "txn"), txid);
    freeReplyObject(r);
    freeReplyObject(talk_array(c, 1, "FIND orders KEY k"));
    free(txid);
}

static void test_several_messages_in_order(void **state)
{
    (void)state;
    char *txid = talk_string(c, "HALF shop ta first QUEUE 1");
    static const char *const more[][2] = {{"tb", "second"}, {"ta", "third"}, {"tc", "fourth"}};
    for (size_t i = 0; i < 3; i++) {
        char *same = talk_string(c, "HALF shop %s %s TXN %s QUEUE 1", more[i][0], more[i][1], txid);
        assert_string_equal(same, txid);
        free(same);
    }
    redisReply *r = talk(c, "TXN INFO %s", txid);
    assert_int_equal(talk_get_int(r, "messages"), 4);
    assert_string_equal(talk_get_string(r, "pgroup"), "shop");
    assert_true(talk_get_int(r, "created") > 0);
    assert_int_equal(talk_get_int(r, "checks"), 0);
    assert_true(talk_get_int(r, "next_check") > talk_get_int(r, "created"));
    freeReplyObject(r);
    static const char *const ids[] = {"ta:1:0", "tb:1:0", "ta:1:1", "tc:1:0"};
    for (int again = 0; again < 3; again++) {
        r = talk_array(c, 4, "COMMIT %s", txid);
        for (size_t i = 0; i < 4; i++)
            assert_string_equal(r->element[i]->str, ids[i]);
        freeReplyObject(r);
    }
    r = talk(c, "GET ta:1:1");
    talk_is_message(r, "ta:1:1", "third");
    freeReplyObject(r);
    free(txid);
}

static void test_rules_of_txn(void **state)
{
    (void)state;
    char *txid = talk_string(c, "HALF shop rules a");
    talk_error(c, "ERR", "HALF bakery rules b TXN %s", txid);
    talk_status(c, "OK", "ROLLBACK %s", txid);
    talk_error(c, "TXNCONFLICT", "HALF shop rules c TXN %s", txid);
    talk_error(c, "NOTXN", "HALF shop rules d TXN 4294967297");
    talk_error(c, "NOTXN", "COMMIT 4294967297");
    talk_error(c, "NOTXN", "ROLLBACK 4294967297");
    talk_error(c, "NOTXN", "UNKNOWN 4294967297");
    talk_error(c, "NOTXN", "TXN INFO 4294967297");
    talk_error(c, "NOTXN", "TXN EXTEND 4294967297 1s");
    free(txid);
}

static void test_first_decision_stands(void **state)
{
    (void)state;
    char *yes = talk_string(c, "HALF shop decided yes QUEUE 0"),
         *no = talk_string(c, "HALF shop decided no QUEUE 0");
    assert_true(strtoll(no, NULL, 10) > strtoll(yes, NULL, 10));
    assert_true(txn_is(yes, "pending"));
    talk_status(c, "OK", "ROLLBACK %s", no);
    talk_status(c, "OK", "ROLLBACK %s", no);
    talk_error(c, "TXNCONFLICT", "COMMIT %s", no);
    freeReplyObject(talk_array(c, 1, "COMMIT %s", yes));
    talk_error(c, "TXNCONFLICT", "ROLLBACK %s", yes);
    freeReplyObject(talk_array(c, 1, "COMMIT %s", yes));
    talk_status(c, "OK", "UNKNOWN %s", yes);
    talk_status(c, "OK", "UNKNOWN %s", no);
    assert_true(txn_is(yes, "committed"));
    assert_true(txn_is(no, "rolledback"));
    redisReply *r = talk_array(c, 1, "READ decided 0 0 COUNT 10");
    talk_is_message(r->element[0], "decided:0:0", "yes");
    freeReplyObject(r);
    free(yes);
    free(no);
}

static void test_dedup_answers_first_txid(void **state)
{
    (void)state;
    char *first = talk_string(c, "HALF shop dedup a DEDUP x QUEUE 0"),
         *second = talk_string(c, "HALF shop dedup a DEDUP x QUEUE 0");
    assert_string_equal(first, second);
    freeReplyObject(talk_array(c, 1, "COMMIT %s", first));
    free(first);
    free(second);
}

static void test_ttl_counts_from_commit(void **state)
{
    (void)state;
    char *txid = talk_string(c, "HALF shop fresh a TTL 1h QUEUE 0");
    freeReplyObject(talk_array(c, 1, "COMMIT %s", txid));
    redisReply *m = talk(c, "GET fresh:0:0");
    const redisReply *a = talk_attributes(m);
    assert_int_equal(talk_get_int(a, "expires"), talk_get_int(a, "stored") + 3600000);
    freeReplyObject(m);
    free(txid);
}

static void test_commit_with_ack(void **state)
{
    (void)state;
    free(talk_string(c, "SEND in x QUEUE 0"));
    free(talk_string(c, "SEND in y QUEUE 0"));
    freeReplyObject(talk_array(c, 2, "POP pipe in COUNT 2"));
    char *txid = talk_string(c, "HALF shop out z QUEUE 0");
    talk_error(c, "NOGROUP", "COMMIT %s ACK nobody in:0:0#1", txid);
    talk_error(c, "STALE", "COMMIT %s ACK pipe in:0:0#1 in:0:1#9", txid);
    assert_true(txn_is(txid, "pending"));
    talk_empty(c, "READ out 0 0");
    talk_int(c, 0, "ACK pipe in:0:1#9");
    redisReply *r = talk_array(c, 1, "COMMIT %s ACK pipe in:0:0#1 in:0:1#1", txid);
    assert_string_equal(r->element[0]->str, "out:0:0");
    freeReplyObject(r);
    talk_int(c, 0, "ACK pipe in:0:0#1 in:0:1#1"); /* they were acknowledged by the COMMIT */
    freeReplyObject(talk_array(c, 1, "COMMIT %s ACK pipe in:0:0#7", txid));
    r = talk_array(c, 1, "LAG pipe");
    assert_int_equal(talk_get_int(r->element[0], "lag"), 0);
    freeReplyObject(r);
    free(txid);
}

static void test_topic_deleted_meanwhile(void **state)
{
    (void)state;
    char *txid = talk_string(c, "HALF shop lost a");
    talk_status(c, "OK", "TOPIC DELETE lost");
    talk_error(c, "NOTOPIC", "READ lost 0 0");
    talk_status(c, "OK", "CONFIG SET auto_create_topics no");
    talk_error(c, "NOTOPIC", "COMMIT %s", txid);
    assert_true(txn_is(txid, "pending"));
    talk_status(c, "OK", "CONFIG SET auto_create_topics yes");
    redisReply *r = talk_array(c, 1, "COMMIT %s", txid), *m = talk(c, "GET %s", r->element[0]->str);
    talk_is_message(m, r->element[0]->str, "a");
    freeReplyObject(r);
    freeReplyObject(m);
    free(txid);
}

/* Checks the fields of a check-back object that PROTOCOL.md names. */
static void is_check(const char *json, const char *txid, const char *pgroup, int attempt)
{
    char expected[100];
    snprintf(expected, sizeof expected, "\"txid\":\"%s\"", txid);
    assert_non_null(strstr(json, expected));
    snprintf(expected, sizeof expected, "\"pgroup\":\"%s\"", pgroup);
    assert_non_null(strstr(json, expected));
    snprintf(expected, sizeof expected, "\"attempt\":%d", attempt);
    assert_non_null(strstr(json, expected));
    assert_non_null(strstr(json, "\"created\":"));
    assert_non_null(strstr(json, "\"messages\":[{"));
}

static void test_checks_are_polled(void **state)
{
    (void)state;
    char *txid = talk_string(c, "HALF poll asked %s CHECKIN 10ms KEY k TAG t PROP a b", "b\"1");
    redisReply *r = talk_array(c, 1, "CHECKS poll COUNT 5 WAIT 20s");
    const char *json = r->element[0]->str;
    is_check(json, txid, "poll", 1);
    assert_non_null(strstr(json, "\"topic\":\"asked\""));
    assert_non_null(strstr(json, "\"key\":[\"k\"]"));
    assert_non_null(strstr(json, "\"tag\":\"t\""));
    assert_non_null(strstr(json, "\"body\":\"b\\\"1\""));
    assert_non_null(strstr(json, "\"properties\":{\"a\":\"b\"}"));
    freeReplyObject(r);
    talk_status(c, "OK", "UNKNOWN %s", txid);
    r = talk_array(c, 1, "CHECKS poll WAIT 20s");
    is_check(r->element[0]->str, txid, "poll", 2);
    freeReplyObject(r);
    freeReplyObject(talk_array(c, 1, "COMMIT %s", txid));
    talk_empty(c, "CHECKS poll WAIT 200ms");
    free(txid);
}

static void test_checks_body_base64(void **state)
{
    (void)state;
    redisReply *t = talk(c, "HALF bytes asked %b CHECKIN 10ms", "\xff\x00", (size_t)2);
    redisReply *r = talk_array(c, 1, "CHECKS bytes WAIT 20s");
    assert_non_null(strstr(r->element[0]->str, "\"body_base64\":\"/wA=\""));
    assert_null(strstr(r->element[0]->str, "\"body\":"));
    talk_status(c, "OK", "ROLLBACK %s", t->str);
    freeReplyObject(t);
    freeReplyObject(r);
}

static void test_checks_are_pushed(void **state)
{
    (void)state;
    redisContext *sub = talk_open(broker);
    redisReply *r = talk_array(sub, 3, "SUBSCRIBE check:push");
    assert_string_equal(r->element[0]->str, "subscribe");
    assert_string_equal(r->element[1]->str, "check:push");
    assert_int_equal(r->element[2]->integer, 1);
    freeReplyObject(r);
    char *txid = talk_string(c, "HALF push asked x CHECKIN 10ms");
    r = talk_next(sub);
    assert_int_equal(r->elements, 3);
    assert_string_equal(r->element[0]->str, "message");
    assert_string_equal(r->element[1]->str, "check:push");
    is_check(r->element[2]->str, txid, "push", 1);
    freeReplyObject(r);
    redisAppendCommand(sub, "COMMIT %s", txid); /* the answer may come on any connection, also on this one */
    int64_t end = spawn_now_ms() + SPAWN_DEADLINE_MS;
    while (!txn_is(txid, "committed") && spawn_now_ms() < end) {
        int done = 0;
        assert_int_equal(redisBufferWrite(sub, &done), REDIS_OK);
        spawn_pause();
    }
    assert_true(txn_is(txid, "committed"));
    free(txid);
    redisFree(sub);
}

/* Without a member no ask counts. Then a member takes check_max asks, and the transaction is parked. */
static void test_parked(void **state)
{
    (void)state;
    char *txid = talk_string(c, "HALF park parked x CHECKIN 10ms QUEUE 0");
    for (int ask = 1; ask <= 3; ask++) {
        redisReply *r = talk_array(c, 1, "CHECKS park WAIT 20s");
        is_check(r->element[0]->str, txid, "park", ask);
        freeReplyObject(r);
    }
    int64_t end = spawn_now_ms() + SPAWN_DEADLINE_MS;
    while (!txn_is(txid, "parked") && spawn_now_ms() < end)
        spawn_pause();
    assert_true(txn_is(txid, "parked"));
    talk_empty(c, "CHECKS park WAIT 100ms");
    talk_error(c, "TXNCONFLICT", "HALF park parked y TXN %s", txid);
    redisReply *r = talk_array(c, 1, "COMMIT %s", txid);
    assert_string_equal(r->element[0]->str, "parked:0:0");
    freeReplyObject(r);
    assert_true(txn_is(txid, "committed"));
    free(txid);
}

/* After txn_outcome_retention an outcome is forgotten: the txid is then unknown, as if never issued. */
static void test_outcome_is_forgotten(void **state)
{
    (void)state;
    talk_status(c, "OK", "CONFIG SET txn_outcome_retention 1s");
    char *txid = talk_string(c, "HALF shop forget x QUEUE 0");
    freeReplyObject(talk_array(c, 1, "COMMIT %s", txid));
    int64_t end = spawn_now_ms() + SPAWN_DEADLINE_MS;
    bool gone = false;
    while (!gone && spawn_now_ms() < end) {
        redisReply *r = talk(c, "TXN INFO %s", txid);
        gone = r->type == REDIS_REPLY_ERROR;
        freeReplyObject(r);
        spawn_pause();
    }
    talk_error(c, "NOTXN", "COMMIT %s", txid);
    talk_error(c, "NOTXN", "ROLLBACK %s", txid);
    freeReplyObject(talk_array(c, 1, "READ forget 0 0 COUNT 10"));
    talk_status(c, "OK", "CONFIG SET txn_outcome_retention 7d");
    free(txid);
}

static void test_extend(void **state)
{
    (void)state;
    char *txid = talk_string(c, "HALF ext t x CHECKIN 100ms");
    talk_status(c, "OK", "TXN EXTEND %s 1h", txid);
    redisReply *r = talk(c, "TXN INFO %s", txid);
    assert_true(talk_get_int(r, "next_check") > talk_get_int(r, "created") + 3500000);
    freeReplyObject(r);
    talk_status(c, "OK", "TXN EXTEND %s 1ms", txid);
    freeReplyObject(talk_array(c, 1, "CHECKS ext WAIT 20s"));
    talk_status(c, "OK", "ROLLBACK %s", txid);
    free(txid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_invisible_until_commit),
        cmocka_unit_test(test_several_messages_in_order),
        cmocka_unit_test(test_rules_of_txn),
        cmocka_unit_test(test_first_decision_stands),
        cmocka_unit_test(test_dedup_answers_first_txid),
        cmocka_unit_test(test_ttl_counts_from_commit),
        cmocka_unit_test(test_commit_with_ack),
        cmocka_unit_test(test_topic_deleted_meanwhile),
        cmocka_unit_test(test_checks_are_polled),
        cmocka_unit_test(test_checks_body_base64),
        cmocka_unit_test(test_checks_are_pushed),
        cmocka_unit_test(test_parked),
        cmocka_unit_test(test_extend),
        cmocka_unit_test(test_outcome_is_forgotten),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
