/* test_storage_seek.c: GROUP SEEK: where it goes to, what becomes of leases and retries, which attempt numbers follow, and
 * what DRYRUN says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/shell.h"

/* Five messages a..e in one queue, a second apart; the group g has had three of them. */
static void begin(struct shell *s)
{
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    for (char c = 'a'; c <= 'e'; c++) {
        shell_do(s, "SEND t %c", c);
        s->now_ms += 1000;
    }
    shell_expect(s, "[t:0:0#1=a t:0:1#1=b t:0:2#1=c]", "POP g t COUNT 3");
    shell_expect(s, "1", "ACK g t:0:0#1");
}

static void back_and_forth(void **state)
{
    struct shell *s = *state;
    begin(s);
    shell_expect(s, "OK", "GROUP SEEK g t earliest");
    shell_expect(s, "0", "ACK g t:0:1#1"); /* stale */
    shell_refused(s, "-STALE", "NACK g t:0:2#1");
    shell_expect(s, "[t:0:0#2=a t:0:1#2=b t:0:2#2=c t:0:3#1=d t:0:4#1=e]", "POP g t COUNT 9");
    shell_expect(s, "OK", "GROUP SEEK g t LATEST");
    shell_expect(s, "[]", "POP g t");
    shell_do(s, "SEND t f");
    shell_expect(s, "[t:0:5#1=f]", "POP g t COUNT 9"); /* it was never delivered before */
    shell_expect(s, "OK", "GROUP SEEK g t QUEUE 0 OFFSET 3");
    shell_reopen(s);
    shell_expect(s, "[t:0:3#3=d t:0:4#3=e t:0:5#3=f]", "POP g t COUNT 9");
    shell_expect(s, "3", "ACK g t:0:3-5#3");
    shell_expect(s, "OK", "GROUP SEEK g t QUEUE 0 OFFSET 4");
    shell_expect(s, "[t:0:4#4=e t:0:5#4=f]", "POP g t COUNT 9");
}

static void beyond_either_end(void **state)
{
    struct shell *s = *state;
    begin(s);
    shell_do(s, "TOPIC PURGE t");
    shell_do(s, "SEND t f");
    shell_expect(s, "OK", "GROUP SEEK g t QUEUE 0 OFFSET 1");
    shell_expect(s, "[t:0:5#1=f]", "POP g t COUNT 9");
    shell_expect(s, "OK", "GROUP SEEK g t QUEUE 0 OFFSET 9223372036854775807");
    shell_do(s, "SEND t g");
    shell_expect(s, "[t:0:6#1=g]", "POP g t COUNT 9");
    shell_refused(s, "-ERR", "GROUP SEEK g t QUEUE 1 OFFSET 0");
    shell_refused(s, "-ERR", "GROUP SEEK g t QUEUE 0 OFFSET -1");
    shell_refused(s, "-ERR", "GROUP SEEK g t QUEUE 0");
    shell_refused(s, "-ERR", "GROUP SEEK g t OFFSET 0");
    shell_refused(s, "-ERR", "GROUP SEEK g t");
    shell_refused(s, "-ERR", "GROUP SEEK g t earliest QUEUE 0 OFFSET 0");
    shell_refused(s, "-ERR", "GROUP SEEK g t sometimes");
    shell_refused(s, "-NOGROUP", "GROUP SEEK nobody t earliest");
    shell_refused(s, "-NOTOPIC", "GROUP SEEK g nowhere earliest");
}

/* A time is inclusive. */
static void by_time(void **state)
{
    struct shell *s = *state;
    begin(s);
    int64_t c_ms = SHELL_TIME + 2000;
    shell_expect(s, "OK", "GROUP SEEK g t %lld", (long long)c_ms);
    shell_expect(s, "[t:0:2#2=c]", "POP g t");
    shell_expect(s, "OK", "GROUP SEEK g t %lld", (long long)c_ms + 1);
    shell_expect(s, "[t:0:3#1=d]", "POP g t");
    shell_expect(s, "OK", "GROUP SEEK g t %lld", (long long)c_ms - 5000);
    shell_expect(s, "[t:0:0#3=a]", "POP g t");
    shell_expect(s, "OK", "GROUP SEEK g t 2040-01-01T00:00:00Z");
    shell_expect(s, "[]", "POP g t");
    shell_do(s, "SEND t f");
    shell_expect(s, "[t:0:5#1=f]", "POP g t"); /* nothing is skipped that comes after the SEEK */
    shell_expect(s, "OK", "GROUP SEEK g t 1960-01-01T00:00:00Z");
    shell_expect(s, "[t:0:0#4=a]", "POP g t");
}

