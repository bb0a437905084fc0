/*
 * test_wal_damage.c: tests that damage in what the log has acknowledged is told, and never taken for its end: bits,
 * blocks, headers, the ends of files and whole files. What was not synced may be torn, and ends the log.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "broker/wal/wal_append.h"
#include "broker/wal/wal_file.h"
#include "broker/wal/wal_lost.h"
#include "protocol/base/buf.h"
#include "protocol/base/text.h"
#include "protocol/limits.h"
#include "tests/lib/wal_rig.h"

#define BATCH 1000
#define MANY 20
#define SYNCED_FILE ((WAL_SEGMENT_MIN - WAL_HEADER_BYTES - WAL_END_BYTES) / WAL_BLOCK_BYTES) /* batches in one file */

/* Returns where the n-th record (from 0) of a file starts, if each is synced. */
static size_t place(uint64_t n)
{
    return WAL_HEADER_BYTES + (size_t)n * WAL_BLOCK_BYTES;
}

static void put_loose(struct wal_rig *r, uint64_t first, uint64_t last)
{
    for (uint64_t n = first; n <= last; n++)
        assert_int_equal(wal_rig_append(r, n, BATCH, false), ST_OK);
}

static void sync_all(struct wal_rig *r)
{
    assert_int_equal(r->redo->sync(r->redo->self, r->err, sizeof r->err), ST_OK);
}

/* The start is refused with a sentence, and has changed nothing. */
static void expect_refusal(struct wal_rig *r, uint64_t after, const char *wanted)
{
    unsigned files = wal_rig_files(r);
    assert_int_equal(wal_rig_try(r, after), ST_BAD);
    assert_non_null(strstr(r->err, r->folder));
    assert_non_null(strstr(r->err, "backup"));
    if (!strstr(r->err, wanted))
        fail_msg("no \"%s\" in: %s", wanted, r->err);
    assert_int_equal(wal_rig_files(r), files);
}

/* One bit of any block but the last record's: all batches come, or none. */
static void a_flipped_bit_is_told(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, SYNCED_FILE, BATCH);
    wal_rig_stop(r);
    uint32_t refused = 0, tries = 0;
    for (size_t at = 0; at < place(SYNCED_FILE - 1); at += 61, tries++) {
        wal_rig_flip(wal_rig_file(r, 1), at, (unsigned)at % 8);
        if (wal_rig_try(r, 0) == ST_OK)
            wal_rig_expect(r, 1, SYNCED_FILE, 1);
        else
            assert_int_equal(r->status, ST_BAD);
        refused += r->status != ST_OK;
        wal_rig_stop(r);
        wal_rig_flip(wal_rig_file(r, 1), at, (unsigned)at % 8);
    }
    assert_true(refused > tries / 8 && refused < tries / 2); /* a quarter of each block is a record */
}

static void the_sentence_tells_what_is_lost(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, 10, BATCH);
    wal_rig_stop(r);
    wal_rig_zero(wal_rig_file(r, 1), place(4), WAL_BLOCK_BYTES);
    expect_refusal(r, 0, "00000001.wal cannot be read at byte 21520");
    expect_refusal(r, 0, "commands 5 to 10");
    expect_refusal(r, 0, "at least 5 groups");
}

/* The last record may have been torn by a power cut: nobody can tell, since nothing behind it says that it was synced. */
static void a_torn_last_record_ends_the_log(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, 10, BATCH);
    wal_rig_stop(r);
    wal_rig_flip(wal_rig_file(r, 1), place(9) + 100, 1);
    wal_rig_start(r, 0);
    wal_rig_expect(r, 1, 9, 1);
}

/* The heads of two records that cannot be read say that the first was synced. */
static void torn_bodies_tell_what_was_synced(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, 10, BATCH);
    wal_rig_stop(r);
    wal_rig_flip(wal_rig_file(r, 1), place(8) + 100, 1);
    wal_rig_flip(wal_rig_file(r, 1), place(9) + 100, 1);
    expect_refusal(r, 0, "commands 9 to 10");
}

