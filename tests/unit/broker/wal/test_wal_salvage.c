/*
 * test_wal_salvage.c: tests what a log does with --salvage (broker/wal/wal_salvage.h): which batches are replayed,
 * that nothing is lost of what cannot be, and that it may be killed at any step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <glob.h>
#include <unistd.h>

#include "broker/wal/wal_lost.h"
#include "broker/wal/wal_record.h"
#include "protocol/limits.h"
#include "tests/lib/wal_rig.h"

#define BLOCK WAL_BLOCK_BYTES
#define FIRST (2 * BLOCK) /* the place of the first record */

/* Batches 1..30, a block each, in files of 13; number 17 is destroyed, in the second file. */
static void damaged(struct wal_rig *r)
{
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, 30, 100);
    wal_rig_stop(r);
    wal_rig_zero(wal_rig_file(r, 2), FIRST + 3 * BLOCK, BLOCK);
}

static unsigned aside(const struct wal_rig *r)
{
    char pattern[600];
    glob_t found;
    (void)snprintf(pattern, sizeof pattern, "%s/*.lost*", r->folder);
    size_t n = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return (unsigned)n;
}

/* The bytes of a file, in order to look for them later. */
struct kept {
    uint8_t *bytes;
    size_t size;
};

static struct kept keep(const struct wal_rig *r, unsigned long long name)
{
    struct kept k;
    k.bytes = wal_rig_read(wal_rig_file(r, name), &k.size);
    return k;
}

static void is_aside(const struct wal_rig *r, const char *name, struct kept *k)
{
    char path[600];
    size_t size = 0;
    (void)snprintf(path, sizeof path, "%s/%s", r->folder, name);
    uint8_t *bytes = wal_rig_read(path, &size);
    assert_int_equal(size, k->size);
    assert_memory_equal(bytes, k->bytes, size);
    free(bytes);
    free(k->bytes);
}

static void refused(struct wal_rig *r, uint64_t after)
{
    r->salvage = false;
    assert_int_equal(wal_rig_try(r, after), ST_BAD);
    assert_non_null(strstr(r->err, "--salvage"));
}

static void salvaged(struct wal_rig *r, uint64_t after, uint64_t last)
{
    r->salvage = true;
    wal_rig_start(r, after);
    r->salvage = false;
    wal_rig_expect(r, after + 1, last, 0);
    assert_true(r->long_log);
    assert_non_null(wal_lost(r->w));
    assert_int_equal(aside(r), 0);
}

static void ended(struct wal_rig *r)
{
    if (wal_lost_set_aside(r->w, 1, r->err, sizeof r->err) != ST_OK)
        fail_msg("%s", r->err);
    assert_null(wal_lost(r->w));
}

static void goes_on_behind_what_is_lost(void **state)
{
    struct wal_rig *r = *state;
    damaged(r);
    refused(r, 0);
    struct kept second = keep(r, 2), third = keep(r, 3);
    salvaged(r, 0, 16);
    assert_int_equal(wal_lost(r->w)->index, 30);
    assert_true(wal_lost(r->w)->bytes >= 14 * BLOCK && wal_lost(r->w)->bytes < 4 * WAL_SEGMENT_MIN);
    wal_rig_put(r, 31, 100);
    ended(r);
    assert_int_equal(aside(r), 2);
    wal_rig_put_many(r, 32, 40, 100);
    wal_rig_again(r, 16);
    wal_rig_expect(r, 31, 40, 0);
    assert_int_equal(aside(r), 2);
    is_aside(r, "00000002.lost", &second);
    is_aside(r, "00000003.lost", &third);
}

/* Killed before its first group is in the log, the salvage has changed nothing. */
static void killed_before_its_group(void **state)
{
    struct wal_rig *r = *state;
    damaged(r);
    for (int i = 0; i < 3; i++) {
        salvaged(r, 0, 16);
        wal_rig_stop(r);
        refused(r, 0);
        refused(r, 16); /* the store was flushed */
    }
    assert_int_equal(aside(r), 0);
}

/* The group's record is there, but not the header in front of it. */
static void killed_before_the_header(void **state)
{
    struct wal_rig *r = *state;
    damaged(r);
    salvaged(r, 0, 16);
    wal_rig_put(r, 31, 100);
    wal_rig_stop(r);
    wal_rig_zero(wal_rig_file(r, 4), 0, FIRST);
    refused(r, 16);
    salvaged(r, 16, 16);
    wal_rig_put(r, 31, 100);
    ended(r);
    wal_rig_again(r, 16);
    wal_rig_expect(r, 31, 31, 0);
}

