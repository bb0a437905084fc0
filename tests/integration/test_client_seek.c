/*
 * test_client_seek.c: tests where a reader goes: seeking, from a time, interrupted, told of gaps, past messages that are
 * damaged on the broker's disk; and the ends of a queue.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/rig.h"

#define MESSAGES 1000
#define SHORT 20

static void create(const char *topic)
{
    hmq_reply_free(rig_ask(rig.client, "topic_create", (const char *[]){"name", topic, "queues", "1", NULL}));
}

static void fill(const char *topic, unsigned n)
{
    hmq_producer *producer = NULL;
    hmq_error err;
    char body[16];
    RIG_CHECK(hmq_producer_new(rig.client, NULL, &producer, &err), &err);
    for (unsigned i = 0; i < n; i++) {
        snprintf(body, sizeof body, "%u", i);
        RIG_CHECK(hmq_send_async(producer, topic, body, strlen(body), NULL, RIG_DEADLINE_MS, NULL, NULL, &err), &err);
    }
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
}

static hmq_reader *reader_of(const char *topic, uint64_t offset)
{
    hmq_reader *reader = NULL;
    hmq_error err;
    RIG_CHECK(hmq_reader_new(rig.client, topic, 0, offset, NULL, &reader, &err), &err);
    return reader;
}

static void close_reader(hmq_reader *reader)
{
    hmq_error err;
    RIG_CHECK(hmq_reader_close(reader, RIG_DEADLINE_MS, &err), &err);
}

/* The first offset of the next batch. */
static uint64_t next_offset(hmq_reader *reader, uint64_t *ret_gap)
{
    hmq_batch *batch = NULL;
    hmq_error err;
    RIG_CHECK(hmq_reader_next(reader, RIG_DEADLINE_MS, &batch, &err), &err);
    uint64_t offset = hmq_message_offset(hmq_batch_at(batch, 0));
    uint64_t last = hmq_message_offset(hmq_batch_at(batch, hmq_batch_count(batch) - 1));
    assert_int_equal(hmq_reader_position(reader), last + 1);
    if (ret_gap)
        *ret_gap = hmq_batch_gap(batch);
    hmq_batch_free(batch);
    return offset;
}

static void test_seeks(void **state)
{
    (void)state;
    hmq_error err;
    uint64_t gap = 1;
    create("log");
    fill("log", MESSAGES);
    hmq_reader *reader = reader_of("log", 0);
    const uint64_t places[] = {0, 500, 3, MESSAGES - 1, 0, 777};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        RIG_CHECK(hmq_reader_seek(reader, places[i], &err), &err); /* the first one while it is being opened */
        assert_int_equal(hmq_reader_position(reader), places[i]);
        assert_int_equal(next_offset(reader, &gap), places[i]);
        assert_int_equal(gap, 0);
    }
    for (unsigned i = 0; i < 50; i++) /* the last one counts, whatever is under way */
        RIG_CHECK(hmq_reader_seek(reader, i * 13, &err), &err);
    assert_int_equal(next_offset(reader, &gap), 49 * 13);
    spawn_kill(rig.broker);
    RIG_CHECK(hmq_reader_seek(reader, 11, &err), &err);
    spawn_again(rig.broker);
    assert_int_equal(next_offset(reader, &gap), 11);
    assert_int_equal(hmq_reader_seek(reader, UINT64_MAX, &err), HMQ_EINVAL);
    RIG_CHECK(hmq_reader_seek(reader, MESSAGES, &err), &err);
    hmq_batch *none = NULL;
    assert_int_equal(hmq_reader_next(reader, 0, &none, &err), HMQ_ETIMEDOUT);
    rig_put(rig.client, "log", "at the end");
    assert_int_equal(next_offset(reader, &gap), MESSAGES);
    close_reader(reader);
}

struct waiting {
    hmq_reader *reader;
    enum hmq_status status;
};

