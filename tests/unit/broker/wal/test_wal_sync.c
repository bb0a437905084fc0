/*
 * test_wal_sync.c: tests that after a synced append all batches before it are on disk, whatever the mode was when they
 * were appended.
 *
 * This program has its own pwritev and fdatasync instead of the C library's. They count for each file the writes, and
 * how many of these were done before the last successful fdatasync began.
 */
#include <setjmp.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "broker/wal/wal_file.h"
#include "protocol/limits.h"
#include "tests/lib/wal_rig.h"

#define FILES 256
#define BATCH 1000
#define A_FILE ((WAL_SEGMENT_MIN - WAL_HEADER_BYTES - WAL_END_BYTES) / (WAL_RECORD_BYTES + BATCH))

static struct {
    pthread_mutex_t lock;
    ino_t inode[FILES];
    uint64_t written[FILES], synced[FILES]; /* writes */
    unsigned n, syncs;
    int fail_in; /* the n-th sync from now fails; 0: none */
} book = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Returns the row of a file. The caller holds the lock. */
static unsigned row_of(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    unsigned i = 0;
    while (i < book.n && book.inode[i] != st.st_ino)
        i++;
    assert_true(i < FILES);
    if (i == book.n)
        book.inode[book.n++] = st.st_ino;
    return i;
}

/* Depending on how a caller was compiled, it uses one name or the other. */
ssize_t written_and_noted(int fd, const struct iovec *iov, int n, off_t at) __asm__("pwritev");
ssize_t written_and_noted64(int fd, const struct iovec *iov, int n, off_t at) __asm__("pwritev64");

ssize_t written_and_noted64(int fd, const struct iovec *iov, int n, off_t at)
{
    return written_and_noted(fd, iov, n, at);
}

ssize_t written_and_noted(int fd, const struct iovec *iov, int n, off_t at)
{
    long done = syscall(SYS_pwritev, fd, iov, n, at, 0L);
    pthread_mutex_lock(&book.lock);
    book.written[row_of(fd)]++;
    pthread_mutex_unlock(&book.lock);
    return done;
}

/* How many bytes the disk was told to begin with, before a sync. */
static atomic_size_t begun;

int sync_file_range(int fd, off64_t at, off64_t n, unsigned flags)
{
    (void)fd;
    (void)at;
    (void)flags;
    atomic_fetch_add(&begun, (size_t)n);
    return 0;
}

int fdatasync(int fd)
{
    pthread_mutex_lock(&book.lock);
    unsigned row = row_of(fd);
    uint64_t written = book.written[row];
    bool fails = book.fail_in && --book.fail_in == 0;
    book.syncs++;
    pthread_mutex_unlock(&book.lock);
    if (fails) { /* as with a real disk: the kernel drops the bytes, and the next call succeeds */
        errno = EIO;
        return -1;
    }
    long done = syscall(SYS_fdatasync, fd);
    pthread_mutex_lock(&book.lock);
    if (done == 0 && book.synced[row] < written)
        book.synced[row] = written;
    pthread_mutex_unlock(&book.lock);
    return (int)done;
}

static unsigned unsynced(void)
{
    unsigned n = 0;
    pthread_mutex_lock(&book.lock);
    for (unsigned i = 0; i < book.n; i++)
        n += book.synced[i] < book.written[i];
    pthread_mutex_unlock(&book.lock);
    return n;
}