/* In one commit group with what it is about. */
static void within_a_group(void **state)
{
    struct shell *s = *state;
    begin(s);
    shell_add(s, "SEND t f");
    shell_add(s, "POP g t COUNT 9");
    shell_add(s, "GROUP SEEK g t %lld", (long long)s->now_ms);
    shell_add(s, "POP g t COUNT 9");
    shell_add(s, "GROUP SEEK g t earliest");
    shell_add(s, "POP g t COUNT 2");
    assert_true(shell_write(s));
    assert_string_equal(shell_reply(s, 3), "[t:0:5#2=f]");
    assert_string_equal(shell_reply(s, 5), "[t:0:0#3=a t:0:1#3=b]");
    shell_reopen(s);
    shell_expect(s, "[t:0:2#3=c t:0:3#3=d t:0:4#3=e t:0:5#3=f]", "POP g t COUNT 9");
    shell_expect(s, "6", "ACK g t:0:0-5#3");
    assert_int_equal(shell_rows(s, 'R'), 0);
    assert_int_equal(shell_rows(s, 'V'), 0);
}

/* ATTEMPTS and BACKOFF count from the SEEK. */
static void attempts_count_anew(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t a");
    shell_do(s, "GROUP CREATE g t ATTEMPTS 2 BACKOFF 1s,5s");
    shell_expect(s, "[t:0:0#1=a]", "POP g t");
    shell_expect(s, "OK", "NACK g t:0:0#1");
    shell_pass(s, 1000);
    shell_expect(s, "[t:0:0#2=a]", "POP g t");
    shell_expect(s, "OK", "GROUP SEEK g t earliest");
    shell_expect(s, "[t:0:0#3=a]", "POP g t");
    shell_expect(s, "OK", "NACK g t:0:0#3");
    shell_reopen(s);
    shell_expect(s, "[]", "POP g t");
    shell_pass(s, 1000); /* the first pause, not the second */
    shell_expect(s, "[t:0:0#4=a]", "POP g t");
    shell_expect(s, "OK", "NACK g t:0:0#4");
    s->full = true;
    assert_non_null(strstr(shell_do(s, "READ %%DLQ%%g 0 0"), "attempts:2"));
}

/* What waits in a queue that is moved is gone, and what waits in others is not, however much of it is in memory. */
static void waiting_of_one_queue(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    for (int i = 0; i < 6; i++)
        shell_do(s, "SEND t m%d QUEUE %d", i, i % 2);
    shell_do(s, "POP g t COUNT 9");
    for (int i = 0; i < 6; i++)
        shell_expect(s, "OK", "NACK g t:%d:%d#1 DELAY %d", i % 2, i / 2, 1000 + i);
    s->st->wait_window = 1;
    shell_reopen(s);
    shell_expect(s, "OK", "GROUP SEEK g t QUEUE 0 OFFSET 2");
    const char *said = shell_do(s, "LAG g");
    assert_true(shell_field(said, "delayed") == 3 && shell_field(said, "ready") == 1);
    shell_expect(s, "[t:0:2#2=m4]", "POP g t COUNT 9");
    shell_expect(s, "OK", "RELEASE g t:0:2#2"); /* nobody has received it: its number is used again */
    shell_expect(s, "[t:0:2#2=m4]", "POP g t COUNT 9");
    shell_expect(s, "OK", "NACK g t:0:2#2 DELAY 1001"); /* this one waits in earnest, between those that are void */
    shell_pass(s, 2000);
    shell_expect(s, "[t:1:0#2=m1 t:1:1#2=m3 t:0:2#3=m4 t:1:2#2=m5]", "POP g t COUNT 9");
    assert_int_equal(shell_rows(s, 'V'), 0);
    said = shell_do(s, "LAG g");
    assert_true(shell_field(said, "inflight") == 4 && shell_field(said, "lag") == 4);
}

