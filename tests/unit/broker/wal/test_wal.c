/*
 * test_wal.c: tests the write-ahead log: batches are replayed in order and once, and bytes behind its end never are:
 * torn records, older uses of a file, files behind a gap, files that a power cut has half written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/wal/wal_file.h"
#include "protocol/limits.h"
#include "tests/lib/wal_rig.h"

#define BATCH 1000
#define RECORD (WAL_RECORD_BYTES + BATCH) /* a multiple of 8 */
#define A_FILE ((WAL_SEGMENT_MIN - WAL_HEADER_BYTES - WAL_END_BYTES) / RECORD) /* batches in one file, if none is synced */
#define SYNCED_FILE ((WAL_SEGMENT_MIN - WAL_HEADER_BYTES - WAL_END_BYTES) / WAL_BLOCK_BYTES) /* ... if each is */

/* Returns where the n-th record (from 0) of a file starts, if none is synced. */
static size_t place(uint64_t n)
{
    return WAL_HEADER_BYTES + (size_t)n * RECORD;
}

/* Returns where it starts if each is synced. */
static size_t synced_place(uint64_t n)
{
    return WAL_HEADER_BYTES + (size_t)n * WAL_BLOCK_BYTES;
}

static void put_loose(struct wal_rig *r, uint64_t first, uint64_t last)
{
    for (uint64_t n = first; n <= last; n++) {
        if (wal_rig_append(r, n, BATCH, false) != ST_OK)
            fail_msg("append of %llu: %s", (unsigned long long)n, r->err);
    }
}

/* ---- there and back ---- */

static void numbers_with_gaps_come_back_in_order(void **state)
{
    struct wal_rig *r = *state;
    const uint64_t numbers[] = {3, 4, 9, 1000, UINT64_C(1) << 40};
    wal_rig_start(r, 0);
    assert_int_equal(r->n, 0);
    for (size_t i = 0; i < 5; i++)
        wal_rig_put(r, numbers[i], 16 + i); /* with every possible padding */
    wal_rig_again(r, 0);
    assert_int_equal(r->n, 5);
    assert_false(r->damaged);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(r->got[i], numbers[i]);
}

static void only_what_is_behind_after_comes(void **state)
{
    struct wal_rig *r = *state;
    const uint64_t most = 3 * A_FILE;
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, most, BATCH);
    for (uint64_t after = 0; after <= most; after++) {
        wal_rig_stop(r);
        wal_rig_start(r, after);
        wal_rig_expect(r, after + 1, most, 1);
    }
    wal_rig_again(r, most + 50); /* the store has more than the log: the log continues after that */
    assert_int_equal(r->n, 0);
    wal_rig_put(r, most + 51, BATCH);
    wal_rig_again(r, most + 50);
    wal_rig_expect(r, most + 51, most + 51, 0);
}

static void many_files_and_lives_make_one_log(void **state)
{
    struct wal_rig *r = *state;
    uint64_t last = 0;
    for (int life = 0; life < 20; life++) {
        wal_rig_start(r, 0);
        wal_rig_expect(r, 1, last, 0);
        for (uint64_t i = 0; i < 150; i++)
            last++, wal_rig_put(r, last, 100 + (last * 37) % 2000);
        wal_rig_stop(r);
    }
    wal_rig_start(r, 0);
    wal_rig_expect(r, 1, last, 0);
    assert_true(wal_rig_files(r) > 40);
}

static void a_record_may_fill_a_file_or_need_a_larger_one(void **state)
{
    struct wal_rig *r = *state;
    const size_t full = WAL_SEGMENT_MIN - WAL_HEADER_BYTES - WAL_END_BYTES - WAL_RECORD_BYTES;
    const size_t sizes[] = {full, full, full - 8, 16, full + 1, MIB(1), 16, full - 40, 16, MIB(3), MIB(3), 16};
    wal_rig_start(r, 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        wal_rig_put(r, i + 1, sizes[i]);
        wal_rig_again(r, 0);
        wal_rig_expect(r, 1, i + 1, 0);
    }
}

static void a_file_that_is_full_is_left(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    wal_rig_put(r, 1, WAL_SEGMENT_MIN - WAL_HEADER_BYTES - WAL_END_BYTES - WAL_RECORD_BYTES);
    assert_int_equal(wal_rig_files(r), 1);
    wal_rig_put(r, 2, 16);
    assert_int_equal(wal_rig_files(r), 2);
    struct stat st;
    assert_int_equal(stat(wal_rig_file(r, 1), &st), 0);
    assert_true(st.st_size <= WAL_SEGMENT_MIN);
}

