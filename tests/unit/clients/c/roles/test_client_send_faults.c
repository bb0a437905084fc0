/*
 * test_client_send_faults.c: tests asynchronous sends when allocations fail: the n-th one, for every n, alone or with
 * all later ones. If hmq_send_async has accepted a message, its callback is called once, with an id or with
 * HMQ_ENOMEM; if not, it is never called. Stored messages keep their order, and nothing leaks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/record/record.h"
#include "tests/lib/bare.h"
#include "tests/lib/fault_heap.h"
#include "tests/lib/still_clock.h"

#define SENT_MAX 64

/* How the broker replies to batches. */
enum temper { TAKES_ALL, KNOWS_NO_BATCH, REFUSES_BATCHES };

struct sent {
    bool taken, ordered;
    unsigned told, stored;
};

static struct bare bare;
static hmq_producer *producer;
static struct sent sent[SENT_MAX];
static unsigned n_sent, last_stored[2]; /* of messages with ORDER, and of the others */
static enum temper temper;

static void on_sent(void *arg, const char *id, const hmq_error *err)
{
    struct sent *s = arg;
    fault_heap_inside(false);
    s->told++;
    assert_true(s->taken);
    assert_int_equal(id != NULL, err->code == HMQ_OK);
    assert_int_equal(id != NULL, s->stored == 1);
    if (!id && err->code != HMQ_ENOMEM)
        fail_msg("message %u: %s", (unsigned)(s - sent), err->text);
    fault_heap_inside(true);
}

static void send_one(const hmq_send_options *o)
{
    char body[16];
    assert_true(n_sent < SENT_MAX);
    struct sent *s = &sent[n_sent];
    snprintf(body, sizeof body, "%u", n_sent++);
    s->taken = true; /* the callback may be called before this */
    s->ordered = o && o->order;
    fault_heap_inside(true);
    enum hmq_status status =
        hmq_send_async(producer, "t", body, strlen(body), o, 60000, on_sent, s, NULL);
    fault_heap_inside(false);
    assert_true(status == HMQ_OK || (status == HMQ_ENOMEM && fault_heap_fired()));
    s->taken = status == HMQ_OK;
}

static void store(struct slice body)
{
    char text[16];
    assert_true(body.len > 0 && body.len < sizeof text);
    snprintf(text, sizeof text, "%.*s", (int)body.len, (const char *)body.data);
    unsigned i = (unsigned)strtoul(text, NULL, 10);
    assert_true(i < n_sent);
    assert_int_equal(sent[i].stored++, 0);
    unsigned *last = &last_stored[sent[i].ordered];
    if (temper == TAKES_ALL && i < *last)
        fail_msg("message %u was stored after message %u", i, *last);
    *last = i;
}

static void hear_batch(void)
{
    struct slice record = bare_bytes(&bare, "batch");
    struct record_header h;
    struct message m;
    if (temper == KNOWS_NO_BATCH) {
        bare_refuse(&bare, "ERR", "unknown command 'PRODUCE'");
        return;
    }
    if (temper == REFUSES_BATCHES) {
        bare_refuse(&bare, "TOOBIG", "message 1 of the batch: a body of 1 byte");
        return;
    }
    assert_int_equal(record_verify(record, &h), ST_OK);
    for (uint32_t i = 0; i < h.count; i++) {
        assert_int_equal(record_message(record, &h, i, &m), ST_OK);
        store(m.body);
    }
    bare_answer_place(&bare, 0, 0, h.count);
}

/* Plays the broker until the client sends nothing more. */
static void serve(void)
{
    bare_tick(&bare);
    while (bare_hear(&bare)) {
        if (bare_is(&bare, "produce")) {
            hear_batch();
        } else if (bare_is(&bare, "topic_info")) {
            bare_answer_int(&bare, "order_queues", 3);
        } else {
            assert_true(bare_is(&bare, "send"));
            store(bare_bytes(&bare, "body"));
            bare_answer_text(&bare, "t:0:0");
        }
        bare_tick(&bare);
    }
}

