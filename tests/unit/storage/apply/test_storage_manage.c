/* test_storage_manage.c: tests creating and deleting groups and topics: where a group starts, and what is deleted
 * with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/group/group.h"
#include "tests/lib/shell.h"

static void where_a_group_begins(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    for (int i = 0; i < 4; i++) {
        shell_do(s, "SEND t m%d", i);
        s->now_ms += 10;
    }
    shell_expect(s, "OK", "GROUP CREATE early t FROM earliest");
    shell_expect(s, "OK", "GROUP CREATE late t FROM latest");
    shell_expect(s, "OK", "GROUP CREATE mid t FROM %lld", (long long)SHELL_TIME + 20);
    shell_expect(s, "OK", "GROUP CREATE after t FROM %lld", (long long)SHELL_TIME + 21);
    shell_expect(s, "OK", "GROUP CREATE future t FROM %lld", (long long)SHELL_TIME + 100000);
    shell_expect(s, "OK", "GROUP CREATE past t FROM 1960-01-01T00:00:00Z");
    shell_expect(s, "[t:0:0#1=m0]", "POP early t");
    shell_expect(s, "[t:0:0#1=m0]", "POP past t");
    shell_expect(s, "[]", "POP late t");
    shell_expect(s, "[t:0:2#1=m2]", "POP mid t"); /* a time is inclusive */
    shell_expect(s, "[t:0:3#1=m3]", "POP after t");
    shell_do(s, "SEND t m4");
    shell_expect(s, "[t:0:4#1=m4]", "POP late t");
    shell_expect(s, "[t:0:4#1=m4]", "POP future t");
    shell_expect(s, "[t:0:0#1=m0]", "POP byitself t"); /* a first POP creates it, from earliest */
}

static void exists_by_group_and_topic(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t");
    shell_do(s, "TOPIC CREATE u");
    shell_expect(s, "OK", "GROUP CREATE g t");
    shell_refused(s, "-EXISTS", "GROUP CREATE g t");
    shell_expect(s, "OK", "GROUP CREATE g u");
    shell_refused(s, "-EXISTS", "TOPIC CREATE t QUEUES 9");
    shell_refused(s, "-NOTOPIC", "GROUP CREATE g nosuch");
    shell_reopen(s);
    shell_refused(s, "-EXISTS", "GROUP CREATE g t");
    shell_expect(s, "[g]", "GROUP LIST");
    assert_int_equal(s->st->meta.groups, 2);
}

static void settings_survive(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t");
    shell_do(s, "GROUP CREATE g t LEASE 7s ATTEMPTS 3 BACKOFF 1s,2m");
    shell_reopen(s);
    const char *info = shell_do(s, "GROUP INFO g");
    assert_int_equal(shell_field(info, "lease"), 7000);
    assert_int_equal(shell_field(info, "attempts"), 3);
    assert_non_null(strstr(info, "backoff:[1000 120000]"));
}

static void group_deleted(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t a");
    shell_do(s, "SEND u b");
    shell_do(s, "POP g t u COUNT 2");
    shell_do(s, "POP gg t");
    shell_reopen(s); /* it must find groups that are not in memory */
    shell_expect(s, "OK", "GROUP DELETE g");
    shell_refused(s, "-NOGROUP", "GROUP DELETE g");
    shell_refused(s, "-NOGROUP", "ACK g t:0:0#1");
    shell_refused(s, "-NOGROUP", "LAG g");
    shell_expect(s, "[gg]", "GROUP LIST");
    /* It starts from the beginning, but not with attempt numbers that were used. */
    shell_expect(s, "[t:0:0#2=a u:0:0#2=b]", "POP g t u COUNT 9");
    shell_do(s, "GROUP DELETE g");
    shell_do(s, "GROUP DELETE gg");
    shell_pass(s, 100000);
    assert_int_equal(shell_rows(s, '*'), 8); /* meta, two topics and records, the attempt numbers of three groups */
    assert_int_equal(shell_rows(s, 'A'), 3);
}

static void topic_deleted_with_groups(void **state)
{
    struct shell *s = *state;
    shell_do(s, "SEND t a");
    shell_do(s, "SEND u a");
    shell_do(s, "POP g t u COUNT 2");
    shell_do(s, "POP h t");
    shell_reopen(s);
    shell_expect(s, "OK", "TOPIC DELETE t");
    shell_expect(s, "[g]", "GROUP LIST");
    shell_refused(s, "-NOGROUP", "ACK h t:0:0#1");
    shell_expect(s, "0", "ACK g t:0:0#1");
    shell_expect(s, "1", "ACK g u:0:0#1");
    assert_int_equal(s->st->meta.groups, 1);
    assert_int_equal(s->st->meta.topics, 1);
}