/* With fsync=interval: what a sync covered is damage, what came later may be torn. */
static void synced_through_tells_damage_from_a_torn_end(void **state)
{
    (void)state;
    for (uint64_t torn = 1; torn <= 12; torn++) {
        void *one = NULL;
        wal_rig_setup(&one);
        struct wal_rig *r = one;
        wal_rig_start(r, 0);
        put_loose(r, 1, 3);
        sync_all(r);
        put_loose(r, 4, 6);
        sync_all(r);
        put_loose(r, 7, 12);
        wal_rig_stop(r);
        const size_t loose = WAL_RECORD_BYTES + BATCH; /* three records fill a block nearly */
        size_t at = place((torn - 1) / 3) + (torn - 1) % 3 * loose;
        at = torn > 9 ? place(2) + (torn - 7) * loose : at; /* no sync between the last six */
        wal_rig_flip(wal_rig_file(r, 1), at + 70, 1);
        if (torn <= 6) {
            expect_refusal(r, 0, "commands");
        } else {
            wal_rig_start(r, 0);
            wal_rig_expect(r, 1, torn - 1, 1);
        }
        wal_rig_teardown(&one);
    }
}

/* Damage in what the store has does not matter, and loses nothing behind it. */
static void damage_in_what_the_store_has_is_skipped(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, 2 * SYNCED_FILE, BATCH);
    wal_rig_stop(r);
    wal_rig_flip(wal_rig_file(r, 2), place(3) + 12, 1);
    wal_rig_flip(wal_rig_file(r, 2), place(6) + 1, 1);
    wal_rig_start(r, SYNCED_FILE + 7);
    wal_rig_expect(r, SYNCED_FILE + 8, 2 * SYNCED_FILE, 1);
    wal_rig_stop(r);
    expect_refusal(r, SYNCED_FILE + 6, "commands");
}

static void a_zeroed_first_block_loses_nothing(void **state)
{
    (void)state;
    const size_t lengths[] = {64, 512, WAL_BLOCK_BYTES};
    for (size_t i = 0; i < 3; i++) {
        void *one = NULL;
        wal_rig_setup(&one);
        struct wal_rig *r = one;
        wal_rig_start(r, 0);
        wal_rig_put_many(r, 1, MANY, BATCH);
        wal_rig_stop(r);
        wal_rig_zero(wal_rig_file(r, 1), 0, lengths[i]);
        wal_rig_zero(wal_rig_file(r, 2), 0, lengths[i]);
        wal_rig_start(r, 0);
        wal_rig_expect(r, 1, MANY, 1);
        wal_rig_teardown(&one);
    }
}

/* The last of two files lost both headers; then the only one. */
static void a_file_without_headers_is_told(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, MANY, BATCH);
    wal_rig_stop(r);
    wal_rig_zero(wal_rig_file(r, 2), 0, WAL_HEADER_BYTES);
    expect_refusal(r, 0, "serial 2 is missing");
    wal_rig_zero(wal_rig_file(r, 1), 0, WAL_HEADER_BYTES);
    expect_refusal(r, 0, "none of its files has a sound header");
}

static void a_missing_file_is_told(void **state)
{
    struct wal_rig *r = *state;
    char away[700];
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, 3 * SYNCED_FILE, BATCH);
    wal_rig_stop(r);
    (void)snprintf(away, sizeof away, "%s/away", r->path);
    for (unsigned name = 1; name <= 3; name++) {
        char path[700];
        (void)snprintf(path, sizeof path, "%s", wal_rig_file(r, name));
        assert_int_equal(rename(path, away), 0);
        expect_refusal(r, 0, name < 3 ? "commands" : "serial 3 is missing");
        assert_int_equal(rename(away, path), 0);
    }
    wal_rig_start(r, 0);
    wal_rig_expect(r, 1, 3 * SYNCED_FILE, 1);
}

/* The store has everything, so the log goes on in a file of its own; without that one a start is refused. */
static void the_file_of_a_new_life_is_missed(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, 5, BATCH);
    wal_rig_again(r, 5);
    wal_rig_put_many(r, 6, 9, BATCH);
    wal_rig_stop(r);
    assert_int_equal(unlink(wal_rig_file(r, 2)), 0);
    expect_refusal(r, 5, "serial 2 is missing");
}

/* A file has its full length before it is used. */
static void a_file_that_was_cut_is_told(void **state)
{
    struct wal_rig *r = *state;
    struct stat st;
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, 6, BATCH);
    wal_rig_stop(r);
    assert_int_equal(stat(wal_rig_file(r, 1), &st), 0);
    assert_int_equal(st.st_size, WAL_SEGMENT_MIN);
    assert_int_equal(truncate(wal_rig_file(r, 1), (off_t)place(4)), 0);
    expect_refusal(r, 0, "00000001.wal is cut off");
    expect_refusal(r, 6, "00000001.wal is cut off");
}

/* A block that misreads once makes the start end the log before it. When it reads well again, what was written since
 * counts, and not what came back. */
