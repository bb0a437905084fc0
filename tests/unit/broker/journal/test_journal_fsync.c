/*
 * test_journal_fsync.c: what is synced, and when, while the mode changes and while the wall clock is wrong.
 *
 * The journal has a real store, whose log is a fake that counts what was appended and how much of it was synced. The
 * program is linked with --wrap=clock_gettime, so that a test can move the wall clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#include "broker/journal/journal.h"
#include "storage/state.h"
#include "storage/store.h"
#include "tests/lib/tmpdir.h"

#define HOUR_MS 3600000
#define DEADLINE_S 60

static _Atomic int64_t wall_ahead_s; /* what the process takes for the time is so much later than the kernel's */

int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
    int failed = __real_clock_gettime(clock, ret);
    if (clock == CLOCK_REALTIME)
        ret->tv_sec += atomic_load(&wall_ahead_s);
    return failed;
}

struct fixture {
    char *folder;
    struct store *store;
    struct state *state;
    struct journal *journal;
    struct journal_client client; /* the only one */
    atomic_uint appended, synced; /* batches; synced: so many of them are on disk */
    unsigned synced_when_posted;
    bool holds;                   /* append waits for `go` */
    sem_t holding, go, has_synced;
};

static struct fixture *fixture_of(struct journal_client *c)
{
    return (struct fixture *)((char *)c - offsetof(struct fixture, client));
}

static enum status fake_append(void *self, uint64_t number, struct slice batch, bool sync, char *err, size_t err_size)
{
    struct fixture *f = self;
    (void)number, (void)batch, (void)err, (void)err_size;
    unsigned n = atomic_fetch_add(&f->appended, 1) + 1;
    if (f->holds) {
        sem_post(&f->holding);
        sem_wait(&f->go);
    }
    if (sync)
        atomic_store(&f->synced, n);
    return ST_OK;
}

static enum status fake_sync(void *self, char *err, size_t err_size)
{
    struct fixture *f = self;
    (void)err, (void)err_size;
    atomic_store(&f->synced, atomic_load(&f->appended));
    sem_post(&f->has_synced);
    return ST_OK;
}

static enum status fake_replay(void *self, uint64_t after, redo_take_fn *take, void *arg, bool *ret_long, char *err,
                               size_t err_size)
{
    (void)self, (void)after, (void)take, (void)arg, (void)err, (void)err_size;
    *ret_long = false;
    return ST_OK;
}

static void on_fatal(const char *text)
{
    fprintf(stderr, "the store failed: %s\n", text);
    abort();
}

static void on_post(struct journal_client *c, struct entry_list *done)
{
    struct fixture *f = fixture_of(c);
    struct entry *e = NULL;
    f->synced_when_posted = atomic_load(&f->synced);
    while ((e = entry_pop(done)))
        entry_free(e);
}

static void on_news(struct journal_client *c, const struct effects *fx)
{
    (void)c, (void)fx;
}

static void on_nudge(struct journal_client *c)
{
    (void)c;
}

/* Writes one batch, and returns when it was handed back. */
static void write_one(struct fixture *f)
{
    static atomic_uint n;
    char name[32];
    snprintf(name, sizeof name, "t%u", atomic_fetch_add(&n, 1));
    struct command cmd = {.info = command_info(CMD_TOPIC_CREATE), .n_pos = 1, .pos = {slice_str(name)}};
    struct entry *e = entry_new(NULL, &cmd);
    assert_non_null(e);
    unsigned before = atomic_load(&f->appended);
    assert_true(journal_submit(f->journal, &f->client, e));
    assert_false(journal_turn(f->journal, &f->client, TURN_NEWS_FIRST));
    assert_int_equal(atomic_load(&f->appended), before + 1);
}

