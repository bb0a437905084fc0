/*
 * test_loop.c: runs two I/O loops with a real store and journal in this process and talks to them over socket pairs.
 * It tests what a client of a whole broker cannot cause at will: which loop serves which client, where the limits are,
 * how a drain ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>


#include "broker/net/conn.h"
#include "tests/lib/loops.h"

#define LOOPS 2

static int set_up(void **state)
{
    *state = loops_start(LOOPS, NULL);
    return 0;
}

static int tear_down(void **state)
{
    loops_stop(*state);
    return 0;
}

static void say(struct wire *w, const char *text)
{
    if (!wire_send_str(w, text))
        fail_msg("%s", w->error);
}

static void hear(struct wire *w, const char *line)
{
    char got[512];
    if (!wire_line(w, got, sizeof got))
        fail_msg("%s instead of '%s'", w->error, line);
    assert_string_equal(got, line);
}

/* Reads one value of this kind, line by line. */
static void hear_value(struct wire *w, enum resp_kind kind)
{
    struct resp_value *v = NULL;
    if (!wire_reply(w, &v))
        fail_msg("%s", w->error);
    assert_int_equal(v->kind, kind);
    resp_value_free(v);
}

/* Reads the reply to POP. Returns how many messages it has, and the attempt in the first receipt ('\0': none). */
static size_t hear_popped(struct wire *w, char *ret_attempt)
{
    struct resp_value *v = NULL;
    if (!wire_reply(w, &v))
        fail_msg("%s", w->error);
    assert_int_equal(v->kind, RV_ARRAY);
    size_t n = v->n_items;
    const struct resp_value *receipt = n ? v->item[0]->item[0] : NULL;
    *ret_attempt = '\0';
    if (receipt)
        *ret_attempt = receipt->bytes[receipt->len - 1];
    resp_value_free(v);
    return n;
}

/* Waits until INFO shows that n callers are parked. */
static void wait_for_waiters(struct wire *w, unsigned n)
{
    char wanted[32];
    snprintf(wanted, sizeof wanted, "waiters:%u\r\n", n);
    for (;;) {
        struct resp_value *v = NULL;
        say(w, "INFO clients\r\n");
        if (!wire_reply(w, &v))
            fail_msg("%s", w->error);
        bool there = strstr(v->bytes, wanted) != NULL;
        resp_value_free(v);
        if (there)
            return;
    }
}

/* ---- tests ---- */

static void answers_keep_their_order(void **state)
{
    struct wire w = loops_client(*state, 0);
    say(&w,
        "TOPIC CREATE t QUEUES 1\r\nSEND t a\r\nNOSUCH\r\nSEND t b\r\nECHO x\r\nSEND t\r\nPING\r\n"
        "SEND t c\r\nBAD \"\r\nPING\r\n");
    hear(&w, "+OK");
    hear(&w, "$5");
    hear(&w, "t:0:0");
    hear(&w, "-ERR unknown command 'NOSUCH': HELP lists them all");
    hear(&w, "$5");
    hear(&w, "t:0:1");
    hear(&w, "$1");
    hear(&w, "x");
    hear_value(&w, RV_ERROR);
    hear(&w, "+PONG");
    hear(&w, "$5");
    hear(&w, "t:0:2");
    hear(&w, "-ERR Protocol error: unbalanced quotes in request");
    assert_true(wire_closed(&w)); /* the requests after it are ignored */
    wire_close(&w);
}

/* Sends more commands at once than may be in flight. */
static void a_deep_pipeline(void **state)
{
    enum { MANY = 3 * IN_FLIGHT_MAX };
    struct wire w = loops_client(*state, 0);
    struct buf all;
    buf_init(&all, 0);
    say(&w, "TOPIC CREATE t QUEUES 1\r\n");
    hear(&w, "+OK");
    for (unsigned i = 0; i < MANY; i++)
        buf_put_str(&all, "SEND t x\r\n");
    assert_true(wire_send(&w, buf_slice(&all)));
    buf_free(&all);
    for (unsigned i = 0; i < MANY; i++) {
        char want[32];
        snprintf(want, sizeof want, "t:0:%u", i);
        hear_value(&w, RV_BULK);
    }
    say(&w, "GET t:0:12287\r\n");
    hear(&w, "*4");
    wire_close(&w);
}

