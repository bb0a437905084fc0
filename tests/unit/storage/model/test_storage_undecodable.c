/*
 * test_storage_undecodable.c: rows whose checksum is right and whose bytes make no sense, or that are missing where another
 * row names them. That is damage: it is told and counted, the command is refused with DAMAGED, timers go on, and the
 * process lives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/model/timer.h"
#include "tests/lib/shell.h"

static char tx[32];

static void write_now(struct shell *s)
{
    assert_int_equal(kv_write(s->st->kv, false, s->err, sizeof s->err), ST_OK);
}

static void spoil(struct shell *s, const struct key *key)
{
    kv_put(s->st->kv, KV_STATE, key_slice(key), SLICE_LIT("\xff nonsense"));
    write_now(s);
}

/* Gives every row that begins with these bytes a value that makes no sense. */
static void spoil_all(struct shell *s, struct slice first)
{
    struct key from = {.len = 0};
    key_bytes(&from, first);
    struct key to = key_after(&from);
    struct kv_iter *it = kv_iter_new(s->st->kv, KV_STATE, NULL, key_slice(&from), key_slice(&to));
    int n = 0;
    for (kv_iter_first(it); kv_iter_valid(it); kv_iter_next(it), n++)
        kv_put(s->st->kv, KV_STATE, kv_iter_key(it), SLICE_LIT("\xff nonsense"));
    kv_iter_free(it);
    assert_true(n > 0);
    write_now(s);
}

static void spoil_records(struct shell *s)
{
    struct key from = {.len = 0}, to = {.len = 0};
    key_bytes(&from, SLICE_LIT("\0"));
    key_bytes(&to, SLICE_LIT("\xff"));
    struct kv_iter *it = kv_iter_new(s->st->kv, KV_LOG, NULL, key_slice(&from), key_slice(&to));
    for (kv_iter_first(it); kv_iter_valid(it); kv_iter_next(it))
        kv_put(s->st->kv, KV_LOG, kv_iter_key(it), SLICE_LIT("\xff nonsense"));
    kv_iter_free(it);
    write_now(s);
}

static void open_one(struct shell *s)
{
    (void)snprintf(tx, sizeof tx, "%s", shell_do(s, "HALF pg t first CHECKIN 1s"));
    shell_expect(s, tx, "HALF pg t second TXN %s", tx);
    shell_pass(s, 600); /* it is not young any more */
    shell_reopen(s);
}

static void damage_is(struct shell *s, uint64_t count)
{
    assert_int_equal(s->status, ST_OK);
    assert_int_equal(kv_damage_count(s->st->kv), count);
}

/* A transaction one of whose messages is missing is never committed in part; it can be rolled back. */
static void message_is_missing(void **state)
{
    struct shell *s = *state;
    open_one(s);
    struct key key = key_txn_message(strtoull(tx, NULL, 10), 1);
    kv_del(s->st->kv, KV_STATE, key_slice(&key));
    write_now(s);
    for (int i = 0; i < 2; i++) {
        shell_refused(s, "-DAMAGED", "COMMIT %s", tx);
        damage_is(s, 1);
    }
    shell_pass(s, 1000);
    shell_expect(s, "[]", "CHECKS pg");
    shell_expect(s, "OK", "ROLLBACK %s", tx);
    assert_int_equal(shell_rows(s, 'X') + shell_rows(s, 'Y') + shell_rows(s, 'K'), 0);
    damage_is(s, 1);
}

static void message_makes_no_sense(void **state)
{
    struct shell *s = *state;
    open_one(s);
    struct key key = key_txn_message(strtoull(tx, NULL, 10), 1);
    spoil(s, &key);
    shell_pass(s, 1000);
    shell_expect(s, "[]", "CHECKS pg");
    damage_is(s, 1);
    shell_refused(s, "-DAMAGED", "COMMIT %s", tx);
    damage_is(s, 1);
}

static void transaction_makes_no_sense(void **state)
{
    struct shell *s = *state;
    open_one(s);
    struct key key = key_txn(strtoull(tx, NULL, 10));
    spoil(s, &key);
    shell_refused(s, "-DAMAGED", "COMMIT %s", tx);
    shell_refused(s, "-DAMAGED", "ROLLBACK %s", tx);
    s->now_ms += 100000000; /* the timeout is due, and is postponed */
    shell_expect(s, "OK", "TICK");
    assert_true(state_tally(s->st)->timers_postponed > 0);
    damage_is(s, 1);
}

