/* test_storage_keyring.c: tests keys, holders and who waits behind them: each change by itself, and many at random
 * against a list of messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage/order/keyring.h"
#include "tests/lib/prng.h"

static int block; /* something to point to */

static struct ring_place place(uint32_t queue, uint64_t offset, uint32_t key)
{
    return (struct ring_place){.offset = offset, .index = offset / 10, .queue = queue, .key = key, .bytes = 7};
}

static void hold(struct keyring *kr, uint64_t offset, uint32_t key)
{
    struct ring_place p = place(0, offset, key);
    assert_int_equal(keyring_hold(kr, &p), ST_OK);
}

static void pass(struct keyring *kr, uint64_t offset, uint32_t key)
{
    struct ring_place p = place(0, offset, key);
    assert_int_equal(keyring_skip(kr, &p, &block), ST_OK);
}

static struct ring_message *find(struct keyring *kr, uint64_t offset)
{
    struct ring_message *m = keyring_find(kr, 0, offset);
    assert_non_null(m);
    return m;
}

static void one_after_the_other(void **state)
{
    (void)state;
    struct keyring kr = {0};
    assert_false(keyring_knows(&kr, 0, 5));
    hold(&kr, 10, 5);
    assert_true(keyring_knows(&kr, 0, 5) && !keyring_knows(&kr, 1, 5) && !keyring_knows(&kr, 0, 6));
    pass(&kr, 12, 5);
    pass(&kr, 17, 5);
    assert_false(keyring_ready(&kr, find(&kr, 12)));
    assert_true(keyring_first(&kr, find(&kr, 10)));
    struct ring_message *m = keyring_free(&kr, find(&kr, 10));
    assert_true(m && m->offset == 12 && m->index == 1 && m->bytes == 7 && m->block == &block);
    assert_true(keyring_ready(&kr, m) && !keyring_ready(&kr, find(&kr, 17)));
    keyring_take(&kr, m);
    assert_true(keyring_knows(&kr, 0, 5) && !keyring_ready(&kr, find(&kr, 17)));
    m = keyring_free(&kr, find(&kr, 12));
    assert_true(m && m->offset == 17);
    assert_null(keyring_drop(&kr, m));
    assert_false(keyring_knows(&kr, 0, 5));
    assert_null(keyring_find(&kr, 0, 17));
    assert_false(kr.tangled);
    keyring_free_all(&kr);
}

/* A message without a key that is skipped all the same (its record cannot be read any more) is ready at once. */
static void without_key(void **state)
{
    (void)state;
    struct keyring kr = {0};
    pass(&kr, 3, 0);
    assert_true(keyring_ready(&kr, find(&kr, 3)));
    keyring_take(&kr, find(&kr, 3));
    assert_null(keyring_find(&kr, 0, 3));
    pass(&kr, 4, 0);
    assert_null(keyring_drop(&kr, find(&kr, 4)));
    assert_int_equal(kr.messages.n + kr.keys.n, 0);
    keyring_free_all(&kr);
}

/* Several holders, as after ORDERED was switched on: those that fail wait in order. */
static void tangled(void **state)
{
    (void)state;
    struct keyring kr = {0};
    hold(&kr, 30, 5);
    hold(&kr, 10, 5);
    hold(&kr, 20, 5);
    pass(&kr, 40, 5);
    assert_true(kr.tangled);
    assert_false(keyring_first(&kr, find(&kr, 10)));
    assert_null(keyring_demote(&kr, find(&kr, 20), &block));
    assert_null(keyring_demote(&kr, find(&kr, 10), &block));
    assert_false(keyring_first(&kr, find(&kr, 30)));
    struct ring_message *m = keyring_demote(&kr, find(&kr, 30), &block);
    for (uint64_t want = 10; want <= 40; want += 10) {
        assert_true(m && m->offset == want);
        keyring_take(&kr, m);
        m = keyring_free(&kr, find(&kr, want));
    }
    assert_null(m);
    assert_int_equal(kr.keys.n, 0);
    keyring_free_all(&kr);
}

/* arg: of queue 0; nothing is below the floor of others. */
static uint64_t floor_of(const void *arg, uint32_t queue)
{
    const uint64_t *floor = arg;
    return queue == 0 ? *floor : 0;
}

