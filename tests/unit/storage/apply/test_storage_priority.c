/* test_storage_priority.c: tests PRIORITY: the order in which POP delivers, cursors of classes over restarts, LAG, and the rows
 * that belong to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/group/group.h"
#include "storage/model/queue.h"
#include "tests/lib/batch.h"
#include "tests/lib/prng.h"
#include "tests/lib/shell.h"

static void highest_first(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    shell_do(s, "SEND t a QUEUE 0");
    shell_do(s, "SEND t b QUEUE 1 PRIORITY 0");
    shell_do(s, "SEND t c QUEUE 0 PRIORITY 9");
    shell_do(s, "SEND t d QUEUE 1 PRIORITY 4");
    shell_do(s, "SEND t e QUEUE 1 PRIORITY 9");
    shell_do(s, "SEND t f QUEUE 0 PRIORITY 5");
    shell_expect(s, "[t:0:1#1=c t:1:2#1=e t:0:2#1=f t:0:0#1=a t:1:1#1=d t:1:0#1=b]", "POP all t COUNT 9");
    static const char order[] = "cefadb";
    for (int i = 0; i < 6; i++) {
        char want[8];
        (void)snprintf(want, sizeof(want), "=%c]", order[i]);
        assert_non_null(strstr(shell_do(s, "POP g t"), want));
        if (i % 2)
            shell_reopen(s);
        else
            shell_reload(s);
    }
    shell_expect(s, "[]", "POP g t");
    shell_expect(s, "[t:0:0=a t:0:1=c t:0:2=f]", "READ t 0 0 COUNT 9");
}

/* In one group, in one record, and in the open group. */
static void within_a_record(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "POP g t");
    shell_add(s, "SEND t a");
    shell_add(s, "SEND t b PRIORITY 7");
    shell_add(s, "SEND t c");
    shell_add(s, "SEND t d PRIORITY 7");
    uint32_t i = shell_add(s, "POP g t");
    assert_true(shell_outcome(s, i)->n_grants == 1 && shell_outcome(s, i)->grants[0].base == 1);
    assert_true(shell_write(s));
    shell_expect(s, "[t:0:3#1=d t:0:0#1=a]", "POP g t COUNT 2");
    shell_expect(s, "3", "ACK g t:0:0-3#1");
    shell_do(s, "SEND t e PRIORITY 1");
    shell_expect(s, "[t:0:2#1=c t:0:4#1=e]", "POP g t COUNT 9");
    s->now_ms += 60000;
    shell_expect(s, "[t:0:2#2=c t:0:4#2=e]", "POP g t COUNT 9");
    shell_expect(s, "[]", "POP g t COUNT 9");
}

/* What one POP took of a class lies across what others took. */
static void runs_lie_across(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    for (int i = 0; i < 10; i++)
        shell_add(s, "SEND t %d%s", i, i % 2 ? " PRIORITY 6" : "");
    assert_true(shell_write(s));
    shell_do(s, "POP g t COUNT 5"); /* the odd ones */
    shell_do(s, "POP g t COUNT 5");
    shell_reload(s);
    for (int i = 0; i < 10; i++)
        shell_expect(s, "1", "ACK g t:0:%d#1", i);
    shell_expect(s, "[]", "POP g t COUNT 5");
    assert_int_equal(shell_rows(s, 'R'), 0);
}

/* A lease that ends for good ends for those that this POP took, not for what lies among them. */
static void leases_end_across(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "GROUP CREATE g t ATTEMPTS 2 LEASE 1s");
    shell_do(s, "SEND t a");
    shell_do(s, "SEND t b PRIORITY 0");
    shell_do(s, "SEND t c");
    shell_expect(s, "[t:0:0#1=a t:0:2#1=c]", "POP g t COUNT 2");
    s->now_ms += 2000;
    shell_expect(s, "[t:0:0#2=a t:0:2#2=c t:0:1#1=b]", "POP g t COUNT 9");
    s->now_ms += 2000;
    shell_expect(s, "[t:0:1#2=b]", "POP g t COUNT 9");
    assert_non_null(strstr(shell_do(s, "READ %%DLQ%%g 0 0 COUNT 9"), "=c]"));
}

static void nack_and_expiry(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t a PRIORITY 2 TTL 1s");
    shell_do(s, "SEND t b PRIORITY 2");
    shell_do(s, "SEND t c PRIORITY 8 TTL 1s");
    shell_do(s, "SEND t d PRIORITY 8");
    s->now_ms += 1500;
    shell_expect(s, "[t:0:3#1=d]", "POP g t");
    shell_expect(s, "OK", "NACK g t:0:3#1");
    shell_expect(s, "[t:0:3#2=d t:0:1#1=b]", "POP g t COUNT 9");
}

