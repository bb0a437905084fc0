/* test_storage_cut.c: tests RETENTION and MAXBYTES: what goes and what stays, and what groups and readers see of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/model/topic.h"
#include "tests/lib/shell.h"

#define LATEST_MS 15000 /* the contract: RETENTION acts within that */

static int64_t info_number(struct shell *s, const char *name)
{
    const char *said = shell_do(s, "TOPIC INFO t");
    if (strcmp(name, "bytes") == 0) /* those of the queues come first */
        said = strstr(said, "] bytes:");
    return said ? shell_field(said, name) : -1;
}

/* Sends n messages with bodies of so many bytes, each in a commit group of its own. */
static void send_some(struct shell *s, int n, int bytes, const char *more)
{
    static char body[100001];
    memset(body, 'x', sizeof(body) - 1);
    for (int i = 0; i < n; i++)
        assert_int_not_equal(shell_do(s, "SEND t %.*s %s", bytes, body, more)[0], '-');
}

static void too_old_goes(void **state)
{
    struct shell *s = *state;
    shell_expect(s, "OK", "TOPIC CREATE t QUEUES 1 RETENTION 60s");
    shell_do(s, "SEND t a");
    shell_pass(s, 30000);
    shell_do(s, "SEND t b");
    shell_pass(s, 29999);
    shell_expect(s, "[t:0:0=a t:0:1=b]", "READ t 0 0 COUNT 9"); /* not a moment too early */
    shell_pass(s, LATEST_MS);
    shell_expect(s, "[t:0:1=b]", "READ t 0 0 COUNT 9");
    shell_expect(s, "null", "GET t:0:0");
    shell_reopen(s);
    shell_pass(s, 30000);
    shell_expect(s, "[]", "READ t 0 0 COUNT 9");
    assert_int_equal(info_number(s, "bytes"), 0);
    assert_int_equal(shell_rows(s, 'B'), 0);
    shell_expect(s, "t:0:2", "SEND t c"); /* an offset is never used twice */
    shell_reopen(s);
    shell_expect(s, "t:0:3", "SEND t d");
    shell_pass(s, 75000);
    assert_int_equal(shell_rows(s, 'W'), 0); /* an empty topic costs nothing */
    shell_expect(s, "[]", "READ t 0 0 COUNT 9");
}

/* Many records of one age are found with few look-ups and deleted as a range. */
static void many_records_go(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 3 RETENTION 10s");
    send_some(s, 900, 10, "TTL 1h");
    shell_pass(s, 5000);
    send_some(s, 6, 10, "");
    shell_pass(s, 5000 + LATEST_MS / 4);
    assert_int_equal(info_number(s, "messages"), 6);
    assert_int_equal(shell_rows(s, 'B'), 6);
    assert_int_equal(shell_rows(s, 'E'), 0);
    assert_int_equal(state_tally(s->st)->messages_removed, 900);
    shell_expect(s, "[t:0:300=xxxxxxxxxx]", "READ t 0 0");
}

static void nothing_is_set(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t");
    shell_do(s, "SEND t a");
    assert_int_equal(info_number(s, "retention"), 0);
    assert_int_equal(info_number(s, "maxbytes"), 0);
    shell_pass(s, 366LL * 86400 * 1000);
    assert_int_equal(info_number(s, "messages"), 1);
    assert_int_equal(shell_rows(s, 'W'), 0);
}

static void settings_act_at_once(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    send_some(s, 20, 1000, "");
    shell_pass(s, 60000);
    shell_do(s, "SEND t last");
    shell_expect(s, "OK", "TOPIC SET t RETENTION 1m");
    shell_pass(s, 0);
    shell_expect(s, "[t:0:20=last]", "READ t 0 0");
    shell_expect(s, "OK", "TOPIC SET t RETENTION 0");
    shell_pass(s, 3600000);
    assert_int_equal(info_number(s, "messages"), 1);
    send_some(s, 20, 1000, "");
    shell_expect(s, "OK", "TOPIC SET t MAXBYTES 5000");
    shell_pass(s, 0);
    assert_in_range(info_number(s, "bytes"), 4000, 6250);
    assert_int_equal(info_number(s, "next"), 41);
    shell_expect(s, "OK", "TOPIC SET t MAXBYTES 0");
    send_some(s, 20, 1000, "");
    shell_pass(s, 0);
    assert_in_range(info_number(s, "bytes"), 24000, 30000);
    shell_refused(s, "-ERR", "TOPIC SET t");
    shell_refused(s, "-NOTOPIC", "TOPIC SET nosuch MAXBYTES 1");
    shell_refused(s, "-BADNAME", "TOPIC SET %%DLQ%%g MAXBYTES 1");
    shell_refused(s, "-ERR", "TOPIC SET t COMPRESS lz4");
    shell_refused(s, "-ERR", "TOPIC SET t RETENTION -1");
    shell_refused(s, "-ERR", "TOPIC SET t MAXBYTES x");
}

