/* test_storage_dead.c: tests dead letters: after the last attempt, by REJECT, after an expired lease. The dead letter
 * is stored and the message leaves the group in one step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/lib/batch.h"
#include "tests/lib/shell.h"

static void group_of(struct shell *s, const char *settings)
{
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_expect(s, "OK", "GROUP CREATE g t %s", settings);
}

static void after_the_last_attempt(void **state)
{
    struct shell *s = *state;
    group_of(s, "ATTEMPTS 2");
    shell_do(s, "SEND t a KEY k PROP p 1 TTL 1h TAG x");
    shell_do(s, "POP g t");
    shell_do(s, "NACK g t:0:0#1 REASON first");
    shell_do(s, "POP g t");
    shell_expect(s, "OK", "NACK g t:0:0#2 REASON 'no such order'");
    shell_expect(s, "[]", "POP g t");
    shell_refused(s, "-STALE", "NACK g t:0:0#2");
    s->full = true;
    const char *letter = shell_do(s, "READ %%DLQ%%g 0 0");
    assert_non_null(strstr(letter, "reason:no such order"));
    assert_non_null(strstr(letter, "origin:t:0:0"));
    assert_non_null(strstr(letter, "group:g"));
    assert_non_null(strstr(letter, "key:[k]"));
    assert_non_null(strstr(letter, "tag:x"));
    assert_non_null(strstr(letter, "{p:1}"));
    assert_null(strstr(letter, "expires:")); /* it waits for a person */
    assert_int_equal(shell_field(letter, "attempts"), 2);
    assert_int_equal(state_tally(s->st)->messages_dead, 1);
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "dead"), 1);
}

static void by_reject(void **state)
{
    struct shell *s = *state;
    group_of(s, "");
    shell_do(s, "MSEND t a b c");
    shell_do(s, "POP g t COUNT 3");
    shell_expect(s, "OK", "REJECT g t:0:1#1");
    shell_expect(s, "OK", "REJECT g t:0:2#1 REASON bad");
    shell_expect(s, "1", "ACK g t:0:0#1 t:0:1#1");
    shell_expect(s, "[%DLQ%g:0:0=b %DLQ%g:0:1=c]", "READ %%DLQ%%g 0 0 COUNT 9");
    s->full = true;
    assert_non_null(strstr(shell_do(s, "GET %%DLQ%%g:0:0"), "reason:rejected"));
    shell_reopen(s);
    s->full = false;
    shell_pass(s, 1000000);
    shell_expect(s, "[]", "POP g t COUNT 9");
    shell_expect(s, "[%DLQ%g:0:0#1=b %DLQ%g:0:1#1=c]", "POP rescue %%DLQ%%g COUNT 9");
}

static void after_a_lease(void **state)
{
    struct shell *s = *state;
    group_of(s, "ATTEMPTS 1 LEASE 5s");
    shell_do(s, "MSEND t a b c");
    shell_do(s, "POP g t COUNT 2");
    shell_do(s, "POP g t LEASE 1h");
    shell_pass(s, 4999);
    shell_expect(s, "-NOTOPIC", "READ %%DLQ%%g 0 0");
    shell_pass(s, 1);
    shell_expect(s, "[%DLQ%g:0:0=a %DLQ%g:0:1=b]", "READ %%DLQ%%g 0 0 COUNT 9");
    s->full = true;
    assert_non_null(strstr(shell_do(s, "GET %%DLQ%%g:0:0"), "reason:lease ended"));
    s->full = false;
    shell_expect(s, "1", "ACK g t:0:0#1 t:0:2#1");
}

/* A POP that finds expired leases ends them itself. */
static void met_by_a_pop(void **state)
{
    struct shell *s = *state;
    group_of(s, "ATTEMPTS 1 LEASE 5s");
    shell_do(s, "SEND t a");
    shell_do(s, "POP g t");
    s->now_ms += 5000;
    shell_expect(s, "[]", "POP g t");
    shell_expect(s, "[%DLQ%g:0:0=a]", "READ %%DLQ%%g 0 0 COUNT 9");
}

static void purged_meanwhile(void **state)
{
    struct shell *s = *state;
    group_of(s, "");
    shell_do(s, "SEND t a");
    shell_do(s, "POP g t");
    shell_do(s, "TOPIC PURGE t");
    shell_refused(s, "-STALE", "REJECT g t:0:0#1"); /* its receipts are stale now */
    shell_expect(s, "-NOTOPIC", "READ %%DLQ%%g 0 0");
    shell_expect(s, "t:0:1", "SEND t b");
    shell_expect(s, "[t:0:1#1=b]", "POP g t COUNT 9");
}

