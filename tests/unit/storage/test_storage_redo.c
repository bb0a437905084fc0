/*
 * test_storage_redo.c: tests a store with a redo log (storage/redo.h), here an array in memory. To crash, another
 * process runs the commands and kills itself; the array is in shared memory, so it survives. That process runs this
 * program again, because a fork does not copy RocksDB's threads: `test_storage_redo <life> <folder> <memory> <log>`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/limits.h"
#include "tests/lib/shell.h"
#include "tests/lib/tmpdir.h"

#define BATCHES 4096
#define BYTES MIB(48)

/* The log; in shared memory. */
struct fake {
    uint64_t number[BATCHES];
    size_t at[BATCHES], len[BATCHES];
    uint32_t n, syncs;
    size_t used;
    uint32_t fail_append, fail_sync, fail_replay; /* 0: never; else the n-th from now */
    uint64_t after;    /* of the last replay */
    uint32_t replayed; /* in it */
    bool is_long;      /* what the replay says */
    rlim_t file_limit; /* set after the replay; 0: none */
    uint8_t bytes[BYTES];
};

static bool counts_down(uint32_t *n)
{
    return *n && --*n == 0;
}

static enum status failed(char *err, size_t err_size)
{
    (void)snprintf(err, err_size, "the test's log fails");
    return ST_IO;
}

static enum status fake_append(void *self, uint64_t number, struct slice batch, bool sync, char *err,
                               size_t err_size)
{
    struct fake *l = self;
    if (counts_down(&l->fail_append))
        return failed(err, err_size);
    if (l->n == BATCHES || l->used + batch.len > BYTES || (l->n && l->number[l->n - 1] >= number))
        exit(98);
    l->number[l->n] = number;
    l->at[l->n] = l->used;
    l->len[l->n++] = batch.len;
    memcpy(l->bytes + l->used, batch.data, batch.len);
    l->used += batch.len;
    l->syncs += sync;
    return ST_OK;
}

static enum status fake_sync(void *self, char *err, size_t err_size)
{
    struct fake *l = self;
    l->syncs++;
    return counts_down(&l->fail_sync) ? failed(err, err_size) : ST_OK;
}

static enum status fake_replay(void *self, uint64_t after, redo_take_fn *take, void *arg, bool *ret_long,
                               char *err, size_t err_size)
{
    struct fake *l = self;
    l->after = after;
    l->replayed = 0;
    if (counts_down(&l->fail_replay))
        return failed(err, err_size);
    for (uint32_t i = 0; i < l->n; i++) {
        if (l->number[i] <= after)
            continue;
        enum status s = take(arg, slice_of(l->bytes + l->at[i], l->len[i]), NULL);
        if (s != ST_OK)
            return s;
        l->replayed++;
    }
    *ret_long = l->is_long;
    struct rlimit limit;
    if (l->file_limit && getrlimit(RLIMIT_FSIZE, &limit) == 0) {
        limit.rlim_cur = l->file_limit;
        (void)setrlimit(RLIMIT_FSIZE, &limit);
    }
    return ST_OK;
}

/* ---- a store with such a log ---- */

struct rig {
    int fd; /* the shared memory of the log */
    struct fake *log;
    struct redo redo;
    struct shell s;
};

