/*
 * test_giveback.c: tests what becomes of the messages that a POP leased to a client which then closes the connection:
 * what the socket has not taken is ready for others at once, with the same attempt; what it has taken stays leased; also
 * while the journal is full.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/journal/journal.h"
#include "protocol/rpc/rpc.h"
#include "tests/lib/loops.h"

#define MANY 40
#define BODY 100000 /* bytes; a socket takes a few of them */
#define TAKEN_MOST 10

static _Atomic int refuse; /* so many RELEASEs */

bool __real_journal_submit(struct journal *j, struct journal_client *c, struct entry *e);
bool __wrap_journal_submit(struct journal *j, struct journal_client *c, struct entry *e);

bool __wrap_journal_submit(struct journal *j, struct journal_client *c, struct entry *e)
{
    if (e->cmd.info->id == CMD_RELEASE && refuse > 0) {
        refuse--;
        return false;
    }
    return __real_journal_submit(j, c, e);
}

static void say(struct wire *w, const char *text)
{
    if (!wire_send_str(w, text))
        fail_msg("%s", w->error);
}

static struct resp_value *hear(struct wire *w)
{
    struct resp_value *v = NULL;
    if (!wire_reply(w, &v))
        fail_msg("%s", w->error);
    return v;
}

static void send_many(struct wire *w)
{
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "*5\r\n$4\r\nSEND\r\n$1\r\nt\r\n$%d\r\n", BODY);
    memset(buf_room(&b, BODY), 'x', BODY);
    buf_added(&b, BODY);
    buf_put_str(&b, "\r\n$5\r\nQUEUE\r\n$1\r\n0\r\n");
    for (int i = 0; i < MANY; i++) {
        assert_true(wire_send(w, buf_slice(&b)));
        struct resp_value *v = hear(w);
        assert_int_equal(v->kind, RV_BULK);
        resp_value_free(v);
    }
    buf_free(&b);
}

/* Waits for messages until all that no socket took have come, each once and with attempt 1. Returns the first offset. */
static int rest_is_ready(struct wire *w)
{
    bool had[MANY] = {false};
    int n = 0, first = MANY;
    while (first + n < MANY || first > TAKEN_MOST) {
        say(w, "POP g t COUNT 100 WAIT 10000\r\n");
        struct resp_value *v = hear(w);
        assert_int_equal(v->kind, RV_ARRAY);
        assert_true(v->n_items > 0); /* else they are ready only when their leases expire */
        for (size_t i = 0; i < v->n_items; i++) {
            int offset = 0, attempt = 0;
            assert_int_equal(sscanf(v->item[i]->item[0]->bytes, "t:0:%d#%d", &offset, &attempt), 2);
            assert_true(attempt == 1 && offset < MANY && !had[offset]);
            had[offset] = true;
            first = offset < first ? offset : first;
            n++;
        }
        resp_value_free(v);
    }
    return first;
}

/* A client asks as `request` says, reads a little, and closes. */
static void one_that_closes(struct loops *f, struct slice request, int refused)
{
    struct wire other = loops_client(f, 0), w = loops_client(f, 0);
    send_many(&other);
    assert_true(wire_send(&w, request));
    assert_true(wire_fill(&w, 2000)); /* the reply to the POP has begun */
    refuse = refused;
    wire_close(&w);
    int first = rest_is_ready(&other);
    assert_true(first > 0 && first <= TAKEN_MOST); /* what the socket took stays leased */
    assert_int_equal(refuse, 0);
    wire_close(&other);
}

static void one_large_reply(void **state)
{
    (void)state;
    struct loops *f = loops_start(1, NULL);
    one_that_closes(f, SLICE_LIT("POP g t COUNT 40\r\n"), 0);
    loops_stop(f);
}

static void many_replies(void **state)
{
    (void)state;
    struct loops *f = loops_start(1, NULL);
    struct buf b;
    buf_init(&b, 0);
    for (int i = 0; i < MANY; i++)
        buf_put_str(&b, "POP g t\r\n");
    one_that_closes(f, buf_slice(&b), 0);
    buf_free(&b);
    loops_stop(f);
}

static void a_reply_to_a_wait(void **state)
{
    (void)state;
    struct loops *f = loops_start(1, NULL);
    struct wire other = loops_client(f, 0);
    say(&other, "TOPIC CREATE t\r\n");
    resp_value_free(hear(&other));
    one_that_closes(f, SLICE_LIT("HELLO 3\r\nPOP g t COUNT 40 WAIT 10000\r\n"), 0);
    wire_close(&other);
    loops_stop(f);
}

static void messagepack(void **state)
{
    (void)state;
    struct loops *f = loops_start(1, NULL);
    struct buf b;
    buf_init(&b, 0);
    rpc_put_list(&b, 4);
    rpc_put_uint(&b, 0);
    rpc_put_uint(&b, 1000);
    rpc_put_str(&b, SLICE_LIT("pop"));
    rpc_put_list(&b, 1);
    rpc_put_map(&b, 3);
    rpc_put_str(&b, SLICE_LIT("group"));
    rpc_put_str(&b, SLICE_LIT("g"));
    rpc_put_str(&b, SLICE_LIT("topic"));
    rpc_put_str(&b, SLICE_LIT("t"));
    rpc_put_str(&b, SLICE_LIT("count"));
    rpc_put_uint(&b, 40);
    one_that_closes(f, buf_slice(&b), 0);
    buf_free(&b);
    loops_stop(f);
}

static void the_journal_is_full(void **state)
{
    (void)state;
    struct loops *f = loops_start(1, NULL);
    one_that_closes(f, SLICE_LIT("POP g t COUNT 40\r\n"), 5);
    loops_stop(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_large_reply),   cmocka_unit_test(many_replies),
        cmocka_unit_test(a_reply_to_a_wait), cmocka_unit_test(messagepack),
        cmocka_unit_test(the_journal_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