/* ---- torn ---- */

enum tear { FLIP, ZERO_TAIL, ZERO_HEAD, TEARS };

static void tear(const char *path, enum tear how, uint64_t record, size_t inside)
{
    size_t size = 0, at = place(record) + inside;
    free(wal_rig_read(path, &size));
    if (how == FLIP)
        wal_rig_flip(path, at, (unsigned)inside % 8);
    else if (how == ZERO_TAIL)
        wal_rig_zero(path, at, size - at);
    else
        wal_rig_zero(path, place(record), inside + sizeof(uint32_t)); /* all of the checksum: one byte may be 0 anyway */
}

/* Damages a record. All records before it are replayed, and none behind it. Batches that are appended afterwards are
 * replayed as well, though they have the place and the numbers of the lost ones. */
static void torn_at(enum tear how, uint64_t record, size_t inside)
{
    void *state = NULL;
    wal_rig_setup(&state);
    struct wal_rig *r = state;
    wal_rig_start(r, 0);
    put_loose(r, 1, 20);
    wal_rig_stop(r);
    tear(wal_rig_file(r, 1), how, record, inside);
    wal_rig_start(r, 0);
    wal_rig_expect(r, 1, record, 1);
    wal_rig_put_many(r, record + 1, 15, BATCH);
    for (uint64_t after = 0; after < 15; after++) {
        wal_rig_stop(r);
        wal_rig_start(r, after);
        wal_rig_expect(r, after + 1, 15, 0);
        for (uint32_t i = 0; i < r->n; i++)
            assert_int_equal(r->lives[i], r->got[i] <= record ? 1 : 2);
    }
    wal_rig_teardown(&state);
}

static void a_torn_record_ends_the_log(void **state)
{
    (void)state;
    const size_t inside[] = {0, 1, 4, 7, 8, 12, 16, 23, 24, 25, 500, RECORD - 1};
    for (int how = 0; how < TEARS; how++) {
        for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
            torn_at((enum tear)how, 0, inside[i]);
            torn_at((enum tear)how, 7, inside[i]);
        }
    }
}

static void a_length_that_lies_is_not_believed(void **state)
{
    struct wal_rig *r = *state;
    const uint8_t lengths[][4] = {{0xff, 0xff, 0xff, 0xff}, {0xe7, 0xff, 0xff, 0xff}, {0, 0, 1, 0}, {0}};
    for (size_t i = 0; i < 4; i++) {
        wal_rig_start(r, 10 * i);
        put_loose(r, 10 * i + 1, 10 * i + 10);
        wal_rig_stop(r);
        for (unsigned name = 1; name <= wal_rig_files(r); name++)
            wal_rig_write(wal_rig_file(r, name), place(5) + 8, lengths[i], 4);
        wal_rig_start(r, 10 * i);
        wal_rig_expect(r, 10 * i + 1, 10 * i + 5, 0);
        wal_rig_again(r, 10 * i + 10);
        wal_rig_stop(r);
    }
}

/* ---- ghosts ---- */

static void older_uses_of_a_file_stay_dead(void **state)
{
    struct wal_rig *r = *state;
    uint64_t last = 0;
    for (int life = 0; life < 30; life++) {
        wal_rig_start(r, last); /* all batches are in the store's files, so the files are reused */
        assert_int_equal(r->n, 0);
        wal_rig_put_many(r, last + 1, last + 2 * SYNCED_FILE + 5, BATCH);
        wal_rig_again(r, last);
        wal_rig_expect(r, last + 1, last + 2 * SYNCED_FILE + 5, 0);
        last += 2 * SYNCED_FILE + 5;
        wal_rig_stop(r);
    }
    assert_true(wal_rig_files(r) <= 8);
}

/* Makes three files, the second without a valid record: so there is a gap before the third. */
static void make_gap(struct wal_rig *r)
{
    wal_rig_start(r, 0);
    put_loose(r, 1, 3 * A_FILE);
    wal_rig_stop(r);
    wal_rig_flip(wal_rig_file(r, 2), place(0) + 100, 3);
}

