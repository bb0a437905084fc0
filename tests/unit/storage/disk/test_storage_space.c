/* test_storage_space.c: deleted records give their disk space back, also where their files hold others', and what
 * the deletions of a batch are is read from its bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "storage/disk/keys.h"
#include "storage/disk/kv_freed.h"
#include "storage/disk/kv_space.h"
#include "tests/lib/tmpdir.h"

#define TOPICS 4
#define RECORDS 1500 /* of each topic */
#define RECORD_BYTES 4096

struct fixture {
    char *path;
    struct kv *kv;
    char err[256];
};

static void open_again(struct fixture *f)
{
    kv_close(f->kv);
    f->kv = NULL;
    assert_int_equal(kv_open(&(struct kv_options){.path = f->path, .memory_bytes = 16 << 20}, &f->kv, f->err,
                             sizeof(f->err)), ST_OK);
}

static int setup(void **state)
{
    static struct fixture f;
    f.path = tmpdir_new();
    f.kv = NULL;
    *state = &f;
    open_again(&f);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    kv_close(f->kv);
    tmpdir_remove(f->path);
    return 0;
}

static void written(struct fixture *f)
{
    assert_int_equal(kv_write(f->kv, false, f->err, sizeof(f->err)), ST_OK);
}

/* The topics' records take turns, so that each file has some of all. */
static void fill(struct fixture *f, uint64_t first, size_t record_bytes, uint32_t records)
{
    static uint8_t body[RECORD_BYTES];
    assert_true(record_bytes <= sizeof(body));
    memset(body, 'x', sizeof(body));
    for (uint32_t i = 0; i < records; i++) {
        for (uint64_t t = first; t < first + TOPICS; t++) {
            struct key key = key_log(t, 0, i);
            kv_put(f->kv, KV_LOG, key_slice(&key), slice_of(body, record_bytes));
        }
        written(f);
    }
}

static void drop(struct fixture *f, uint64_t topic)
{
    struct key from = key_log(topic, 0, 0), to = key_log(topic + 1, 0, 0);
    kv_del_range(f->kv, KV_LOG, key_slice(&from), key_slice(&to));
    written(f);
}

/* Bytes of tables and blob files. */
static uint64_t stored(const struct fixture *f)
{
    uint64_t n = 0;
    DIR *folder = opendir(f->path);
    assert_non_null(folder);
    for (const struct dirent *e = readdir(folder); e; e = readdir(folder)) {
        char path[1024];
        struct stat st;
        snprintf(path, sizeof(path), "%s/%s", f->path, e->d_name);
        if ((strstr(e->d_name, ".sst") || strstr(e->d_name, ".blob")) && stat(path, &st) == 0)
            n += (uint64_t)st.st_size;
    }
    closedir(folder);
    return n;
}

static void rounds_of(struct fixture *f, bool urgent, uint64_t room)
{
    for (int i = 0; kv_space_give_back(f->kv, urgent, room); i++)
        assert_true(i < 200);
}

/* RocksDB deletes files a moment after the compaction. */
static void shrinks_below(struct fixture *f, uint64_t bytes)
{
    const struct timespec nap = {.tv_nsec = 10000000};
    for (int i = 0; i < 1000 && stored(f) >= bytes; i++)
        nanosleep(&nap, NULL);
    assert_true(stored(f) < bytes);
}

static bool is_there(struct fixture *f, uint64_t topic, uint64_t offset)
{
    struct key key = key_log(topic, 0, offset);
    struct buf b;
    buf_init(&b, 0);
    enum status s = kv_get(f->kv, KV_LOG, NULL, key_slice(&key), &b);
    buf_free(&b);
    assert_true(s == ST_OK || s == ST_GONE);
    return s == ST_OK;
}

static void rounds(struct fixture *f)
{
    rounds_of(f, false, 1 << 30);
}

#define TOPIC_BYTES ((uint64_t)RECORDS * RECORD_BYTES)