/* Makes the producer. True: an allocation failed; from here on they succeed. */
static bool make_producer(void)
{
    fault_heap_inside(true);
    enum hmq_status status = hmq_producer_new(&bare.client, NULL, &producer, NULL);
    fault_heap_inside(false);
    if (status == HMQ_OK)
        return false;
    assert_int_equal(status, HMQ_ENOMEM);
    assert_true(fault_heap_fired());
    fault_heap_fail(0, false);
    assert_int_equal(hmq_producer_new(&bare.client, NULL, &producer, NULL), HMQ_OK);
    return true;
}

/* Sends messages alone, in batches, with ORDER, and one that does not fit into a batch, with replies between them. */
static void send_all(void)
{
    const char *keys[] = {"k1", "k2"};
    hmq_prop prop = {"name", "value"};
    hmq_send_options rich = HMQ_SEND_OPTIONS, ordered = HMQ_SEND_OPTIONS, late = HMQ_SEND_OPTIONS;
    rich.keys = keys;
    rich.n_keys = 2;
    rich.tag = "red";
    rich.props = &prop;
    rich.n_props = 1;
    ordered.order = "account-7";
    late.delay_ms = 1000;
    for (unsigned round = 0; round < 2; round++) {
        send_one(NULL);
        send_one(&ordered);
        serve();
        still_clock_pass(100);
        for (unsigned i = 0; i < 4; i++) {
            send_one(&rich);
            send_one(&ordered);
        }
        send_one(&late);
        for (unsigned i = 0; i < 3; i++)
            send_one(NULL);
        serve();
        still_clock_pass(100);
    }
}

static bool all_told(void)
{
    for (unsigned i = 0; i < n_sent; i++)
        if (sent[i].told != (unsigned)sent[i].taken)
            return false;
    return true;
}

/* Runs the whole test once. True: an allocation failed. */
static bool life(uint64_t n, bool forever, const char *query)
{
    memset(sent, 0, sizeof sent);
    memset(last_stored, 0, sizeof last_stored);
    n_sent = 0;
    still_clock_stop();
    bare_start(&bare, query);
    bare.inside = fault_heap_inside;
    fault_heap_fail(n, forever);
    bool fired = make_producer();
    send_all();
    /* Allocations still fail if they fail for good. */
    fault_heap_inside(true);
    hmq_producer_flush(producer, 0, NULL);
    fault_heap_inside(false);
    serve();
    fired = fired || fault_heap_fired();
    fault_heap_fail(0, false);
    for (unsigned i = 0; i < 5 && !all_told(); i++, still_clock_pass(100))
        serve();
    for (unsigned i = 0; i < n_sent; i++)
        assert_int_equal(sent[i].told, sent[i].taken);
    assert_int_equal(hmq_producer_close(producer, 0, NULL), HMQ_OK);
    bare_stop(&bare);
    still_clock_go();
    return fired;
}

static void lives(enum temper how)
{
    temper = how;
    for (const char *const *query = (const char *const[]){"", "?linger_ms=50", "?dedup=no", NULL};
         *query; query++) {
        assert_false(life(0, false, *query));
        for (unsigned i = 0; i < n_sent; i++)
            assert_true(sent[i].taken && sent[i].stored == 1);
        uint64_t n = 1;
        while (life(n, false, *query)) {
            (void)life(n, true, *query);
            n++;
        }
        assert_true(n > 50); /* there are at least so many allocations */
    }
}

static void test_a_broker_that_takes_all(void **state)
{
    (void)state;
    lives(TAKES_ALL);
}

static void test_a_broker_without_batches(void **state)
{
    (void)state;
    lives(KNOWS_NO_BATCH);
}

static void test_a_broker_that_refuses(void **state)
{
    (void)state;
    lives(REFUSES_BATCHES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_broker_that_takes_all),
        cmocka_unit_test(test_a_broker_without_batches),
        cmocka_unit_test(test_a_broker_that_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