/* What waits for a retry, in memory and on disk, is dropped with all else. */
static void waiting_of_all_queues(void **state)
{
    struct shell *s = *state;
    begin(s);
    shell_expect(s, "OK", "NACK g t:0:1#1 DELAY 1h");
    shell_expect(s, "OK", "NACK g t:0:2#1 DELAY 2h");
    shell_expect(s, "OK", "GROUP SEEK g t latest");
    assert_int_equal(shell_rows(s, 'V'), 0);
    shell_pass(s, 3 * 3600 * 1000);
    shell_expect(s, "[]", "POP g t COUNT 9");
}

static void dry_run(void **state)
{
    struct shell *s = *state;
    begin(s);
    uint64_t before = shell_digest(s);
    const char *said = shell_do(s, "GROUP SEEK g t earliest DRYRUN");
    assert_true(shell_field(said, "ready") == 5 && shell_field(said, "stale") == 2);
    said = shell_do(s, "GROUP SEEK g t DRYRUN QUEUE 0 OFFSET 4");
    assert_true(shell_field(said, "ready") == 1 && shell_field(said, "to") == 4 && shell_field(said, "next") == 3);
    said = shell_do(s, "GROUP SEEK g t latest DRYRUN");
    assert_int_equal(shell_field(said, "ready"), 0);
    assert_true(shell_digest(s) == before);
    shell_expect(s, "2", "ACK g t:0:1#1 t:0:2#1");
}

static void never_popped(void **state)
{
    struct shell *s = *state;
    begin(s);
    shell_do(s, "GROUP CREATE new t FROM latest");
    shell_expect(s, "OK", "GROUP PAUSE new t");
    shell_expect(s, "OK", "GROUP SEEK new t earliest");
    shell_expect(s, "[]", "POP new t"); /* it is paused still */
    shell_expect(s, "OK", "GROUP RESUME new t");
    shell_expect(s, "[t:0:0#1=a]", "POP new t");
}

/* One that was deleted and made again goes on numbering behind all that it has used. */
static void numbers_outlive_the_group(void **state)
{
    struct shell *s = *state;
    begin(s);
    for (int i = 0; i < 3; i++) {
        shell_expect(s, "OK", "GROUP SEEK g t earliest");
        shell_do(s, "POP g t COUNT 2");
    }
    shell_expect(s, "OK", "GROUP DELETE g");
    shell_expect(s, "[t:0:0#5=a]", "POP g t");
}

/* Messages that an ordered group has passed over, and that were never delivered, are not taken for ones from before. */
static void switched_off_behind_a_seek(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_expect(s, "OK", "GROUP CREATE g t ORDERED");
    shell_do(s, "SEND t a ORDER k");
    shell_expect(s, "[t:0:0#1=a]", "POP g t COUNT 9");
    shell_expect(s, "OK", "GROUP SEEK g t earliest");
    shell_do(s, "SEND t b ORDER k");
    shell_expect(s, "[t:0:0#2=a]", "POP g t COUNT 9"); /* b is passed over */
    shell_expect(s, "OK", "GROUP SET g t ORDERED no");
    shell_reopen(s);
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "lag"), 2);
    shell_expect(s, "[t:0:1#1=b]", "POP g t COUNT 9");
}

static void many_queues(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1024");
    for (int q = 0; q < 1024; q++)
        shell_add(s, "SEND t m QUEUE %d", q);
    assert_true(shell_write(s));
    s->now_ms += 1000;
    for (int q = 0; q < 1024; q++)
        shell_add(s, "SEND t n QUEUE %d", q);
    assert_true(shell_write(s));
    shell_do(s, "POP g t COUNT 1000");
    shell_expect(s, "OK", "GROUP SEEK g t %lld", (long long)s->now_ms);
    const char *said = shell_do(s, "LAG g");
    assert_true(shell_field(said, "ready") == 1024 && shell_field(said, "inflight") == 0);
    shell_expect(s, "OK", "GROUP SEEK g t earliest");
    shell_reopen(s);
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "ready"), 2048);
    shell_expect(s, "[t:0:0#2=m]", "POP g t");
}

/* What waits from before a SEEK of its queue, and means nothing any more, is in nobody's way: the same message may wait until
 * the same time. */