/* The topic that was used last is deleted: no pointer to it may remain. */
static void topic_deleted_and_made_again(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_expect(s, "t:0:0", "SEND t a");
    shell_expect(s, "OK", "TOPIC DELETE t");
    shell_refused(s, "-NOTOPIC", "TOPIC INFO t");
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_expect(s, "t:0:0", "SEND t b");
    shell_expect(s, "[t:0:0#1=b]", "POP g t");
}

static void purge_with_groups(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "MSEND t a b c");
    shell_do(s, "POP g t COUNT 2");
    shell_do(s, "NACK g t:0:0#1 DELAY 1s");
    shell_reopen(s);
    shell_expect(s, "OK", "TOPIC PURGE t");
    shell_expect(s, "0", "ACK g t:0:1#1");
    assert_int_equal(shell_rows(s, 'R'), 0);
    shell_pass(s, 100000);
    shell_expect(s, "[]", "POP g t COUNT 9");
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "lag"), 0);
    shell_do(s, "SEND t d");
    shell_expect(s, "[t:0:3#1=d]", "POP g t COUNT 9");
}

static void groups_have_a_limit(void **state)
{
    struct shell *s = *state;
    shell_do(s, "SEND t a");
    s->st->meta.groups = GROUPS_MAX;
    shell_refused(s, "-LIMIT", "POP g t");
    shell_refused(s, "-LIMIT", "GROUP CREATE g t");
    s->st->meta.groups = 0;
    shell_expect(s, "[t:0:0#1=a]", "POP g t");
}

static void msend_many(struct shell *s, uint32_t n)
{
    static struct slice words[MSEND_BODIES_MAX + 2];
    words[0] = SLICE_LIT("MSEND");
    words[1] = SLICE_LIT("t");
    for (uint32_t i = 0; i < n; i++)
        words[i + 2] = SLICE_LIT("m");
    shell_do_words(s, words, n + 2);
}

/* POPs n messages singly, so that each is a lease of its own. */
static void lease_singly(struct shell *s, uint32_t n)
{
    while (n > 0) {
        uint32_t some = n < SHELL_REPLIES_MAX ? n : SHELL_REPLIES_MAX;
        for (uint32_t i = 0; i < some; i++)
            shell_add(s, "POP g t");
        assert_true(shell_write(s));
        n -= some;
    }
}

/* A group has at most so many leases; then it gets nothing more, and other groups go on. BUSY creates nothing. */
static void leases_have_a_limit(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "TOPIC CREATE u QUEUES 1");
    msend_many(s, 10000);
    msend_many(s, 10000);
    lease_singly(s, LEASES_MAX - 1);
    shell_expect(s, "[t:0:16383#1=m t:0:16384#1=m]", "POP g t COUNT 2");
    shell_refused(s, "-BUSY", "POP g t");
    shell_expect(s, "OK", "NACK g t:0:0#1"); /* one lease less */
    shell_expect(s, "[t:0:0#2=m]", "POP g t");
    shell_refused(s, "-BUSY", "POP g t COUNT 9");
    shell_expect(s, "OK", "NACK g t:0:16383#1"); /* cuts a lease */
    shell_expect(s, "1", "ACK g t:0:1#1");
    shell_expect(s, "[t:0:16383#2=m]", "POP g t COUNT 1");
    shell_expect(s, "[t:0:0#1=m]", "POP other t");
    /* A POP that makes a group finds nothing there; the next one says that the other is busy. */
    shell_expect(s, "[]", "POP g t u");
    shell_refused(s, "-BUSY", "POP g t u");
    shell_reopen(s);
    shell_refused(s, "-BUSY", "POP g t");
    uint32_t acked = 0;
    for (uint32_t i = 0; i < 17; i++)
        for (uint32_t attempt = 1; attempt <= 2; attempt++)
            acked += (uint32_t)strtoul(shell_do(s, "ACK g t:0:%u-%u#%u", i * 1000, i * 1000 + 999, attempt), NULL, 10);
    assert_int_equal(acked, LEASES_MAX);
    shell_expect(s, "[t:0:16385#1=m]", "POP g t");
}