static void what_came_back_does_not_replace_what_was_written_since(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, 10, BATCH);
    wal_rig_stop(r);
    wal_rig_flip(wal_rig_file(r, 1), place(9) + 3, 1);
    wal_rig_start(r, 0);
    wal_rig_expect(r, 1, 9, 1);
    wal_rig_put_many(r, 10, 12, BATCH);
    wal_rig_stop(r);
    wal_rig_flip(wal_rig_file(r, 1), place(9) + 3, 1);
    wal_rig_start(r, 0);
    wal_rig_expect(r, 1, 12, 0);
    for (uint32_t i = 0; i < r->n; i++)
        assert_int_equal(r->lives[i], i < 9 ? 1 : 2);
}

/* A block that was synced is not written again: its bytes stay the same over later appends, syncs and starts. */
static void synced_blocks_are_left_alone(void **state)
{
    struct wal_rig *r = *state;
    size_t size = 0, later = 0;
    wal_rig_start(r, 0);
    put_loose(r, 1, 2);
    sync_all(r);
    uint8_t *was = wal_rig_read(wal_rig_file(r, 1), &size);
    size = place(1);
    put_loose(r, 3, 3);
    wal_rig_put(r, 4, 100);
    wal_rig_put(r, 5, 100);
    wal_rig_again(r, 0);
    wal_rig_expect(r, 1, 5, 1);
    wal_rig_put(r, 6, 100);
    wal_rig_again(r, 0);
    uint8_t *now = wal_rig_read(wal_rig_file(r, 1), &later);
    assert_memory_equal(was, now, size);
    free(was);
    free(now);
}

/* What is set aside is never overwritten. */
static void what_is_set_aside_is_kept(void **state)
{
    struct wal_rig *r = *state;
    char path[700];
    size_t n = 0;
    wal_rig_start(r, 0);
    put_loose(r, 1, 60); /* two files */
    wal_rig_stop(r);
    for (unsigned i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, i ? "%s/00000002.lost.%u" : "%s/00000002.lost", r->folder, i);
        wal_rig_write(path, 0, "kept", 4);
    }
    wal_rig_zero(wal_rig_file(r, 2), 0, WAL_HEADER_BYTES);
    wal_rig_start(r, 0);
    (void)snprintf(path, sizeof path, "%s/00000002.lost.2", r->folder);
    assert_int_equal(access(path, F_OK), 0);
    (void)snprintf(path, sizeof path, "%s/00000002.lost", r->folder);
    uint8_t *bytes = wal_rig_read(path, &n);
    assert_int_equal(n, 4);
    assert_memory_equal(bytes, "kept", 4);
    free(bytes);
}

/* ---- the first format ---- */

/* Writes a log of one file as it was before records told what was synced: batches 1 .. last. */
static void write_first_format(struct wal_rig *r, uint64_t last)
{
    static uint8_t file[WAL_SEGMENT_MIN];
    const uint64_t serial = 1, salt = 77, life = 0;
    memset(file, 0, sizeof file);
    memcpy(file, "HMQWAL1\n", 8);
    le_write(file + 8, serial, 8);
    le_write(file + 24, salt, 8);
    le_write(file + 60, text_checksum(slice_of(file, 60)), 4);
    size_t at = 64;
    for (uint64_t number = 1; number <= last; number++, at += 24 + 16) {
        uint8_t covered[20 + 16];
        memcpy(file + at + 24, &number, 8);
        memcpy(file + at + 24 + 8, &life, 8);
        le_write(file + at + 4, 16, 4);
        le_write(file + at + 8, number, 8);
        le_write(file + at + 16, number - 1, 8);
        memcpy(covered, file + at + 4, 20);
        le_write(covered + 20, serial, 8);
        le_write(covered + 28, salt, 8);
        le_write(file + at, text_checksum2(slice_of(covered, sizeof covered), slice_of(file + at + 24, 16)), 4);
    }
    wal_rig_start(r, 0); /* makes the folder */
    wal_rig_stop(r);
    wal_rig_write(wal_rig_file(r, 1), 0, file, sizeof file);
}

static void the_first_format_is_read(void **state)
{
    struct wal_rig *r = *state;
    write_first_format(r, 30);
    wal_rig_start(r, 0);
    wal_rig_expect(r, 1, 30, 0);
    wal_rig_put(r, 31, BATCH);
    wal_rig_again(r, 0);
    wal_rig_expect(r, 1, 31, 0);
    wal_rig_stop(r);
    wal_rig_flip(wal_rig_file(r, 1), 64 + 5 * 40 + 30, 2);
    expect_refusal(r, 0, "commands 6 to");
}