/* The value of a timer's row says when it was due at first, by which a delayed message is found. */
static void timer_of_a_delayed_message(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t late DELAY 10s");
    s->now_ms += 10000;
    kv_fault(s->st->kv, KV_OP_GET_DAMAGE, 1);
    shell_expect(s, "OK", "TICK");
    kv_fault(s->st->kv, KV_OP_GET_DAMAGE, 0);
    assert_int_equal(state_tally(s->st)->timers_postponed, 1);
    uint64_t before = kv_damage_count(s->st->kv);
    spoil_all(s, slice_of("W\x03", 2));
    shell_pass(s, 5000);
    damage_is(s, before + 1);
    shell_expect(s, "[t:0:0=late]", "READ t 0 0 COUNT 9");
    assert_int_equal(shell_rows(s, 'W') + shell_rows(s, 'L') + shell_rows(s, 'N'), 0);
}

static void timer_of_leases(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t a");
    shell_do(s, "POP g t LEASE 3s");
    shell_reopen(s); /* the group is read when its timer fires */
    s->now_ms += 3000;
    kv_fault(s->st->kv, KV_OP_GET_DAMAGE, 1);
    shell_expect(s, "OK", "TICK");
    kv_fault(s->st->kv, KV_OP_GET_DAMAGE, 0);
    assert_int_equal(state_tally(s->st)->timers_postponed, 1);
    uint64_t before = kv_damage_count(s->st->kv);
    spoil_all(s, slice_of("W\x01", 2));
    shell_pass(s, 5000);
    damage_is(s, before + 1);
    assert_int_equal(state_tally(s->st)->leases_expired, 1);
    shell_expect(s, "[t:0:0#2=a]", "POP g t");
}

/* Dead letters whose topic makes no sense: the messages stay leased for a while longer, and nobody dies. */
static void dead_letters_nowhere_to_go(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "GROUP CREATE g t ATTEMPTS 1");
    shell_do(s, "SEND t a");
    shell_do(s, "SEND t b");
    shell_do(s, "POP g t LEASE 1s");
    shell_do(s, "REJECT g t:0:0#1");
    shell_do(s, "POP g t LEASE 1s");
    struct key key = key_topic(SLICE_LIT("%DLQ%g"));
    spoil(s, &key);
    shell_reopen(s);
    shell_pass(s, 1000);
    damage_is(s, 1);
    assert_true(state_tally(s->st)->timers_postponed > 0);
    shell_refused(s, "-DAMAGED", "REJECT g t:0:1#1");
    shell_expect(s, "1", "ACK g t:0:1#1");
    damage_is(s, 1);
}

static void count_hook(void *arg, const struct pgroup_hook *hook)
{
    uint32_t *n = arg;
    *n += slice_equal(hook->pgroup, SLICE_LIT("b"));
}

/* One producer group's settings make no sense: the others are called by HTTP. */
static void settings_of_a_producer_group(void **state)
{
    struct shell *s = *state;
    shell_expect(s, "OK", "PGROUP SET a CHECKURL http://h/1");
    shell_expect(s, "OK", "PGROUP SET b CHECKURL http://h/2");
    struct key key = key_pgroup(SLICE_LIT("a"));
    spoil(s, &key);
    struct view *v = view_open(s->store);
    uint32_t n = 0;
    assert_int_equal(query_pgroup_hooks(v, count_hook, &n), ST_DAMAGED);
    assert_int_equal(n, 1);
    view_close(v);
    damage_is(s, 1);
}

/* Nobody knows which offset is next. Nothing is written that could take one twice, but the topic can be deleted, and made
 * again. Where the record is whole it says where the queue ends. */
static void end_of_a_queue(void **state)
{
    struct shell *s = *state;
    shell_expect(s, "t:0:0", "SEND t first QUEUE 0");
    shell_expect(s, "t:0:1", "SEND t second QUEUE 0");
    shell_expect(s, "OK", "GROUP CREATE g t");
    shell_reopen(s);
    spoil_all(s, SLICE_LIT("B"));
    shell_expect(s, "t:0:2", "SEND t third QUEUE 0");
    spoil_all(s, SLICE_LIT("B"));
    spoil_records(s);
    shell_reopen(s);
    shell_refused(s, "-DAMAGED", "SEND t fourth QUEUE 0");
    shell_refused(s, "-DAMAGED", "POP g t");
    shell_expect(s, "OK", "TOPIC DELETE t");
    shell_refused(s, "-NOTOPIC", "TOPIC DELETE t");
    shell_expect(s, "t:0:0", "SEND t first QUEUE 0");
    shell_reopen(s);
    shell_expect(s, "t:0:1", "SEND t second QUEUE 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(message_is_missing),         SHELL_TEST(message_makes_no_sense),
        SHELL_TEST(transaction_makes_no_sense), SHELL_TEST(timer_of_a_delayed_message),
        SHELL_TEST(timer_of_leases),            SHELL_TEST(dead_letters_nowhere_to_go),
        SHELL_TEST(settings_of_a_producer_group), SHELL_TEST(end_of_a_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
