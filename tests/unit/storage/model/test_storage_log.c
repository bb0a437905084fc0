/* test_storage_log.c: tests topics as logs: which queue a message goes to, finding records by offset and by time,
 * purging, and the ends of queues after a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/model/log.h"
#include "storage/model/tail.h"
#include "tests/lib/shell.h"

static struct topic *topic_named(struct shell *s, const char *name)
{
    struct topic *t = NULL;
    assert_int_equal(topic_get(s->st, slice_str(name), &t), ST_OK);
    return t;
}

static void offsets_have_no_gaps(void **state)
{
    struct shell *s = *state;
    for (int i = 0; i < 12; i++) {
        char want[32];
        (void)snprintf(want, sizeof(want), "t:%d:%d", i % 4, i / 4);
        shell_expect(s, want, "SEND t m%d", i);
        if (i == 6)
            shell_reopen(s); /* the next queue in turn survives a restart */
    }
    shell_expect(s, "[t:1:0=m1 t:1:1=m5 t:1:2=m9]", "READ t 1 0 COUNT 10");
}

static void order_and_queue(void **state)
{
    struct shell *s = *state;
    const char *first = shell_do(s, "SEND t a ORDER k");
    char queue = first[2];
    for (int i = 1; i < 5; i++) {
        const char *id = shell_do(s, "SEND t a ORDER k");
        assert_true(id[2] == queue && id[4] == '0' + i);
    }
    shell_expect(s, "t2:3:0", "SEND t2 a QUEUE 3");
    shell_expect(s, "t2:3:1", "SEND t2 a QUEUE 3");
    shell_expect(s, "t2:0:0", "SEND t2 a"); /* messages with QUEUE do not change the turn */
}

static void one_record_a_group(void **state)
{
    struct shell *s = *state;
    for (int i = 0; i < 10; i++)
        shell_add(s, "SEND t m%d QUEUE 0", i);
    assert_true(shell_write(s));
    struct record_info info;
    assert_int_equal(log_locate(s->st, topic_named(s, "t"), 0, 4, &info), ST_OK);
    assert_true(info.base == 0 && info.count == 10 && info.index == 1);
    assert_true(info.first_seq == 0 && info.last_seq == 9);
    assert_int_equal(log_locate(s->st, topic_named(s, "t"), 0, 10, &info), ST_GONE);
}

/* Records are found in memory, in the open group and in the store. */
static void locate_everywhere(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    for (int i = 0; i < 3 * RECENT_RECORDS; i++) {
        shell_do(s, "SEND t a");
        shell_do(s, "MSEND t b c");
    }
    struct topic *t = topic_named(s, "t");
    struct record_info warm, cold;
    for (int round = 0; round < 2; round++) {
        for (uint64_t offset = 0; offset < t->queues[0].end; offset++) {
            assert_int_equal(log_locate(s->st, t, 0, offset, &warm), ST_OK);
            assert_true(warm.base <= offset && offset < warm.base + warm.count);
            assert_int_equal(warm.count, offset % 3 == 0 ? 1 : 2);
            assert_true(warm.last_seq - warm.first_seq == warm.count - 1);
        }
        shell_reopen(s);
        t = topic_named(s, "t");
    }
    shell_add(s, "SEND t tail");
    assert_int_equal(log_locate(s->st, t, 0, t->queues[0].end - 1, &cold), ST_OK);
    assert_true(cold.base == t->queues[0].end - 1 && cold.count == 1);
    assert_true(shell_write(s));
}

static void read_tail_and_store(void **state)
{
    struct shell *s = *state;
    struct buf hold;
    struct message m;
    buf_init(&hold, 0);
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    for (int i = 0; i < 5; i++)
        shell_add(s, "SEND t old%d KEY k%d", i, i);
    assert_true(shell_write(s));
    for (int i = 0; i < 5; i++)
        shell_add(s, "SEND t new%d", i);
    struct topic *t = topic_named(s, "t");
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(log_read(s->st, t, 0, i, &hold, &m), ST_OK);
        assert_int_equal(m.body.data[3], '0' + (int)(i % 5));
        assert_int_equal(m.body.data[0], i < 5 ? 'o' : 'n');
        assert_int_equal(m.n_keys, i < 5);
    }
    assert_int_equal(log_read(s->st, t, 0, 10, &hold, &m), ST_GONE);
    assert_true(shell_write(s));
    buf_free(&hold);
}

