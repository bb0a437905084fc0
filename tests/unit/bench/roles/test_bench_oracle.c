/*
 * test_bench_oracle.c: tests the load tester's oracle, which remembers every message and finds what is lost, doubled,
 * damaged or reordered, and the checksums that it uses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "bench/options/body.h"
#include "bench/roles/oracle.h"

static struct oracle_verdict judged(struct oracle *o)
{
    struct oracle_verdict v;
    oracle_judge(o, &v);
    return v;
}

/* Makes an oracle with n messages of key 0, stored in queue 2 from offset 10 on, and not received yet. */
static struct oracle *stored(uint32_t n)
{
    struct oracle *o = oracle_new(4);
    uint64_t seq;
    assert_non_null(o);
    assert_true(oracle_send(o, 0, n, &seq));
    assert_int_equal(seq, 0);
    for (uint32_t i = 0; i < n; i++)
        oracle_answered(o, 0, i, 2, 10 + i);
    return o;
}

static void take_all(struct oracle *o, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        assert_true(oracle_took(o, 0, i, 2, 10 + i, true));
        oracle_acked(o, 0, i);
    }
}

static void assert_clean(struct oracle_verdict v)
{
    assert_int_equal(v.lost, 0);
    assert_int_equal(v.doubled, 0);
    assert_int_equal(v.reordered, 0);
    assert_int_equal(v.damaged, 0);
}

static void a_good_run_is_clean(void **state)
{
    (void)state;
    struct oracle *o = stored(100);
    take_all(o, 100);
    struct oracle_verdict v = judged(o);
    assert_clean(v);
    assert_int_equal(v.sent, 100);
    assert_int_equal(v.answered, 100);
    assert_int_equal(v.taken, 100);
    assert_int_equal(v.acked, 100);
    oracle_free(o);
}

static void answered_and_never_taken_is_lost(void **state)
{
    (void)state;
    struct oracle *o = stored(10);
    uint64_t seq;
    assert_true(oracle_send(o, 0, 5, &seq)); /* it has no reply, so nothing was promised */
    for (uint32_t i = 0; i < 10; i++) {
        if (i != 3 && i != 7)
            oracle_took(o, 0, i, 2, 10 + i, true);
    }
    assert_int_equal(judged(o).lost, 2);
    oracle_free(o);
}

static void taken_before_it_is_answered_is_fine(void **state)
{
    (void)state;
    struct oracle *o = oracle_new(1);
    uint64_t seq;
    assert_true(oracle_send(o, 0, 1, &seq));
    assert_true(oracle_took(o, 0, 0, 1, 5, true));
    oracle_answered(o, 0, 0, 1, 5);
    assert_clean(judged(o));
    oracle_free(o);
}

static void again_before_the_ack_is_redelivered(void **state)
{
    (void)state;
    struct oracle *o = stored(2);
    assert_true(oracle_took(o, 0, 0, 2, 10, true));
    assert_false(oracle_took(o, 0, 0, 2, 10, true));
    assert_true(oracle_took(o, 0, 1, 2, 11, true));
    assert_clean(judged(o));
    assert_int_equal(judged(o).redelivered, 1);
    oracle_free(o);
}

static void again_after_the_ack_is_doubled(void **state)
{
    (void)state;
    struct oracle *o = stored(5);
    take_all(o, 5);
    assert_false(oracle_took(o, 0, 1, 2, 11, true));
    assert_int_equal(judged(o).doubled, 1);
    assert_false(oracle_took(o, 0, 1, 2, 11, true)); /* still the same message */
    assert_int_equal(judged(o).doubled, 1);
    oracle_free(o);
}

static void two_ids_of_one_message_are_doubled(void **state)
{
    (void)state;
    struct oracle *o = stored(3);
    take_all(o, 3);
    assert_false(oracle_took(o, 0, 2, 2, 99, true)); /* it was stored twice */
    assert_int_equal(judged(o).doubled, 1);
    oracle_answered(o, 0, 0, 2, 77); /* a repetition got another id */
    assert_int_equal(judged(o).doubled, 2);
    oracle_free(o);
}

static void a_later_one_in_front_is_reordered(void **state)
{
    (void)state;
    struct oracle *o = oracle_new(2);
    static const uint64_t offsets[] = {10, 12, 11, 13};
    uint64_t seq;
    assert_true(oracle_send(o, 1, 4, &seq));
    for (uint32_t i = 0; i < 4; i++) {
        oracle_answered(o, 1, i, 0, offsets[i]);
        oracle_took(o, 1, i, 0, offsets[i], true);
    }
    assert_int_equal(judged(o).reordered, 1);
    assert_int_equal(judged(o).lost + judged(o).doubled, 0);
    oracle_excuse(o, 1, 2, 1); /* it was refused once, and sent again */
    assert_int_equal(judged(o).reordered, 0);
    oracle_free(o);
}

