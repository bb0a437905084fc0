/* test_storage_keys.c: tests keys: golden bytes, that they sort like their numbers and names, and that kinds do not
 * mix. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/text.h"
#include "storage/disk/keys.h"
#include "tests/lib/prng.h"

#define KEY_IS(made, ...)                                                                            \
    do {                                                                                             \
        static const uint8_t want_[] = {__VA_ARGS__};                                                \
        struct key made_ = (made);                                                                   \
        assert_int_equal(made_.len, sizeof(want_));                                                  \
        assert_memory_equal(made_.bytes, want_, sizeof(want_));                                      \
    } while (0)

static void golden(void **state)
{
    (void)state;
    struct slice g = SLICE_LIT("g"), t = SLICE_LIT("tt"), p = SLICE_LIT("pg");
    KEY_IS(key_log(0x0102, 3, 0x0405060708), 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 3, 0, 0, 0, 4, 5, 6, 7, 8);
    KEY_IS(key_meta(), 'M');
    KEY_IS(key_topic(t), 'T', 't', 't');
    KEY_IS(key_group(g, t), 'G', 'g', 0, 't', 't');
    KEY_IS(key_group_prefix(g), 'G', 'g', 0);
    KEY_IS(key_topic_group(7, g), 'H', 0, 0, 0, 0, 0, 0, 0, 7, 'g');
    KEY_IS(key_cgroup(SLICE_LIT("g")), 'S', 'g');
    KEY_IS(key_cursor(0xff00), 'C', 0, 0, 0, 0, 0, 0, 0xff, 0);
    KEY_IS(key_run(7, 1, 0x0203), 'R', 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 3);
    KEY_IS(key_waiting(7, 258, 1, 0x0203, 1), 'V', 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 1, 0, 0, 0, 0,
           0, 0, 2, 3, 0, 0, 0, 1);
    KEY_IS(key_skipped(7, 1, 1000, 3, 2), 'Z', 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 0xe8, 0, 0, 0, 3, 0,
           0, 0, 2);
    KEY_IS(key_txn(UINT64_C(1) << 32), 'X', 0, 0, 0, 1, 0, 0, 0, 0);
    KEY_IS(key_outcome(UINT64_C(1) << 32), 'O', 0, 0, 0, 1, 0, 0, 0, 0);
    KEY_IS(key_txn_message(1, 2), 'Y', 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2);
    KEY_IS(key_check(p, 0x0304, 5), 'K', 'p', 'g', 0, 0, 0, 0, 0, 0, 0, 3, 4, 0, 0, 0, 0, 0, 0, 0, 5);
    KEY_IS(key_check_prefix(p), 'K', 'p', 'g', 0);
    KEY_IS(key_pending(p, 5), 'J', 'p', 'g', 0, 0, 0, 0, 0, 0, 0, 0, 5);
    KEY_IS(key_pending_prefix(p), 'J', 'p', 'g', 0);
    KEY_IS(key_pgroup(p), 'P', 'p', 'g');
    KEY_IS(key_user(p), 'a', 'p', 'g');
    KEY_IS(key_pgroup_open(p), 'Q', 'p', 'g');
    KEY_IS(key_dedup(9, 'S', t), 'D', 0, 0, 0, 0, 0, 0, 0, 9, 'S', 't', 't');
    KEY_IS(key_dedup_half(g, t), 'U', 'g', 0, 't', 't');
    KEY_IS(key_index(9, 0x0a0b, 0x0c0d, 1, 2), 'I', 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 10, 11, 0,
           0, 0, 0, 0, 0, 12, 13, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2);
    KEY_IS(key_directory(9, 1, 2), 'B', 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2);
    KEY_IS(key_expiry(9, 1, 2), 'E', 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2);
    KEY_IS(key_removed(9, 1, 2), 'd', 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2);
    KEY_IS(key_class(9, 1, 8, 2), 'F', 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 8, 0, 0, 0, 0, 0, 0, 0, 2);
    KEY_IS(key_class_cursor(9, 8), 'C', 0, 0, 0, 0, 0, 0, 0, 9, 8);
    KEY_IS(key_delayed(9, 0x0102, UINT64_C(1) << 32), 'L', 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 1, 2, 0,
           0, 0, 1, 0, 0, 0, 0);
    KEY_IS(key_token(UINT64_C(1) << 32), 'N', 0, 0, 0, 1, 0, 0, 0, 0);
    KEY_IS(key_attempts(0x0a0102), 'A', 0, 10, 1, 2);
    KEY_IS(key_timer(3, 0x0102, t), 'W', 3, 0, 0, 0, 0, 0, 0, 1, 2, 't', 't');
}

/* A row of one kind never sorts among rows of another, so that each kind can be scanned and deleted alone. */
static void kinds_have_letters_of_their_own(void **state)
{
    (void)state;
    struct slice n = SLICE_LIT("n");
    const struct key kinds[] = {
        key_meta(), key_topic(n), key_group(n, n), key_topic_group(1, n), key_cgroup(n), key_cursor(1), key_run(1, 0, 0),
        key_waiting(1, 0, 0, 0, 0), key_skipped(1, 0, 0, 0, 0), key_txn(1), key_outcome(1), key_txn_message(1, 0), key_check(n, 0, 1), key_pending(n, 1),
        key_pgroup(n), key_user(n), key_pgroup_open(n), key_dedup(1, 'S', n), key_dedup_half(n, n), key_index(1, 0, 0, 0, 0),
        key_directory(1, 0, 0), key_expiry(1, 0, 0), key_delayed(1, 0, 0), key_token(1), key_attempts(0),
        key_timer(1, 0, n), key_removed(1, 0, 0), key_class(1, 0, 0, 0)};
    bool seen[256] = {0};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        assert_false(seen[kinds[i].bytes[0]]);
        seen[kinds[i].bytes[0]] = true;
    }
}

