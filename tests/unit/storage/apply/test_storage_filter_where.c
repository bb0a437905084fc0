/*
 * test_storage_filter_where.c: tests FILTER WHERE in the store: which messages a group gets, in which order, and what
 * becomes of a sift that comes too late: after another consumer, a new filter, a purge, a deletion.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/group/group.h"
#include "storage/sift.h"
#include "tests/lib/shell.h"
#include "tests/lib/sifting.h"

static void expect(struct shell *s, const char *want, const char *line)
{
    assert_string_equal(sifting_do(s, line), want);
}

/* A POP with what was found out before. */
static const char *pop_with(struct shell *s, const struct buf *found, const char *line)
{
    s->sifted = buf_slice(found);
    const char *said = shell_do(s, "%s", line);
    s->sifted = slice_of(NULL, 0);
    return said;
}

static void only_what_matches(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    shell_expect(s, "OK", "GROUP CREATE g t FILTER WHERE \"n > 5\"");
    for (int i = 0; i < 12; i++)
        shell_do(s, "SEND t m%d QUEUE %d PROP n %d", i, i % 2, i);
    shell_do(s, "SEND t none QUEUE 0");
    shell_do(s, "SEND t word QUEUE 0 PROP n many");
    expect(s, "[t:0:3#1=m6 t:1:3#1=m7 t:0:4#1=m8]", "POP g t COUNT 3");
    expect(s, "[t:1:4#1=m9 t:0:5#1=m10 t:1:5#1=m11]", "POP g t COUNT 9");
    expect(s, "[]", "POP g t COUNT 9");
    assert_int_equal(shell_rows(s, 'R'), 4); /* what was passed has none */
    shell_expect(s, "3", "ACK g t:0:3#1 t:0:4#1 t:0:5#1");
    shell_reopen(s);
    expect(s, "[]", "POP g t COUNT 9");
    s->now_ms += 60000;
    expect(s, "[t:1:3#2=m7 t:1:4#2=m9 t:1:5#2=m11]", "POP g t COUNT 9");
}

/* Apply says where it has stopped, for each queue, and does nothing. */
static void asks_for_each_queue(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 4");
    shell_do(s, "GROUP CREATE g t FILTER WHERE \"n > 5\"");
    shell_expect(s, "[]", "POP g t");
    assert_false(s->sift); /* there is nothing to ask about */
    shell_do(s, "SEND t a QUEUE 1 PROP n 1");
    shell_do(s, "SEND t b QUEUE 3 PROP n 9");
    uint64_t before = shell_digest(s);
    uint32_t i = shell_add(s, "POP g t");
    assert_true(shell_outcome(s, i)->nothing && shell_outcome(s, i)->sift);
    assert_int_equal(s->asked.len, 2 * sizeof(struct sift_want));
    struct sift_want w[2];
    memcpy(w, s->asked.data, sizeof(w));
    assert_true(w[0].topic == 0 && w[1].topic == 0 && w[0].at == 0 && w[1].at == 0);
    assert_int_equal(w[0].queue + w[1].queue, 4);
    assert_true(shell_write(s));
    assert_true(shell_digest(s) == before);
    expect(s, "[t:3:0#1=b]", "POP g t");
}

static void several_topics(void **state)
{
    struct shell *s = *state;
    for (int i = 0; i < 3; i++)
        shell_do(s, "TOPIC CREATE t%d QUEUES 1", i);
    shell_do(s, "GROUP CREATE g t0 FILTER WHERE \"n = 1\"");
    shell_do(s, "GROUP CREATE g t1 FILTER TAG a");
    shell_do(s, "GROUP CREATE g t2 FILTER WHERE \"n = 2\"");
    for (int i = 0; i < 9; i++)
        shell_do(s, "SEND t%d m%d PROP n %d TAG %s", i % 3, i, i / 3, i / 3 == 1 ? "a" : "b");
    expect(s, "[t1:0:1#1=m4]", "POP g t0 t1 t2 COUNT 1"); /* t0 is not known yet, t1 is */
    expect(s, "[t0:0:1#1=m3 t2:0:2#1=m8]", "POP g t0 t1 t2 COUNT 9");
    expect(s, "[]", "POP g t0 t1 t2 COUNT 9");
}