static void offset_by_time(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    for (int i = 0; i < 20; i++) {
        for (int n = 0; n <= i % 3; n++)
            shell_add(s, "SEND t m");
        assert_true(shell_write(s));
        s->now_ms += 10;
    }
    for (int round = 0; round < 2; round++, shell_reopen(s)) {
        struct topic *t = topic_named(s, "t");
        uint64_t want = 0, got = 0;
        for (int i = 0; i < 20; i++) {
            int64_t at = SHELL_TIME + 10 * i;
            assert_int_equal(log_offset_at(s->st, t, 0, at, &got), ST_OK);
            assert_int_equal(got, want);
            want += (uint64_t)(i % 3) + 1;
            assert_int_equal(log_offset_at(s->st, t, 0, at + 1, &got), ST_OK);
            assert_int_equal(got, want);
        }
        assert_int_equal(log_offset_at(s->st, t, 0, 0, &got), ST_OK);
        assert_int_equal(got, 0);
        assert_int_equal(log_offset_at(s->st, t, 0, INT64_MAX, &got), ST_OK);
        assert_int_equal(got, want);
    }
    /* In the open group: its messages have the present time, a later time is after them. */
    struct topic *t = topic_named(s, "t");
    uint64_t end = t->queues[0].end, got = 0;
    shell_add(s, "SEND t m");
    assert_int_equal(log_offset_at(s->st, t, 0, s->now_ms, &got), ST_OK);
    assert_int_equal(got, end);
    assert_int_equal(log_offset_at(s->st, t, 0, s->now_ms + 1, &got), ST_OK);
    assert_int_equal(got, end + 1);
    assert_true(shell_write(s));
}

static void purge_keeps_counting(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "MSEND t a b c");
    shell_expect(s, "OK", "TOPIC PURGE t");
    shell_expect(s, "[]", "READ t 0 0 COUNT 10");
    shell_expect(s, "null", "GET t:0:1");
    shell_reopen(s);
    shell_expect(s, "t:0:3", "SEND t d");
    shell_expect(s, "[t:0:3=d]", "READ t 0 0 COUNT 10");
    shell_expect(s, "null", "GET t:0:2");
    assert_int_equal(shell_rows(s, 'I'), 0);
    /* In the same commit group as the messages it purges. */
    shell_add(s, "SEND t e KEY k TTL 1h");
    shell_add(s, "TOPIC PURGE t");
    shell_add(s, "SEND t f");
    assert_true(shell_write(s));
    shell_expect(s, "[t:0:5=f]", "READ t 0 0 COUNT 10");
    assert_int_equal(shell_rows(s, 'I') + shell_rows(s, 'E'), 0);
}

static void delete_and_create_again(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    shell_do(s, "SEND t a KEY k DEDUP d");
    shell_do(s, "POP g t");
    shell_expect(s, "OK", "TOPIC DELETE t");
    shell_expect(s, "-NOTOPIC", "READ t 0 0");
    shell_expect(s, "-NOTOPIC", "TOPIC DELETE t");
    shell_expect(s, "-NOGROUP", "ACK g t:0:0#1");
    shell_expect(s, "t:0:0", "SEND t b DEDUP d"); /* another topic has DEDUP ids of its own */
    shell_expect(s, "[t:0:0#2=b]", "POP g t COUNT 10");
    shell_expect(s, "OK", "TOPIC DELETE t");
    shell_pass(s, 700000);
    assert_int_equal(shell_rows(s, '*'), 2); /* meta, and the attempt numbers of g */
}