static void map_log(struct rig *r)
{
    r->log = mmap(NULL, sizeof *r->log, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
    assert_true(r->log != MAP_FAILED);
    r->redo = (struct redo){
        .self = r->log, .append = fake_append, .sync = fake_sync, .replay = fake_replay};
}

static void rig_init(struct rig *r)
{
    r->fd = memfd_create("log", 0);
    assert_true(r->fd >= 0 && ftruncate(r->fd, sizeof *r->log) == 0);
    map_log(r);
    shell_start(&r->s); /* makes the folder, and is closed at once: it has the default log */
    shell_close(&r->s);
    tmpdir_remove(r->s.path);
    r->s.path = tmpdir_new();
    r->s.redo = &r->redo;
    r->s.sync = true;
    r->s.memory_bytes = MIB(64);
    r->s.index = 0;
}

static int setup(void **state)
{
    static struct rig r;
    rig_init(&r);
    *state = &r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    shell_stop(&r->s);
    munmap(r->log, sizeof *r->log);
    close(r->fd);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void opened(struct rig *r)
{
    if (!shell_open(&r->s))
        fail_msg("the store does not open: %s", r->s.err);
}

/* ---- what the crashing process does ---- */

static void must(struct shell *s, const char *said)
{
    if (s->status != ST_OK || said[0] == '-') {
        (void)fprintf(stderr, "in the child: %s %s\n", said, s->err);
        _exit(96);
    }
}

static void first_life(struct shell *s)
{
    must(s, shell_do(s, "TOPIC CREATE t QUEUES 2"));
    must(s, shell_do(s, "GROUP CREATE g t"));
    for (int i = 0; i < 50; i++)
        must(s, shell_do(s, "SEND t m%d QUEUE %d KEY k%d", i, i % 2, i));
    char txid[32];
    (void)snprintf(txid, sizeof txid, "%s", shell_do(s, "HALF pg t decided"));
    must(s, shell_do(s, "COMMIT %s", txid));
    must(s, shell_do(s, "HALF pg t open"));
    must(s, shell_do(s, "POP g t COUNT 3"));
    must(s, shell_do(s, "SEND t later DELAY 1h"));
}

static void second_life(struct shell *s)
{
    must(s, shell_do(s, "TOPIC CREATE z QUEUES 1 COMPRESS lz4"));
    for (int i = 0; i < 20; i++)
        must(s, shell_do(s, "SEND z z%d", i));
    must(s, shell_do(s, "TOPIC PURGE t"));
    for (int i = 0; i < 20; i++)
        must(s, shell_do(s, "SEND t n%d", i));
}

/* Writes no rows that a compaction may drop at any time. */
static void plain_life(struct shell *s)
{
    must(s, shell_do(s, "TOPIC CREATE z QUEUES 1 COMPRESS lz4"));
    must(s, shell_do(s, "TOPIC CREATE t QUEUES 1"));
    for (int i = 0; i < 50; i++) {
        must(s, shell_do(s, "SEND z z%d", i));
        must(s, shell_do(s, "SEND t t%d KEY k", i));
    }
}

/* Writes more than the write buffers hold, so that files are made meanwhile. */
static void large_life(struct shell *s)
{
    char body[20001];
    memset(body, 'b', sizeof body - 1);
    body[sizeof body - 1] = 0;
    for (int i = 0; i < 1500; i++)
        must(s, shell_do(s, "SEND big %s QUEUE 0", body));
}

static const char *large_body(char fill)
{
    static char body[KIB(100) + 1];
    memset(body, fill, sizeof body - 1);
    return body;
}

/* Adds a command to the group. A word @c is a large body of that letter. */
static uint32_t large_add(struct shell *s, const char *fmt, ...)
{
    char line[200];
    struct slice words[12];
    size_t n = 0;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    for (char *save = NULL, *word = strtok_r(line, " ", &save); word && n < 12; word = strtok_r(NULL, " ", &save))
        words[n++] = word[0] == '@' ? slice_of(large_body(word[1]), KIB(100)) : slice_of(word, strlen(word));
    return shell_add_words(s, words, n);
}

static void large_do(struct shell *s, char ret[static 32], const char *line, const char *txid)
{
    uint32_t at = large_add(s, line, txid);
    must(s, shell_write(s) ? shell_reply(s, at) : "-");
    (void)snprintf(ret, 32, "%s", shell_reply(s, at));
}

/* An open transaction with three large messages and a small one. */
static void large_half(struct shell *s, char txid[static 32])
{
    char same[32];
    large_do(s, txid, "HALF pg t @1", "");
    large_do(s, same, "HALF pg t @2 TXN %s KEY k", txid);
    large_do(s, same, "HALF pg t small TXN %s", txid);
    large_do(s, same, "HALF pg other @3 TXN %s", txid);
}

enum { SECOND_HALF = 3, FIRST_COMMIT = 6 }; /* which batches of commits_life */

/* COMMITs of what the store has already, alone and among other commands of their groups. */
static void commits_life(struct shell *s)
{
    char txid[32], second[32];
    must(s, shell_do(s, "TOPIC CREATE t QUEUES 1"));
    must(s, shell_do(s, "TOPIC CREATE other QUEUES 1"));
    large_half(s, txid);
    must(s, shell_do(s, "COMMIT %s", txid));
    large_half(s, txid);
    large_half(s, second);
    uint32_t at[] = {shell_add(s, "SEND t before"), shell_add(s, "COMMIT %s", txid),
                     large_add(s, "SEND t @4"), shell_add(s, "COMMIT %s", second),
                     shell_add(s, "TOPIC DELETE other"), shell_add(s, "SEND t behind")};
    must(s, shell_write(s) ? "" : "-");
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        must(s, shell_reply(s, at[i]));
}

/* A COMMIT whose rows are in files, and that is in the log alone. */
static void late_commit_life(struct shell *s)
{
    char txid[32], err[256] = "";
    must(s, shell_do(s, "TOPIC CREATE t QUEUES 1"));
    must(s, shell_do(s, "TOPIC CREATE other QUEUES 1"));
    large_half(s, txid);
    if (s->redo && store_flush(s->store, err, sizeof err) != ST_OK)
        exit(97);
    must(s, shell_do(s, "COMMIT %s", txid));
    must(s, shell_do(s, "SEND t behind"));
}

/* ---- crashes ---- */

/* Everything that it wrote is in files at its end, in all families. */
static void flushed_life(struct shell *s)
{
    char err[256] = "";
    plain_life(s);
    if (store_flush(s->store, err, sizeof err) != ST_OK)
        exit(97);
}

static void (*const lives[])(struct shell *s) = {first_life, second_life, plain_life, large_life, flushed_life,
                                               commits_life, late_commit_life};

/* Runs in the other process: opens the store, runs the commands, and kills itself. */
static int live_and_crash(char **words)
{
    struct shell s = {.path = words[2], .now_ms = SHELL_TIME, .sync = true};
    struct rig r = {.fd = (int)strtol(words[4], NULL, 10)};
    shell_start(&s);
    shell_close(&s);
    tmpdir_remove(s.path);
    s.path = words[2];
    s.index = 0;
    s.sync = true;
    s.memory_bytes = strtoul(words[3], NULL, 10);
    if (r.fd >= 0) {
        map_log(&r);
        s.redo = &r.redo;
    }
    if (!shell_open(&s))
        return 97;
    lives[strtoul(words[1], NULL, 10)](&s);
    return raise(SIGKILL);
}

static void crash_in(struct rig *r, void (*life)(struct shell *s))
{
    size_t which = 0;
    while (lives[which] != life)
        which++;
    assert_null(r->s.st);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char a[8], memory[24], fd[12];
        (void)snprintf(a, sizeof a, "%zu", which);
        (void)snprintf(memory, sizeof memory, "%zu", r->s.memory_bytes);
        (void)snprintf(fd, sizeof fd, "%d", r->s.redo ? r->fd : -1);
        execl("/proc/self/exe", "test_storage_redo", a, r->s.path, memory, fd, (char *)NULL);
        _exit(95);
    }
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    if (!WIFSIGNALED(how) || WTERMSIG(how) != SIGKILL)
        fail_msg("the other process ended with %x", (unsigned)how);
}

/* Runs the same commands on a store that does not crash and uses RocksDB's own log. Returns its digest. */
static uint64_t digest_of(void (*const *what)(struct shell *), size_t n, size_t memory, uint64_t *ret_index)
{
    struct shell s;
    shell_start(&s);
    s.memory_bytes = memory;
    shell_reopen(&s);
    for (size_t i = 0; i < n; i++)
        what[i](&s);
    uint64_t digest = shell_digest(&s);
    *ret_index = s.index;
    shell_stop(&s);
    return digest;
}

static void same_as(struct rig *r, void (*const *what)(struct shell *), size_t n)
{
    uint64_t index = 0, digest = digest_of(what, n, r->s.memory_bytes, &index);
    assert_int_equal(r->s.index, index);
    assert_true(shell_digest(&r->s) == digest);
}

/* ---- tests ---- */

static void (*const two_lives[])(struct shell *) = {first_life, second_life};

static void a_crash_loses_nothing(void **state)
{
    struct rig *r = *state;
    crash_in(r, first_life);
    opened(r);
    assert_int_equal(r->log->after, 0);
    assert_int_equal(r->log->replayed, r->log->n);
    same_as(r, two_lives, 1);
    shell_close(&r->s);
    crash_in(r, second_life); /* a family is created during it */
    uint64_t closed_at = r->log->after;
    opened(r);
    assert_int_equal(r->log->after, closed_at);
    assert_true(r->log->replayed > 0 && r->log->replayed < r->log->n);
    same_as(r, two_lives, 2);
    shell_expect(&r->s, "z:0:20", "SEND z goes-on");
}

static void crash_upon_crash(void **state)
{
    struct rig *r = *state;
    crash_in(r, first_life);
    crash_in(r, second_life);
    opened(r);
    assert_int_equal(r->log->after, 0);
    same_as(r, two_lives, 2);
}

static void a_close_leaves_nothing_to_replay(void **state)
{
    struct rig *r = *state;
    opened(r);
    assert_int_equal(store_stored(r->s.store), 0);
    first_life(&r->s);
    assert_int_equal(store_stored(r->s.store), 0); /* it is in write buffers only */
    shell_close(&r->s);
    uint64_t last = r->log->number[r->log->n - 1];
    opened(r);
    assert_int_equal(r->log->after, last);
    assert_int_equal(r->log->replayed, 0);
    assert_int_equal(store_stored(r->s.store), last);
    shell_expect(&r->s, "OK", "TOPIC CREATE more");
    assert_int_equal(store_stored(r->s.store), last); /* the new one is in a write buffer */
}

/* The log gets the places of large bodies that the store has, not their bytes; what is restored from it is the same. */
static void a_commit_is_short_in_the_log(void **state)
{
    struct rig *r = *state;
    static void (*const lives_of_both[])(struct shell *) = {commits_life, late_commit_life};
    for (size_t i = 0; i < 2; i++) {
        crash_in(r, lives_of_both[i]);
        size_t commit = i == 0 ? FIRST_COMMIT : r->log->n - 2; /* which batch it is */
        assert_true(r->log->len[commit] < KIB(4));
        assert_true(r->log->len[commit - 1] > KIB(100)); /* the last HALF */
        opened(r);
        same_as(r, &lives_of_both[i], 1);
        teardown(state);
        setup(state);
    }
}

/* The row of a body is not there when the COMMIT that needs it is replayed. */
static void a_row_that_the_log_needs_is_missing(void **state)
{
    struct rig *r = *state;
    crash_in(r, commits_life);
    uint64_t number = r->log->number[SECOND_HALF];
    r->log->number[SECOND_HALF] = 0; /* is not replayed */
    assert_false(shell_open(&r->s));
    assert_int_equal(r->s.status, ST_DAMAGED);
    assert_non_null(strstr(r->s.err, "--salvage"));
    r->s.salvage = true;
    opened(r);
    shell_expect(&r->s, "-DAMAGED", "GET t:0:1"); /* told, and no zeros served */
    shell_expect(&r->s, "t:0:2=small", "GET t:0:2");
    assert_non_null(strstr(shell_do(&r->s, "GET t:0:0"), large_body('1')));
    shell_close(&r->s);
    r->log->number[SECOND_HALF] = number;
    r->s.salvage = false;
}

/* The files have the state after one batch, in all families, so they are enough without the log. */
static void what_is_stored_needs_no_log(void **state)
{
    struct rig *r = *state;
    static void (*const both[])(struct shell *) = {plain_life, large_life};
    r->s.memory_bytes = MIB(16);
    crash_in(r, plain_life);
    crash_in(r, large_life);
    opened(r);
    assert_true(r->log->after > 0); /* some of it was flushed to files before the crash */
    assert_true(r->log->replayed < r->log->n);
    same_as(r, both, 2);
}

static void a_flush_puts_everything_into_files(void **state)
{
    struct rig *r = *state;
    static void (*const one[])(struct shell *) = {plain_life};
    crash_in(r, flushed_life);
    opened(r);
    assert_int_equal(r->log->after, r->log->number[r->log->n - 1]);
    assert_int_equal(r->log->replayed, 0);
    same_as(r, one, 1);
}

static void a_long_log_is_put_into_files(void **state)
{
    struct rig *r = *state;
    crash_in(r, first_life);
    r->log->is_long = true;
    opened(r);
    r->log->is_long = false;
    assert_int_equal(r->log->replayed, r->log->n);
    assert_int_equal(store_stored(r->s.store), r->log->number[r->log->n - 1]);
    same_as(r, two_lives, 1);
    second_life(&r->s);
    same_as(r, two_lives, 2);
}

/* With a full disk the replayed batches are still in the log only, and must not be lost. */
static void a_long_log_that_does_not_fit_is_told(void **state)
{
    struct rig *r = *state;
    struct rlimit was;
    crash_in(r, large_life);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    signal(SIGXFSZ, SIG_IGN);
    r->log->is_long = true;
    r->log->file_limit = KIB(300);
    bool good = shell_open(&r->s);
    (void)setrlimit(RLIMIT_FSIZE, &was);
    signal(SIGXFSZ, SIG_DFL);
    assert_false(good);
    assert_int_equal(r->s.status, ST_IO);
    assert_true(r->s.err[0] != 0);
    r->log->is_long = false;
    r->log->file_limit = 0;
    opened(r);
    static void (*const one[])(struct shell *) = {large_life};
    same_as(r, one, 1);
}

static void an_append_that_fails_is_the_end(void **state)
{
    struct rig *r = *state;
    opened(r);
    first_life(&r->s);
    uint32_t n = r->log->n;
    r->log->fail_append = 1;
    char said[8];
    (void)snprintf(said, sizeof said, "!%d", ST_IO);
    shell_expect(&r->s, said, "SEND t lost");
    assert_non_null(strstr(r->s.err, "the test's log fails"));
    for (int i = 0; i < 3; i++)
        shell_expect(&r->s, said, "SEND t refused");
    assert_int_equal(r->log->n, n);
    shell_close(&r->s);
    opened(r);
    same_as(r, two_lives, 1);
}

static void a_sync_that_fails_is_the_end(void **state)
{
    struct rig *r = *state;
    char err[256] = "", said[8];
    opened(r);
    (void)snprintf(said, sizeof said, "!%d", ST_IO);
    r->log->fail_sync = 1;
    assert_int_equal(store_sync(r->s.store, err, sizeof err), ST_IO);
    assert_non_null(strstr(err, "the test's log fails"));
    shell_expect(&r->s, said, "SEND t refused");
    assert_int_equal(r->log->n, 0);
}

static void a_replay_that_fails_opens_nothing(void **state)
{
    struct rig *r = *state;
    crash_in(r, first_life);
    r->log->fail_replay = 1;
    assert_false(shell_open(&r->s));
    assert_int_equal(r->s.status, ST_IO);
    assert_non_null(strstr(r->s.err, "the test's log fails"));
    uint8_t *kind = r->log->bytes + r->log->at[2] + 12; /* of its first entry: makes an unknown batch */
    uint8_t was = *kind;
    *kind = 0x7f;
    assert_false(shell_open(&r->s));
    assert_int_equal(r->s.status, ST_IO);
    assert_true(r->s.err[0] != 0);
    *kind = was;
    opened(r);
    same_as(r, two_lives, 1);
}

/* A store of an older version: its last batches are in RocksDB's own log. */
static void a_store_with_the_databases_log_is_taken_over(void **state)
{
    struct rig *r = *state;
    r->s.redo = NULL;
    crash_in(r, first_life);
    assert_int_equal(r->log->n, 0);
    r->s.redo = &r->redo;
    crash_in(r, second_life);
    assert_true(r->log->after > 0);
    opened(r);
    same_as(r, two_lives, 2);
}

/* A store that is given the batches of another has its rows. */
static void finished_batches_make_another_store(void **state)
{
    struct rig *r = *state;
    opened(r);
    plain_life(&r->s);
    struct shell other;
    shell_start(&other);
    assert_int_equal(kv_need(other.st->kv, KV_LOG_LZ4), ST_OK); /* a batch names families by number */
    state_drop(other.st);
    for (uint32_t i = 0; i < r->log->n; i++) {
        struct slice batch = slice_of(r->log->bytes + r->log->at[i], r->log->len[i]);
        assert_int_equal(store_apply(other.store, batch, other.err, sizeof other.err), ST_OK);
    }
    assert_int_equal(state_load(other.store, &other.st, other.err, sizeof other.err), ST_OK);
    state_last(other.st, &other.index, &other.now_ms);
    assert_int_equal(other.index, r->s.index);
    assert_true(shell_digest(&other) == shell_digest(&r->s));
    shell_expect(&other, "z:0:50", "SEND z goes-on");
    assert_int_equal(store_apply(other.store, SLICE_LIT("no batch"), other.err, sizeof other.err), ST_IO);
    shell_stop(&other);
}

int main(int argc, char **argv)
{
    if (argc == 5)
        return live_and_crash(argv);
    const struct CMUnitTest tests[] = {
        TEST(a_crash_loses_nothing),
        TEST(crash_upon_crash),
        TEST(a_close_leaves_nothing_to_replay),
        TEST(what_is_stored_needs_no_log),
        TEST(a_commit_is_short_in_the_log),
        TEST(a_row_that_the_log_needs_is_missing),
        TEST(a_flush_puts_everything_into_files),
        TEST(a_long_log_is_put_into_files),
        TEST(a_long_log_that_does_not_fit_is_told),
        TEST(an_append_that_fails_is_the_end),
        TEST(a_sync_that_fails_is_the_end),
        TEST(a_replay_that_fails_opens_nothing),
        TEST(a_store_with_the_databases_log_is_taken_over),
        TEST(finished_batches_make_another_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