/* When a client of one loop gets a reply, clients of the other loop see the change, and its waiters wake up. */
static void loops_see_each_other(void **state)
{
    struct wire a = loops_client(*state, 0), b = loops_client(*state, 1), c = loops_client(*state, 1);
    char attempt;
    say(&a, "TOPIC CREATE t QUEUES 1\r\n");
    hear(&a, "+OK");
    say(&c, "POP g t WAIT 1m\r\n");
    wait_for_waiters(&b, 1);
    for (unsigned i = 0; i < 200; i++) {
        char get[32];
        say(&a, "SEND t x\r\n");
        hear_value(&a, RV_BULK);
        snprintf(get, sizeof get, "GET t:0:%u\r\n", i);
        say(&b, get);
        hear_value(&b, RV_ARRAY);
    }
    assert_int_equal(hear_popped(&c, &attempt), 1);
    assert_int_equal(attempt, '1');
    wire_close(&a);
    wire_close(&b);
    wire_close(&c);
}

static void who_closes_is_handed_nothing(void **state)
{
    struct wire w = loops_client(*state, 0);
    char attempt;
    say(&w, "TOPIC CREATE t QUEUES 1\r\n");
    hear(&w, "+OK");
    for (unsigned i = 0; i < 50; i++) {
        struct wire gone = loops_client(*state, i % LOOPS);
        say(&gone, "POP g t WAIT 1m\r\n");
        if (i % 3)
            wait_for_waiters(&w, 1);
        wire_close(&gone);
        say(&w, "SEND t x\r\n");
        hear_value(&w, RV_BULK);
        say(&w, "POP g t WAIT 1m\r\n");
        assert_int_equal(hear_popped(&w, &attempt), 1);
        assert_int_equal(attempt, '1');
        wait_for_waiters(&w, 0);
    }
    wire_close(&w);
}

static void a_half_closed_wait_ends(void **state)
{
    struct wire w = loops_client(*state, 0), other = loops_client(*state, 1);
    say(&w, "TOPIC CREATE t\r\n");
    hear(&w, "+OK");
    say(&w, "POP g t WAIT 1m\r\nPING\r\n");
    wait_for_waiters(&other, 1);
    wire_half_close(&w);
    hear(&w, "*0");
    hear(&w, "+PONG"); /* the reply to an earlier request */
    assert_true(wire_closed(&w));
    wire_close(&w);
    wire_close(&other);
}

/* The loop stops reading more input behind a parked POP, but still notices that the client has closed. */
static void a_close_behind_much_input(void **state)
{
    struct wire w = loops_client(*state, 0), other = loops_client(*state, 1);
    say(&w, "TOPIC CREATE t\r\n");
    hear(&w, "+OK");
    struct buf all; /* sent at once, so that the kernel buffers what the loop does not read */
    buf_init(&all, 0);
    buf_put_str(&all, "POP g t WAIT 1m\r\n");
    while (all.len < STALLED_INPUT_MAX + (size_t)KIB(32))
        buf_put_str(&all, "PING\r\n");
    assert_true(wire_send(&w, buf_slice(&all)));
    buf_free(&all);
    wait_for_waiters(&other, 1);
    wire_close(&w);
    wait_for_waiters(&other, 0);
    wire_close(&other);
}

static void waits_are_woken_oldest_first(void **state)
{
    enum { N = 20 };
    struct wire w = loops_client(*state, 0), waiting[N];
    char attempt;
    say(&w, "TOPIC CREATE t QUEUES 1\r\n");
    hear(&w, "+OK");
    for (unsigned i = 0; i < N; i++) {
        waiting[i] = loops_client(*state, 0);
        say(&waiting[i], "POP g t COUNT 10 WAIT 1m\r\n");
        wait_for_waiters(&w, i + 1);
    }
    for (unsigned i = 0; i < N; i++) {
        say(&w, "SEND t x\r\n");
        hear_value(&w, RV_BULK);
        assert_int_equal(hear_popped(&waiting[i], &attempt), 1);
        wire_close(&waiting[i]);
    }
    wire_close(&w);
}

