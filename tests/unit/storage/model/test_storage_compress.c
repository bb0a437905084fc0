/* test_storage_compress.c: tests that topics with compression read like others and take less space on disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <dirent.h>
#include <sys/stat.h>

#include "storage/disk/records.h"
#include "tests/lib/batch.h"
#include "tests/lib/prng.h"
#include "tests/lib/shell.h"

static const struct kind {
    enum compress how;
    const char *word;
} kinds[] = {{COMPRESS_NONE, "none"}, {COMPRESS_LZ4, "lz4"}, {COMPRESS_ZSTD, "zstd"}};

/* Moves all records to files, so that they are not read from the write buffer. */
static void to_files(struct shell *s, enum compress how)
{
    shell_reopen(s);
    kv_compact(s->st->kv, records_family(how));
}

static const char *produce(struct shell *s, const char *topic, struct slice body)
{
    struct batch b;
    batch_init(&b);
    batch_add(&b, (struct message){.body = body});
    batch_add(&b, (struct message){.body = body});
    struct slice words[] = {SLICE_LIT("PRODUCE"), slice_str(topic), batch_end(&b)};
    const char *said = shell_do_words(s, words, 3);
    batch_free(&b);
    return said;
}

/* Stores offsets 0 to 5 of queue 0, each by another command. */
static void store_messages(struct shell *s, const char *word)
{
    shell_expect(s, "OK", "TOPIC CREATE t QUEUES 1 COMPRESS %s", word);
    shell_expect(s, "OK", "GROUP CREATE g t");
    shell_expect(s, "OK", "GROUP CREATE h t");
    shell_expect(s, "t:0:0", "SEND t m0 KEY k");
    shell_expect(s, "[t:0:1 t:0:2]", "MSEND t m1 m2");
    unsigned long long txid = strtoull(shell_do(s, "HALF pg t m3"), NULL, 10);
    shell_expect(s, "[t:0:3]", "COMMIT %llu", txid);
    assert_int_equal(shell_field(produce(s, "t", SLICE_LIT("m4")), "count"), 2);
    (void)shell_do(s, "SEND t m6 DELAY 1s");
    shell_pass(s, 1000);
}

static bool count_parts(void *arg, const struct part *p)
{
    *(uint32_t *)arg += p->n_granted;
    return true;
}

static bool count_bodies(void *arg, struct slice body)
{
    assert_true(body.len == 2);
    ++*(uint32_t *)arg;
    return true;
}

/* Reads by a plain stream, by the stream of a group, and by a follower that starts at the beginning. */
static void read_in_parts(struct shell *s)
{
    struct granted done;
    uint32_t n = 0, pop = shell_add(s, "POP h t COUNT 10");
    struct view *v = view_open(s->store);
    assert_non_null(v);
    assert_int_equal(query_grant_parts(v, shell_outcome(s, pop), count_parts, &n, &done), ST_OK);
    assert_int_equal(n, 7);
    bool end = false;
    struct reader r = {.topic = SLICE_LIT("t"), .next = 2};
    assert_int_equal(reader_parts(&r, v, count_parts, &n, &end), ST_OK);
    assert_true(end && n == 7 + 5);
    struct follower f = {0};
    assert_false(follower_read(&f, v, SLICE_LIT("t"), 1000, count_bodies, &n));
    assert_int_equal(n, 7 + 5 + 7);
    follower_fini(&f);
    view_close(v);
    assert_true(shell_write(s));
}

#define ALL "[t:0:0=m0 t:0:1=m1 t:0:2=m2 t:0:3=m3 t:0:4=m4 t:0:5=m4 t:0:6=m6]"

/* attempt: the number that the first delivery to group g gets. */
static void read_in_every_way(struct shell *s, int attempt)
{
    char want[64];
    (void)snprintf(want, sizeof(want), "[t:0:0#%d=m0 t:0:1#%d=m1]", attempt, attempt);
    shell_expect(s, ALL, "READ t 0 0 COUNT 10");
    shell_expect(s, "t:0:3=m3", "GET t:0:3");
    shell_expect(s, "[t:0:0=m0]", "FIND t KEY k");
    shell_expect(s, want, "POP g t COUNT 2");
    shell_expect(s, "2", "ACK g t:0:0-1#%d", attempt);
    shell_do(s, "POP g t LEASE 10");
    shell_expect(s, "OK", "REJECT g t:0:2#%d", attempt); /* reads from this family and writes to another */
    shell_expect(s, "[%DLQ%g:0:0=m2]", "READ %%DLQ%%g 0 0");
    read_in_parts(s);
    assert_int_equal(shell_field(shell_do(s, "TOPIC INFO t"), "messages"), 7);
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "ready"), 4);
}

static void a_life(void **state)
{
    struct shell *s = *state;
    for (size_t i = 0; i < 3; i++) {
        store_messages(s, kinds[i].word);
        to_files(s, kinds[i].how);
        read_in_every_way(s, (int)i + 1); /* attempt numbers go on */
        char want[64];
        (void)snprintf(want, sizeof(want), " compress:%s ", kinds[i].word);
        assert_non_null(strstr(shell_do(s, "TOPIC INFO t"), want));
        shell_expect(s, "OK", "TOPIC PURGE t");
        shell_expect(s, "[]", "READ t 0 0");
        shell_expect(s, "t:0:7", "SEND t m7");
        to_files(s, kinds[i].how);
        shell_expect(s, "[t:0:7=m7]", "READ t 0 0 COUNT 10");
        shell_expect(s, "OK", "GROUP DELETE g");
        shell_expect(s, "OK", "TOPIC DELETE t");
        shell_expect(s, "null", "GET t:0:7");
        shell_reopen(s);
        shell_refused(s, "-NOTOPIC", "READ t 0 0");
    }
}