static void test_deleted_topics_give_their_bytes_back(void **state)
{
    struct fixture *f = *state;
    fill(f, 1, RECORD_BYTES, RECORDS);
    for (uint64_t t = 1; t < TOPICS; t++)
        drop(f, t);
    assert_true(kv_space_any(f->kv, false));
    rounds(f);
    assert_false(kv_space_any(f->kv, false));
    shrinks_below(f, 3 * TOPIC_BYTES / 2);
    for (uint64_t i = 0; i < RECORDS; i++) {
        assert_true(is_there(f, TOPICS, i));
        assert_false(is_there(f, 1, i));
    }
}

/* What retention takes comes in small pieces, which wait until they are worth a round, but not while the disk is full. */
static void test_little_that_was_cut_is_urgent_on_a_full_disk(void **state)
{
    struct fixture *f = *state;
    struct key from = key_log(1, 0, 0), to = key_log(1, 0, RECORDS - 1);
    fill(f, 1, RECORD_BYTES, RECORDS);
    rounds_of(f, true, 1 << 30);
    kv_space_cut_range(f->kv, KV_LOG, key_slice(&from), key_slice(&to));
    kv_space_cut(f->kv, 1, TOPIC_BYTES);
    written(f);
    assert_false(kv_space_any(f->kv, false));
    assert_true(kv_space_any(f->kv, true));
    rounds_of(f, true, 1 << 30);
    assert_false(kv_space_any(f->kv, true));
    shrinks_below(f, (2 * TOPICS - 1) * TOPIC_BYTES / 2);
    assert_true(is_there(f, 1, RECORDS - 1) && !is_there(f, 1, 0));
}

static void test_small_records_too(void **state)
{
    struct fixture *f = *state;
    fill(f, 1, 100, 20000);
    rounds(f);
    for (uint64_t t = 1; t <= TOPICS; t++)
        drop(f, t);
    rounds(f);
    shrinks_below(f, 500000);
}

static void test_with_little_room(void **state)
{
    struct fixture *f = *state;
    fill(f, 1, RECORD_BYTES, RECORDS);
    rounds(f);
    drop(f, 1);
    drop(f, 2);
    rounds_of(f, true, 12 << 20);
    shrinks_below(f, 5 * TOPIC_BYTES / 2);
    for (uint64_t i = 0; i < RECORDS; i++)
        assert_true(is_there(f, 3, i));
}

static void test_what_came_after_a_purge_stays(void **state)
{
    struct fixture *f = *state;
    fill(f, 1, RECORD_BYTES, RECORDS);
    drop(f, 1);
    struct key key = key_log(1, 0, RECORDS);
    kv_put(f->kv, KV_LOG, key_slice(&key), SLICE_LIT("new"));
    written(f);
    rounds(f);
    assert_true(is_there(f, 1, RECORDS));
    assert_false(is_there(f, 1, RECORDS - 1));
}

static void test_a_snapshot_keeps_what_it_sees(void **state)
{
    struct fixture *f = *state;
    fill(f, 1, RECORD_BYTES, RECORDS);
    uint64_t before = stored(f);
    struct kv_snap *snap = kv_snapshot(f->kv);
    for (uint64_t t = 1; t <= TOPICS; t++)
        drop(f, t);
    assert_true(kv_space_give_back(f->kv, true, 1 << 30)); /* later */
    assert_true(kv_space_any(f->kv, false));
    assert_true(stored(f) >= before / 2);
    kv_snap_free(f->kv, snap);
    rounds(f);
    shrinks_below(f, TOPIC_BYTES / 2);
}

/* Where there is always one that is older than the last deletion, as many readers have, what was deleted before all of them
 * does not wait; what some still see is not forgotten. */
static void test_snapshots_that_take_turns(void **state)
{
    struct fixture *f = *state;
    fill(f, 1, RECORD_BYTES, RECORDS);
    drop(f, TOPICS + 1); /* so that a round puts all into files */
    rounds(f);
    assert_true(stored(f) >= 15 * TOPIC_BYTES / 4);
    struct kv_snap *first = kv_snapshot(f->kv);
    drop(f, 1);
    assert_true(kv_space_give_back(f->kv, true, 1 << 30));
    struct kv_snap *second = kv_snapshot(f->kv);
    drop(f, 2);
    kv_snap_free(f->kv, first);
    for (int i = 0; i < 20; i++)
        assert_true(kv_space_give_back(f->kv, true, 1 << 30));
    shrinks_below(f, 15 * TOPIC_BYTES / 4);
    kv_snap_free(f->kv, second);
    rounds_of(f, true, 1 << 30);
    shrinks_below(f, 5 * TOPIC_BYTES / 2);
    for (uint64_t i = 0; i < RECORDS; i++)
        assert_true(is_there(f, 3, i) && !is_there(f, 2, i));
}