/* Sizes of the bound, of messages, and how many of these are in one commit group. */
static void never_more_than_twice(void **state)
{
    struct shell *s = *state;
    static const struct {
        int max_bytes, body, group, queues, n;
    } cases[] = {{10000, 100, 1, 1, 150},  {10000, 100, 50, 1, 2000}, {10000, 100, 50, 4, 2000}, {100000, 30000, 1, 2, 30},
                 {1000, 5000, 1, 1, 10},   {1000, 5000, 3, 1, 12},    {1, 10, 20, 3, 200},       {20000, 20, 5, 4, 1500},
                 {50000, 3000, 10, 9, 300}};
    static char body[30001];
    memset(body, 'x', sizeof(body) - 1);
    s->sync = false;
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        shell_expect(s, "OK", "TOPIC CREATE t QUEUES %d MAXBYTES %d", cases[c].queues, cases[c].max_bytes);
        int64_t most = 2 * (int64_t)cases[c].max_bytes, one = cases[c].body + 200;
        for (int i = 0; i < cases[c].n; i += cases[c].group) {
            for (int k = 0; k < cases[c].group; k++)
                (void)shell_add(s, "SEND t %.*s%d", cases[c].body, body, i + k);
            assert_true(shell_write(s));
            if (i % (7 * cases[c].group) == 0)
                shell_reopen(s);
            shell_pass(s, 0);
            int64_t bytes = info_number(s, "bytes"), messages = shell_field(shell_do(s, "TOPIC INFO t"), "messages");
            assert_true(messages >= 1);
            if (getenv("TRACE"))
                (void)fprintf(stderr, "case %zu: %d sent: %lld bytes, %lld messages\n", c, i + cases[c].group, (long long)bytes, (long long)messages);
            assert_true(bytes <= most || messages == 1);
            bool full = (int64_t)(i + cases[c].group) * cases[c].body > cases[c].max_bytes + one;
            if (full && most > 2 * one)
                assert_true(bytes > cases[c].max_bytes - one);
            char newest[64];
            (void)snprintf(newest, sizeof(newest), "x%d]", i + cases[c].group - 1);
            int q = (i + cases[c].group - 1) % cases[c].queues;
            const char *said = shell_do(s, "TOPIC INFO t");
            char place[32];
            (void)snprintf(place, sizeof(place), "{queue:%d ", q);
            long long next = shell_field(strstr(said, place), "next");
            assert_non_null(strstr(shell_do(s, "READ t %d %lld", q, next - 1), newest)); /* the newest is there */
        }
        shell_expect(s, "OK", "TOPIC DELETE t");
        assert_int_equal(shell_rows(s, 'B') + shell_rows(s, 'W'), 0);
    }
}

static void send_together(struct shell *s, int n)
{
    static char line[20000];
    size_t len = (size_t)snprintf(line, sizeof(line), "MSEND t");
    for (int i = 0; i < n; i++, len += 1001) {
        line[len] = ' ';
        memset(line + len + 1, 'x', 1000);
    }
    line[len] = 0;
    (void)shell_do(s, "%s", line);
}

/* A row of the directory cannot be read as the bytes of a topic are counted: what it stands for is counted all the same. */
static void counts_what_cannot_be_read(void **state)
{
    struct shell *s = *state;
    for (int n = 1; n < 30; n++) {
        shell_expect(s, "OK", "TOPIC CREATE t QUEUES 2 MAXBYTES 10000");
        send_together(s, 11);
        shell_pass(s, 0);
        assert_true(info_number(s, "bytes") > 11000);
        shell_reopen(s);
        shell_expect(s, "OK", "GROUP CREATE g t"); /* loads the topic, and counts nothing */
        kv_fault(s->st->kv, KV_OP_ITER_DAMAGE, n);
        send_together(s, 9);
        kv_fault(s->st->kv, KV_OP_ITER_DAMAGE, 0);
        shell_pass(s, 0);
        if (info_number(s, "bytes") > 20000)
            fail_msg("%d: %s", n, shell_do(s, "TOPIC INFO t"));
        shell_expect(s, "OK", "TOPIC DELETE t");
    }
}