/* After a restart the ends of queues are found in the topic's own family, and records of other topics are not seen. */
static void side_by_side(void **state)
{
    struct shell *s = *state;
    for (size_t i = 0; i < 3; i++)
        shell_expect(s, "OK", "TOPIC CREATE %s QUEUES 1 COMPRESS %s", kinds[i].word, kinds[i].word);
    for (int n = 0; n < 20; n++) {
        for (size_t i = 0; i < 3; i++)
            shell_add(s, "SEND %s %s%d", kinds[i].word, kinds[i].word, n);
        assert_true(shell_write(s));
        if (n % 7 == 0)
            shell_reopen(s);
    }
    shell_expect(s, "[lz4:0:19=lz419]", "READ lz4 0 19 COUNT 5");
    shell_expect(s, "[zstd:0:18=zstd18 zstd:0:19=zstd19]", "READ zstd 0 18 COUNT 5");
    shell_expect(s, "OK", "TOPIC PURGE zstd");
    shell_expect(s, "OK", "TOPIC DELETE none");
    shell_expect(s, "[lz4:0:0#1=lz40]", "POP g zstd lz4");
    shell_expect(s, "zstd:0:20", "SEND zstd x");
}

/* The size of the files with records and rows, without the write-ahead log. */
static uint64_t files_bytes(const struct shell *s)
{
    uint64_t bytes = 0;
    DIR *folder = opendir(s->path);
    assert_non_null(folder);
    for (const struct dirent *e = readdir(folder); e; e = readdir(folder)) {
        const char *dot = strrchr(e->d_name, '.');
        char path[512];
        struct stat st;
        if (!dot || (strcmp(dot, ".sst") != 0 && strcmp(dot, ".blob") != 0))
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", s->path, e->d_name);
        assert_int_equal(stat(path, &st), 0);
        bytes += (uint64_t)st.st_size;
    }
    closedir(folder);
    return bytes;
}

/* How many bytes a hundred messages take, in records with that many bytes of bodies. */
static uint64_t taken(struct shell *s, const struct kind *k, size_t bytes)
{
    char *body = malloc(bytes + 64);
    assert_non_null(body);
    for (size_t at = 0; at < bytes; at += strlen(body + at))
        (void)snprintf(body + at, 64, "{\"order\":%zu,\"paid\":true}", at);
    uint64_t before = files_bytes(s);
    shell_expect(s, "OK", "TOPIC CREATE %s%zu QUEUES 1 COMPRESS %s", k->word, bytes, k->word);
    char topic[32];
    (void)snprintf(topic, sizeof(topic), "%s%zu", k->word, bytes);
    for (int i = 0; i < 50; i++)
        assert_int_equal(shell_field(produce(s, topic, slice_of(body, bytes)), "count"), 2);
    to_files(s, k->how);
    free(body);
    return files_bytes(s) - before;
}

static void takes_less_on_disk(void **state)
{
    struct shell *s = *state;
    static const size_t sizes[] = {60, 400, 20000}; /* records in tables; in tables, where others are blobs; in blobs */
    for (size_t i = 0; i < 3; i++) {
        uint64_t plain = taken(s, &kinds[0], sizes[i]);
        assert_true(plain > 100 * sizes[i]);
        assert_true(taken(s, &kinds[1], sizes[i]) < plain * 3 / 4);
        assert_true(taken(s, &kinds[2], sizes[i]) < plain * 3 / 4);
    }
}

/* Small records hardly get smaller when compressed one by one, but a block of them does. */
static void small_records_together(void **state)
{
    struct shell *s = *state;
    uint64_t bytes[3];
    char body[301];
    struct prng p = prng_start();
    for (int i = 0; i < 300; i++)
        body[i] = (char)('A' + prng_below(&p, 26) + 32 * prng_below(&p, 2));
    body[300] = 0;
    for (size_t i = 0; i < 3; i++) {
        uint64_t before = files_bytes(s);
        shell_expect(s, "OK", "TOPIC CREATE %s QUEUES 1 COMPRESS %s", kinds[i].word, kinds[i].word);
        for (int n = 0; n < 200; n++)
            (void)shell_do(s, "SEND %s %s", kinds[i].word, body);
        to_files(s, kinds[i].how);
        bytes[i] = files_bytes(s) - before;
    }
    assert_true(bytes[0] > 200 * 300);
    assert_true(bytes[1] < bytes[0] / 3);
    assert_true(bytes[2] < bytes[0] / 3);
}

static void not_in_this_build(void **state)
{
    struct shell *s = *state;
    s->full = true;
    kv_fault(s->st->kv, KV_OP_NEED, 1);
    shell_expect(s,
                 "-ERR this broker's RocksDB was built without zstd: use another COMPRESS, or none",
                 "TOPIC CREATE t COMPRESS zstd");
    shell_expect(s, "[]", "TOPIC LIST");
    shell_expect(s, "OK", "TOPIC CREATE t COMPRESS lz4");
    shell_expect(s, "-EXISTS topic 't' exists already", "TOPIC CREATE t COMPRESS zstd");
    assert_false(kv_has(s->st->kv, KV_LOG_ZSTD)); /* no topic has needed it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(a_life),
        SHELL_TEST(side_by_side),
        SHELL_TEST(takes_less_on_disk),
        SHELL_TEST(small_records_together),
        SHELL_TEST(not_in_this_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
