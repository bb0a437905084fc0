/* test_storage_ahead.c: tests that rows which were read ahead are found by their queue and offset, and that of the rows kept whole
 * each is its own, or none where there is no room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storage/disk/ahead.h"

static struct ahead *new_ahead(void)
{
    struct ahead *a = calloc(1, sizeof(*a));
    assert_non_null(a);
    return a;
}

static void add(struct ahead *a, struct ahead_slot *slot, uint64_t base, uint8_t columns, uint8_t fill, size_t len)
{
    static uint8_t value[AHEAD_VALUE_BYTES + 1];
    memset(value, fill, len);
    ahead_add(a, slot, &(struct record_info){.base = base, .count = 10, .columns = columns}, slice_of(value, len));
}

static void has(const struct ahead *a, uint64_t topic, uint64_t base, uint8_t fill, size_t len)
{
    struct slice value = ahead_value(a, topic, 0, base);
    assert_int_equal(value.len, len);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(value.data[i], fill);
}

static void each_row_has_its_own_value(void **state)
{
    (void)state;
    struct ahead *a = new_ahead();
    struct ahead_slot *slot = ahead_slot(a, 7, 0);
    assert_non_null(slot);
    add(a, slot, 0, 1, 'a', 100);
    add(a, slot, 10, 0, 'b', 100); /* without columns its value is not needed */
    add(a, slot, 20, 1, 'c', AHEAD_VALUE_BYTES); /* no room */
    add(a, slot, 30, 1, 'd', 200);
    has(a, 7, 0, 'a', 100);
    has(a, 7, 10, 0, 0);
    has(a, 7, 20, 0, 0);
    has(a, 7, 30, 'd', 200);
    has(a, 7, 5, 0, 0);
    has(a, 8, 0, 0, 0);
    assert_int_equal(ahead_recall(a, 7, 0, 25)->base, 20);
    assert_null(ahead_recall(a, 7, 0, 40));
    slot = ahead_slot(a, 7, 0); /* filled anew */
    has(a, 7, 0, 0, 0);
    add(a, slot, 40, 1, 'e', AHEAD_VALUE_BYTES);
    has(a, 7, 40, 'e', AHEAD_VALUE_BYTES);
    ahead_free(a);
    free(a);
}

static void only_some_slots_keep_values(void **state)
{
    (void)state;
    struct ahead *a = new_ahead();
    for (uint32_t q = 0; q < AHEAD_VALUES + 10; q++)
        add(a, ahead_slot(a, 7, q), 0, 1, 'v', 10);
    uint32_t n = 0;
    for (uint32_t q = 0; q < AHEAD_VALUES + 10; q++)
        n += ahead_value(a, 7, q, 0).len == 10;
    assert_int_equal(n, AHEAD_VALUES);
    ahead_free(a);
    free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_has_its_own_value),
        cmocka_unit_test(only_some_slots_keep_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