/* The oldest go first, whichever queue they are in. */
static void oldest_of_all_queues(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 3");
    for (int i = 0; i < 10; i++)
        send_some(s, 1, 1000, i < 4 ? "QUEUE 2" : "QUEUE 0");
    shell_do(s, "TOPIC SET t MAXBYTES 4000");
    shell_pass(s, 0);
    const char *said = shell_do(s, "TOPIC INFO t");
    assert_int_equal(shell_field(strstr(said, "{queue:2"), "messages"), 0);
    assert_in_range(shell_field(strstr(said, "{queue:0"), "messages"), 3, 5);
}

static void groups_go_on(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1 RETENTION 60s");
    shell_do(s, "GROUP CREATE idle t");
    shell_do(s, "SEND t a");
    shell_do(s, "SEND t b");
    shell_do(s, "MSEND t c d");
    shell_expect(s, "[t:0:0#1=a t:0:1#1=b t:0:2#1=c]", "POP g t COUNT 3 LEASE 1h");
    shell_expect(s, "OK", "NACK g t:0:1#1 DELAY 30s");
    shell_expect(s, "[t:0:0#1=a]", "POP other t LEASE 1h");
    shell_pass(s, 50000);
    shell_do(s, "SEND t e");
    shell_expect(s, "[t:0:1#2=b t:0:3#1=d t:0:4#1=e]", "POP g t COUNT 3 LEASE 1h");
    shell_expect(s, "OK", "NACK g t:0:1#2 DELAY 1h");
    shell_pass(s, 25000);
    for (int i = 0; i < 2; i++) {
        const char *lag = shell_do(s, "LAG g");
        assert_int_equal(shell_field(lag, "lag"), 1);
        assert_int_equal(shell_field(lag, "inflight"), 1);
        assert_int_equal(shell_field(shell_do(s, "LAG idle"), "ready"), 1);
        assert_int_equal(shell_field(shell_do(s, "LAG other"), "lag"), 1);
        shell_reopen(s);
    }
    shell_expect(s, "0", "ACK g t:0:0#1 t:0:2#1");
    shell_refused(s, "-STALE", "EXTEND g t:0:3#1 1m");
    shell_refused(s, "-STALE", "NACK g t:0:2#1");
    shell_refused(s, "-STALE", "REJECT g t:0:0#1");
    shell_expect(s, "1", "ACK g t:0:4#1");
    shell_expect(s, "[t:0:4#1=e]", "POP idle t COUNT 9");
    shell_expect(s, "[t:0:4#1=e]", "POP other t COUNT 9");
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "lag"), 0);
    shell_pass(s, 3600000);
    shell_expect(s, "[]", "POP g t"); /* what waited was dropped, not delivered, nor a dead letter */
    shell_expect(s, "[]", "POP idle t");
    shell_expect(s, "[]", "POP other t");
    assert_int_equal(shell_rows(s, 'V') + shell_rows(s, 'R'), 0);
    shell_expect(s, "[t]", "TOPIC LIST");
}

/* A leased run of which a part is gone; the attempts of the rest go on. */
static void part_of_a_run(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1 RETENTION 60s");
    shell_do(s, "MSEND t a b");
    shell_pass(s, 50000);
    shell_do(s, "MSEND t c d");
    shell_do(s, "POP g t COUNT 4 LEASE 25s");
    shell_pass(s, 20000);
    shell_expect(s, "1", "ACK g t:0:0-2#1");
    shell_pass(s, 5000);
    shell_expect(s, "[t:0:3#2=d]", "POP g t COUNT 9");
    shell_expect(s, "0", "ACK g t:0:1-3#1");
    shell_expect(s, "1", "ACK g t:0:1-3#2");
}