static void what_is_behind_a_gap_is_gone_for_good(void **state)
{
    struct wal_rig *r = *state;
    make_gap(r);
    wal_rig_start(r, 0);
    wal_rig_expect(r, 1, A_FILE, 1);
    struct wal_figures figures;
    wal_figures(r->w, &figures);
    assert_int_equal(figures.dropped, 1);
    assert_int_equal(figures.replayed, A_FILE);
    wal_rig_put_many(r, A_FILE + 1, 2 * A_FILE, BATCH); /* up to the number after which the third file began */
    wal_rig_again(r, 0);
    wal_rig_expect(r, 1, 2 * A_FILE, 0);
    put_loose(r, 2 * A_FILE + 1, 4 * A_FILE);
    wal_rig_again(r, 0);
    wal_rig_expect(r, 1, 4 * A_FILE, 0);
    for (uint32_t i = A_FILE; i < r->n; i++)
        assert_true(r->lives[i] > 1);
}

static void a_file_that_is_missing_is_a_gap(void **state)
{
    struct wal_rig *r = *state;
    make_gap(r);
    assert_int_equal(unlink(wal_rig_file(r, 2)), 0);
    wal_rig_start(r, 0);
    wal_rig_expect(r, 1, A_FILE, 1);
    wal_rig_put_many(r, A_FILE + 1, 2 * A_FILE, BATCH);
    wal_rig_again(r, 0);
    wal_rig_expect(r, 1, 2 * A_FILE, 0);
}

/* If nothing is written between a start and a stop, old uses of files must still be ignored afterwards. */
static void a_gap_stays_dead_over_an_idle_life(void **state)
{
    struct wal_rig *r = *state;
    make_gap(r);
    wal_rig_start(r, 0);
    wal_rig_again(r, 0);
    wal_rig_put(r, 2 * A_FILE + 1, BATCH); /* the number and size of the first record of the third file */
    wal_rig_again(r, A_FILE);
    wal_rig_expect(r, 2 * A_FILE + 1, 2 * A_FILE + 1, 3);
}

/* A power cut may lose the first blocks of a file and keep later ones: it then has the headers of its earlier use. */
static void a_use_whose_headers_were_lost_stays_dead(void **state)
{
    struct wal_rig *r = *state;
    const uint64_t all = 3 * A_FILE;
    size_t size = 0;
    wal_rig_start(r, 0);
    put_loose(r, 1, all); /* files 1 to 3 */
    wal_rig_stop(r);
    uint8_t *was = wal_rig_read(wal_rig_file(r, 2), &size);
    wal_rig_start(r, all); /* files 1 and 2 are spare, and 1 is begun */
    put_loose(r, all + 1, all + A_FILE + 8); /* the last eight go into file 2 */
    assert_int_equal(wal_rig_files(r), 3);
    wal_rig_stop(r);
    wal_rig_write(wal_rig_file(r, 2), 0, was, place(4));
    free(was);
    wal_rig_start(r, all);
    wal_rig_expect(r, all + 1, all + A_FILE, 0);
    wal_rig_put_many(r, all + A_FILE + 1, all + A_FILE + 4, BATCH); /* overwrites some of the records */
    assert_int_equal(wal_rig_files(r), 3);
    wal_rig_again(r, all);
    wal_rig_expect(r, all + 1, all + A_FILE + 4, 0);
    for (uint32_t i = A_FILE; i < r->n; i++)
        assert_int_equal(r->lives[i], 3);
}

/* ---- what else is in the folder ---- */

static void one_of_the_headers_is_enough(void **state)
{
    (void)state;
    for (size_t at = 0; at < 64; at++) {
        void *one = NULL;
        wal_rig_setup(&one);
        struct wal_rig *r = one;
        wal_rig_start(r, 0);
        wal_rig_put_many(r, 1, 2 * SYNCED_FILE, BATCH);
        wal_rig_stop(r);
        wal_rig_flip(wal_rig_file(r, 1), WAL_BLOCK_BYTES + at, (unsigned)at % 8);
        wal_rig_flip(wal_rig_file(r, 2), at, (unsigned)at % 8);
        wal_rig_start(r, 0);
        wal_rig_expect(r, 1, 2 * SYNCED_FILE, 1);
        wal_rig_teardown(&one);
    }
}

