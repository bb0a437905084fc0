/* test_store_checksum.c: the checksum that RocksDB calls is ours, and is CRC-32C. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <rocksdb/c.h>

#include "broker/base/store_checksum.h"

static uint32_t bit_by_bit(uint32_t crc, const char *data, size_t n)
{
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= (uint8_t)data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static void values(void **state)
{
    (void)state;
    static char data[70000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 2654435761u >> 13);
    assert_true(store_checksum_is_right());
    for (size_t n = 0; n < 300; n++)
        assert_int_equal(store_checksum(0, data + n % 17, n), bit_by_bit(0, data + n % 17, n));
    for (size_t n = 1; n < sizeof data - 8; n = n * 3 + 1)
        assert_int_equal(store_checksum(77, data + n % 8, n), bit_by_bit(77, data + n % 8, n));
}

static void goes_on(void **state)
{
    (void)state;
    const char *text = "what is behind it counts as if it had come at once";
    size_t n = strlen(text);
    for (size_t i = 0; i <= n; i++)
        assert_int_equal(store_checksum(store_checksum(0, text, i), text + i, n - i), bit_by_bit(0, text, n));
}

/* RocksDB's own function is behind it: who looks the name up finds ours. */
static void is_in_front(void **state)
{
    (void)state;
    rocksdb_options_t *options = rocksdb_options_create(); /* RocksDB is linked */
    rocksdb_options_destroy(options);
    void *found = dlsym(RTLD_DEFAULT, "_ZN7rocksdb6crc32c6ExtendEjPKcm");
    uint32_t (*ours)(uint32_t, const char *, size_t) = store_checksum;
    assert_non_null(found);
    assert_memory_equal(&found, &ours, sizeof found);
    assert_non_null(dlsym(RTLD_NEXT, "_ZN7rocksdb6crc32c6ExtendEjPKcm")); /* and RocksDB still has one of this name */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(goes_on),
        cmocka_unit_test(is_in_front),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