/* NACK and EXTEND of a part cut a lease in two, up to another limit; then they are refused and change nothing. */
static void cutting_leases_has_a_limit(void **state)
{
    struct shell *s = *state;
    struct gt *gt = NULL;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "MSEND t a b c d");
    shell_do(s, "POP g t COUNT 4");
    assert_int_equal(group_get(s->st, SLICE_LIT("g"), SLICE_LIT("t"), &gt), ST_OK);
    gt->runs.leased_runs += 2 * LEASES_MAX;
    shell_refused(s, "-BUSY", "EXTEND g t:0:1#1 5s");
    shell_refused(s, "-BUSY", "NACK g t:0:1#1");
    shell_refused(s, "-BUSY", "REJECT g t:0:1#1");
    shell_expect(s, "OK", "EXTEND g t:0:0-3#1 5s");
    shell_expect(s, "3", "ACK g t:0:0-2#1");
    shell_expect(s, "OK", "NACK g t:0:3#1");
    gt->runs.leased_runs -= 2 * LEASES_MAX;
    shell_expect(s, "[t:0:3#2=d]", "POP g t COUNT 9");
}

#define MANY 500 /* more than one step deletes */

static void many_groups(struct shell *s)
{
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "MSEND t a b c");
    for (uint32_t i = 0; i < MANY; i++)
        shell_add(s, "POP g%u t LEASE 1h", i);
    assert_true(shell_write(s));
    shell_do(s, "NACK g7 t:0:0#1 DELAY 1h");
    shell_reopen(s);
}

static void only_rows(struct shell *s, uint32_t groups)
{
    assert_int_equal(shell_rows(s, 'G'), groups);
    assert_int_equal(shell_rows(s, 'H'), groups);
    assert_int_equal(shell_rows(s, 'C'), groups);
    assert_int_equal(shell_rows(s, 'S'), groups);
    assert_int_equal(s->st->meta.groups, groups);
}

/* The topic is gone at once, its groups' rows go in steps; a group that is created again meanwhile begins anew. */
static void topic_with_many_groups(void **state)
{
    struct shell *s = *state;
    many_groups(s);
    only_rows(s, MANY);
    shell_expect(s, "OK", "TOPIC DELETE t");
    uint32_t left = shell_rows(s, 'G');
    assert_true(left > 0 && left < MANY);
    shell_refused(s, "-NOTOPIC", "POP g499 t");
    shell_expect(s, "[]", "LAG");
    shell_refused(s, "-NOGROUP", "GROUP INFO g499");
    shell_reopen(s);
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t new");
    shell_refused(s, "-NOGROUP", "ACK g498 t:0:0#1");
    shell_expect(s, "[t:0:0#2=new]", "POP g499 t LEASE 1h"); /* its attempt numbers go on */
    shell_pass(s, 10);
    shell_pass(s, 10);
    shell_pass(s, 10);
    only_rows(s, 1);
    assert_int_equal(shell_rows(s, 'R'), 1);
    assert_int_equal(shell_rows(s, 'V'), 0);
    shell_refused(s, "-NOGROUP", "ACK g498 t:0:0#1");
    shell_expect(s, "1", "ACK g499 t:0:0#2");
    shell_expect(s, "[g499]", "GROUP LIST");
}

/* The same for a group on many topics. */
static void group_with_many_topics(void **state)
{
    struct shell *s = *state;
    for (uint32_t i = 0; i < MANY; i++)
        shell_add(s, "SEND t%u m", i);
    for (uint32_t i = 0; i < MANY; i++)
        shell_add(s, "POP g t%u LEASE 1h", i);
    assert_true(shell_write(s));
    shell_reload(s);
    assert_int_equal(s->st->meta.groups, MANY);
    shell_expect(s, "OK", "GROUP DELETE g");
    uint32_t left = shell_rows(s, 'G');
    assert_true(left > 0 && left < MANY && s->st->meta.groups == 0);
    shell_refused(s, "-NOGROUP", "ACK g t7:0:0#1");
    shell_refused(s, "-NOGROUP", "GROUP DELETE g");
    shell_refused(s, "-NOGROUP", "LAG g");
    shell_expect(s, "[t99:0:0#2=m]", "POP g t99 LEASE 1h");
    shell_expect(s, "[g]", "GROUP LIST");
    assert_int_equal(s->st->meta.groups, 1);
    shell_reload(s);
    /* Deleted and created once more, while the first deletion goes on. */
    shell_expect(s, "OK", "GROUP DELETE g");
    shell_expect(s, "[t98:0:0#2=m]", "POP g t98 LEASE 1h");
    for (int i = 0; i < 9; i++)
        shell_pass(s, 10);
    only_rows(s, 1);
    assert_int_equal(shell_rows(s, 'R'), 1);
    shell_expect(s, "1", "ACK g t98:0:0#2");
    shell_expect(s, "OK", "GROUP DELETE g");
    only_rows(s, 0);
}