static void other_first_bytes(void **state)
{
    struct wire w = loops_client(*state, 0);
    assert_true(wire_send(&w, SLICE_LIT("\x16\x03\x01")));
    hear(&w, "-ERR TLS is not spoken on this port: set tls_cert and tls_key, or connect without it");
    assert_true(wire_closed(&w));
    wire_close(&w);
    w = loops_client(*state, 0);
    assert_true(wire_send(&w, SLICE_LIT("\x01\x02")));
    hear(&w, "-ERR Protocol error: unknown dialect (first byte 0x01)");
    assert_true(wire_closed(&w));
    wire_close(&w);
}

static void subscribers_and_takers(void **state)
{
    struct wire s = loops_client(*state, 0), w = loops_client(*state, 1);
    struct resp_value *v = NULL;
    say(&s, "SUBSCRIBE topic:t check:shop\r\n");
    hear_value(&s, RV_ARRAY);
    hear_value(&s, RV_ARRAY);
    say(&w, "SEND t hello\r\n");
    hear_value(&w, RV_BULK);
    assert_true(wire_reply(&s, &v));
    assert_string_equal(v->item[2]->bytes, "hello");
    resp_value_free(v);
    say(&w, "HALF shop t secret CHECKIN 1ms\r\n");
    hear_value(&w, RV_BULK);
    assert_true(wire_reply(&s, &v));
    assert_string_equal(v->item[1]->bytes, "check:shop");
    assert_non_null(strstr(v->item[2]->bytes, "\"body\":\"secret\""));
    resp_value_free(v);
    say(&s, "UNSUBSCRIBE\r\nPING\r\n");
    hear_value(&s, RV_ARRAY);
    hear_value(&s, RV_ARRAY);
    hear(&s, "+PONG");
    wire_close(&s);
    wire_close(&w);
}

static void killing_a_client(void **state)
{
    struct wire w = loops_client(*state, 0), other = loops_client(*state, 1);
    char id[32], kill[128];
    say(&other, "CLIENT ID\r\n");
    assert_true(wire_line(&other, id, sizeof id));
    snprintf(kill, sizeof kill, "CLIENT KILL %s\r\nCLIENT KILL ID 4711\r\n", id + 1);
    say(&w, kill);
    hear(&w, "+OK");
    hear(&w, ":0");
    assert_true(wire_closed(&other));
    wire_close(&w);
    wire_close(&other);
}

/* A drain sends the replies to requests under way, ends waits with an empty reply, and then closes all connections. */
static void a_drain_ends_in_good_order(void **state)
{
    struct loops *f = *state;
    struct wire a = loops_client(f, 0), b = loops_client(f, 1), c = loops_client(f, 0);
    say(&a, "TOPIC CREATE t\r\n");
    hear(&a, "+OK");
    say(&a, "POP g t WAIT 1h\r\n");
    say(&b, "READ t 0 0 WAIT 1h\r\n");
    wait_for_waiters(&c, 2);
    say(&c, "SHUTDOWN\r\n");
    hear(&c, "+OK");
    assert_true(atomic_load(&f->server.stopping));
    loops_drain(f);
    hear(&a, "*0");
    hear(&b, "*0");
    assert_true(wire_closed(&a));
    assert_true(wire_closed(&b));
    assert_true(wire_closed(&c));
    wire_close(&a);
    wire_close(&b);
    wire_close(&c);
}

/* A loop that has read a thousand slow commands would else run them all before it hears of the drain. */
static void a_drain_takes_nothing_more(void **state)
{
    struct loops *f = *state;
    struct wire w = loops_client(f, 0);
    struct resp_value *v = NULL;
    atomic_store(&f->drains_at_info, true);
    say(&w, "ECHO a\r\nINFO server\r\nECHO b\r\n");
    hear_value(&w, RV_BULK);
    hear_value(&w, RV_BULK);
    assert_false(wire_reply(&w, &v));
    atomic_store(&f->drains_at_info, false);
    loops_drain(f);
    wire_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_keep_their_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deep_pipeline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(loops_see_each_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_closes_is_handed_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_half_closed_wait_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_close_behind_much_input, set_up, tear_down),
        cmocka_unit_test_setup_teardown(waits_are_woken_oldest_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_first_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(subscribers_and_takers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(killing_a_client, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_drain_ends_in_good_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_drain_takes_nothing_more, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