static void *wait_for_messages(void *arg)
{
    struct waiting *w = arg;
    hmq_batch *batch = NULL;
    w->status = hmq_reader_next(w->reader, RIG_DEADLINE_MS, &batch, NULL);
    return NULL;
}

static void test_interrupted(void **state)
{
    (void)state;
    hmq_error err;
    hmq_batch *batch = NULL;
    pthread_t thread;
    create("silent");
    struct waiting w = {reader_of("silent", 0), HMQ_OK};
    assert_int_equal(pthread_create(&thread, NULL, wait_for_messages, &w), 0);
    hmq_reader_interrupt(w.reader); /* before it waits, or while it does */
    pthread_join(thread, NULL);
    assert_int_equal(w.status, HMQ_EINTERRUPTED);
    hmq_reader_interrupt(w.reader);
    assert_int_equal(hmq_reader_next(w.reader, RIG_DEADLINE_MS, &batch, &err), HMQ_EINTERRUPTED);
    assert_int_equal(hmq_reader_next(w.reader, 0, &batch, &err), HMQ_ETIMEDOUT); /* once */
    rig_put(rig.client, "silent", "no more");
    assert_int_equal(next_offset(w.reader, NULL), 0);
    close_reader(w.reader);
    hmq_reader_interrupt(NULL);
}

static void test_gaps(void **state)
{
    (void)state;
    hmq_error err;
    uint64_t gap = 0, first = 1, end = 0;
    create("gaps");
    fill("gaps", 100);
    hmq_reader *reader = reader_of("gaps", 0);
    while (hmq_reader_position(reader) < 100) {
        next_offset(reader, &gap);
        assert_int_equal(gap, 0);
    }
    RIG_CHECK(hmq_reader_seek(reader, 40, &err), &err);
    RIG_CHECK(hmq_reader_seek(reader, 1000, &err), &err); /* far behind the end, so that nothing has come */
    hmq_reply_free(rig_ask(rig.client, "topic_purge", (const char *[]){"name", "gaps", NULL}));
    rig_put(rig.client, "gaps", "100");
    RIG_CHECK(hmq_queue_range(rig.client, "gaps", 0, RIG_DEADLINE_MS, &first, &end, &err), &err);
    assert_int_equal(first, 100);
    assert_int_equal(end, 101);
    RIG_CHECK(hmq_reader_seek(reader, 60, &err), &err);
    assert_int_equal(next_offset(reader, &gap), 100);
    assert_int_equal(gap, 40);
    rig_put(rig.client, "gaps", "101");
    assert_int_equal(next_offset(reader, &gap), 101);
    assert_int_equal(gap, 0);
    close_reader(reader);
}