/* What waits for a retry goes before fresh messages of its own class, and behind those of higher ones. */
static void waiting_and_fresh(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t a PRIORITY 5");
    shell_do(s, "SEND t b PRIORITY 2");
    shell_do(s, "POP g t COUNT 2");
    shell_do(s, "NACK g t:0:0#1");
    shell_do(s, "NACK g t:0:1#1");
    shell_do(s, "SEND t c PRIORITY 9");
    shell_do(s, "SEND t d PRIORITY 5");
    shell_do(s, "SEND t e");
    shell_do(s, "SEND t f PRIORITY 2");
    static const char order[] = "cadebf";
    for (int i = 0; i < 6; i++) {
        char want[8];
        (void)snprintf(want, sizeof(want), "=%c]", order[i]);
        assert_non_null(strstr(shell_do(s, "POP g t"), want));
    }
    shell_expect(s, "[]", "POP g t");
}

/* SEEK moves the cursors of all classes, and numbers go on. */
static void seeks(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t a");
    shell_do(s, "SEND t b PRIORITY 9");
    shell_do(s, "SEND t c");
    shell_do(s, "SEND t d PRIORITY 9");
    shell_expect(s, "[t:0:1#1=b t:0:3#1=d t:0:0#1=a]", "POP g t COUNT 3");
    shell_expect(s, "OK", "GROUP SEEK g t earliest");
    shell_reload(s);
    shell_expect(s, "[t:0:1#2=b t:0:3#2=d t:0:0#2=a t:0:2#2=c]", "POP g t COUNT 9");
    shell_expect(s, "OK", "GROUP SEEK g t QUEUE 0 OFFSET 3");
    shell_expect(s, "[t:0:3#3=d]", "POP g t COUNT 9");
    shell_expect(s, "OK", "GROUP SEEK g t latest");
    shell_do(s, "SEND t e PRIORITY 9");
    shell_expect(s, "[t:0:4#1=e]", "POP g t COUNT 9");
}

/* A group that becomes ordered gets what it has not got, by age; and goes on by priority when it ceases to be. */
static void ordered_and_back(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    for (int i = 0; i < 3; i++) {
        shell_do(s, "SEND t %d", 3 * i);
        shell_do(s, "SEND t %d PRIORITY 9", 3 * i + 1);
        shell_do(s, "SEND t %d PRIORITY 1", 3 * i + 2);
    }
    shell_expect(s, "[t:0:1#1=1 t:0:4#1=4 t:0:7#1=7 t:0:0#1=0]", "POP g t COUNT 4");
    shell_expect(s, "OK", "GROUP SET g t ORDERED");
    shell_reload(s);
    shell_expect(s, "[t:0:2#1=2 t:0:3#1=3 t:0:5#1=5]", "POP g t COUNT 3");
    shell_expect(s, "OK", "GROUP SET g t ORDERED no");
    shell_reload(s);
    shell_do(s, "SEND t x PRIORITY 9");
    shell_expect(s, "[t:0:9#1=x t:0:6#1=6 t:0:8#1=8]", "POP g t COUNT 9");
    shell_expect(s, "[]", "POP g t");
}

static void lag(void **state)
{
    struct shell *s = *state;
    s->full = true;
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    for (int i = 0; i < 30; i++)
        shell_add(s, "SEND t x QUEUE %d PRIORITY %d", i % 2, i % 3 == 0 ? 9 : i % 3 == 1 ? 4 : 1);
    assert_true(shell_write(s));
    shell_do(s, "GROUP CREATE g t");
    for (int ready = 30; ready > 0; ready -= 3) {
        char want[30];
        (void)snprintf(want, sizeof(want), "ready:%d ", ready);
        assert_non_null(strstr(shell_do(s, "LAG g"), want));
        shell_do(s, "POP g t COUNT 3");
        if (ready % 4 == 0)
            shell_reload(s);
    }
    assert_non_null(strstr(shell_do(s, "LAG g"), "ready:0 inflight:30 "));
    shell_do(s, "SEND t x PRIORITY 9 TTL 1s");
    shell_do(s, "SEND t x PRIORITY 9 TTL 9s");
    shell_do(s, "SEND t x TTL 9s");
    assert_non_null(strstr(shell_do(s, "LAG g"), "ready:3 "));
    s->now_ms += 2000;
    shell_do(s, "SEND t x PRIORITY 9");
    assert_non_null(strstr(shell_do(s, "LAG g"), "ready:3 "));
    assert_non_null(strstr(shell_do(s, "LAG g"), "unexamined:0"));
}