static void test_over_a_restart(void **state)
{
    struct fixture *f = *state;
    fill(f, 1, RECORD_BYTES, RECORDS);
    rounds(f);
    for (uint64_t t = 1; t <= TOPICS; t++)
        drop(f, t);
    open_again(f);
    assert_false(kv_space_any(f->kv, false));
    rounds(f);
    shrinks_below(f, TOPIC_BYTES / 2);
}

static void test_more_topics_than_are_remembered(void **state)
{
    struct fixture *f = *state;
    for (uint64_t t = 1; t <= 4 * KV_FREED_MAX; t += TOPICS)
        fill(f, t, RECORD_BYTES, 10);
    rounds(f);
    for (uint64_t t = 1; t <= 4 * KV_FREED_MAX; t++)
        drop(f, t);
    rounds(f);
    shrinks_below(f, 1000000);
}

static void test_a_stop_ends_it(void **state)
{
    struct fixture *f = *state;
    fill(f, 1, RECORD_BYTES, 10);
    drop(f, 1);
    kv_space_stop(f->kv);
    assert_false(kv_space_give_back(f->kv, true, 1 << 30));
}

/* ---- kv_freed ---- */

static const uint8_t batch[] = {
    0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0,
    0x1, 1, 'a', 2, 'b', 'c',                                                    /* put in family 0 */
    0x5, 1, 1, 'k', 0,                                                           /* put in family 1 */
    0xF, 8, 0, 0, 0, 0, 0, 0, 0, 9, 8, 0, 0, 0, 0, 0, 0, 0, 10,                  /* rows */
    0xE, 1, 8, 0, 0, 0, 0, 0, 0, 1, 2, 8, 0, 0, 0, 0, 0, 0, 1, 3,                /* records of topic 258 */
    0x0, 1, 'z',
    0xE, 2, 8, 0, 0, 0, 0, 0, 0, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 8,                /* records of topic 7 */
};

static void test_the_deletions_of_a_batch(void **state)
{
    (void)state;
    struct kv_freed f = {.lost = false};
    uint64_t topic = 0;
    kv_freed_scan(&f, slice_of(batch, sizeof(batch)));
    assert_false(kv_freed_any(&f));
    kv_freed_publish(&f);
    assert_true(kv_freed_take(&f, &topic) && topic == 258);
    assert_true(kv_freed_take(&f, &topic) && topic == 7);
    assert_false(kv_freed_take(&f, &topic));
    for (size_t n = 0; n < sizeof(batch); n++) { /* any bytes are taken */
        uint8_t *cut = malloc(n ? n : 1);
        assert_non_null(cut);
        memcpy(cut, batch, n);
        kv_freed_scan(&f, slice_of(cut, n));
        free(cut);
    }
}

static void test_an_unwritten_batch_frees_nothing(void **state)
{
    (void)state;
    struct kv_freed f = {.lost = false};
    uint64_t topic = 0;
    kv_freed_scan(&f, slice_of(batch, sizeof(batch)));
    kv_freed_forget(&f);
    kv_freed_publish(&f);
    assert_false(kv_freed_any(&f));
    assert_false(kv_freed_take(&f, &topic));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_deleted_topics_give_their_bytes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_little_that_was_cut_is_urgent_on_a_full_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_small_records_too, setup, teardown),
        cmocka_unit_test_setup_teardown(test_with_little_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_came_after_a_purge_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_snapshot_keeps_what_it_sees, setup, teardown),
        cmocka_unit_test_setup_teardown(test_snapshots_that_take_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_over_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_topics_than_are_remembered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_stop_ends_it, setup, teardown),
        cmocka_unit_test(test_the_deletions_of_a_batch),
        cmocka_unit_test(test_an_unwritten_batch_frees_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