/* In one commit group: the topic is created, filled, deleted, and created again. */
static void whole_life_in_a_group(void **state)
{
    struct shell *s = *state;
    shell_add(s, "SEND t a");
    shell_add(s, "POP g t");
    shell_add(s, "TOPIC DELETE t");
    shell_add(s, "TOPIC CREATE t QUEUES 1");
    shell_add(s, "SEND t b");
    uint32_t pop = shell_add(s, "POP g t COUNT 9");
    assert_true(shell_write(s));
    assert_string_equal(shell_reply(s, pop), "[t:0:0#2=b]");
    shell_reopen(s);
    shell_expect(s, "1", "ACK g t:0:0#2");
    shell_expect(s, "[t:0:0=b]", "READ t 0 0 COUNT 9");
    assert_int_equal(s->st->meta.topics, 1);
    assert_int_equal(s->st->meta.groups, 1);
}

static void restart_finds_ends(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 3");
    for (int i = 0; i < 50; i++)
        shell_do(s, "SEND t m QUEUE %d", i % 2); /* queue 2 stays empty */
    shell_reopen(s);
    struct topic *t = topic_named(s, "t");
    assert_true(t->queues[0].end == 25 && t->queues[1].end == 25 && t->queues[2].end == 0);
}

/* A record is closed when it reaches its size limit. All messages of one command stay readable, in their commit group
 * and afterwards. */
static void records_split(void **state)
{
    struct shell *s = *state;
    size_t size = RECORD_BYTES_MAX / 4;
    uint8_t *body = malloc(size);
    struct slice *words = calloc(302, sizeof(*words));
    assert_true(body && words);
    memset(body, 'x', size);
    words[0] = SLICE_LIT("MSEND");
    words[1] = SLICE_LIT("t");
    for (size_t i = 2; i < 302; i++)
        words[i] = slice_of(body, size);
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    shell_add_words(s, words, 302);
    shell_add(s, "SEND t other QUEUE 1");
    struct topic *t = topic_named(s, "t");
    struct record_info info;
    for (int round = 0; round < 2; round++) {
        for (uint64_t offset = 0; offset < 300; offset++) {
            assert_int_equal(log_locate(s->st, t, 0, offset, &info), ST_OK);
            assert_true(info.base == offset / 4 * 4 && info.count == 4);
        }
        if (round == 0)
            assert_true(shell_write(s));
    }
    shell_reopen(s);
    t = topic_named(s, "t");
    assert_int_equal(t->queues[0].end, 300);
    struct message m;
    struct buf hold;
    buf_init(&hold, 0);
    assert_int_equal(log_read(s->st, t, 0, 297, &hold, &m), ST_OK);
    assert_int_equal(m.body.len, size);
    buf_free(&hold);
    free(words);
    free(body);
}

/* Only records of earlier groups may be dropped from the ring; those of the open group are always found. */
static void ring_grows_and_serves(void **state)
{
    struct shell *s = *state;
    struct record_info info;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    uint64_t end = 0;
    for (int round = 0; round < 4; round++) {
        struct topic *t = topic_named(s, "t");
        uint64_t from = end;
        for (int i = 0; i < 5 + 30 * round; i++, end++) {
            shell_add(s, "SEND t m");
            tail_flush(s->st, t);
        }
        for (uint64_t offset = from; offset < end; offset++) {
            assert_int_equal(log_locate(s->st, t, 0, offset, &info), ST_OK);
            assert_true(info.base == offset && info.count == 1);
        }
        assert_true(shell_write(s));
    }
    struct topic *t = topic_named(s, "t");
    assert_true(t->queues[0].recent_size <= 256);
    for (uint64_t offset = 0; offset < end; offset++)
        assert_int_equal(log_locate(s->st, t, 0, offset, &info), ST_OK);
}

/* A message that is in the batch and not yet in the store gives ST_BUSY, not ST_GONE. */
static void dead_letter_of_the_same_group(void **state)
{
    struct shell *s = *state;
    struct topic *t = NULL;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_add(s, "SEND t a");
    t = topic_named(s, "t");
    tail_flush(s->st, t); /* as for a full record */
    shell_add(s, "POP g t");
    uint32_t reject = shell_add(s, "REJECT g t:0:0#1");
    assert_true(shell_write(s));
    assert_string_equal(shell_reply(s, reject), "-BUSY");
    shell_expect(s, "OK", "REJECT g t:0:0#1");
    shell_expect(s, "[%DLQ%g:0:0=a]", "READ %%DLQ%%g 0 0");
}