static void floor_inside_of_a_record(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1 MAXBYTES 1000");
    shell_do(s, "GROUP CREATE g t");
    for (int i = 0; i < 100; i++)
        (void)shell_add(s, "SEND t %040d KEY k%d", i, i % 2);
    assert_true(shell_write(s));
    shell_pass(s, 0);
    int64_t first = info_number(s, "first"), bytes = info_number(s, "bytes");
    assert_in_range(first, 50, 98);
    assert_in_range(bytes, 900, 1300);
    char want[128];
    (void)snprintf(want, sizeof(want), "[t:0:%lld#1=%040lld]", (long long)first, (long long)first);
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "ready"), 100 - first);
    shell_expect(s, want, "POP g t");
    shell_expect(s, "null", "GET t:0:%lld", (long long)first - 1);
    assert_int_equal(strchr(shell_do(s, "FIND t KEY k%d", (int)(first - 1) % 2) + 1, '=') == NULL, 0);
    assert_null(strstr(shell_do(s, "FIND t KEY k%d", (int)(first - 1) % 2), "t:0:1="));
    shell_reopen(s);
    (void)snprintf(want, sizeof(want), "[t:0:%lld#1=%040lld]", (long long)first + 1, (long long)first + 1);
    shell_expect(s, want, "POP g t");
    shell_do(s, "TOPIC PURGE t");
    shell_expect(s, "t:0:100", "SEND t x");
}

static void settings_and_rows_of_others(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1 RETENTION 1m");
    shell_expect(s, "t:0:0", "SEND t a DEDUP d KEY k");
    const char *token = shell_do(s, "SEND t late DELAY 2h");
    assert_int_equal(token[0], '@');
    shell_pass(s, 80000);
    assert_int_equal(info_number(s, "messages"), 0);
    assert_int_equal(info_number(s, "delayed"), 1); /* is not in a queue yet */
    shell_expect(s, "t:0:0", "SEND t a DEDUP d KEY k"); /* the first answer, for as long as the window says */
    shell_expect(s, "[]", "FIND t KEY k");
    shell_pass(s, 7200000);
    assert_int_equal(info_number(s, "messages"), 1);
    shell_do(s, "TOPIC PURGE t");
    shell_pass(s, 120000);
    shell_expect(s, "t:0:2", "SEND t b");
    shell_expect(s, "OK", "TOPIC DELETE t");
    shell_pass(s, 120000);
    shell_expect(s, "t:0:0", "SEND t b"); /* another topic, without RETENTION */
    shell_pass(s, 120000);
    assert_int_equal(info_number(s, "messages"), 1);
}

static void queues_grow(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    shell_do(s, "GROUP CREATE g t FROM latest");
    shell_expect(s, "t:0:0", "SEND t a");
    shell_expect(s, "t:1:0", "SEND t b");
    shell_do(s, "POP g t COUNT 2");
    uint32_t a = shell_add(s, "SEND t c"), b = shell_add(s, "TOPIC SET t QUEUES 4 RETENTION 1h");
    uint32_t c = shell_add(s, "SEND t d"), d = shell_add(s, "SEND t e");
    assert_true(shell_write(s));
    assert_string_equal(shell_reply(s, a), "t:0:1");
    assert_string_equal(shell_reply(s, b), "OK");
    assert_string_equal(shell_reply(s, c), "t:1:1");
    assert_string_equal(shell_reply(s, d), "t:2:0");
    shell_expect(s, "[t:0:1#1=c t:1:1#1=d t:2:0#1=e]", "POP g t COUNT 9");
    shell_expect(s, "t:3:0", "SEND t f");
    shell_reopen(s);
    assert_int_equal(info_number(s, "queues"), 4);
    assert_int_equal(info_number(s, "order_queues"), 2);
    assert_int_equal(info_number(s, "retention"), 3600000);
    shell_expect(s, "[t:3:0#1=f]", "POP g t COUNT 9");
    shell_expect(s, "[t:3:0=f]", "READ t 3 0");
    for (int i = 0; i < 20; i++) {
        const char *id = shell_do(s, "SEND t x ORDER key%d", i);
        assert_true(id[2] == '0' || id[2] == '1');
    }
    shell_refused(s, "-ERR", "TOPIC SET t QUEUES 3 MAXBYTES 5");
    assert_int_equal(info_number(s, "maxbytes"), 0);
    shell_expect(s, "OK", "TOPIC SET t QUEUES 4");
    shell_expect(s, "OK", "TOPIC SET t QUEUES 1024");
    shell_refused(s, "-ERR", "TOPIC SET t QUEUES 1025");
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "lag"), 26);
}