/* Without a TTL LAG counts by the rows F: many records, with different numbers of messages of each class. */
static void lag_by_rows(void **state)
{
    struct shell *s = *state;
    struct prng p = prng_start();
    int64_t ready = 0;
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    shell_do(s, "GROUP CREATE g t");
    for (int i = 0; i < 120; i++) {
        uint64_t n = prng_below(&p, 12);
        for (uint64_t k = 0; k < n; k++)
            shell_add(s, "SEND t x QUEUE %d PRIORITY %d", (int)prng_below(&p, 2), 3 + (int)prng_below(&p, 4));
        ready += (int64_t)n;
        uint32_t pop = shell_add(s, "POP g t COUNT %d", 1 + (int)prng_below(&p, 12));
        const struct outcome *out = shell_outcome(s, pop);
        for (uint32_t g = 0; g < out->n_grants; g++)
            for (uint32_t w = 0; w < (out->grants[g].count + 63) / 64; w++)
                ready -= __builtin_popcountll(out->grants[g].bits[w]);
        assert_true(shell_write(s));
        if (prng_below(&p, 10) == 0)
            shell_reload(s);
        if (prng_below(&p, 40) == 0) {
            shell_do(s, "TOPIC PURGE t");
            ready = 0;
        }
        assert_int_equal(shell_field(shell_do(s, "LAG g"), "ready"), ready);
    }
}

static void rows_of(struct shell *s, uint32_t want)
{
    assert_int_equal(shell_rows(s, 'F'), want);
}

static void rows_come_and_go(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t a PRIORITY 4");
    rows_of(s, 0);
    shell_do(s, "SEND t a PRIORITY 3");
    shell_add(s, "SEND t b PRIORITY 3");
    shell_add(s, "SEND t b PRIORITY 5");
    shell_add(s, "SEND t b PRIORITY 3");
    assert_true(shell_write(s));
    rows_of(s, 3);
    shell_expect(s, "[t:0:3#1=b t:0:0#1=a t:0:1#1=a t:0:2#1=b t:0:4#1=b]", "POP g t COUNT 9");
    shell_add(s, "SEND t c PRIORITY 3");
    shell_add(s, "TOPIC PURGE t");
    shell_add(s, "SEND t d PRIORITY 3");
    assert_true(shell_write(s));
    rows_of(s, 1);
    shell_reopen(s);
    shell_do(s, "SEND t e PRIORITY 3");
    rows_of(s, 2);
    shell_expect(s, "[t:0:6#1=d t:0:7#1=e]", "POP g t COUNT 9");
    shell_do(s, "TOPIC DELETE t");
    rows_of(s, 0);
    shell_pass(s, 100000);
    assert_int_equal(shell_rows(s, 'C'), 0);
    shell_do(s, "SEND u x PRIORITY 1");
    shell_do(s, "POP g u");
    assert_true(shell_rows(s, 'C') >= 2);
    shell_do(s, "GROUP DELETE g");
    shell_pass(s, 100000);
    assert_int_equal(shell_rows(s, 'C'), 0);
}

/* A row's count goes on from the last one, whatever was in memory. */
static void counts_go_on(void **state)
{
    struct shell *s = *state;
    struct topic *t = NULL;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    for (int i = 0; i < 4; i++) {
        shell_do(s, "SEND t a PRIORITY 3");
        if (i == 1)
            shell_reload(s);
        if (i == 2)
            shell_reopen(s);
    }
    shell_add(s, "SEND t a PRIORITY 3");
    assert_int_equal(topic_get(s->st, SLICE_LIT("t"), &t), ST_OK);
    queue_cut_classes(s->st, t, 0, 3);
    assert_true(shell_write(s));
    rows_of(s, 2);
    shell_add(s, "SEND t a PRIORITY 3");
    assert_int_equal(topic_get(s->st, SLICE_LIT("t"), &t), ST_OK);
    queue_cut_classes(s->st, t, 0, 99);
    assert_true(shell_write(s));
    rows_of(s, 2); /* the last one that was known then, and that of this group's tail */
    struct buf row;
    struct class_row r;
    struct key key = key_class(t->id, 0, 3, 5);
    buf_init(&row, 0);
    assert_int_equal(kv_get(s->st->kv, KV_STATE, NULL, key_slice(&key), &row), ST_OK);
    assert_int_equal(class_decode(buf_slice(&row), &r), ST_OK);
    assert_true(r.before == 5 && r.count == 1);
    buf_free(&row);
}

/* With a new group, from the earliest and from the latest. */
static void groups_begin(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    shell_do(s, "SEND t a PRIORITY 9 QUEUE 0");
    shell_do(s, "SEND t b QUEUE 0");
    shell_do(s, "GROUP CREATE late t FROM latest");
    shell_do(s, "GROUP CREATE early t");
    shell_do(s, "SEND t c PRIORITY 9 QUEUE 0");
    shell_do(s, "SEND t d PRIORITY 2 QUEUE 1");
    shell_reload(s);
    shell_expect(s, "[t:0:2#1=c t:1:0#1=d]", "POP late t COUNT 9");
    shell_expect(s, "[t:0:0#1=a t:0:2#1=c t:0:1#1=b t:1:0#1=d]", "POP early t COUNT 9");
}

