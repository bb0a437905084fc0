/* The hash table of pointers: random adds and removals against a plain list, with hashes that collide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/base/text.h"
#include "storage/disk/table.h"
#include "tests/lib/prng.h"

#define ITEMS 300

struct item {
    char name[12];
    bool in;
};

static struct slice name_of(const void *item)
{
    return slice_str(((const struct item *)item)->name);
}

/* Few different hashes, so that rows of collisions run into one another and around the end. */
static uint64_t hash_of(const struct item *item, uint64_t spread)
{
    return text_hash(name_of(item)) % spread + 50;
}

static void check_all(const struct table *t, struct item *items, uint64_t spread)
{
    uint32_t n = 0, seen = 0, at = 0;
    for (uint32_t i = 0; i < ITEMS; i++) {
        void *found = table_find(t, hash_of(&items[i], spread), name_of(&items[i]));
        assert_ptr_equal(found, items[i].in ? &items[i] : NULL);
        n += items[i].in;
    }
    for (struct item *item = table_next(t, &at); item; item = table_next(t, &at)) {
        assert_true(item->in);
        seen++;
    }
    assert_int_equal(seen, n);
    assert_int_equal(t->n, n);
}

static void random_use(struct prng *p, uint64_t spread)
{
    static struct item items[ITEMS];
    struct table t;
    table_init(&t, name_of);
    for (uint32_t i = 0; i < ITEMS; i++) {
        (void)snprintf(items[i].name, sizeof(items[i].name), "n%u", i);
        items[i].in = false;
    }
    for (int step = 0; step < 4000; step++) {
        struct item *item = &items[prng_below(p, ITEMS)];
        if (item->in)
            table_remove(&t, hash_of(item, spread), name_of(item));
        else
            assert_true(table_add(&t, hash_of(item, spread), item));
        item->in = !item->in;
        if (step % 100 == 0)
            check_all(&t, items, spread);
    }
    check_all(&t, items, spread);
    table_fini(&t);
}

static void against_a_list(void **state)
{
    (void)state;
    struct prng p = prng_start();
    static const uint64_t spreads[] = {1, 7, 64, 1000, UINT64_MAX};
    for (size_t i = 0; i < sizeof(spreads) / sizeof(spreads[0]); i++)
        random_use(&p, spreads[i]);
}

static void empty(void **state)
{
    (void)state;
    struct table t;
    uint32_t at = 0;
    table_init(&t, name_of);
    assert_null(table_find(&t, 1, SLICE_LIT("a")));
    assert_null(table_next(&t, &at));
    table_remove(&t, 1, SLICE_LIT("a"));
    table_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_a_list), cmocka_unit_test(empty)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