static int setup(void **state)
{
    book.n = book.syncs = 0;
    book.fail_in = 0;
    memset(book.written, 0, sizeof book.written);
    memset(book.synced, 0, sizeof book.synced);
    return wal_rig_setup(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, wal_rig_teardown)

static void append(struct wal_rig *r, uint64_t number, bool sync)
{
    if (wal_rig_append(r, number, BATCH, sync) != ST_OK)
        fail_msg("append of %llu: %s", (unsigned long long)number, r->err);
}

static void sync_all(const struct wal_rig *r)
{
    char err[256] = "";
    if (r->redo->sync(r->redo->self, err, sizeof err) != ST_OK)
        fail_msg("sync: %s", err);
}

/* At the turn to another file two more: of the new one's header, and of the word in the old one that names it. */
static void a_synced_append_syncs_its_own_file_once(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    for (uint64_t n = 1; n <= 5 * A_FILE; n++) {
        unsigned before = book.syncs, files = wal_rig_files(r);
        append(r, n, true);
        assert_int_equal(unsynced(), 0);
        assert_int_equal(book.syncs, before + (wal_rig_files(r) > files ? 3 : 1));
    }
}

static void an_append_that_is_not_synced_syncs_nothing(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    unsigned before = book.syncs;
    for (uint64_t n = 1; n <= 5 * A_FILE; n++)
        append(r, n, false);
    assert_int_equal(book.syncs, before);
    assert_int_equal(unsynced(), 5);
}

static void a_synced_append_vouches_for_all_before_it(void **state)
{
    struct wal_rig *r = *state;
    uint64_t n = 0;
    wal_rig_start(r, 0);
    for (uint64_t loose = 0; loose < 4 * A_FILE; loose += 7) {
        for (uint64_t i = 0; i < loose; i++)
            n++, append(r, n, false);
        n++, append(r, n, true);
        assert_int_equal(unsynced(), 0);
    }
    wal_rig_again(r, 0);
    wal_rig_expect(r, 1, n, 0);
}

static void a_sync_vouches_for_all_before_it(void **state)
{
    struct wal_rig *r = *state;
    uint64_t n = 0;
    wal_rig_start(r, 0);
    sync_all(r); /* there is nothing to sync */
    for (uint64_t loose = 0; loose < 4 * A_FILE; loose += 7) {
        for (uint64_t i = 0; i < loose; i++)
            n++, append(r, n, false);
        sync_all(r);
        assert_int_equal(unsynced(), 0);
    }
    unsigned before = book.syncs;
    sync_all(r);
    assert_int_equal(book.syncs, before); /* nothing had to be synced */
}

static void write_five_files(struct wal_rig *r)
{
    wal_rig_start(r, 0);
    for (uint64_t n = 1; n <= 5 * A_FILE; n++)
        append(r, n, false);
    wal_rig_stop(r);
}

/* Bytes of a killed broker may be in the kernel's memory only, so replay syncs them before it continues. */
static void what_is_replayed_is_synced(void **state)
{
    struct wal_rig *r = *state;
    write_five_files(r);
    assert_int_equal(unsynced(), 5);
    wal_rig_start(r, 0);
    assert_int_equal(unsynced(), 0);
}

/* Files behind a gap are renamed before anything is appended, and are kept for inspection. */
static void what_is_behind_a_gap_is_set_aside(void **state)
{
    struct wal_rig *r = *state;
    write_five_files(r);
    wal_rig_flip(wal_rig_file(r, 2), WAL_HEADER_BYTES + 100, 0);
    wal_rig_start(r, 0);
    wal_rig_expect(r, 1, A_FILE, 1);
    struct wal_figures figures;
    wal_figures(r->w, &figures);
    assert_int_equal(figures.dropped, 3);
    assert_int_equal(figures.segments, 3);
    for (unsigned i = 3; i <= 5; i++) {
        char name[PATH_MAX];
        (void)snprintf(name, sizeof name, "%s", wal_rig_file(r, i));
        assert_int_equal(access(name, F_OK), -1);
        (void)snprintf(strrchr(name, '.'), sizeof ".lost", ".lost");
        assert_int_equal(access(name, F_OK), 0);
    }
}

/* The sync of the first, the second or the third of three files fails; after that no sync succeeds. */
static void where_a_sync_failed_none_succeeds(void **state)
{
    (void)state;
    for (int which = 1; which <= 6; which++) {
        void *one = NULL;
        char err[1024] = "";
        setup(&one);
        struct wal_rig *r = one;
        wal_rig_start(r, 0);
        for (uint64_t n = 1; n <= 3 * A_FILE; n++)
            append(r, n, false);
        book.fail_in = (which + 1) / 2;
        bool by_append = which % 2;
        if (by_append)
            assert_int_equal(wal_rig_append(r, 3 * A_FILE + 1, 16, true), ST_IO);
        else
            assert_int_equal(r->redo->sync(r->redo->self, err, sizeof err), ST_IO);
        assert_non_null(strstr(by_append ? r->err : err, r->folder));
        assert_non_null(strstr(by_append ? r->err : err, strerror(EIO)));
        assert_true(unsynced() > 0);
        assert_int_equal(wal_rig_append(r, 4 * A_FILE, 16, true), ST_IO);
        wal_rig_teardown(&one);
    }
}

/* ---- at the same time ---- */

struct syncer {
    struct wal_rig *r;
    atomic_bool over;
    atomic_uint failed;
};

static void *sync_on(void *arg)
{
    struct syncer *s = arg;
    char err[256];
    while (!atomic_load(&s->over)) {
        if (s->r->redo->sync(s->r->redo->self, err, sizeof err) != ST_OK)
            atomic_fetch_add(&s->failed, 1);
    }
    return NULL;
}

static void syncs_beside_appends(void **state)
{
    struct wal_rig *r = *state;
    struct syncer s = {.r = r};
    pthread_t threads[2];
    wal_rig_start(r, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sync_on, &s), 0);
    const uint64_t most = 40 * A_FILE;
    for (uint64_t n = 1; n <= most; n++) {
        bool sync = n % 50 == 0;
        append(r, n, sync);
        if (sync)
            assert_int_equal(unsynced(), 0);
    }
    atomic_store(&s.over, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&s.failed), 0);
    sync_all(r);
    assert_int_equal(unsynced(), 0);
    wal_rig_again(r, 0);
    wal_rig_expect(r, 1, most, 1);
}

/* The disk has begun with most of a long record before the whole of it is copied; of a short one nothing is begun with. */
static void a_long_record_is_begun_with_piece_by_piece(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_start(r, 0);
    atomic_store(&begun, 0);
    wal_rig_put(r, 1, BATCH);
    assert_int_equal(atomic_load(&begun), 0);
    struct slice batch = slice_of(calloc(1, MIB(5)), MIB(5));
    assert_non_null(batch.data);
    assert_int_equal(r->redo->append(r->redo->self, 2, batch, true, r->err, sizeof r->err), ST_OK);
    assert_int_equal(atomic_load(&begun), MIB(5));
    free((void *)(uintptr_t)batch.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_synced_append_syncs_its_own_file_once),
        TEST(an_append_that_is_not_synced_syncs_nothing),
        TEST(a_synced_append_vouches_for_all_before_it),
        TEST(a_sync_vouches_for_all_before_it),
        TEST(what_is_replayed_is_synced),
        TEST(what_is_behind_a_gap_is_set_aside),
        cmocka_unit_test(where_a_sync_failed_none_succeeds),
        TEST(syncs_beside_appends),
        TEST(a_long_record_is_begun_with_piece_by_piece),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