/* The first one takes what both have looked at; the second goes on behind it. */
static void two_consumers_race(void **state)
{
    struct shell *s = *state;
    struct buf found;
    buf_init(&found, 0);
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "GROUP CREATE g t FILTER WHERE \"n > 5\"");
    for (int i = 4; i < 10; i++)
        shell_do(s, "SEND t m%d PROP n %d", i, i);
    assert_true(sifting_look(s, "POP g t COUNT 9", slice_of(NULL, 0), &found, NULL));
    assert_string_equal(pop_with(s, &found, "POP g t COUNT 2"), "[t:0:2#1=m6 t:0:3#1=m7]");
    assert_string_equal(pop_with(s, &found, "POP g t COUNT 2"), "[t:0:4#1=m8 t:0:5#1=m9]");
    assert_string_equal(pop_with(s, &found, "POP g t COUNT 2"), "[]");
    assert_false(s->sift);
    shell_do(s, "SEND t m10 PROP n 10");
    assert_string_equal(pop_with(s, &found, "POP g t COUNT 2"), "[]");
    assert_true(s->sift); /* the sift does not cover the cursor: simply again */
    expect(s, "[t:0:6#1=m10]", "POP g t COUNT 2");
    buf_free(&found);
}

static void too_late(void **state)
{
    struct shell *s = *state;
    struct buf found;
    buf_init(&found, 0);
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "GROUP CREATE g t FILTER WHERE \"n > 5\"");
    shell_do(s, "MSEND t x x");
    shell_do(s, "SEND t a PROP n 9");
    (void)sifting_look(s, "POP g t COUNT 9", slice_of(NULL, 0), &found, NULL);
    shell_do(s, "TOPIC PURGE t");
    assert_string_equal(pop_with(s, &found, "POP g t COUNT 9"), "[]");
    assert_false(s->sift);
    shell_do(s, "SEND t b PROP n 9");
    assert_string_equal(pop_with(s, &found, "POP g t COUNT 9"), "[]");
    assert_true(s->sift);
    (void)sifting_look(s, "POP g t COUNT 9", slice_of(NULL, 0), &found, NULL);
    /* A group of the same name with another filter is another one. */
    shell_do(s, "GROUP DELETE g");
    shell_do(s, "GROUP CREATE g t FILTER WHERE \"n = 1\"");
    assert_string_equal(pop_with(s, &found, "POP g t COUNT 9"), "[]");
    assert_true(s->sift);
    expect(s, "[]", "POP g t COUNT 9");
    shell_do(s, "TOPIC DELETE t");
    assert_string_equal(pop_with(s, &found, "POP g t COUNT 9"), "-NOTOPIC");
    shell_do(s, "SEND t c QUEUE 0 PROP n 9");
    assert_string_equal(pop_with(s, &found, "POP g t COUNT 9"), "[t:0:0#1=c]"); /* made anew, without a filter */
    assert_string_equal(pop_with(s, &found, "TAKE nosuch t COUNT 9"), "-NOGROUP");
    buf_free(&found);
}

/* The version of the filter counts, not its text. */
static void another_version(void **state)
{
    struct shell *s = *state;
    struct buf found;
    struct gt *gt = NULL;
    buf_init(&found, 0);
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "GROUP CREATE g t FILTER WHERE \"n > 5\"");
    shell_do(s, "SEND t a PROP n 9");
    (void)sifting_look(s, "POP g t COUNT 9", slice_of(NULL, 0), &found, NULL);
    assert_int_equal(group_get(s->st, SLICE_LIT("g"), SLICE_LIT("t"), &gt), ST_OK);
    gt->filter_ref++;
    assert_string_equal(pop_with(s, &found, "POP g t COUNT 9"), "[]");
    assert_true(s->sift);
    gt->filter_ref--;
    assert_string_equal(pop_with(s, &found, "POP g t COUNT 9"), "[t:0:0#1=a]");
    buf_free(&found);
}