/* The next start sets aside what was not, with --salvage or without. */
static void killed_before_it_sets_aside(void **state)
{
    struct wal_rig *r = *state;
    for (int with = 0; with < 2; with++) {
        damaged(r);
        struct kept second = keep(r, 2), third = keep(r, 3);
        salvaged(r, 0, 16);
        wal_rig_put(r, 31, 100);
        wal_rig_stop(r);
        r->salvage = with;
        wal_rig_start(r, 16);
        r->salvage = false;
        assert_null(wal_lost(r->w));
        wal_rig_expect(r, 31, 31, 0);
        assert_int_equal(aside(r), 2);
        is_aside(r, "00000002.lost", &second);
        is_aside(r, "00000003.lost", &third);
        wal_rig_put(r, 32, 100);
        wal_rig_again(r, 31);
        wal_rig_expect(r, 32, 32, 0);
        void *next = NULL;
        wal_rig_teardown(state);
        wal_rig_setup(&next);
    }
}

/* A name that was used before is not used again. */
static void no_file_that_is_aside_is_overwritten(void **state)
{
    struct wal_rig *r = *state;
    char path[600];
    damaged(r);
    (void)snprintf(path, sizeof path, "%s/00000002.lost", r->folder);
    FILE *f = fopen(path, "w");
    assert_true(f && fputs("from an earlier time", f) >= 0 && fclose(f) == 0);
    struct kept second = keep(r, 2), early = {(uint8_t *)strdup("from an earlier time"), 20};
    r->salvage = true;
    wal_rig_start(r, 0);
    wal_rig_put(r, 31, 100);
    ended(r);
    is_aside(r, "00000002.lost", &early);
    is_aside(r, "00000002.lost.1", &second);
}

static void damage_in_the_last_file(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, 5, 100);
    wal_rig_stop(r);
    wal_rig_flip(wal_rig_file(r, 1), FIRST + 2 * BLOCK + 60, 3);
    refused(r, 0);
    struct kept first = keep(r, 1);
    salvaged(r, 0, 2);
    wal_rig_put(r, 6, 100);
    ended(r);
    is_aside(r, "00000001.lost", &first);
    wal_rig_again(r, 2);
    wal_rig_expect(r, 6, 6, 0);
}

/* A file in the middle is not there: nobody knows how large it was. */
static void a_file_that_is_missing(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, 30, 100);
    wal_rig_stop(r);
    assert_int_equal(unlink(wal_rig_file(r, 2)), 0);
    refused(r, 0);
    salvaged(r, 0, 13);
    assert_int_equal(wal_lost(r->w)->bytes, SALVAGE_BYTES_UNKNOWN);
    assert_int_equal(wal_lost(r->w)->index, 30);
    wal_rig_put(r, 31, 100);
    ended(r);
    wal_rig_again(r, 13);
    wal_rig_expect(r, 31, 31, 0);
}

static void no_header_is_sound(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, 5, 100);
    wal_rig_stop(r);
    wal_rig_write(wal_rig_file(r, 1), 0, "x", 1);
    wal_rig_write(wal_rig_file(r, 1), BLOCK, "x", 1);
    refused(r, 0);
    struct kept first = keep(r, 1);
    salvaged(r, 3, 3);
    wal_rig_put(r, 6, 100);
    ended(r);
    is_aside(r, "00000001.lost", &first);
    wal_rig_again(r, 3);
    wal_rig_expect(r, 6, 6, 0);
}

static void a_log_that_is_whole_is_left_alone(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, 30, 100);
    r->salvage = true;
    wal_rig_again(r, 0);
    assert_null(wal_lost(r->w));
    wal_rig_expect(r, 1, 30, 0);
    wal_rig_put(r, 31, 100);
    wal_rig_again(r, 30);
    wal_rig_expect(r, 31, 31, 0);
    assert_int_equal(aside(r), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WAL_RIG_TEST(goes_on_behind_what_is_lost),
        WAL_RIG_TEST(killed_before_its_group),
        WAL_RIG_TEST(killed_before_the_header),
        WAL_RIG_TEST(killed_before_it_sets_aside),
        WAL_RIG_TEST(no_file_that_is_aside_is_overwritten),
        WAL_RIG_TEST(damage_in_the_last_file),
        WAL_RIG_TEST(a_file_that_is_missing),
        WAL_RIG_TEST(no_header_is_sound),
        WAL_RIG_TEST(a_log_that_is_whole_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