static void another_queue_is_reordered(void **state)
{
    (void)state;
    struct oracle *o = stored(2);
    uint64_t seq;
    assert_true(oracle_send(o, 0, 1, &seq));
    oracle_answered(o, 0, 2, 3, 500);
    take_all(o, 2);
    oracle_took(o, 0, 2, 3, 500, true);
    assert_int_equal(judged(o).reordered, 1);
    oracle_free(o);
}

static void what_was_never_sent_is_damage(void **state)
{
    (void)state;
    struct oracle *o = stored(1);
    assert_false(oracle_took(o, 0, 1, 2, 11, true));
    assert_false(oracle_took(o, 9, 0, 2, 12, true));
    assert_false(oracle_took(o, 0, 0, 2, 10, false));
    assert_int_equal(judged(o).damaged, 3);
    assert_int_equal(judged(o).lost, 1); /* it was never received undamaged */
    oracle_free(o);
}

/* Each body is different, and the same when it is made again; JSON bodies start with a whole document. */
static void bodies_of_every_kind(void **state)
{
    (void)state;
    static const char *const names[] = {"filler", "random", "json"};
    uint8_t body[300], again[300], other[300];
    for (int i = 0; i < 3; i++) {
        struct body_pool pool;
        enum body_kind kind;
        assert_true(body_kind_find(names[i], &kind));
        assert_true(body_pool_init(&pool, kind, sizeof body, 1));
        for (uint64_t seq = 0; seq < 2000; seq++) {
            struct body_head head = {.key = 9, .seq = seq}, next = {.key = 9, .seq = seq + 1};
            body_make(&pool, &head, true, body, sizeof body);
            body_make(&pool, &head, true, again, sizeof again);
            assert_memory_equal(body, again, sizeof body);
            assert_true(body_whole(slice_of(body, sizeof body)));
            body_make(&pool, &next, true, other, sizeof other);
            assert_memory_not_equal(body + BODY_HEAD_BYTES, other + BODY_HEAD_BYTES,
                                    sizeof body - BODY_HEAD_BYTES);
            if (kind == BODY_JSON)
                assert_memory_equal(body + BODY_HEAD_BYTES, "{\"order\":", 9);
            body_make(&pool, &head, false, body, 20); /* too short for a header */
            if (kind == BODY_JSON)
                assert_memory_equal(body, "{\"order\":", 9);
        }
        body_pool_fini(&pool);
    }
    enum body_kind kind;
    assert_false(body_kind_find("xml", &kind));
}

static void bodies_know_themselves(void **state)
{
    (void)state;
    struct body_pool pool;
    struct body_head head = {.run = 7, .key = 9, .seq = UINT64_C(1) << 40, .stamp_ns = 123456789},
                     got;
    uint8_t body[200], again[200];
    assert_true(body_pool_init(&pool, BODY_FILLER, sizeof body, 1));
    body_make(&pool, &head, true, body, sizeof body);
    body_make(&pool, &head, true, again, sizeof again);
    assert_memory_equal(body, again, sizeof body);
    assert_true(body_read(slice_of(body, sizeof body), &got));
    assert_int_equal(got.run, head.run);
    assert_int_equal(got.key, head.key);
    assert_int_equal(got.seq, head.seq);
    assert_int_equal(got.stamp_ns, head.stamp_ns);
    assert_true(body_whole(slice_of(body, sizeof body)));
    for (size_t i = 0; i < sizeof body; i++) {
        body[i] ^= 0x10;
        assert_false(body_whole(slice_of(body, sizeof body)));
        body[i] ^= 0x10;
    }
    assert_false(body_whole(slice_of(body, sizeof body - 1)));
    body_make(&pool, &head, false, body, sizeof body);
    assert_false(body_whole(slice_of(body, sizeof body)));
    assert_false(body_read(slice_of(body, BODY_HEAD_BYTES - 1), &got));
    body_make(&pool, &head, true, body, 0);
    body_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_run_is_clean),
        cmocka_unit_test(answered_and_never_taken_is_lost),
        cmocka_unit_test(taken_before_it_is_answered_is_fine),
        cmocka_unit_test(again_before_the_ack_is_redelivered),
        cmocka_unit_test(again_after_the_ack_is_doubled),
        cmocka_unit_test(two_ids_of_one_message_are_doubled),
        cmocka_unit_test(a_later_one_in_front_is_reordered),
        cmocka_unit_test(another_queue_is_reordered),
        cmocka_unit_test(what_was_never_sent_is_damage),
        cmocka_unit_test(bodies_know_themselves), cmocka_unit_test(bodies_of_every_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