static void a_file_without_a_sound_header_is_not_used(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    put_loose(r, 1, 2 * A_FILE);
    wal_rig_stop(r);
    wal_rig_flip(wal_rig_file(r, 2), 3, 0);
    wal_rig_flip(wal_rig_file(r, 2), WAL_BLOCK_BYTES + 33, 0);
    wal_rig_start(r, 0);
    wal_rig_expect(r, 1, A_FILE, 1);
    wal_rig_put_many(r, A_FILE + 1, A_FILE + 3, BATCH);
    wal_rig_again(r, 0);
    wal_rig_expect(r, 1, A_FILE + 3, 0);
}

static void files_of_any_length_are_taken_as_spare(void **state)
{
    struct wal_rig *r = *state;
    const size_t lengths[] = {0, 10, 64, 65, 88, 70000};
    wal_rig_start(r, 0);
    wal_rig_stop(r);
    for (unsigned i = 0; i < 6; i++) {
        wal_rig_write(wal_rig_file(r, i + 1), 0, "", 0);
        assert_int_equal(truncate(wal_rig_file(r, i + 1), (off_t)lengths[i]), 0);
    }
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, 8 * A_FILE, BATCH);
    wal_rig_again(r, 0);
    wal_rig_expect(r, 1, 8 * A_FILE, 0);
}

static void foreign_files_are_left_alone(void **state)
{
    struct wal_rig *r = *state;
    static const char *const names[] = {"README",        "123.wal",       "00000000.wal", "+0000001.wal",
                                        " 0000001.wal",  "0000001x.wal",  "00000001.WAL", "00000001.wal.old",
                                        "-0000001.wal",  "000000001.wal", "00000001wal",  "99999999999999999999.wal"};
    char path[700];
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, 5, BATCH);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", r->folder, names[i]);
        wal_rig_write(path, 0, "mine", 4);
    }
    for (int life = 0; life < 3; life++) {
        wal_rig_stop(r);
        wal_rig_start(r, 0);
        wal_rig_expect(r, 1, 5 + (uint64_t)life, 0);
        wal_rig_put(r, 6 + (uint64_t)life, BATCH);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = 0;
        (void)snprintf(path, sizeof path, "%s/%s", r->folder, names[i]);
        uint8_t *bytes = wal_rig_read(path, &n);
        assert_int_equal(n, 4);
        assert_memory_equal(bytes, "mine", 4);
        free(bytes);
    }
}

/* Each deleted file is replaced by a new one with a higher number, so after years the names get longer. */
static void names_do_not_end(void **state)
{
    struct wal_rig *r = *state;
    static const unsigned long long far[] = {999999, 1000000, 99999999, 4294967295, 1000000000000};
    char from[700];
    wal_rig_start(r, 0);
    wal_rig_put(r, 1, BATCH);
    unsigned long long name = 1;
    for (uint64_t i = 0; i < 5; i++) {
        wal_rig_stop(r);
        (void)snprintf(from, sizeof from, "%s", wal_rig_file(r, name));
        assert_int_equal(rename(from, wal_rig_file(r, far[i])), 0);
        wal_rig_start(r, 0);
        wal_rig_expect(r, 1, i + 1, 0);
        wal_rig_put(r, i + 2, BATCH);
        name = far[i] + 1;
        assert_int_equal(access(wal_rig_file(r, name), F_OK), 0);
    }
    wal_rig_again(r, 0);
    wal_rig_expect(r, 1, 6, 0);
}

static void a_folder_in_a_files_place_is_named(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    wal_rig_stop(r);
    assert_int_equal(mkdir(wal_rig_file(r, 5), 0700), 0);
    assert_int_equal(wal_rig_try(r, 0), ST_IO);
    assert_non_null(strstr(r->err, r->folder));
    assert_non_null(strstr(r->err, strerror(EISDIR)));
}

static void a_folder_that_cannot_be_is_named(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_write(r->folder, 0, "x", 1);
    assert_int_equal(wal_rig_try(r, 0), ST_IO);
    assert_non_null(strstr(r->err, r->folder));
    assert_int_equal(unlink(r->folder), 0);
    (void)snprintf(r->folder, sizeof r->folder, "%s/no/such/wal", r->path);
    assert_int_equal(wal_rig_try(r, 0), ST_IO);
    assert_non_null(strstr(r->err, r->folder));
    memset(r->folder, 'x', sizeof r->folder - 1);
    assert_int_equal(wal_rig_try(r, 0), ST_IO);
}

/* ---- failures ---- */

