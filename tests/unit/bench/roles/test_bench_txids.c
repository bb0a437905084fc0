/* test_bench_txids.c: tests that undecided transactions are found until they are taken out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/roles/txids.h"
#include "tests/lib/prng.h"

static void txids_come_and_go(void **state)
{
    (void)state;
    struct prng p = prng_start();
    struct txids *t = txids_new();
    int64_t due, known[2000] = {0};
    size_t n = 0;
    assert_non_null(t);
    for (int i = 0; i < 100000; i++) {
        size_t k = prng_below(&p, 2000);
        uint64_t txid = (k + 1) << 20;
        if (prng_below(&p, 2)) {
            n += known[k] == 0;
            known[k] = i + 1;
            assert_true(txids_put(t, txid, i + 1));
        } else {
            assert_int_equal(txids_take(t, txid, &due), known[k] != 0);
            if (known[k] != 0)
                assert_int_equal(due, known[k]);
            n -= known[k] != 0;
            known[k] = 0;
        }
        assert_int_equal(txids_count(t), n);
    }
    txids_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(txids_come_and_go)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