/* PURGE visits no group: each finds out when it is named. */
static void purge_with_many_groups(void **state)
{
    struct shell *s = *state;
    many_groups(s);
    shell_expect(s, "OK", "TOPIC PURGE t");
    assert_int_equal(shell_rows(s, 'R'), MANY - 1);
    assert_int_equal(shell_field(shell_do(s, "LAG g9"), "lag"), 0);
    shell_do(s, "SEND t d");
    shell_expect(s, "0", "ACK g8 t:0:0#1");
    shell_expect(s, "[t:0:3#1=d]", "POP g7 t");
    shell_reload(s);
    shell_expect(s, "[t:0:3#1=d]", "POP g8 t COUNT 9");
    assert_int_equal(shell_rows(s, 'V'), 0);
    assert_int_equal(shell_field(shell_do(s, "LAG g9"), "ready"), 1);
    shell_pass(s, 3600000); /* all leases that are void would end */
    shell_pass(s, 1);
    assert_int_equal(shell_rows(s, 'R'), 0);
}

/* What is not used leaves memory, whatever is leased; what is named again is read again. */
static void unloaded(void **state)
{
    struct shell *s = *state;
    many_groups(s);
    s->st->lru.bytes_max = 10000;
    for (uint32_t i = 0; i < MANY; i++)
        shell_do(s, "EXTEND g%u t:0:0#1 2h", i);
    assert_true(s->st->lru.bytes < 14000 && s->st->gts.n < MANY / 10 && s->st->cgroups.n == s->st->gts.n);
    for (uint32_t i = 0; i < MANY; i++)
        shell_do(s, "SEND u%u m", i);
    assert_true(s->st->lru.bytes < 14000 && s->st->topics.n < MANY / 10);
    shell_expect(s, "1", "ACK g3 t:0:0#1");
    shell_expect(s, "u3:0:1", "SEND u3 m QUEUE 0");
    shell_do(s, "TOPIC DELETE t");
    for (uint32_t i = 0; i < MANY; i++)
        shell_do(s, "SEND u%u m", i);
    shell_pass(s, 10);
    shell_pass(s, 10);
    assert_int_equal(s->st->gts.n, 0);
    assert_int_equal(s->st->cgroups.n, 0);
    s->st->lru.bytes_max = 0;
    for (int i = 0; i < 3; i++)
        shell_do(s, "SEND u m");
    assert_int_equal(s->st->topics.n, 1);
    /* What every commit group uses is not read again and again. */
    struct topic *t = NULL;
    assert_int_equal(topic_get(s->st, SLICE_LIT("u"), &t), ST_OK);
    uint64_t born = t->born_group = 77;
    for (int i = 0; i < 9; i++)
        shell_do(s, "SEND u m");
    assert_int_equal(topic_get(s->st, SLICE_LIT("u"), &t), ST_OK);
    assert_int_equal(t->born_group, born);
}

/* A topic is deleted, created again and used in one commit group. Timers of the old one do not affect the new one. */
static void deleted_and_made_in_a_group(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t a");
    shell_do(s, "POP g t LEASE 10s");
    shell_add(s, "GROUP DELETE g");
    uint32_t pop = shell_add(s, "POP g t LEASE 20s");
    assert_true(shell_write(s));
    assert_string_equal(shell_reply(s, pop), "[t:0:0#2=a]");
    shell_pass(s, 10000);
    shell_expect(s, "[]", "POP g t");
    shell_reopen(s);
    shell_pass(s, 10000);
    shell_expect(s, "[t:0:0#3=a]", "POP g t");
}

/* A receipt from before the group was deleted must not acknowledge what another consumer holds since. */
static void old_receipts_stay_stale(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t a");
    shell_expect(s, "[t:0:0#1=a]", "POP g t");
    shell_do(s, "GROUP DELETE g");
    shell_do(s, "GROUP CREATE g t");
    shell_expect(s, "[t:0:0#2=a]", "POP g t");
    shell_expect(s, "0", "ACK g t:0:0#1");
    shell_refused(s, "-STALE", "NACK g t:0:0#1");
    shell_do(s, "TOPIC DELETE t");
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_expect(s, "t:0:0", "SEND t b");
    shell_reopen(s);
    shell_expect(s, "[t:0:0#3=b]", "POP g t");
    shell_expect(s, "0", "ACK g t:0:0#1 t:0:0#2");
    shell_expect(s, "1", "ACK g t:0:0#3");
    shell_expect(s, "[t:0:0#1=b]", "POP h t"); /* a group that was never there before */
}

