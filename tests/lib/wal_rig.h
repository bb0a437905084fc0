/*
 * wal_rig.h: the broker's log (broker/journal/wal.h) in a folder of its own, without a store.
 *
 *   wal_rig_start(r, after)   opens and replays; what came is in got[]
 *   wal_rig_put(r, 7, 100)    appends batch 7 of 100 bytes, which tell its number and the life it is of
 *   wal_rig_stop(r)           closes; the next start is another life, so that a ghost is known by its life
 *
 * Segments are as small as they may be. Batches are checked byte by byte when they come back.
 */
#ifndef HALFMQ_TESTS_WAL_RIG_H
#define HALFMQ_TESTS_WAL_RIG_H

#include "broker/journal/wal.h"

#define WAL_RIG_GOT_MAX 8192
#define WAL_RIG_BATCH_MIN 16

struct wal_rig {
    char *path;      /* the folder above */
    char folder[512]; /* the log's */
    size_t bytes_max;
    struct wal *w;   /* NULL: closed */
    const struct redo *redo;
    uint64_t life;
    uint64_t got[WAL_RIG_GOT_MAX], lives[WAL_RIG_GOT_MAX]; /* of the last replay */
    uint32_t n;
    bool long_log, damaged; /* damaged: a batch came that nobody wrote */
    uint32_t refuse_at; /* the n-th batch of a replay is not taken (1: the first); 0: all are */
    enum status status; /* of the last call */
    char err[512];
};

/* One for each test: WAL_RIG_TEST(f) in the list, *state in f. */
int wal_rig_setup(void **state);
int wal_rig_teardown(void **state);
#define WAL_RIG_TEST(f) cmocka_unit_test_setup_teardown(f, wal_rig_setup, wal_rig_teardown)

/* The status of the first that fails, with err; then the rig is closed. */
enum status wal_rig_try(struct wal_rig *r, uint64_t after);
void wal_rig_start(struct wal_rig *r, uint64_t after); /* which must succeed */
void wal_rig_stop(struct wal_rig *r);
void wal_rig_again(struct wal_rig *r, uint64_t after); /* stop and start */

enum status wal_rig_append(struct wal_rig *r, uint64_t number, size_t bytes, bool sync);
void wal_rig_put(struct wal_rig *r, uint64_t number, size_t bytes); /* synced, and must succeed */
void wal_rig_put_many(struct wal_rig *r, uint64_t first, uint64_t last, size_t bytes); /* both included */

/* What was replayed is first .. last, each of them of the life given; 0: of any. */
#define wal_rig_expect(r, first, last, of) wal_rig_check((r), (first), (last), (of), __FILE__, __LINE__)
void wal_rig_check(const struct wal_rig *r, uint64_t first, uint64_t last, uint64_t life, const char *file,
                   int line);

/* ---- the files, while it is closed ---- */

/* The path of a file of the log; valid until the next call. */
const char *wal_rig_file(const struct wal_rig *r, unsigned long long name);
unsigned wal_rig_files(const struct wal_rig *r);
/* The whole file, ended by nothing; freed by the caller. */
uint8_t *wal_rig_read(const char *path, size_t *ret_size);
void wal_rig_write(const char *path, size_t at, const void *bytes, size_t n);
void wal_rig_zero(const char *path, size_t at, size_t n);
void wal_rig_flip(const char *path, size_t at, unsigned bit);

#endif