/* Rows of the index of KEYs go with a compaction, and no sooner than their messages. */
static void keys_go(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 2 RETENTION 60s");
    shell_do(s, "TOPIC CREATE u");
    shell_do(s, "SEND u x KEY k");
    send_some(s, 10, 10, "KEY k KEY l");
    shell_pass(s, 30000);
    shell_do(s, "SEND t last KEY k");
    shell_pass(s, 30000 + LATEST_MS);
    assert_int_equal(info_number(s, "messages"), 1);
    shell_expect(s, "[t:0:5=last]", "FIND t KEY k");
    assert_int_equal(shell_rows(s, 'I'), 22);
    shell_compact(s);
    assert_int_equal(shell_rows(s, 'I'), 22); /* a power cut could still undo the last commit group */
    shell_do(s, "SEND u y");
    s->now_ms++;
    shell_do(s, "SEND u y");
    shell_compact(s);
    assert_int_equal(shell_rows(s, 'I'), 2);
    shell_expect(s, "[t:0:5=last]", "FIND t KEY k");
    shell_expect(s, "[u:0:0=x]", "FIND u KEY k");
    shell_expect(s, "[]", "FIND t KEY l");
}

/* All queues of a large topic in bounded steps, which go on by themselves. */
static void a_thousand_queues(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1024 MAXBYTES 100000 RETENTION 1h");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2048; i++)
            (void)shell_add(s, "SEND t %0100d", i);
        assert_true(shell_write(s));
        shell_pass(s, 1000);
        assert_in_range(info_number(s, "bytes"), 90000, 200000);
    }
    shell_pass(s, 3600000 + LATEST_MS);
    assert_int_equal(info_number(s, "messages"), 0);
    assert_int_equal(shell_rows(s, 'B'), 0);
}

/* Where the disk is nearly used up, TICK does what frees space, and only that; the rest is done when there is room. */
static void only_what_frees_space(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1 RETENTION 10s");
    send_some(s, 20, 100, "");
    shell_do(s, "SEND gone x");
    for (int i = 0; i < 300; i++)
        (void)shell_add(s, "GROUP CREATE g%d gone", i);
    assert_true(shell_write(s));
    shell_do(s, "SEND u late DELAY 5s");
    shell_do(s, "SEND v x");
    shell_do(s, "POP g v LEASE 1s");
    uint32_t timers = shell_rows(s, 'W');
    s->policy.disk_spent = true;
    shell_do(s, "TOPIC DELETE gone");
    s->now_ms += 10000 + LATEST_MS;
    for (int i = 0; i < 100; i++)
        shell_expect(s, "OK", "TICK");
    assert_int_equal(info_number(s, "messages"), 0);
    assert_int_equal(shell_rows(s, 'H'), 1); /* those of the deleted topic are gone */
    assert_true(s->fx.next_due_ms <= s->now_ms); /* the rest waits, and is not lost */
    assert_int_equal(shell_rows(s, 'W'), timers - 1);
    shell_reopen(s);
    shell_expect(s, "OK", "TICK");
    assert_int_equal(shell_rows(s, 'W'), timers - 1);
    s->policy.disk_spent = false;
    shell_pass(s, 1);
    shell_expect(s, "[u:0:0=late]", "READ u 0 0");
    shell_expect(s, "[v:0:0#2=x]", "POP g v");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(too_old_goes),
        SHELL_TEST(many_records_go),
        SHELL_TEST(nothing_is_set),
        SHELL_TEST(settings_act_at_once),
        SHELL_TEST(never_more_than_twice),
        SHELL_TEST(counts_what_cannot_be_read),
        SHELL_TEST(oldest_of_all_queues),
        SHELL_TEST(groups_go_on),
        SHELL_TEST(part_of_a_run),
        SHELL_TEST(floor_inside_of_a_record),
        SHELL_TEST(settings_and_rows_of_others),
        SHELL_TEST(queues_grow),
        SHELL_TEST(keys_go),
        SHELL_TEST(a_thousand_queues),
        SHELL_TEST(only_what_frees_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
