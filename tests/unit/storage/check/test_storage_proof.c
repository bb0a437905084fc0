/*
 * test_storage_proof.c: what --check proves of rows: each row is broken, and told; what only looks strange is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/access/user.h"
#include "storage/disk/keys.h"
#include "storage/disk/rows.h"
#include "storage/model/timer.h"
#include "tests/lib/shell_check.h"

/* ---- breaking rows ---- */

static void put(struct shell *s, struct slice key, struct slice value)
{
    kv_put(s->st->kv, KV_STATE, key, value);
    assert_int_equal(kv_write(s->st->kv, true, s->err, sizeof s->err), ST_OK);
    assert_true(shell_reload(s));
}

static void del(struct shell *s, struct slice key)
{
    kv_del(s->st->kv, KV_STATE, key);
    assert_int_equal(kv_write(s->st->kv, true, s->err, sizeof s->err), ST_OK);
    assert_true(shell_reload(s));
}

/* Copies the first row that begins with the prefix. */
static void first(struct shell *s, const struct key *prefix, struct key *ret_key, struct buf *value)
{
    struct key after = key_after(prefix);
    struct kv_iter *it = kv_iter_new(s->st->kv, KV_STATE, NULL, key_slice(prefix), key_slice(&after));
    kv_iter_first(it);
    assert_true(kv_iter_valid(it));
    ret_key->len = 0;
    key_bytes(ret_key, kv_iter_key(it));
    buf_reset(value, 0);
    buf_put_slice(value, kv_iter_value(it));
    kv_iter_free(it);
}

static struct key timer_prefix(enum timer_kind kind)
{
    struct key prefix;
    key_begin(&prefix, 'W');
    key_u8(&prefix, (uint8_t)kind);
    return prefix;
}

static void told(struct shell *s, const char *want)
{
    struct buf out;
    buf_init(&out, 0);
    assert_true(shell_check(s, &out));
    if (!strstr((const char *)out.data, want))
        fail_msg("not told: %s\nbut:\n%s", want, (const char *)out.data);
    buf_free(&out);
}

/* Without the first row of the prefix it is told, and with it the store is sound. */
static void missed(struct shell *s, const struct key *prefix, const char *want)
{
    struct key key;
    struct buf value;
    buf_init(&value, 0);
    shell_sound(s);
    first(s, prefix, &key, &value);
    del(s, key_slice(&key));
    told(s, want);
    put(s, key_slice(&key), buf_slice(&value));
    shell_sound(s);
    buf_free(&value);
}

/* With this row it is told, and without it the store is sound. */
static void added(struct shell *s, const struct key *key, struct slice value, const char *want)
{
    put(s, key_slice(key), value);
    told(s, want);
    del(s, key_slice(key));
    shell_sound(s);
}

/* ---- producer groups ---- */

static void transactions_of_a_producer_group_are_counted(void **state)
{
    struct shell *s = *state;
    struct buf row;
    buf_init(&row, 0);
    s->policy.check_max = 1;
    shell_do(s, "HALF pg t a CHECKIN 1m");
    shell_do(s, "HALF pg t b CHECKIN 1s");
    shell_do(s, "HALF other t c CHECKIN 1m");
    struct key q = key_pgroup_open(slice_str("pg"));
    missed(s, &q, "producer group pg counts 0 pending and 0 parked transactions, and has 2 and 0"); /* young ones */
    shell_pass(s, 2000);
    shell_do(s, "CHECKS pg");
    shell_pass(s, 61000);
    missed(s, &q, "producer group pg counts 0 pending and 0 parked transactions, and has 1 and 1");
    struct pgroup_open_row more = {.pending = 3, .parked = 1};
    pgroup_open_encode(&row, &more);
    put(s, key_slice(&q), buf_slice(&row));
    told(s, "producer group pg counts 3 pending and 1 parked transactions, and has 1 and 1");
    buf_reset(&row, 0);
    more.pending = 1;
    pgroup_open_encode(&row, &more);
    put(s, key_slice(&q), buf_slice(&row));
    struct key none = key_pgroup_open(slice_str("none"));
    added(s, &none, buf_slice(&row), "producer group none counts 1 pending and 1 parked transactions, and has 0 and 0");
    buf_free(&row);
}

/* ---- timers ---- */

