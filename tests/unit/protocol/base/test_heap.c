/*
 * test_heap.c: the heap of deadlines against a plain search of all nodes: random additions, moves and removals, with
 * few different deadlines and with many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/heap.h"
#include "tests/lib/prng.h"

#define NODES 500

/* Checks that each node knows its place, and that no child is earlier than its parent. */
static void check_order(const struct heap *h)
{
    for (uint32_t i = 0; i < h->n; i++) {
        assert_int_equal(h->nodes[i]->place, i + 1);
        assert_true(i == 0 || h->nodes[(i - 1) / 2]->due <= h->nodes[i]->due);
    }
}

/* Checks that the first node is one with the earliest deadline. */
static void check_first(const struct heap *h, const struct heap_node *nodes)
{
    uint32_t n = 0;
    int64_t least = INT64_MAX;
    for (uint32_t i = 0; i < NODES; i++) {
        if (!heap_has(&nodes[i]))
            continue;
        n++;
        least = nodes[i].due < least ? nodes[i].due : least;
    }
    assert_int_equal(h->n, n);
    if (n)
        assert_true(heap_first(h)->due == least);
    else
        assert_null(heap_first(h));
}

static void random_use(struct prng *p, uint64_t spread)
{
    struct heap_node nodes[NODES] = {0};
    struct heap h = {0};
    for (int step = 0; step < 20000; step++) {
        struct heap_node *node = &nodes[prng_below(p, NODES)];
        if (prng_below(p, 3) == 0)
            heap_remove(&h, node);
        else
            assert_true(heap_set(&h, node, (int64_t)prng_below(p, spread) - 10));
        check_first(&h, nodes);
        if (step % 100 == 0)
            check_order(&h);
    }
    int64_t last = INT64_MIN;
    for (struct heap_node *first; (first = heap_first(&h));) {
        assert_true(first->due >= last);
        last = first->due;
        heap_remove(&h, first);
    }
    check_first(&h, nodes);
    heap_free(&h);
}

static void against_a_search(void **state)
{
    (void)state;
    struct prng p = prng_start();
    random_use(&p, 1);
    random_use(&p, 20);
    random_use(&p, UINT64_C(1) << 62);
}

static void a_node_is_in_once(void **state)
{
    (void)state;
    struct heap h = {0};
    struct heap_node a = {0}, b = {0};
    assert_null(heap_first(&h));
    heap_remove(&h, &a); /* it is not in the heap */
    assert_true(heap_set(&h, &a, 5) && heap_set(&h, &b, 3) && heap_set(&h, &a, 1));
    assert_int_equal(h.n, 2);
    assert_ptr_equal(heap_first(&h), &a);
    heap_remove(&h, &a);
    heap_remove(&h, &a);
    assert_false(heap_has(&a));
    assert_ptr_equal(heap_first(&h), &b);
    heap_put(&h, &b, 7); /* moving a node needs no room */
    assert_true(heap_first(&h)->due == 7);
    heap_free(&h);
    struct heap_node many[200] = {0};
    assert_true(heap_reserve(&h, 200));
    for (int i = 0; i < 200; i++)
        heap_put(&h, &many[i], -i);
    assert_ptr_equal(heap_first(&h), &many[199]);
    heap_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_a_search),
        cmocka_unit_test(a_node_is_in_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