/* A batch has them, too; and many records without a class are passed at once. */
static void batches(void **state)
{
    struct shell *s = *state;
    struct batch b;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t urgent PRIORITY 9");
    for (int i = 0; i < 3000; i++) {
        shell_add(s, "SEND t x");
        if (i % 10 == 9)
            assert_true(shell_write(s));
    }
    batch_init(&b);
    for (int i = 0; i < 100; i++)
        batch_add(&b, (struct message){.body = SLICE_LIT("y"), .fields = MSG_PRIORITY, .priority = (uint8_t)(i % 10)});
    const struct slice words[] = {SLICE_LIT("PRODUCE"), SLICE_LIT("t"), batch_end(&b), SLICE_LIT("QUEUE"), SLICE_LIT("0")};
    shell_do_words(s, words, 5);
    batch_free(&b);
    shell_reload(s);
    shell_expect(s, "[t:0:0#1=urgent t:0:3010#1=y]", "POP g t COUNT 2");
    shell_do(s, "POP g t COUNT 49"); /* 9 of class 9, and all of 8, 7, 6, 5 */
    shell_expect(s, "[t:0:1#1=x]", "POP g t");
    shell_expect(s, "[t:0:0#1=urgent]", "POP h t COUNT 1");
}

/* SEEK moves the cursors of all classes; attempt numbers of what was delivered ahead of others go on, too. */
static void after_a_seek(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    for (int i = 0; i < 6; i++)
        shell_do(s, "SEND t %d%s", i, i == 4 ? " PRIORITY 9" : i == 1 ? " PRIORITY 0" : "");
    shell_expect(s, "[t:0:4#1=4 t:0:0#1=0]", "POP g t COUNT 2");
    shell_expect(s, "2", "ACK g t:0:4#1 t:0:0#1");
    shell_reload(s);
    shell_expect(s, "OK", "GROUP SEEK g t earliest");
    shell_reopen(s);
    shell_expect(s, "[t:0:4#2=4 t:0:0#2=0 t:0:2#2=2]", "POP g t COUNT 3");
    shell_expect(s, "OK", "GROUP SEEK g t QUEUE 0 OFFSET 3");
    shell_expect(s, "[t:0:4#3=4 t:0:3#3=3 t:0:5#1=5]", "POP g t COUNT 9");
    shell_expect(s, "OK", "GROUP SEEK g t latest");
    shell_expect(s, "[]", "POP g t COUNT 9");
}

/* What one POP has taken between others and RELEASE gives back is one run again, and so is what is left of it. */
static void released_at_once(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "POP g t");
    for (int i = 0; i < 20; i++)
        shell_do(s, "SEND t m%d PRIORITY %d", i, i % 2 ? 9 : 1);
    (void)shell_do(s, "POP g t COUNT 10");
    assert_int_equal(shell_rows(s, 'R'), 1);
    shell_expect(s, "OK", "RELEASE g t:0:3#1 t:0:4#1 t:0:7#1 t:0:7#1 t:0:11#1 t:0:15-17#1 nowhere:0:1#1");
    assert_int_equal(shell_rows(s, 'R'), 1);
    assert_int_equal(shell_rows(s, 'V'), 1);
    shell_reopen(s);
    shell_expect(s, "[t:0:3#1=m3 t:0:7#1=m7 t:0:11#1=m11 t:0:15#1=m15 t:0:17#1=m17 t:0:0#1=m0]", "POP g t COUNT 6");
    shell_expect(s, "5", "ACK g t:0:1#1 t:0:5#1 t:0:9#1 t:0:13#1 t:0:19#1");
    assert_int_equal(shell_rows(s, 'V'), 0);
    shell_expect(s, "OK", "RELEASE g t:0:3#1 t:0:7#1 t:0:11#1 t:0:15#1 t:0:17#1 t:0:0#1");
    assert_int_equal(shell_rows(s, 'R'), 0);
    assert_int_equal(shell_rows(s, 'V'), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(highest_first),
        SHELL_TEST(released_at_once),
        SHELL_TEST(within_a_record),
        SHELL_TEST(runs_lie_across),
        SHELL_TEST(leases_end_across),
        SHELL_TEST(nack_and_expiry),
        SHELL_TEST(waiting_and_fresh),
        SHELL_TEST(seeks),
        SHELL_TEST(ordered_and_back),
        SHELL_TEST(lag),
        SHELL_TEST(lag_by_rows),
        SHELL_TEST(rows_come_and_go),
        SHELL_TEST(counts_go_on),
        SHELL_TEST(groups_begin),
        SHELL_TEST(batches),
        SHELL_TEST(after_a_seek),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