/* Puts the first timer of that kind elsewhere, as one that was postponed. */
static void postpone(struct shell *s, enum timer_kind kind, int64_t first_ms)
{
    struct key prefix = timer_prefix(kind), key;
    struct buf value;
    buf_init(&value, 0);
    first(s, &prefix, &key, &value);
    int64_t due_ms = (int64_t)key_read_u64(key.bytes + 2);
    struct timer_row row = {.postponed = 2, .first_ms = first_ms < 0 ? due_ms : first_ms};
    struct key later = key_timer((uint8_t)kind, due_ms + 5000, slice_of(key.bytes + TIMER_WHAT_AT, key.len - TIMER_WHAT_AT));
    buf_reset(&value, 0);
    timer_encode(&value, &row);
    del(s, key_slice(&key));
    put(s, key_slice(&later), buf_slice(&value));
    buf_free(&value);
}

static void cursor_of_g(struct shell *s, struct key *ret_key, struct cursor_row *ret_row)
{
    struct key prefix;
    struct buf value;
    buf_init(&value, 0);
    key_begin(&prefix, 'C');
    first(s, &prefix, ret_key, &value);
    assert_int_equal(cursor_decode(buf_slice(&value), ret_row), ST_OK);
    buf_free(&value);
}

static void put_cursor(struct shell *s, const struct key *key, const struct cursor_row *row)
{
    struct buf value;
    buf_init(&value, 0);
    cursor_encode(&value, row);
    put(s, key_slice(key), buf_slice(&value));
    buf_free(&value);
}

static void leases_have_a_timer(void **state)
{
    struct shell *s = *state;
    struct key prefix = timer_prefix(TIMER_GT), at;
    struct cursor_row row;
    shell_do(s, "SEND t a QUEUE 0");
    shell_do(s, "SEND t b QUEUE 0");
    shell_do(s, "POP g t LEASE 10s");
    missed(s, &prefix, "group g on topic t has no timer for its leases");
    cursor_of_g(s, &at, &row);
    struct cursor_row changed = row;
    changed.timer_ms = 0;
    put_cursor(s, &at, &changed);
    told(s, "group g on topic t has messages that are due before its timer");
    put_cursor(s, &at, &row);
    postpone(s, TIMER_GT, -1);
    shell_sound(s);
    postpone(s, TIMER_GT, 77);
    told(s, "group g on topic t has no timer for its leases");
}

static void messages_that_wait_have_a_timer(void **state)
{
    struct shell *s = *state;
    struct key at;
    struct cursor_row row;
    shell_do(s, "SEND t a QUEUE 0");
    shell_do(s, "POP g t LEASE 10s");
    shell_do(s, "NACK g t:0:0#1 DELAY 1m");
    shell_sound(s);
    cursor_of_g(s, &at, &row);
    assert_int_equal(row.waiting, 1);
    row.timer_ms = 0;
    put_cursor(s, &at, &row);
    told(s, "group g on topic t has messages that are due before its timer");
}

static void delayed_messages_have_a_timer(void **state)
{
    struct shell *s = *state;
    struct key prefix = timer_prefix(TIMER_DELAY);
    shell_do(s, "SEND t a DELAY 1m");
    shell_do(s, "SEND t b DELAY 2m");
    missed(s, &prefix, "has no timer");
    postpone(s, TIMER_DELAY, -1);
    shell_sound(s);
}

static void topics_that_forget_have_a_timer(void **state)
{
    struct shell *s = *state;
    struct key prefix = timer_prefix(TIMER_CUT), key = key_topic(slice_str("t"));
    struct buf value;
    struct topic_row row;
    shell_expect(s, "OK", "TOPIC CREATE t QUEUES 1 RETENTION 1h");
    shell_do(s, "SEND t a");
    missed(s, &prefix, "topic t has no timer for when its oldest messages are deleted");
    buf_init(&value, 0);
    first(s, &key, &key, &value);
    assert_int_equal(topic_decode(buf_slice(&value), &row), ST_OK);
    row.cut_ms = 0;
    buf_reset(&value, 0);
    topic_encode(&value, &row);
    put(s, key_slice(&key), buf_slice(&value));
    told(s, "topic t has a RETENTION, and does not know when its oldest messages are deleted");
    buf_free(&value);
}

static void transactions_have_a_timer(void **state)
{
    struct shell *s = *state;
    struct key prefix = timer_prefix(TIMER_TXN);
    shell_do(s, "HALF pg t a CHECKIN 1m");
    shell_pass(s, 1000);
    missed(s, &prefix, "for its");
    postpone(s, TIMER_TXN, -1);
    shell_sound(s);
}