static struct fixture *begin(void **state, enum fsync_mode mode, int64_t interval_ms)
{
    struct fixture *f = *state;
    char path[512], err[512] = "";
    const struct redo redo = {.self = f, .append = fake_append, .sync = fake_sync, .replay = fake_replay};
    static struct redo kept;
    kept = redo;
    snprintf(path, sizeof path, "%s/store", f->folder);
    const struct store_options so = {.path = path, .memory_bytes = 32 << 20, .redo = &kept};
    if (store_open(&so, &f->store, err, sizeof err) != ST_OK || state_load(f->store, &f->state, err, sizeof err) != ST_OK)
        fail_msg("%s", err);
    const struct journal_options jo = {.store = f->store, .state = f->state, .fsync = mode,
                                       .fsync_interval_ms = interval_ms, .pending_bytes_max = 1 << 20,
                                       .pending_max = 1000, .data_path = f->folder, .fatal = on_fatal};
    assert_int_equal(journal_new(&jo, &f->journal), ST_OK);
    f->client = (struct journal_client){.post = on_post, .news = on_news, .nudge = on_nudge};
    journal_register(f->journal, &f->client);
    write_one(f); /* storage/ syncs the first batch of a process in each mode */
    atomic_store(&f->appended, 0);
    atomic_store(&f->synced, 0);
    while (sem_trywait(&f->has_synced) == 0)
        continue;
    return f;
}

static void *write_one_thread(void *arg)
{
    write_one(arg);
    return NULL;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->folder = tmpdir_new();
    sem_init(&f->holding, 0, 0);
    sem_init(&f->go, 0, 0);
    sem_init(&f->has_synced, 0, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    atomic_store(&wall_ahead_s, 0);
    journal_free(f->journal);
    state_drop(f->state);
    store_close(f->store);
    tmpdir_remove(f->folder);
    free(f);
    return 0;
}

static void a_stricter_mode_syncs_before_it_returns(void **state)
{
    struct fixture *f = begin(state, FSYNC_NEVER, HOUR_MS);
    write_one(f);
    assert_int_equal(atomic_load(&f->synced), 0);
    journal_set_fsync(f->journal, FSYNC_ALWAYS, HOUR_MS);
    assert_int_equal(atomic_load(&f->synced), 1);
    write_one(f);
    assert_int_equal(f->synced_when_posted, 2);
}

static void interval_after_never_syncs_what_was_written(void **state)
{
    struct fixture *f = begin(state, FSYNC_NEVER, HOUR_MS);
    write_one(f);
    journal_set_fsync(f->journal, FSYNC_INTERVAL, HOUR_MS);
    assert_int_equal(atomic_load(&f->synced), 1);
}

static void a_shorter_interval_syncs_what_was_written(void **state)
{
    struct fixture *f = begin(state, FSYNC_INTERVAL, HOUR_MS);
    write_one(f);
    journal_set_fsync(f->journal, FSYNC_INTERVAL, HOUR_MS - 1);
    assert_int_equal(atomic_load(&f->synced), 1);
}

static void never_syncs_nothing(void **state)
{
    struct fixture *f = begin(state, FSYNC_INTERVAL, HOUR_MS);
    write_one(f);
    journal_set_fsync(f->journal, FSYNC_NEVER, HOUR_MS);
    assert_int_equal(f->synced_when_posted, 0);
}

/* A group that was begun in the old mode is acknowledged after the change: it must be on disk, too. */
static void a_group_under_way_is_synced(void **state)
{
    struct fixture *f = begin(state, FSYNC_NEVER, HOUR_MS);
    pthread_t writer;
    f->holds = true;
    assert_int_equal(pthread_create(&writer, NULL, write_one_thread, f), 0);
    sem_wait(&f->holding);
    atomic_store(&f->appended, 0); /* the fake's sync meanwhile does not see it: it is not written yet */
    journal_set_fsync(f->journal, FSYNC_ALWAYS, HOUR_MS);
    atomic_store(&f->appended, 1);
    f->holds = false;
    sem_post(&f->go);
    pthread_join(writer, NULL);
    assert_int_equal(f->synced_when_posted, 1);
}

/* The process takes the time for an hour later than the kernel does, as after a step back. */
static void the_wall_clock_does_not_move_the_interval(void **state)
{
    atomic_store(&wall_ahead_s, 3600);
    struct fixture *f = begin(state, FSYNC_INTERVAL, 1);
    struct timespec until;
    write_one(f);
    __real_clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += DEADLINE_S;
    assert_int_equal(sem_clockwait(&f->has_synced, CLOCK_MONOTONIC, &until), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_stricter_mode_syncs_before_it_returns),
        TEST(interval_after_never_syncs_what_was_written),
        TEST(a_shorter_interval_syncs_what_was_written),
        TEST(never_syncs_nothing),
        TEST(a_group_under_way_is_synced),
        TEST(the_wall_clock_does_not_move_the_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
