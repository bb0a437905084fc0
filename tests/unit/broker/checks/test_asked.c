/* test_asked.c: tests that the object of a long transaction is made in steps, as tokens and as JSON, and what happens
 * where it is decided or damaged meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/base/json.h"
#include "broker/checks/asked.h"
#include "tests/lib/shell.h"

#define MESSAGES 450

static char tx[32];

static struct ask ask_of_tx(void)
{
    return (struct ask){.txid = strtoull(tx, NULL, 10), .attempt = 3};
}

static void open_long(struct shell *s)
{
    (void)snprintf(tx, sizeof tx, "%s", shell_do(s, "HALF pg t first KEY k TAG red PROP p 1 CHECKIN 0"));
    for (int i = 1; i < MESSAGES; i++)
        (void)shell_do(s, "HALF pg t%d body%d KEY %d TXN %s", i % 3, i, i, tx);
    const struct slice raw[] = {SLICE_LIT("HALF"), SLICE_LIT("pg"), SLICE_LIT("t"), SLICE_LIT("\xff\x00\x01"),
                                SLICE_LIT("TXN"), slice_str(tx)};
    (void)shell_do_words(s, raw, 6);
}

/* Does all steps, and takes out what each has made. */
static enum status make(struct shell *s, struct view *v, bool json, struct buf *ret_all, uint64_t *ret_length)
{
    struct asked a;
    struct buf out;
    enum status st = ST_BUSY;
    (void)s;
    buf_init(&out, 0);
    asked_begin(&a, ask_of_tx(), json);
    for (int steps = 0; st == ST_BUSY; steps++) {
        bool put = a.put;
        if (asked_is_known(&a))
            *ret_length = a.length;
        size_t before = ret_all->len;
        st = asked_step(&a, v, &out);
        assert_true(put || out.len == 0);
        buf_put_slice(ret_all, buf_slice(&out));
        buf_reset(&out, 0);
        assert_true(steps < 20 && ret_all->len - before < KIB(64));
        assert_true(st != ST_OK || steps >= 2 * (MESSAGES / 200));
    }
    assert_false(ret_all->failed);
    buf_free(&out);
    return st;
}

static void in_steps(void **state)
{
    struct shell *s = *state;
    struct buf all, whole, text, text_of_whole, said;
    uint64_t length = 0;
    open_long(s);
    struct view *v = view_open(s->store);
    assert_non_null(v);
    buf_init(&all, 0);
    buf_init(&whole, 0);
    buf_init(&text, 0);
    buf_init(&text_of_whole, 0);
    buf_init(&said, 0);
    assert_int_equal(asked_all(ask_of_tx(), v, &whole), ST_OK);
    assert_int_equal(make(s, v, false, &all, &length), ST_OK);
    assert_int_equal(all.len, whole.len);
    assert_memory_equal(all.data, whole.data, whole.len);
    shell_render(&said, buf_slice(&whole), false);
    buf_put_u8(&said, 0);
    char want[160];
    (void)snprintf(want, sizeof want, "{txid:%s pgroup:pg attempt:3 created:%lld messages:["
                   "{topic:t key:[k] tag:red body:first properties:{p:1}} ", tx, (long long)SHELL_TIME);
    assert_memory_equal(said.data, want, strlen(want));
    assert_int_equal(make(s, v, true, &text, &length), ST_OK);
    assert_int_equal(length, text.len);
    assert_true(json_from_reply(buf_slice(&whole), &text_of_whole));
    assert_int_equal(text.len, text_of_whole.len);
    assert_memory_equal(text.data, text_of_whole.data, text.len);
    view_close(v);
    buf_free(&all);
    buf_free(&whole);
    buf_free(&text);
    buf_free(&text_of_whole);
    buf_free(&said);
}

/* A view from before the decision has all of it, one from after has nothing. */
static void decided_meanwhile(void **state)
{
    struct shell *s = *state;
    struct buf all;
    uint64_t length = 0;
    buf_init(&all, 0);
    open_long(s);
    struct view *before = view_open(s->store);
    shell_expect(s, "OK", "ROLLBACK %s", tx);
    struct view *after = view_open(s->store);
    assert_true(before && after);
    assert_int_equal(make(s, after, true, &all, &length), ST_GONE);
    assert_int_equal(all.len, 0);
    assert_int_equal(make(s, before, true, &all, &length), ST_OK);
    assert_int_equal(all.len, length);
    view_close(before);
    view_close(after);
    buf_free(&all);
}

/* That is found before anything is appended. */
static void damaged(void **state)
{
    struct shell *s = *state;
    struct buf all;
    uint64_t length = 0;
    buf_init(&all, 0);
    open_long(s);
    struct key key = key_txn_message(ask_of_tx().txid, MESSAGES);
    kv_put(s->st->kv, KV_STATE, key_slice(&key), SLICE_LIT("\xff nonsense"));
    assert_int_equal(kv_write(s->st->kv, false, s->err, sizeof s->err), ST_OK);
    struct view *v = view_open(s->store);
    assert_non_null(v);
    assert_int_equal(make(s, v, true, &all, &length), ST_DAMAGED);
    assert_int_equal(make(s, v, false, &all, &length), ST_DAMAGED);
    assert_int_equal(all.len, 0);
    assert_int_equal(store_damaged(s->store), 1);
    view_close(v);
    buf_free(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {SHELL_TEST(in_steps), SHELL_TEST(decided_meanwhile), SHELL_TEST(damaged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