/* Its records say nothing of syncs, so a gap that fsync=interval has left is damage. --salvage goes on before it. */
static void the_first_format_is_salvaged(void **state)
{
    struct wal_rig *r = *state;
    write_first_format(r, 5);
    wal_rig_flip(wal_rig_file(r, 1), 64 + 2 * 40 + 30, 1);
    expect_refusal(r, 0, "cannot be read at byte");
    r->salvage = true;
    wal_rig_start(r, 0);
    assert_true(r->n > 0 && r->n < 5);
    uint64_t last = r->n;
    wal_rig_put(r, 6, BATCH);
    assert_int_equal(wal_lost_set_aside(r->w, 1, r->err, sizeof r->err), ST_OK);
    r->salvage = false;
    wal_rig_again(r, last);
    wal_rig_expect(r, 6, 6, 0);
}

/* After a pause the log says that its last batch was synced, so damage in that is told, too. */
static void the_last_batch_is_told_after_a_pause(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, 5, BATCH);
    wal_append_say_synced(r->w);
    wal_rig_stop(r);
    for (int whole = 0; whole < 2; whole++) {
        uint8_t was[WAL_BLOCK_BYTES];
        size_t size = 0;
        uint8_t *bytes = wal_rig_read(wal_rig_file(r, 1), &size);
        memcpy(was, bytes + place(4), sizeof was);
        free(bytes);
        if (whole)
            wal_rig_zero(wal_rig_file(r, 1), place(4), WAL_BLOCK_BYTES);
        else
            wal_rig_flip(wal_rig_file(r, 1), place(4) + 100, 3);
        expect_refusal(r, 0, "cannot be read at byte");
        wal_rig_write(wal_rig_file(r, 1), place(4), was, sizeof was);
    }
    wal_rig_start(r, 0);
    wal_rig_expect(r, 1, 5, 1);
}

/* It is said once, never of what is not synced, and not in a file without a batch; batches go on behind it. */
static void what_is_said_in_a_pause_harms_nothing(void **state)
{
    struct wal_rig *r = *state;
    size_t size = 0;
    wal_rig_start(r, 0);
    wal_append_say_synced(r->w);
    for (uint64_t n = 1; n <= 40; n += 2) {
        wal_rig_put(r, n, BATCH);
        for (int i = 0; i < 3; i++)
            wal_append_say_synced(r->w);
        put_loose(r, n + 1, n + 1);
        wal_append_say_synced(r->w);
    }
    wal_rig_again(r, 0);
    wal_rig_expect(r, 1, 40, 1);
    wal_append_say_synced(r->w);
    wal_rig_put(r, 41, BATCH);
    wal_append_say_synced(r->w);
    wal_rig_stop(r);
    const char *last = wal_rig_file(r, wal_rig_files(r));
    free(wal_rig_read(last, &size));
    wal_rig_zero(last, place(1), WAL_BLOCK_BYTES); /* torn */
    wal_rig_start(r, 0);
    wal_rig_expect(r, 1, 41, 0);
    wal_rig_put(r, 42, BATCH);
    wal_rig_again(r, 41);
    wal_rig_expect(r, 42, 42, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WAL_RIG_TEST(a_flipped_bit_is_told),
        WAL_RIG_TEST(the_sentence_tells_what_is_lost),
        WAL_RIG_TEST(a_torn_last_record_ends_the_log),
        WAL_RIG_TEST(torn_bodies_tell_what_was_synced),
        WAL_RIG_TEST(the_last_batch_is_told_after_a_pause),
        WAL_RIG_TEST(what_is_said_in_a_pause_harms_nothing),
        cmocka_unit_test(synced_through_tells_damage_from_a_torn_end),
        WAL_RIG_TEST(damage_in_what_the_store_has_is_skipped),
        cmocka_unit_test(a_zeroed_first_block_loses_nothing),
        WAL_RIG_TEST(a_file_without_headers_is_told),
        WAL_RIG_TEST(a_missing_file_is_told),
        WAL_RIG_TEST(the_file_of_a_new_life_is_missed),
        WAL_RIG_TEST(a_file_that_was_cut_is_told),
        WAL_RIG_TEST(what_came_back_does_not_replace_what_was_written_since),
        WAL_RIG_TEST(synced_blocks_are_left_alone),
        WAL_RIG_TEST(what_is_set_aside_is_kept),
        WAL_RIG_TEST(the_first_format_is_read),
        WAL_RIG_TEST(the_first_format_is_salvaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
