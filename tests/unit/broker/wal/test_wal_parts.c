/*
 * test_wal_parts.c: tests parts: bytes that the log has before the batch that refers to them. They are in the file of that
 * batch, whatever comes in between, and are read again while it is replayed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/wal/wal_file.h"
#include "protocol/limits.h"
#include "tests/lib/wal_rig.h"

#define PART KIB(40)
#define PARTS 5
#define BATCH 1000

static uint64_t places[PARTS];

static uint8_t part_byte(unsigned part, size_t at)
{
    return (uint8_t)(part * 41 + at % 251);
}

static enum status put_part(struct wal_rig *r, unsigned i)
{
    static uint8_t bytes[PART];
    for (size_t k = 0; k < PART; k++)
        bytes[k] = part_byte(i, k);
    return r->redo->part(r->redo->self, slice_of(bytes, PART), i ? 0 : PART * PARTS, true, &places[i], r->err, sizeof r->err);
}

/* Between them others' batches, from `first` on. */
static void put_parts(struct wal_rig *r, uint64_t first)
{
    for (unsigned i = 0; i < PARTS; i++) {
        assert_int_equal(put_part(r, i), ST_OK);
        wal_rig_put(r, first + i, BATCH);
    }
}

/* ---- a replay that asks for the parts at batch `wanted` ---- */

struct taking {
    uint64_t wanted, seen;
    uint32_t sound, damaged;
};

static enum status take(void *arg, struct slice batch, const struct redo_parts *parts)
{
    struct taking *t = arg;
    uint64_t number = 0;
    memcpy(&number, batch.data, 8);
    t->seen = number;
    for (unsigned i = 0; number == t->wanted && i < PARTS; i++) {
        struct slice bytes = {0};
        enum status s = parts->read(parts->self, places[i], &bytes);
        if (s == ST_DAMAGED) {
            t->damaged++;
            continue;
        }
        assert_int_equal(s, ST_OK);
        assert_int_equal(bytes.len, PART);
        for (size_t k = 0; k < PART; k++)
            assert_int_equal(bytes.data[k], part_byte(i, k));
        t->sound++;
    }
    return ST_OK;
}

static struct taking replayed(struct wal_rig *r, uint64_t wanted)
{
    struct wal_options opt = {.path = r->folder, .segment_bytes = WAL_SEGMENT_MIN, .bytes_max = r->bytes_max};
    struct taking t = {.wanted = wanted};
    bool is_long = false;
    wal_rig_stop(r);
    assert_int_equal(wal_open(&opt, &r->w, r->err, sizeof r->err), ST_OK);
    r->redo = wal_redo(r->w);
    if (r->redo->replay(r->redo->self, 0, take, &t, &is_long, r->err, sizeof r->err) != ST_OK)
        fail_msg("the log does not open: %s", r->err);
    return t;
}

static void they_are_read_with_the_batch(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, 3, BATCH);
    put_parts(r, 4);
    assert_true(r->redo->has_parts(r->redo->self, BATCH));
    wal_rig_put(r, 9, BATCH);
    r->redo->parts_end(r->redo->self);
    wal_rig_put_many(r, 10, 40, BATCH);
    struct taking t = replayed(r, 9);
    assert_int_equal(t.seen, 40);
    assert_int_equal(t.sound, PARTS);
}

/* A file has 64 KiB, and they are 200. */
static void one_file_has_them_all(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, 10, BATCH);
    put_parts(r, 11);
    for (unsigned i = 1; i < PARTS; i++)
        assert_true(places[i] > places[i - 1]);
    wal_rig_put(r, 16, BATCH);
    r->redo->parts_end(r->redo->self);
    unsigned files = wal_rig_files(r);
    wal_rig_put(r, 17, BATCH); /* the file is as full as it may be */
    assert_true(wal_rig_files(r) >= files);
    struct taking t = replayed(r, 16);
    assert_int_equal(t.seen, 17);
    assert_int_equal(t.sound, PARTS);
}

/* The command was never applied: the broker was killed, or its entry is gone. */
static void parts_without_a_batch_are_nothing(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    wal_rig_put_many(r, 1, 3, BATCH);
    assert_int_equal(put_part(r, 0), ST_OK);
    assert_int_equal(put_part(r, 1), ST_OK);
    struct taking t = replayed(r, 0);
    assert_int_equal(t.seen, 3);
    struct wal_figures f;
    wal_figures(r->w, &f);
    assert_int_equal(f.dropped, 0);
    wal_rig_put_many(r, 4, 6, BATCH);
    t = replayed(r, 0);
    assert_int_equal(t.seen, 6);
}

static void what_begins_ends_those_before(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    put_parts(r, 1);
    r->redo->parts_end(r->redo->self);
    assert_false(r->redo->has_parts(r->redo->self, BATCH));
    assert_int_equal(put_part(r, 1), ST_BUSY);
    put_parts(r, 6);
    wal_rig_put(r, 11, BATCH);
    struct taking t = replayed(r, 11);
    assert_int_equal(t.sound, PARTS);
}

/* Others have written so much in between that the log has gone on in another file. */
static void they_are_given_up(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    assert_int_equal(put_part(r, 0), ST_OK);
    for (uint64_t n = 1; n <= 40; n++)
        wal_rig_put(r, n, MIB(1));
    assert_false(r->redo->has_parts(r->redo->self, BATCH));
    assert_int_equal(put_part(r, 1), ST_BUSY);
    wal_rig_put(r, 41, BATCH);
    wal_rig_again(r, 0);
    wal_rig_expect(r, 1, 41, 1);
}

/* Any bit of a part: it is not taken for sound, all batches come, and the other parts. */
static void a_damaged_one_is_told(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    put_parts(r, 1);
    wal_rig_put_many(r, 6, 8, BATCH);
    wal_rig_stop(r);
    for (unsigned i = 0; i < 40; i++) {
        size_t at = (size_t)places[i % PARTS] + i * 997; /* in its head, or in what it holds */
        wal_rig_flip(wal_rig_file(r, 1), at, i % 8);
        struct taking t = replayed(r, 6);
        assert_int_equal(t.seen, 8);
        assert_int_equal(t.damaged, 1);
        assert_int_equal(t.sound, PARTS - 1);
        wal_rig_stop(r);
        wal_rig_flip(wal_rig_file(r, 1), at, i % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WAL_RIG_TEST(they_are_read_with_the_batch),    WAL_RIG_TEST(one_file_has_them_all),
        WAL_RIG_TEST(parts_without_a_batch_are_nothing), WAL_RIG_TEST(what_begins_ends_those_before),
        WAL_RIG_TEST(they_are_given_up),               WAL_RIG_TEST(a_damaged_one_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