static void waits_until_the_same_time(void **state)
{
    struct shell *s = *state;
    for (int window = 0; window < 3; window++) {
        shell_do(s, "TOPIC CREATE t%d QUEUES 2", window);
        shell_do(s, "GROUP CREATE g t%d", window);
        for (int i = 0; i < 6; i++)
            shell_do(s, "SEND t%d m%d QUEUE 0", window, i);
        s->st->wait_window = 1 + (uint32_t)window;
        shell_do(s, "POP g t%d COUNT 6", window);
        shell_expect(s, "OK", "NACK g t%d:0:2#1 DELAY 300", window);
        shell_expect(s, "OK", "NACK g t%d:0:1#1 DELAY 300", window);
        shell_expect(s, "OK", "GROUP SEEK g t%d QUEUE 0 OFFSET 0", window);
        shell_do(s, "POP g t%d COUNT 6", window);
        shell_expect(s, "OK", "NACK g t%d:0:0#2 DELAY 300", window);
        shell_expect(s, "OK", "NACK g t%d:0:1#2 DELAY 300", window);
        shell_expect(s, "OK", "NACK g t%d:0:2#2 DELAY 300", window);
        shell_expect(s, "3", "ACK g t%d:0:3#2 t%d:0:4#2 t%d:0:5#2", window, window, window);
        const char *said = strstr(shell_do(s, "LAG g"), window == 0 ? "topic:t0" : window == 1 ? "topic:t1" : "topic:t2");
        assert_int_equal(shell_field(said, "delayed"), 3);
        shell_reload(s);
        s->st->wait_window = 1 + (uint32_t)window;
        shell_pass(s, 300);
        char want[100];
        (void)snprintf(want, sizeof(want), "[t%d:0:0#3=m0 t%d:0:1#3=m1 t%d:0:2#3=m2]", window, window, window);
        assert_string_equal(shell_do(s, "POP g t%d COUNT 9", window), want);
        shell_expect(s, "3", "ACK g t%d:0:0-2#3", window);
        assert_int_equal(shell_rows(s, 'V'), 0);
        shell_pass(s, 60000);
        shell_expect(s, "[]", "POP g t%d", window);
    }
}

static void one_waits(struct shell *s)
{
    shell_start(s);
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    shell_do(s, "GROUP CREATE g t");
    for (int i = 0; i < 8; i++)
        shell_do(s, "SEND t m QUEUE %d", i % 2);
    shell_do(s, "POP g t COUNT 9 LEASE 1h");
    shell_expect(s, "OK", "NACK g t:0:0#1 DELAY 10s");
    shell_expect(s, "OK", "NACK g t:1:0#1 DELAY 1m");
}

/* Where the first one that waits cannot be read, it is not known when to look again: a command that asks for that is refused,
 * and has changed nothing. Otherwise two replicas would have different timers. */
static void refused_where_the_first_is_unread(void **state)
{
    static const char *const lines[] = {"GROUP SEEK g t QUEUE 1 OFFSET 1", "NACK g t:1:1#1 DELAY 5s", "REJECT g t:1:1#1",
                                        "EXTEND g t:1:1#1 1s"};
    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        uint32_t refused = 0;
        for (int n = 1; n < 8; n++) {
            struct shell a, b;
            one_waits(&a);
            one_waits(&b);
            assert_true(shell_reload(&a) && shell_reload(&b));
            uint64_t before = shell_digest(&b);
            kv_fault(b.st->kv, KV_OP_ITER, n);
            uint32_t at = shell_add(&b, "%s", lines[i]);
            kv_fault(b.st->kv, KV_OP_ITER, 0);
            assert_true(shell_write(&b));
            bool is_refused = strcmp(shell_reply(&b, at), "-ERR") == 0;
            shell_expect(&a, "OK", "%s", lines[i]);
            assert_true(shell_digest(&b) == (is_refused ? before : shell_digest(&a)));
            refused += is_refused;
            shell_stop(&a);
            shell_stop(&b);
        }
        assert_true(refused > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {SHELL_TEST(back_and_forth), SHELL_TEST(beyond_either_end), SHELL_TEST(by_time),
                                       SHELL_TEST(within_a_group), SHELL_TEST(attempts_count_anew),
                                       SHELL_TEST(waiting_of_one_queue), SHELL_TEST(waiting_of_all_queues),
                                       SHELL_TEST(dry_run), SHELL_TEST(never_popped),
                                       SHELL_TEST(numbers_outlive_the_group), SHELL_TEST(switched_off_behind_a_seek), SHELL_TEST(many_queues),
                                       SHELL_TEST(waits_until_the_same_time),
                                       cmocka_unit_test(refused_where_the_first_is_unread)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