/* A damaged record is refused by GET. The queue goes on behind it, since its directory knows where it ends. */
static void damaged_record(void **state)
{
    struct shell *s = *state;
    struct buf record;
    buf_init(&record, 0);
    shell_do(s, "SEND t hello QUEUE 0");
    struct key key = key_log(topic_named(s, "t")->id, 0, 0);
    assert_int_equal(kv_get(s->st->kv, KV_LOG, NULL, key_slice(&key), &record), ST_OK);
    record.data[RECORD_HEADER_BYTES + 6] ^= 1;
    kv_put(s->st->kv, KV_LOG, key_slice(&key), buf_slice(&record));
    assert_int_equal(kv_write(s->st->kv, true, s->err, sizeof(s->err)), ST_OK);
    shell_refused(s, "-DAMAGED", "GET t:0:0");
    shell_reopen(s);
    shell_expect(s, "t:0:1", "SEND t more QUEUE 0");
    shell_refused(s, "-DAMAGED", "GET t:0:0");
    buf_free(&record);
}

/* Flips a bit in the one place of the tables and blob files where the text stands; true: it was there. */
static bool flip_where(const char *folder, const char *text)
{
    glob_t files;
    char pattern[512];
    bool flipped = false;
    (void)snprintf(pattern, sizeof(pattern), "%s/*.[sb]*", folder);
    assert_int_equal(glob(pattern, 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc && !flipped; i++) {
        struct stat st;
        int fd = open(files.gl_pathv[i], O_RDWR);
        assert_true(fd >= 0 && fstat(fd, &st) == 0);
        char *bytes = malloc((size_t)st.st_size + 1);
        assert_non_null(bytes);
        assert_int_equal(pread(fd, bytes, (size_t)st.st_size, 0), st.st_size);
        char *at = memmem(bytes, (size_t)st.st_size, text, strlen(text));
        if (at) {
            *at ^= 1;
            assert_int_equal(pwrite(fd, at, 1, at - bytes), 1);
            flipped = true;
        }
        free(bytes);
        close(fd);
    }
    globfree(&files);
    return flipped;
}

/* A block of the directory that cannot be read must not make its queue look empty: its offsets would be given again.
 * The records say where the queue ends. */
static void an_unreadable_end_is_no_end(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "TOPIC CREATE u QUEUES 1");
    for (int i = 0; i < 300; i++) /* so many that no row of another kind is in the block */
        shell_do(s, "SEND t m");
    s->index = 0x0102030405;
    shell_do(s, "SEND t last");
    char index[VARINT_BYTES_MAX + 1] = "";
    write_varint((uint8_t *)index, s->index);
    for (int i = 0; i < 300; i++)
        shell_do(s, "SEND u m");
    kv_compact(s->st->kv, KV_STATE); /* into files */
    shell_close(s);
    assert_true(flip_where(s->path, index));
    assert_true(shell_open(s));
    shell_expect(s, "t:0:301", "SEND t more");
    shell_expect(s, "[t:0:300=last t:0:301=more]", "READ t 0 300 COUNT 9");
}

static void many_tails(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 300");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 300; i++)
            shell_add(s, "SEND t m");
        assert_true(shell_write(s));
    }
    assert_true(s->st->n_spare_tails <= 64);
    shell_expect(s, "[t:299:2=m]", "READ t 299 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(offsets_have_no_gaps),
        SHELL_TEST(order_and_queue),
        SHELL_TEST(one_record_a_group),
        SHELL_TEST(locate_everywhere),
        SHELL_TEST(read_tail_and_store),
        SHELL_TEST(offset_by_time),
        SHELL_TEST(purge_keeps_counting),
        SHELL_TEST(delete_and_create_again),
        SHELL_TEST(whole_life_in_a_group),
        SHELL_TEST(restart_finds_ends),
        SHELL_TEST(records_split),
        SHELL_TEST(ring_grows_and_serves),
        SHELL_TEST(dead_letter_of_the_same_group),
        SHELL_TEST(damaged_record),
        SHELL_TEST(an_unreadable_end_is_no_end),
        SHELL_TEST(many_tails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