static int key_cmp(const struct key *a, const struct key *b)
{
    uint32_t n = a->len < b->len ? a->len : b->len;
    int c = memcmp(a->bytes, b->bytes, n);
    return c ? c : a->len < b->len ? -1 : a->len > b->len;
}

static int sign(int c)
{
    return c < 0 ? -1 : c > 0;
}

static void order_of_numbers(void **state)
{
    (void)state;
    struct prng p = prng_start();
    for (int i = 0; i < 20000; i++) {
        uint64_t a = prng_next(&p) >> prng_below(&p, 64), b = prng_next(&p) >> prng_below(&p, 64);
        struct key x = key_log(7, 3, a), y = key_log(7, 3, b);
        assert_int_equal(sign(key_cmp(&x, &y)), a < b ? -1 : a > b);
        assert_true(key_read_u64(x.bytes + 12) == a);
        uint32_t q = (uint32_t)a, r = (uint32_t)b;
        x = key_run(7, q, a), y = key_run(7, r, b);
        int want = q != r ? (q < r ? -1 : 1) : a < b ? -1 : a > b;
        assert_int_equal(sign(key_cmp(&x, &y)), want);
        assert_true(key_read_u32(x.bytes + 9) == q);
    }
}

/* A name sorts before longer names that start with it, and their rows do not mix. */
static void order_of_names(void **state)
{
    (void)state;
    struct key a = key_group(SLICE_LIT("ab"), SLICE_LIT("zzz"));
    struct key b = key_group(SLICE_LIT("ab%"), SLICE_LIT("aaa"));
    assert_true(key_cmp(&a, &b) < 0);
    struct key prefix = key_group_prefix(SLICE_LIT("ab")), after = key_after(&prefix);
    assert_true(key_cmp(&prefix, &a) < 0 && key_cmp(&a, &after) < 0);
    assert_true(key_cmp(&after, &b) <= 0);
}

static void after_prefix(void **state)
{
    (void)state;
    struct key k = key_of_id('C', 0x00ffff), after = key_after(&k);
    assert_true(key_cmp(&k, &after) < 0);
    struct key next = key_of_id('C', 0x010000);
    assert_true(key_cmp(&after, &next) <= 0);
    struct key last = key_of_id('C', UINT64_MAX);
    after = key_after(&last);
    assert_int_equal(after.len, 1);
    assert_int_equal(after.bytes[0], 'D');
}

/* The longest names that commands accept fit into a key. */
static void longest(void **state)
{
    (void)state;
    uint8_t name[NAME_BYTES_MAX + 5], id[KEY_BYTES_MAX];
    memset(name, 'n', sizeof(name));
    memset(id, 'i', sizeof(id));
    struct key k = key_group(slice_of(name, NAME_BYTES_MAX), slice_of(name, sizeof(name)));
    assert_true(k.len <= KEY_SIZE);
    struct key half = key_dedup_half(slice_of(name, sizeof(name)), slice_of(id, sizeof(id)));
    assert_true(half.len <= KEY_SIZE);
    struct key dedup = key_dedup(1, 'S', slice_of(id, sizeof(id)));
    struct key timer = key_timer(2, INT64_MAX, slice_of(dedup.bytes + 1, dedup.len - 1));
    assert_true(timer.len <= KEY_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden), cmocka_unit_test(kinds_have_letters_of_their_own),       cmocka_unit_test(order_of_numbers),
        cmocka_unit_test(order_of_names), cmocka_unit_test(after_prefix),
        cmocka_unit_test(longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