static void cut(void **state)
{
    (void)state;
    struct keyring kr = {0};
    hold(&kr, 10, 5);
    pass(&kr, 11, 5);
    pass(&kr, 30, 5);
    pass(&kr, 31, 5);
    hold(&kr, 12, 6);
    hold(&kr, 40, 7);
    pass(&kr, 41, 7);
    pass(&kr, 13, 0);
    struct ring_place other = place(1, 10, 5);
    assert_int_equal(keyring_hold(&kr, &other), ST_OK);
    uint64_t floor = 30;
    keyring_cut(&kr, floor_of, &floor);
    assert_int_equal(kr.messages.n, 5);
    assert_int_equal(kr.keys.n, 3);
    assert_true(keyring_ready(&kr, find(&kr, 30)) && !keyring_ready(&kr, find(&kr, 31)));
    assert_true(keyring_knows(&kr, 1, 5) && !keyring_knows(&kr, 0, 6) && keyring_knows(&kr, 0, 7));
    floor = UINT64_MAX;
    keyring_cut(&kr, floor_of, &floor);
    assert_int_equal(kr.messages.n, 1);
    keyring_free_all(&kr);
}

#define OFFSETS 600
#define KEYS 40

enum is { IS_FRESH, IS_HELD, IS_SKIPPED, IS_DONE };

struct expected {
    struct keyring kr;
    struct prng p;
    enum is is[OFFSETS];
    uint32_t key[OFFSETS];
};

/* The only message of a key that may be out, or be taken next: the first that is not done. */
static uint32_t first_of(const struct expected *e, uint32_t key)
{
    uint32_t o = 0;
    while (o < OFFSETS && (e->key[o] != key || e->is[o] == IS_DONE))
        o++;
    return o;
}

static void check(struct expected *e)
{
    uint32_t n = 0;
    for (uint32_t o = 0; o < OFFSETS; o++) {
        struct ring_message *m = keyring_find(&e->kr, 0, o);
        assert_int_equal(m != NULL, e->is[o] == IS_HELD || e->is[o] == IS_SKIPPED);
        n += m != NULL;
        if (m)
            assert_int_equal(m->block != NULL, e->is[o] == IS_SKIPPED);
        if (m && e->is[o] == IS_SKIPPED)
            assert_int_equal(keyring_ready(&e->kr, m), first_of(e, e->key[o]) == o);
    }
    assert_int_equal(e->kr.messages.n, n);
    for (uint32_t key = 1; key <= KEYS; key++) {
        uint32_t o = first_of(e, key);
        assert_int_equal(keyring_knows(&e->kr, 0, key), o < OFFSETS && e->is[o] != IS_FRESH);
    }
    uint32_t walked = 0;
    for (struct ring_message *m = keyring_walk(&e->kr, NULL); m; m = keyring_walk(&e->kr, m))
        walked++;
    assert_int_equal(walked, n);
}

static void check_next(struct expected *e, const struct ring_message *m, uint32_t key)
{
    uint32_t o = first_of(e, key);
    bool ready = o < OFFSETS && e->is[o] == IS_SKIPPED;
    assert_int_equal(m != NULL, ready);
    if (m)
        assert_int_equal(m->offset, o);
}

static void change(struct expected *e, uint32_t o)
{
    uint32_t key = e->key[o];
    struct ring_message *m = keyring_find(&e->kr, 0, o);
    if (e->is[o] == IS_FRESH && !keyring_knows(&e->kr, 0, key)) {
        hold(&e->kr, o, key);
        e->is[o] = IS_HELD;
    } else if (e->is[o] == IS_FRESH) {
        pass(&e->kr, o, key);
        e->is[o] = IS_SKIPPED;
    } else if (e->is[o] == IS_HELD) {
        e->is[o] = IS_DONE;
        check_next(e, keyring_free(&e->kr, m), key);
    } else if (e->is[o] == IS_SKIPPED && keyring_ready(&e->kr, m) && prng_below(&e->p, 2)) {
        keyring_take(&e->kr, m);
        e->is[o] = IS_HELD;
    } else if (e->is[o] == IS_SKIPPED && keyring_ready(&e->kr, m)) {
        e->is[o] = IS_DONE;
        check_next(e, keyring_drop(&e->kr, m), key);
    }
}

/* A cursor that passes, and messages behind it that are done in any order. */
static void many_at_random(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct expected e = {.kr = {.tangled = false}};
        e.p = prng_from(seed);
        for (uint32_t o = 0; o < OFFSETS; o++)
            e.key[o] = 1 + (uint32_t)prng_below(&e.p, KEYS);
        for (uint32_t next = 0, step = 0; next < OFFSETS || step % 50; step++) {
            bool fresh = next < OFFSETS && prng_below(&e.p, 3) == 0;
            change(&e, fresh ? next++ : (uint32_t)prng_below(&e.p, next ? next : 1));
            if (next == 0)
                next = 1;
            if (step % 25 == 0)
                check(&e);
        }
        assert_false(e.kr.tangled);
        keyring_free_all(&e.kr);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_after_the_other), cmocka_unit_test(without_key), cmocka_unit_test(tangled),
        cmocka_unit_test(cut), cmocka_unit_test(many_at_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