/* Bytes that are no ranges, and ranges of something else, are as good as nothing. */
static void malformed_sifts(void **state)
{
    struct shell *s = *state;
    struct buf b;
    struct sifts all;
    buf_init(&b, 0);
    sifts_init(&all);
    for (size_t n = 0; n < 70; n++) {
        buf_put_u8(&b, 0xff);
        assert_int_equal(sifts_open(&all, buf_slice(&b)), ST_OK);
        assert_null(sifts_find(&all, 1, 1, 0, 0));
    }
    buf_reset(&b, 0);
    struct sift_range r = {.gt = 1, .filter_ref = 2, .queue = 3, .from = 10};
    for (int k = 0; k < 3; k++, r.from += 10) { /* 10..13, 20..23, 30..33 */
        size_t at = sift_range_begin(&b, &r);
        for (int i = 0; i < 4; i++)
            sift_range_add(&b, at, i == 1);
    }
    assert_int_equal(sifts_open(&all, buf_slice(&b)), ST_OK);
    assert_int_equal(all.n, 3);
    for (uint64_t o = 0; o < 40; o++) {
        const struct sift_range *found = sifts_find(&all, 1, 2, 3, o);
        assert_true((found != NULL) == (o >= 10 && o % 10 < 4));
        assert_true(!found || sift_has(found, o) == (o % 10 == 1));
        assert_null(sifts_find(&all, 1, 3, 3, o));
        assert_null(sifts_find(&all, 2, 2, 3, o));
        assert_null(sifts_find(&all, 1, 2, 2, o));
    }
    for (size_t cut = 0; cut < b.len; cut++)
        assert_int_equal(sifts_open(&all, slice_of(b.data, cut)), ST_OK);
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "GROUP CREATE g t FILTER WHERE \"n > 5\"");
    shell_do(s, "SEND t a PROP n 9");
    assert_string_equal(pop_with(s, &b, "POP g t"), "[]");
    assert_true(s->sift);
    sifts_free(&all);
    buf_free(&b);
}

/* A step does so much and no more, and a sift looks at so many messages; the cursor goes on from POP to POP. */
static void bounded_steps(void **state)
{
    struct shell *s = *state;
    struct buf found;
    uint32_t steps = 0;
    buf_init(&found, 0);
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    shell_do(s, "GROUP CREATE g t FILTER WHERE \"n = 7\"");
    for (int i = 0; i < 60; i++) {
        for (int k = 0; k < 500; k++)
            shell_add(s, "SEND t m QUEUE %d PROP n 1", i % 2);
        assert_true(shell_write(s));
    }
    shell_do(s, "SEND t last QUEUE 1 PROP n 7");
    assert_false(sifting_look(s, "POP g t COUNT 9", slice_of(NULL, 0), &found, &steps));
    assert_true(steps > 5 && steps < 200);
    assert_true(found.len > SIFT_MESSAGES_MAX / 8 && found.len < SIFT_MESSAGES_MAX / 8 + 200);
    expect(s, "[t:1:15000#1=last]", "POP g t COUNT 9");
    assert_int_equal(shell_rows(s, 'R'), 1);
    /* No more is looked at than is asked for. */
    shell_do(s, "GROUP CREATE all t FILTER WHERE \"n = 1\"");
    (void)sifting_look(s, "POP all t COUNT 3", slice_of(NULL, 0), &found, &steps);
    assert_int_equal(steps, 1);
    assert_int_equal(found.len, 2 * 33);
    buf_free(&found);
}

static void expired_ones(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "GROUP CREATE g t FILTER WHERE \"n > 5\"");
    shell_do(s, "SEND t a PROP n 9 TTL 1s");
    shell_do(s, "SEND t b PROP n 9");
    s->now_ms += 2000;
    expect(s, "[t:0:1#1=b]", "POP g t COUNT 9");
}