static void gone_with_the_group(void **state)
{
    struct shell *s = *state;
    group_of(s, "");
    shell_do(s, "SEND t a");
    shell_do(s, "POP g t");
    shell_do(s, "REJECT g t:0:0#1");
    shell_do(s, "POP other %%DLQ%%g");
    shell_expect(s, "OK", "GROUP DELETE g");
    shell_expect(s, "-NOTOPIC", "READ %%DLQ%%g 0 0");
    shell_expect(s, "-NOGROUP", "GROUP INFO other"); /* it was a group on the dead letters only */
    shell_expect(s, "[t]", "TOPIC LIST");
    shell_expect(s, "[t:0:0#2=a]", "POP g t"); /* a new group starts from the beginning */
}

/* All topics of the group were deleted. What is left of it can be deleted, too. */
static void gone_after_the_topics(void **state)
{
    struct shell *s = *state;
    group_of(s, "");
    shell_do(s, "SEND t a");
    shell_do(s, "POP g t");
    shell_do(s, "REJECT g t:0:0#1");
    shell_expect(s, "OK", "TOPIC DELETE t");
    shell_expect(s, "[%DLQ%g:0:0=a]", "READ %%DLQ%%g 0 0");
    shell_expect(s, "OK", "GROUP DELETE g");
    shell_expect(s, "[]", "TOPIC LIST");
    shell_expect(s, "-NOGROUP", "GROUP DELETE g");
}

/* A message that is dead-lettered from a dead letter topic keeps its fields. */
static void dead_twice(void **state)
{
    struct shell *s = *state;
    group_of(s, "");
    shell_do(s, "SEND t a KEY k");
    shell_do(s, "POP g t");
    shell_do(s, "REJECT g t:0:0#1 REASON one");
    shell_do(s, "POP h %%DLQ%%g");
    shell_expect(s, "OK", "REJECT h %%DLQ%%g:0:0#1 REASON two");
    s->full = true;
    const char *letter = shell_do(s, "READ %%DLQ%%h 0 0");
    assert_non_null(strstr(letter, "reason:two"));
    assert_non_null(strstr(letter, "origin:%DLQ%g:0:0"));
    assert_non_null(strstr(letter, "key:[k]"));
}

/* Many large messages: one TICK moves as many as fit into a commit group, the next one goes on. */
static void more_than_a_group(void **state)
{
    struct shell *s = *state;
    group_of(s, "ATTEMPTS 1 LEASE 5s");
    static uint8_t body[60000];
    memset(body, 'x', sizeof(body));
    struct slice words[] = {SLICE_LIT("SEND"), SLICE_LIT("t"), slice_of(body, sizeof(body))};
    for (int i = 0; i < 200; i++) {
        shell_add_words(s, words, 3);
        if (i % 10 == 9)
            assert_true(shell_write(s));
    }
    for (int i = 0; i < 8; i++) /* each gets as many as fit into a reply */
        shell_do(s, "POP g t COUNT 50");
    s->now_ms += 5000;
    shell_do(s, "TICK");
    uint64_t first = state_tally(s->st)->messages_dead;
    assert_true(first >= 10 && first < 150);
    assert_true(s->fx.next_due_ms <= s->now_ms);
    shell_pass(s, 0);
    assert_int_equal(state_tally(s->st)->messages_dead, 200);
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "dead"), 200);
}

/* A message whose TTL has passed is dropped, whatever ended its last delivery. */
static void expired(void **state)
{
    struct shell *s = *state;
    group_of(s, "ATTEMPTS 1 LEASE 5s");
    shell_do(s, "SEND t a TTL 4s");
    shell_do(s, "SEND t b TTL 1h");
    shell_do(s, "SEND t c TTL 3s");
    shell_do(s, "POP g t COUNT 3");
    s->now_ms += 3000;
    shell_expect(s, "OK", "NACK g t:0:2#1");
    shell_pass(s, 2000);
    shell_expect(s, "[%DLQ%g:0:0=b]", "READ %%DLQ%%g 0 0 COUNT 9");
    assert_int_equal(state_tally(s->st)->messages_dead, 1);
    assert_int_equal(state_tally(s->st)->dead_expired, 2);
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "inflight"), 0);
    shell_expect(s, "[]", "POP g t COUNT 9");
}

/* The dead-letter topic has room where there are as many topics as clients may make. Where even that is used up,
 * messages wait, those of other groups do not, and the broker goes on. */
