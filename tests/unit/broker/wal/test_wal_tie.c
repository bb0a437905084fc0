/*
 * test_wal_tie.c: tests which logs and stores are taken together (the table in broker/wal/wal_tie.h), and what
 * --salvage makes of those that are not. A store is a folder with a file CURRENT here.
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

#include "broker/wal/wal.h"
#include "broker/wal/wal_set.h"
#include "broker/wal/wal_tie.h"
#include "tests/lib/tmpdir.h"

struct rig {
    char *path, *other;
    char err[1024];
    uint64_t id;      /* of the last start */
    bool lost;        /* ... went on without its log */
    uint64_t replayed;
};

static int setup(void **state)
{
    static struct rig r;
    r = (struct rig){.path = tmpdir_new(), .other = tmpdir_new()};
    *state = &r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    tmpdir_remove(r->path);
    tmpdir_remove(r->other);
    return 0;
}

static const char *in(const char *folder, const char *name)
{
    static char paths[4][700];
    static unsigned n;
    char *path = paths[n++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static enum status take(void *arg, struct slice batch, const struct redo_parts *parts)
{
    (void)parts;
    struct rig *r = arg;
    (void)batch;
    r->replayed++;
    return ST_OK;
}

/* A whole start: ties, replays, makes the store, and appends n batches behind the `after` that the store has. */
static enum status start(struct rig *r, const char *folder, uint64_t after, uint64_t n, bool salvage)
{
    char store[600];
    struct wal *w = NULL;
    const struct wal_options opt = {.path = in(folder, "wal"), .segment_bytes = WAL_SEGMENT_MIN, .bytes_max = 1 << 20,
                                    .salvage = salvage};
    bool is_long = false;
    (void)snprintf(store, sizeof store, "%s/store", folder);
    r->err[0] = 0;
    r->replayed = 0;
    assert_int_equal(wal_open(&opt, &w, r->err, sizeof r->err), ST_OK);
    enum status s = wal_tie(w, store, r->err, sizeof r->err);
    r->id = w->store_id;
    r->lost = w->lost_all;
    const struct redo *redo = wal_redo(w);
    if (s == ST_OK)
        s = redo->replay(redo->self, after, take, r, &is_long, r->err, sizeof r->err);
    if (s == ST_OK) {
        (void)mkdir(store, 0700);
        FILE *f = fopen(in(folder, "store/CURRENT"), "w");
        assert_non_null(f);
        (void)fclose(f);
        s = wal_tie_store(w, store, r->err, sizeof r->err);
    }
    uint64_t first = after + r->replayed + 1;
    for (uint64_t i = first; s == ST_OK && i < first + n; i++)
        s = redo->append(redo->self, i, SLICE_LIT("a batch of some bytes"), true, r->err, sizeof r->err);
    wal_close(w);
    return s;
}

static void started(struct rig *r, const char *folder, uint64_t after, uint64_t n, bool salvage)
{
    if (start(r, folder, after, n, salvage) != ST_OK)
        fail_msg("%s", r->err);
}

static void refused(struct rig *r, const char *folder, const char *why)
{
    assert_int_equal(start(r, folder, 0, 0, false), ST_BAD);
    if (!strstr(r->err, why) || !strstr(r->err, "Nothing was changed") || !strstr(r->err, "--salvage"))
        fail_msg("no \"%s\" in: %s", why, r->err);
}

static void moved(const char *from, const char *to)
{
    assert_int_equal(rename(from, to), 0);
}

static void log_and_store_keep_their_id(void **state)
{
    struct rig *r = *state;
    started(r, r->path, 0, 5, false);
    uint64_t id = r->id;
    assert_true(id != 0);
    started(r, r->path, 0, 5, false);
    assert_int_equal(r->id, id);
    assert_int_equal(r->replayed, 5);
    started(r, r->other, 0, 5, false);
    assert_true(r->id != id);
}

/* Nothing was written yet: a new store may go on with that log. */
static void a_log_without_a_record_needs_no_store(void **state)
{
    struct rig *r = *state;
    started(r, r->path, 0, 0, false);
    moved(in(r->path, "store"), in(r->path, "away"));
    started(r, r->path, 0, 5, false);
}

static void a_missing_log_is_told(void **state)
{
    struct rig *r = *state;
    started(r, r->path, 0, 5, false);
    uint64_t id = r->id;
    moved(in(r->path, "wal"), in(r->path, "away"));
    refused(r, r->path, "is missing or empty");
    refused(r, r->path, "is missing or empty"); /* there is an empty folder now */
    started(r, r->path, 3, 2, true);
    assert_true(r->lost);
    assert_int_equal(r->id, id);
    started(r, r->path, 3, 0, false);
    assert_int_equal(r->replayed, 2);
}

static void a_missing_store_is_told(void **state)
{
    struct rig *r = *state;
    started(r, r->path, 0, 5, false);
    uint64_t id = r->id;
    moved(in(r->path, "store"), in(r->path, "away"));
    refused(r, r->path, "is missing, but its log");
    started(r, r->path, 0, 5, true);
    assert_false(r->lost);
    assert_int_equal(r->id, id);
    assert_int_equal(r->replayed, 5);
}

/* The store is not made again from a part of its log. */
static void a_missing_store_needs_the_whole_log(void **state)
{
    struct rig *r = *state;
    started(r, r->path, 0, 5, false);
    started(r, r->path, 5, 5, false); /* goes on in a file of its own */
    assert_int_equal(unlink(in(r->path, "wal/00000001.wal")), 0);
    moved(in(r->path, "store"), in(r->path, "away"));
    assert_int_equal(start(r, r->path, 0, 0, true), ST_BAD);
    assert_non_null(strstr(r->err, "does not go back to the first group"));
    assert_int_not_equal(access(in(r->path, "store"), F_OK), 0);
}

static void a_foreign_log_is_told(void **state)
{
    struct rig *r = *state;
    started(r, r->path, 0, 5, false);
    uint64_t id = r->id;
    started(r, r->other, 0, 9, false);
    moved(in(r->path, "wal"), in(r->path, "away"));
    moved(in(r->other, "wal"), in(r->path, "wal"));
    refused(r, r->path, "belongs to another store");
    started(r, r->path, 3, 2, true);
    assert_true(r->lost);
    assert_int_equal(r->replayed, 0);
    started(r, r->path, 3, 1, false); /* sets the foreign file aside, which the salvage had no time for */
    assert_int_equal(r->id, id);
    assert_int_equal(r->replayed, 2);
    assert_int_equal(access(in(r->path, "wal/00000001.lost"), F_OK), 0);
    started(r, r->path, 3, 0, false);
    assert_int_equal(r->replayed, 3);
}

static void a_store_without_an_id_takes_that_of_its_log(void **state)
{
    struct rig *r = *state;
    static const char *const damaged[] = {NULL, "", "halfmq store 0123", "halfmq store 0123456789abcdef 00000000\n"};
    started(r, r->path, 0, 5, false);
    uint64_t id = r->id;
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        assert_int_equal(unlink(in(r->path, "store/store.id")), 0);
        FILE *f = damaged[i] ? fopen(in(r->path, "store/store.id"), "w") : NULL;
        assert_true(!f || (fputs(damaged[i], f) >= 0 && fclose(f) == 0));
        started(r, r->path, 0, 0, false);
        assert_int_equal(r->id, id);
        started(r, r->path, 0, 0, false);
        assert_int_equal(r->id, id);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(log_and_store_keep_their_id),
                                       TEST(a_log_without_a_record_needs_no_store),
                                       TEST(a_missing_log_is_told),
                                       TEST(a_missing_store_is_told),
                                       TEST(a_missing_store_needs_the_whole_log),
                                       TEST(a_foreign_log_is_told),
                                       TEST(a_store_without_an_id_takes_that_of_its_log)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