static void test_from_a_time(void **state)
{
    (void)state;
    hmq_error err;
    uint64_t first = 9, end = 9, offset = 9;
    int64_t stored[SHORT];
    create("times");
    RIG_CHECK(hmq_queue_range(rig.client, "times", 0, RIG_DEADLINE_MS, &first, &end, &err), &err);
    assert_int_equal(first + end, 0);
    RIG_CHECK(hmq_queue_find(rig.client, "times", 0, 0, RIG_DEADLINE_MS, &offset, &err), &err);
    assert_int_equal(offset, 0);
    for (unsigned i = 0; i < SHORT; i++) {
        rig_put(rig.client, "times", "x");
        spawn_pause();
    }
    hmq_reader *reader = reader_of("times", 0);
    for (uint64_t n = 0; n < SHORT;) {
        hmq_batch *batch = NULL;
        RIG_CHECK(hmq_reader_next(reader, RIG_DEADLINE_MS, &batch, &err), &err);
        for (size_t i = 0; i < hmq_batch_count(batch); i++)
            stored[n++] = hmq_message_stored_ms(hmq_batch_at(batch, i));
        hmq_batch_free(batch);
    }
    for (unsigned i = 0; i < SHORT; i++) {
        uint64_t wanted = i;
        while (wanted > 0 && stored[wanted - 1] == stored[i])
            wanted--;
        RIG_CHECK(hmq_queue_find(rig.client, "times", 0, stored[i], RIG_DEADLINE_MS, &offset, &err), &err);
        assert_int_equal(offset, wanted);
    }
    RIG_CHECK(hmq_queue_find(rig.client, "times", 0, stored[SHORT - 1] + 1, RIG_DEADLINE_MS, &offset, &err), &err);
    assert_int_equal(offset, SHORT);
    RIG_CHECK(hmq_reader_seek(reader, offset, &err), &err);
    rig_put(rig.client, "times", "later");
    assert_int_equal(next_offset(reader, NULL), SHORT);
    close_reader(reader);
    assert_int_equal(hmq_queue_range(rig.client, "times", 7, RIG_DEADLINE_MS, NULL, &end, &err), HMQ_EREFUSED);
    assert_int_equal(hmq_queue_range(rig.client, "none", 0, RIG_DEADLINE_MS, NULL, NULL, &err), HMQ_ENOTOPIC);
    assert_int_equal(hmq_queue_find(rig.client, "none", 0, 0, RIG_DEADLINE_MS, &offset, &err), HMQ_ENOTOPIC);
    assert_int_equal(hmq_queue_find(rig.client, "times", 0, 0, RIG_DEADLINE_MS, NULL, &err), HMQ_EINVAL);
}

/* ---- damage ---- */

static unsigned flip_in(const char *path, const char *text)
{
    static char data[4 << 20];
    unsigned found = 0;
    size_t len = strlen(text);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    size_t n = fread(data, 1, sizeof data, f);
    for (size_t i = 0; i + len <= n; i++) {
        if (memcmp(data + i, text, len) != 0)
            continue;
        assert_int_equal(fseek(f, (long)i, SEEK_SET), 0);
        assert_true(fputc(data[i] ^ 1, f) != EOF);
        found++;
    }
    assert_int_equal(fclose(f), 0);
    return found;
}

/* Flips a bit in the text wherever it stands in the broker's store. */
static void damage(const char *text)
{
    char folder[512], path[1024];
    unsigned found = 0;
    snprintf(folder, sizeof folder, "%s/store", rig.broker->data);
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        const char *dot = strrchr(e->d_name, '.');
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (dot && (strcmp(dot, ".sst") == 0 || strcmp(dot, ".blob") == 0))
            found += flip_in(path, text);
    }
    closedir(dir);
    assert_int_equal(found, 1);
}

static void test_damaged_messages(void **state)
{
    (void)state;
    hmq_error err;
    char body[512];
    uint64_t gap = 0, offset = 9;
    create("damaged");
    memset(body, 'x', sizeof body - 1);
    body[sizeof body - 1] = '\0';
    memcpy(body, "to be damaged", 13);
    rig_put(rig.client, "damaged", "a");
    rig_put(rig.client, "damaged", body);
    rig_put(rig.client, "damaged", "c");
    assert_int_equal(spawn_stop(rig.broker), 0);
    damage("to be damaged");
    spawn_again(rig.broker);
    hmq_reader *reader = reader_of("damaged", 0);
    assert_int_equal(next_offset(reader, &gap), 0);
    assert_int_equal(next_offset(reader, &gap), 2); /* the broker's stream passes over it */
    assert_int_equal(gap, 1);
    RIG_CHECK(hmq_queue_find(rig.client, "damaged", 0, INT64_MAX, RIG_DEADLINE_MS, &offset, &err), &err);
    assert_int_equal(offset, 3);
    RIG_CHECK(hmq_queue_find(rig.client, "damaged", 0, 1, RIG_DEADLINE_MS, &offset, &err), &err);
    assert_int_equal(offset, 0);
    close_reader(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seeks),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_from_a_time),
        cmocka_unit_test(test_damaged_messages),
    };
    rig.query = "?reconnect_min_ms=1&reconnect_max_ms=5&prefetch_bytes=20000";
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