static void too_many_topics(void **state)
{
    struct shell *s = *state;
    group_of(s, "ATTEMPTS 1 LEASE 5s");
    shell_do(s, "GROUP CREATE h t ATTEMPTS 1 LEASE 5s");
    shell_do(s, "MSEND t a b");
    shell_do(s, "POP g t");
    shell_do(s, "POP h t COUNT 2");
    uint64_t topics = s->st->meta.topics;
    s->st->meta.topics = TOPICS_MAX;
    shell_refused(s, "-LIMIT", "SEND u a");
    shell_expect(s, "OK", "REJECT h t:0:1#1");
    s->st->meta.topics = TOPICS_MAX + TOPICS_RESERVE;
    shell_refused(s, "-LIMIT", "REJECT g t:0:0#1");
    shell_pass(s, 5000);
    assert_int_equal(s->status, ST_OK);
    shell_expect(s, "[%DLQ%h:0:0=b %DLQ%h:0:1=a]", "READ %%DLQ%%h 0 0 COUNT 9");
    assert_int_equal(state_tally(s->st)->timers_postponed, 1);
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "inflight"), 1);
    shell_expect(s, "[t:0:1#1=b]", "POP g t COUNT 9"); /* not the one that waits to be buried */
    shell_expect(s, "1", "ACK g t:0:1#1");
    s->st->meta.topics = topics + 1;
    shell_pass(s, 29999);
    shell_expect(s, "-NOTOPIC", "READ %%DLQ%%g 0 0");
    shell_pass(s, 1);
    shell_expect(s, "[%DLQ%g:0:0=a]", "READ %%DLQ%%g 0 0 COUNT 9");
}

/* A message that cannot be read waits, and the others of its run become dead letters. */
static void unreadable(void **state)
{
    struct shell *s = *state;
    group_of(s, "ATTEMPTS 1 LEASE 5s");
    for (int i = 0; i < 4; i++)
        shell_do(s, "SEND t %d", i); /* a record each */
    shell_do(s, "POP g t COUNT 4");
    s->now_ms += 5000;
    kv_fault(s->st->kv, KV_OP_ITER, 2); /* the first iterator is of the timers */
    shell_expect(s, "OK", "TICK");
    kv_fault(s->st->kv, KV_OP_ITER, 0);
    assert_int_equal(s->status, ST_OK);
    assert_int_equal(state_tally(s->st)->timers_postponed, 1);
    shell_expect(s, "[%DLQ%g:0:0=1 %DLQ%g:0:1=2 %DLQ%g:0:2=3]", "READ %%DLQ%%g 0 0 COUNT 9");
    shell_reopen(s);
    shell_pass(s, 30000);
    shell_expect(s, "[%DLQ%g:0:3=0]", "READ %%DLQ%%g 0 3 COUNT 9");
}

/* All messages of a large batch: its record is read once a commit group, not once a message. */
static void of_one_batch(void **state)
{
    struct shell *s = *state;
    static char body[5001];
    group_of(s, "ATTEMPTS 1 LEASE 5s");
    memset(body, 'x', 5000);
    struct batch b;
    batch_init(&b);
    for (int i = 0; i < 1000; i++)
        batch_add_body(&b, body);
    struct slice words[] = {SLICE_LIT("PRODUCE"), SLICE_LIT("t"), batch_end(&b)};
    assert_true(shell_do_words(s, words, 3)[0] != '-');
    batch_free(&b);
    for (int i = 0; i < 4; i++) /* each gets as many as fit into a reply */
        shell_do(s, "POP g t COUNT 1000");
    shell_reopen(s);
    s->now_ms += 5000;
    int ticks = 0;
    do {
        uint64_t was = state_tally(s->st)->messages_dead;
        shell_do(s, "TICK");
        assert_true(state_tally(s->st)->messages_dead - was < 600);
        ticks++;
    } while (s->fx.next_due_ms <= s->now_ms && ticks < 100);
    assert_true(ticks > 2 && ticks < 20);
    assert_int_equal(state_tally(s->st)->messages_dead, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(after_the_last_attempt), SHELL_TEST(by_reject),      SHELL_TEST(after_a_lease),
        SHELL_TEST(met_by_a_pop),           SHELL_TEST(purged_meanwhile), SHELL_TEST(gone_with_the_group), SHELL_TEST(gone_after_the_topics),
        SHELL_TEST(expired),            SHELL_TEST(too_many_topics), SHELL_TEST(unreadable),
        SHELL_TEST(of_one_batch),
        SHELL_TEST(dead_twice),             SHELL_TEST(more_than_a_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