/* A record that cannot be read is passed as in other groups: it is granted, found damaged, and skipped. */
static void damaged_ones(void **state)
{
    struct shell *s = *state;
    struct topic *t = NULL;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "GROUP CREATE g t FILTER WHERE \"n > 5\"");
    shell_do(s, "SEND t a PROP n 1");
    shell_do(s, "MSEND t b c");
    shell_do(s, "SEND t d PROP n 9");
    assert_int_equal(topic_get(s->st, SLICE_LIT("t"), &t), ST_OK);
    struct key key = key_log(t->id, 0, 1);
    kv_put(s->st->kv, KV_LOG, key_slice(&key), SLICE_LIT("x"));
    assert_int_equal(kv_write(s->st->kv, true, s->err, sizeof(s->err)), ST_OK);
    shell_reload(s);
    expect(s, "[t:0:3#1=d]", "POP g t COUNT 9");
    shell_expect(s, "OK", "SKIP g t:0:1-2#1");
    s->now_ms += 60000;
    expect(s, "[t:0:3#2=d]", "POP g t COUNT 9");
}

static void lag_is(struct shell *s, int64_t ready, int64_t unexamined)
{
    const char *said = shell_do(s, "LAG g");
    assert_int_equal(shell_field(said, "ready"), ready);
    assert_int_equal(shell_field(said, "lag"), ready + shell_field(said, "inflight"));
    assert_int_equal(shell_field(said, "unexamined"), unexamined);
}

/* LAG asks the filter, too, of messages that no POP has looked at. */
static void lag_counts_matches(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    shell_do(s, "GROUP CREATE g t FILTER WHERE \"n > 5\"");
    lag_is(s, 0, 0);
    for (int i = 0; i < 12; i++)
        shell_do(s, "SEND t m%d QUEUE %d PROP n %d", i, i % 2, i);
    lag_is(s, 6, 0);
    s->now_ms += 1000;
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "oldest_ms"), 1000);
    shell_do(s, "SEND t short QUEUE 0 PROP n 9 TTL 1s");
    lag_is(s, 7, 0);
    s->now_ms += 1000;
    lag_is(s, 6, 0);
    shell_do(s, "SEND t high QUEUE 1 PROP n 9 PRIORITY 9");
    shell_do(s, "SEND t low QUEUE 1 PROP n 1 PRIORITY 9");
    lag_is(s, 7, 0);
    expect(s, "[t:1:6#1=high t:0:3#1=m6]", "POP g t COUNT 2");
    lag_is(s, 5, 0); /* what went ahead is not counted again */
    shell_reopen(s);
    lag_is(s, 5, 0);
    shell_do(s, "GROUP SET g t FILTER WHERE \"n < 8\"");
    lag_is(s, 1, 0); /* m7: low was passed already, and m6 is leased */
}

/* One LAG reads no more than so many: the others are unexamined, until POP has passed the first ones. */
static void lag_reads_so_many(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    shell_do(s, "GROUP CREATE g t FILTER WHERE \"tag = 'x'\"");
    for (int i = 0; i < 30000; i++) {
        (void)shell_add(s, "SEND t m QUEUE %d TAG %s", i % 2, i % 10000 == 9999 ? "x" : "y");
        if (i % 1000 == 999)
            assert_true(shell_write(s));
    }
    const char *said = shell_do(s, "LAG g");
    int64_t ready = shell_field(said, "ready"), unexamined = shell_field(said, "unexamined");
    assert_in_range(ready, 0, 2);
    assert_in_range(unexamined, 10000, 25000);
    expect(s, "[t:1:4999#1=m t:1:9999#1=m]", "POP g t COUNT 2");
    said = shell_do(s, "LAG g");
    assert_true(shell_field(said, "unexamined") < unexamined);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(only_what_matches), SHELL_TEST(asks_for_each_queue), SHELL_TEST(several_topics),
        SHELL_TEST(two_consumers_race), SHELL_TEST(too_late), SHELL_TEST(another_version),
        SHELL_TEST(malformed_sifts), SHELL_TEST(bounded_steps), SHELL_TEST(expired_ones),
        SHELL_TEST(damaged_ones),
        SHELL_TEST(lag_counts_matches),
        SHELL_TEST(lag_reads_so_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
