/*
 * wal_rig.h: the write-ahead log (broker/wal/wal.h) in a folder of its own, without a store.
 *
 *   wal_rig_start(r, after)   opens and replays; the numbers of the replayed batches are in got[]
 *   wal_rig_put(r, 7, 100)    appends batch 7 of 100 bytes, which contain its number and its life
 *   wal_rig_stop(r)           closes; a life is the time from a start to its stop, so that a batch of an earlier life
 *                             is recognized
 *
 * Segments have the smallest allowed size. Every byte of a replayed batch is checked.
 */
#ifndef HALFMQ_TESTS_WAL_RIG_H
#define HALFMQ_TESTS_WAL_RIG_H

#include "broker/wal/wal.h"

#define WAL_RIG_GOT_MAX 8192
#define WAL_RIG_BATCH_MIN 16

struct wal_rig {
    char *path;      /* the folder above it */
    char folder[512]; /* the log's */
    size_t bytes_max;
    bool salvage;    /* wal_options.salvage */
    struct wal *w;   /* NULL: closed */
    const struct redo *redo;
    uint64_t life;
    uint64_t got[WAL_RIG_GOT_MAX], lives[WAL_RIG_GOT_MAX]; /* of the last replay */
    uint32_t n;
    bool long_log, damaged; /* damaged: a batch was replayed that was never written */
    uint32_t refuse_at; /* the replay fails at the n-th batch (1: the first); 0: it does not */
    enum status status; /* of the last call */
    char err[512];
};

/* Gives each test a rig of its own: write WAL_RIG_TEST(f) in the list of tests; the rig is *state in f. */
int wal_rig_setup(void **state);
int wal_rig_teardown(void **state);
#define WAL_RIG_TEST(f) cmocka_unit_test_setup_teardown(f, wal_rig_setup, wal_rig_teardown)

/* Starts. Returns the first status that is not ST_OK, with err; the rig is closed then. */
enum status wal_rig_try(struct wal_rig *r, uint64_t after);
void wal_rig_start(struct wal_rig *r, uint64_t after); /* must succeed */
void wal_rig_stop(struct wal_rig *r);
void wal_rig_again(struct wal_rig *r, uint64_t after); /* stop and start */

enum status wal_rig_append(struct wal_rig *r, uint64_t number, size_t bytes, bool sync);
void wal_rig_put(struct wal_rig *r, uint64_t number, size_t bytes); /* synced, and must succeed */
void wal_rig_put_many(struct wal_rig *r, uint64_t first, uint64_t last, size_t bytes); /* both included */

/* Checks that the batches first .. last were replayed, each of the given life; 0: of any life. */
#define wal_rig_expect(r, first, last, of) wal_rig_check((r), (first), (last), (of), __FILE__, __LINE__)
void wal_rig_check(const struct wal_rig *r, uint64_t first, uint64_t last, uint64_t life, const char *file,
                   int line);

/* ---- the files, while it is closed ---- */

/* Returns the path of a file of the log, valid until the next call. */
const char *wal_rig_file(const struct wal_rig *r, unsigned long long name);
unsigned wal_rig_files(const struct wal_rig *r);
/* Reads the whole file, without a NUL at the end. The caller frees it. */
uint8_t *wal_rig_read(const char *path, size_t *ret_size);
void wal_rig_write(const char *path, size_t at, const void *bytes, size_t n);
void wal_rig_zero(const char *path, size_t at, size_t n);
void wal_rig_flip(const char *path, size_t at, unsigned bit);

#endif
