/*
 * test_hash.c: the hash table against a plain list: random additions and removals, with hashes that collide, with
 * hashes that ascend, and with hashes that are equal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "tests/lib/prng.h"

#define ITEMS 400

struct item {
    struct hash_node node; /* first, so that a node's address is that of its item */
    uint64_t hash;
    bool in;
    uint32_t walked;
};

static struct item *find(const struct hash *h, const struct item *item)
{
    struct hash_node *n = hash_first(h, item->hash);
    while (n && n != &item->node)
        n = hash_more(n);
    return (struct item *)n;
}

static void check_all(const struct hash *h, struct item *items)
{
    size_t n = 0, walked = 0;
    for (uint32_t i = 0; i < ITEMS; i++) {
        assert_ptr_equal(find(h, &items[i]), items[i].in ? &items[i] : NULL);
        n += items[i].in;
        items[i].walked = 0;
    }
    for (struct hash_node *node = hash_walk(h, NULL); node; node = hash_walk(h, node), walked++)
        assert_true(((struct item *)node)->in && ((struct item *)node)->walked++ == 0);
    assert_int_equal(walked, n);
    assert_int_equal(h->n, n);
}

static void random_use(struct prng *p, struct item *items)
{
    struct hash h = {0};
    for (int step = 0; step < 4000; step++) {
        struct item *item = &items[prng_below(p, ITEMS)];
        if (item->in)
            hash_remove(&h, &item->node);
        else
            hash_add(&h, &item->node, item->hash);
        item->in = !item->in;
        if (step % 100 == 0)
            hash_trim(&h);
        if (step % 100 == 0)
            check_all(&h, items);
    }
    check_all(&h, items);
    for (struct hash_node *node = hash_walk(&h, NULL), *next; node; node = next) {
        next = hash_walk(&h, node);
        ((struct item *)node)->in = false;
        hash_remove(&h, node);
    }
    check_all(&h, items);
    hash_free(&h);
    assert_null(hash_walk(&h, NULL));
}

static void against_a_list(void **state)
{
    (void)state;
    static struct item items[ITEMS];
    struct prng p = prng_start();
    const uint64_t spreads[] = {1, 7, 64, 1000, UINT64_MAX};
    for (size_t i = 0; i < sizeof spreads / sizeof *spreads; i++) {
        for (uint32_t k = 0; k < ITEMS; k++)
            items[k].hash = prng_below(&p, spreads[i]);
        random_use(&p, items);
    }
    for (uint32_t k = 0; k < ITEMS; k++) /* ids that ascend, past the largest of 32 bits */
        items[k].hash = UINT64_C(0xffffff00) + k;
    random_use(&p, items);
}

static void gives_buckets_back(void **state)
{
    (void)state;
    static struct item items[ITEMS];
    struct hash h = {0};
    for (uint32_t k = 0; k < ITEMS; k++) {
        items[k].hash = k;
        hash_add(&h, &items[k].node, k);
    }
    size_t most = h.mask;
    hash_trim(&h);
    assert_int_equal(h.mask, most);
    for (uint32_t k = 2; k < ITEMS; k++)
        hash_remove(&h, &items[k].node);
    hash_trim(&h);
    assert_true(h.mask < most / 4 && find(&h, &items[0]) && find(&h, &items[1]));
    hash_free(&h);
    hash_trim(&h);
}

static void empty(void **state)
{
    (void)state;
    struct hash h = {0};
    assert_null(hash_first(&h, 0));
    assert_null(hash_walk(&h, NULL));
    hash_free(&h);
}

static void equal_hashes_are_all_found(void **state)
{
    (void)state;
    struct hash h = {0};
    struct item items[4] = {0};
    for (uint32_t i = 0; i < 4; i++)
        hash_add(&h, &items[i].node, i < 3 ? 9 : 9 + 64); /* the fourth is in the same bucket */
    uint32_t n = 0;
    for (struct hash_node *node = hash_first(&h, 9); node; node = hash_more(node), n++)
        assert_true(node != &items[3].node);
    assert_int_equal(n, 3);
    hash_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_a_list),
        cmocka_unit_test(gives_buckets_back), cmocka_unit_test(empty),
        cmocka_unit_test(equal_hashes_are_all_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