static void what_is_left_over_has_a_timer(void **state)
{
    struct shell *s = *state;
    struct key topic = timer_prefix(TIMER_TOPIC_GONE), group = timer_prefix(TIMER_GROUP_GONE);
    shell_do(s, "SEND t a");
    shell_do(s, "SEND u a");
    for (int i = 0; i < 3; i++)
        shell_do(s, "GROUP CREATE g%d t", i);
    shell_do(s, "GROUP CREATE g0 u");
    s->st->gone_left = 1;
    shell_add(s, "TOPIC DELETE t");
    assert_true(shell_write(s));
    missed(s, &topic, "group g1 on topic t is left over of a deleted one, and nothing deletes it");
    for (int i = 0; i < 5; i++)
        shell_pass(s, 1000);
    shell_sound(s);
    s->st->gone_left = 0;
    shell_add(s, "GROUP DELETE g0");
    assert_true(shell_write(s));
    missed(s, &group, "group g0 on topic u is left over of a deleted one, and nothing deletes it");
}

/* Rows that no version writes: a kind that does not exist, and each kind with something else behind it. */
static void timers_have_a_form(void **state)
{
    struct shell *s = *state;
    shell_do(s, "SEND t a");
    for (uint8_t kind = 0; kind <= TIMER_KINDS; kind++) {
        bool names = kind == TIMER_TXN || kind == TIMER_DELAY || kind == 0 || kind == TIMER_KINDS;
        struct key key = key_timer(kind, SHELL_TIME + 1000, names ? SLICE_LIT("name") : SLICE_LIT("12345678"));
        added(s, &key, slice_of(NULL, 0), "a row of the store is damaged: its key is 'W");
    }
}

/* What an ORDERED group has passed over waits in long runs, once it is not ORDERED any more: they may end behind the queue. */
static void long_runs_are_none_of_messages_that_are_not_there(void **state)
{
    struct shell *s = *state;
    shell_expect(s, "OK", "TOPIC CREATE t QUEUES 1");
    shell_expect(s, "OK", "GROUP CREATE g t ORDERED");
    for (int i = 0; i < 5; i++)
        shell_do(s, "SEND t %d ORDER k", i);
    shell_do(s, "POP g t");
    shell_do(s, "POP g t");
    shell_sound(s);
    shell_expect(s, "OK", "GROUP SET g t ORDERED no");
    shell_pass(s, 1000);
    shell_sound(s);
}

/* ---- users ---- */

static void users_can_be_read(void **state)
{
    struct shell *s = *state;
    struct buf value;
    struct user_row row;
    shell_expect(s, "OK", "ACL SETUSER ann on nopass +@read ~t*");
    shell_expect(s, "OK", "ACL SETUSER default off");
    shell_sound(s);
    struct key ann = key_user(slice_str("ann")), other = key_user(slice_str("a/b")), key;
    added(s, &other, SLICE_LIT("\1"), "user a/b has a name that no user can have");
    buf_init(&value, 0);
    first(s, &ann, &key, &value);
    for (size_t n = 0; n < value.len; n++) { /* cut anywhere */
        put(s, key_slice(&ann), slice_of(value.data, n));
        told(s, "user ann has a row that cannot be decoded");
    }
    assert_int_equal(user_row_decode(buf_slice(&value), &row), ST_OK);
    row.ref = s->st->meta.next_ref + 1;
    struct buf changed;
    buf_init(&changed, 0);
    user_row_encode(&changed, &row);
    put(s, key_slice(&ann), buf_slice(&changed));
    told(s, "user ann was changed by number");
    put(s, key_slice(&ann), buf_slice(&value));
    shell_sound(s);
    for (int i = 0; i <= USERS_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "u%d", i);
        struct key one = key_user(slice_str(name));
        kv_put(s->st->kv, KV_STATE, key_slice(&one), buf_slice(&value));
    }
    assert_int_equal(kv_write(s->st->kv, true, s->err, sizeof s->err), ST_OK);
    told(s, "there are 1002 users, and at most 1000 are possible");
    buf_free(&changed);
    buf_free(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(transactions_of_a_producer_group_are_counted),
        SHELL_TEST(leases_have_a_timer),
        SHELL_TEST(messages_that_wait_have_a_timer),
        SHELL_TEST(delayed_messages_have_a_timer),
        SHELL_TEST(topics_that_forget_have_a_timer),
        SHELL_TEST(transactions_have_a_timer),
        SHELL_TEST(what_is_left_over_has_a_timer),
        SHELL_TEST(timers_have_a_form),
        SHELL_TEST(long_runs_are_none_of_messages_that_are_not_there),
        SHELL_TEST(users_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