/* The same within one commit group, where nothing of it is stored yet. */
static void old_receipts_in_one_group(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t a");
    uint32_t one = shell_add(s, "POP g t");
    shell_add(s, "GROUP DELETE g");
    uint32_t two = shell_add(s, "POP g t");
    shell_add(s, "TOPIC DELETE t");
    shell_add(s, "TOPIC CREATE t QUEUES 1");
    shell_add(s, "SEND t b");
    uint32_t three = shell_add(s, "POP g t");
    uint32_t ack = shell_add(s, "ACK g t:0:0#1 t:0:0#2");
    assert_true(shell_write(s));
    assert_string_equal(shell_reply(s, ack), "0");
    (void)one, (void)two;
    assert_string_equal(shell_reply(s, three), "[t:0:0#3=b]");
}

/* More groups than one step deletes: those whose rows are still there must not begin anew either. */
static void old_receipts_of_many_groups(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t a");
    for (int i = 0; i < 500; i++)
        shell_add(s, "POP g%d t", i);
    assert_true(shell_write(s));
    shell_reload(s);
    shell_do(s, "TOPIC DELETE t");
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t b");
    for (int i = 0; i < 500; i += 7) {
        char group[16];
        (void)snprintf(group, sizeof(group), "g%d", i);
        if (i % 2)
            shell_do(s, "GROUP CREATE %s t", group);
        shell_expect(s, "[t:0:0#2=b]", "POP %s t", group);
        shell_expect(s, "0", "ACK %s t:0:0#1", group);
    }
    shell_pass(s, 10000);
    assert_int_equal(s->st->meta.groups, 72);
}

/* ATTEMPTS, BACKOFF and a dead letter's `attempts` count the deliveries since the group was created. */
static void attempts_count_from_the_base(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t a");
    for (int i = 0; i < 9; i++) {
        shell_do(s, "POP g t");
        shell_do(s, "NACK g t:0:0#%d", i + 1);
    }
    shell_do(s, "GROUP DELETE g");
    shell_do(s, "GROUP CREATE g t ATTEMPTS 2 BACKOFF 1s,1h");
    shell_expect(s, "[t:0:0#10=a]", "POP g t");
    shell_expect(s, "OK", "NACK g t:0:0#10");
    shell_expect(s, "[]", "POP g t");
    shell_pass(s, 1000);
    shell_reload(s);
    shell_expect(s, "[t:0:0#11=a]", "POP g t");
    shell_expect(s, "OK", "NACK g t:0:0#11");
    s->full = true;
    assert_non_null(strstr(shell_do(s, "READ %%DLQ%%g 0 0"), "attempts:2"));
}

/* A group that gave nothing out leaves nothing behind, and nothing lowers what others have left. */
static void attempts_are_left_once(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "GROUP CREATE g t");
    shell_do(s, "GROUP DELETE g");
    assert_int_equal(shell_rows(s, 'A'), 0);
    shell_do(s, "SEND t a");
    for (int i = 1; i <= 5; i++) {
        char want[32];
        (void)snprintf(want, sizeof(want), "[t:0:0#%d=a]", i);
        shell_expect(s, want, "POP g t");
        shell_do(s, "GROUP DELETE g");
        shell_do(s, "GROUP CREATE g t FROM latest");
        shell_do(s, "GROUP DELETE g");
    }
    assert_int_equal(shell_rows(s, 'A'), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(where_a_group_begins),      SHELL_TEST(exists_by_group_and_topic),
        SHELL_TEST(settings_survive),          SHELL_TEST(group_deleted),
        SHELL_TEST(topic_deleted_with_groups), SHELL_TEST(purge_with_groups),
        SHELL_TEST(topic_deleted_and_made_again),
        SHELL_TEST(groups_have_a_limit),       SHELL_TEST(leases_have_a_limit),
        SHELL_TEST(topic_with_many_groups),    SHELL_TEST(group_with_many_topics),
        SHELL_TEST(purge_with_many_groups),    SHELL_TEST(unloaded),
        SHELL_TEST(cutting_leases_has_a_limit),
        SHELL_TEST(deleted_and_made_in_a_group), SHELL_TEST(old_receipts_stay_stale),
        SHELL_TEST(old_receipts_in_one_group), SHELL_TEST(old_receipts_of_many_groups), SHELL_TEST(attempts_count_from_the_base),
        SHELL_TEST(attempts_are_left_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