static void what_the_store_does_not_take_ends_the_replay(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, 2 * A_FILE, BATCH);
    wal_rig_stop(r);
    const uint32_t places[] = {1, 2, A_FILE, A_FILE + 1, 2 * A_FILE};
    for (int i = 0; i < 5; i++) {
        r->refuse_at = places[i];
        assert_int_equal(wal_rig_try(r, 0), ST_BUSY);
        assert_int_equal(r->n, places[i] - 1);
        assert_true(r->err[0] != 0);
        assert_null(strstr(r->err, "Success"));
    }
    r->refuse_at = 0;
    wal_rig_start(r, 0);
    wal_rig_expect(r, 1, 2 * A_FILE, 1);
}

/* Appends batches from `first` on while files are limited to a length. Returns the number that failed. */
static uint64_t first_that_fails(struct wal_rig *r, uint64_t first, rlim_t limit)
{
    struct rlimit was, less;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    less = (struct rlimit){.rlim_cur = limit, .rlim_max = was.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
    while (wal_rig_append(r, first, BATCH, true) == ST_OK)
        first++;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(r->status, ST_IO);
    assert_non_null(strstr(r->err, r->folder));
    assert_non_null(strstr(r->err, strerror(EFBIG)));
    return first;
}

static void a_file_that_cannot_grow_fails_with_a_sentence(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, 10, BATCH);
    assert_int_equal(first_that_fails(r, 11, synced_place(12) + 500), 13);
    wal_rig_again(r, 0);
    wal_rig_expect(r, 1, 12, 1);
    assert_int_equal(first_that_fails(r, 13, 10), 13); /* there is not even room for a header */
    wal_rig_again(r, 0);
    wal_rig_expect(r, 1, 12, 1);
    wal_rig_put_many(r, 13, 20, BATCH);
    wal_rig_again(r, 0);
    wal_rig_expect(r, 1, 20, 0);
}

static void a_long_log_is_told(void **state)
{
    struct wal_rig *r = *state;
    r->bytes_max = 4 * WAL_SEGMENT_MIN;
    wal_rig_start(r, 0);
    assert_false(r->long_log);
    put_loose(r, 1, A_FILE);
    wal_rig_again(r, A_FILE);
    assert_false(r->long_log);
    wal_rig_put(r, A_FILE + 1, MIB(1)); /* one long file is enough */
    wal_rig_again(r, A_FILE + 1);
    assert_true(r->long_log);
}

/* Nothing that was synced is written again, so what was taken has to get into the store's files. */
static void what_is_taken_is_to_be_flushed(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    wal_rig_put(r, 1, BATCH);
    wal_rig_again(r, 0);
    assert_true(r->long_log);
    wal_rig_again(r, 1);
    assert_false(r->long_log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WAL_RIG_TEST(numbers_with_gaps_come_back_in_order),
        WAL_RIG_TEST(only_what_is_behind_after_comes),
        WAL_RIG_TEST(many_files_and_lives_make_one_log),
        WAL_RIG_TEST(a_record_may_fill_a_file_or_need_a_larger_one),
        WAL_RIG_TEST(a_file_that_is_full_is_left),
        cmocka_unit_test(a_torn_record_ends_the_log),
        WAL_RIG_TEST(a_length_that_lies_is_not_believed),
        WAL_RIG_TEST(older_uses_of_a_file_stay_dead),
        WAL_RIG_TEST(what_is_behind_a_gap_is_gone_for_good),
        WAL_RIG_TEST(a_file_that_is_missing_is_a_gap),
        WAL_RIG_TEST(a_gap_stays_dead_over_an_idle_life),
        WAL_RIG_TEST(a_use_whose_headers_were_lost_stays_dead),
        cmocka_unit_test(one_of_the_headers_is_enough),
        WAL_RIG_TEST(a_file_without_a_sound_header_is_not_used),
        WAL_RIG_TEST(files_of_any_length_are_taken_as_spare),
        WAL_RIG_TEST(foreign_files_are_left_alone),
        WAL_RIG_TEST(names_do_not_end),
        WAL_RIG_TEST(a_folder_in_a_files_place_is_named),
        WAL_RIG_TEST(a_folder_that_cannot_be_is_named),
        WAL_RIG_TEST(what_the_store_does_not_take_ends_the_replay),
        WAL_RIG_TEST(a_file_that_cannot_grow_fails_with_a_sentence),
        WAL_RIG_TEST(a_long_log_is_told),
        WAL_RIG_TEST(what_is_taken_is_to_be_flushed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
