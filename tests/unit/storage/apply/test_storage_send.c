/* test_storage_send.c: tests what SEND and MSEND store of a message, that a DEDUP id returns the first reply, and
 * that a refused command changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/shell.h"

static void attributes(void **state)
{
    struct shell *s = *state;
    s->full = true;
    shell_do(s, "SEND t hello KEY a KEY b TAG red ORDER o PROP p 1 PROP q 2 TTL 5s");
    const char *text = shell_do(s, "FIND t KEY b");
    assert_non_null(strstr(text, "key:[a b]"));
    assert_non_null(strstr(text, "tag:red"));
    assert_non_null(strstr(text, "order:o"));
    assert_non_null(strstr(text, "{p:1 q:2}"));
    assert_int_equal(shell_field(text, "expires"), SHELL_TIME + 5000);
    assert_int_equal(shell_field(text, "born"), SHELL_TIME);
    assert_int_equal(shell_field(text, "stored"), SHELL_TIME);
}

static void bodies_of_any_bytes(void **state)
{
    struct shell *s = *state;
    static const uint8_t odd[] = {0, 255, '\r', '\n', 0};
    struct slice words[] = {SLICE_LIT("MSEND"), SLICE_LIT("t"), SLICE_LIT(""), slice_of(odd, sizeof(odd))};
    shell_add_words(s, words, 4);
    assert_true(shell_write(s));
    shell_add(s, "GET t:0:1");
    const struct outcome *out = shell_outcome(s, 0);
    assert_non_null(memmem(out->reply.data, out->reply.len, odd, sizeof(odd)));
    assert_true(shell_write(s));
    shell_expect(s, "t:0:0=", "GET t:0:0");
}

static void msend_is_one_piece(void **state)
{
    struct shell *s = *state;
    shell_expect(s, "[t:0:0 t:0:1 t:0:2]", "MSEND t a b c");
    shell_expect(s, "[t:1:0 t:1:1]", "MSEND t d e");
    shell_expect(s, "[t:0:0=a t:0:1=b t:0:2=c]", "READ t 0 0 COUNT 9");
}

static void refused_leaves_nothing(void **state)
{
    struct shell *s = *state;
    uint32_t before = shell_rows(s, '*');
    shell_refused(s, "-ERR", "SEND t a QUEUE 9");
    shell_refused(s, "-ERR", "HALF pg t a QUEUE 4");
    shell_refused(s, "-NOTXN", "HALF pg t a TXN 5000000000");
    s->policy.auto_create_topics = false;
    shell_refused(s, "-NOTOPIC", "SEND t a");
    shell_refused(s, "-NOTOPIC", "MSEND t a");
    shell_refused(s, "-NOTOPIC", "HALF pg t a");
    shell_refused(s, "-NOTOPIC", "POP g t");
    shell_refused(s, "-NOTOPIC", "GROUP CREATE g t");
    shell_expect(s, "[]", "TOPIC LIST");
    shell_expect(s, "[]", "GROUP LIST");
    assert_int_equal(shell_rows(s, '*'), before);
    s->policy.auto_create_topics = true;
    shell_expect(s, "t:3:0", "SEND t a QUEUE 3"); /* a topic that is created has queues 0 to 3 */
}

static void topics_have_a_limit(void **state)
{
    struct shell *s = *state;
    s->st->meta.topics = TOPICS_MAX - 1;
    shell_expect(s, "t:0:0", "SEND t a");
    shell_refused(s, "-LIMIT", "SEND u a");
    shell_refused(s, "-LIMIT", "TOPIC CREATE u");
    shell_expect(s, "t:1:0", "SEND t a");
    s->st->meta.topics = 1;
}

static void dedup_answers_again(void **state)
{
    struct shell *s = *state;
    shell_expect(s, "t:0:0", "SEND t a DEDUP x");
    shell_expect(s, "t:0:0", "SEND t b DEDUP x");
    shell_expect(s, "t:1:0", "SEND t c DEDUP y");
    shell_expect(s, "u:0:0", "SEND u a DEDUP x"); /* DEDUP ids belong to a topic */
    shell_reopen(s);
    shell_expect(s, "t:0:0", "SEND t d DEDUP x");
    shell_expect(s, "[t:0:0=a]", "READ t 0 0 COUNT 9");
    assert_int_equal(state_tally(s->st)->dedup_hits, 1);
}

static void dedup_in_one_group(void **state)
{
    struct shell *s = *state;
    uint32_t a = shell_add(s, "SEND t a DEDUP x"), b = shell_add(s, "SEND t b DEDUP x");
    assert_true(shell_write(s));
    assert_string_equal(shell_reply(s, a), "t:0:0");
    assert_string_equal(shell_reply(s, b), "t:0:0");
    shell_expect(s, "[t:0:0=a]", "READ t 0 0 COUNT 9");
}

/* The window ends by time, with or without a TICK; afterwards nothing is kept. */
static void dedup_window_ends(void **state)
{
    struct shell *s = *state;
    s->policy.dedup_window_ms = 1000;
    shell_expect(s, "t:0:0", "SEND t a DEDUP x");
    s->now_ms += 999;
    shell_expect(s, "t:0:0", "SEND t b DEDUP x");
    s->now_ms += 1;
    shell_expect(s, "t:1:0", "SEND t b DEDUP x"); /* a new window starts here */
    shell_pass(s, 999);
    shell_expect(s, "t:1:0", "SEND t c DEDUP x");
    shell_compact(s);
    assert_int_equal(shell_rows(s, 'D'), 1);
    shell_pass(s, 1);
    shell_compact(s);
    assert_int_equal(shell_rows(s, 'D'), 0);
    assert_int_equal(shell_rows(s, 'W'), 0);
    shell_do(s, "HALF pg t a DEDUP x");
    shell_pass(s, 1000);
    shell_compact(s);
    assert_int_equal(shell_rows(s, 'U'), 0);
}

static void dedup_of_half(void **state)
{
    struct shell *s = *state;
    char txid[32];
    (void)snprintf(txid, sizeof(txid), "%s", shell_do(s, "HALF pg t a DEDUP x"));
    shell_expect(s, txid, "HALF pg t b DEDUP x");
    shell_expect(s, "[t:0:0]", "COMMIT %s", txid);
    shell_expect(s, txid, "HALF pg t b DEDUP x");
    shell_expect(s, "[t:0:0=a]", "READ t 0 0 COUNT 9");
}

/* SEND and HALF must not answer each other's ids. */
static void dedup_by_command(void **state)
{
    struct shell *s = *state;
    char txid[32];
    shell_expect(s, "t:0:0", "SEND t a DEDUP x");
    (void)snprintf(txid, sizeof(txid), "%s", shell_do(s, "HALF pg t b DEDUP x"));
    assert_true(strtoull(txid, NULL, 10) > 0);
    shell_expect(s, "t:0:0", "SEND t c DEDUP x");
    shell_expect(s, txid, "HALF pg t d DEDUP x");
    shell_expect(s, "[t:1:0]", "COMMIT %s", txid);
}

/* A HALF that is sent again, since its reply was lost, must not open a second transaction only because the topic was
 * deleted meanwhile. */
static void dedup_of_half_outlives_the_topic(void **state)
{
    struct shell *s = *state;
    char a[32], b[32], c[32];
    (void)snprintf(a, sizeof(a), "%s", shell_do(s, "HALF pg t a DEDUP a"));
    (void)snprintf(b, sizeof(b), "%s", shell_do(s, "HALF pg t b DEDUP b"));
    (void)snprintf(c, sizeof(c), "%s", shell_do(s, "HALF pg t c DEDUP c"));
    shell_expect(s, "OK", "ROLLBACK %s", c);
    shell_expect(s, "OK", "TOPIC DELETE t");
    shell_reopen(s);
    shell_expect(s, a, "HALF pg t a DEDUP a");
    shell_expect(s, "[]", "TOPIC LIST"); /* the answer makes no topic */
    s->policy.auto_create_topics = false;
    shell_expect(s, a, "HALF pg t a DEDUP a");
    s->policy.auto_create_topics = true;
    s->now_ms += 10;
    shell_expect(s, "[t:0:0]", "COMMIT %s", a); /* makes the topic again */
    shell_expect(s, a, "HALF pg t a DEDUP a");
    shell_expect(s, b, "HALF pg t b DEDUP b");
    shell_expect(s, "[t:1:0]", "COMMIT %s", b);
    shell_expect(s, b, "HALF pg t b DEDUP b");
    const char *again = shell_do(s, "HALF pg t c DEDUP c"); /* decided before: another topic has ids of its own */
    assert_true(strtoull(again, NULL, 10) > strtoull(b, NULL, 10));
    s->now_ms += 10;
    shell_expect(s, "OK", "TOPIC DELETE t");
    again = shell_do(s, "HALF pg t a DEDUP a");
    assert_true(strtoull(again, NULL, 10) > strtoull(c, NULL, 10));
}

/* Without applying anything, known ids are answered, and nothing else is. */
static void dedup_asked_alone(void **state)
{
    struct shell *s = *state;
    static const char *const lines[] = {"SEND t a DEDUP x", "HALF pg t a DEDUP x", "SEND t a DEDUP y", "SEND t a",
                                        "SEND u a DEDUP x", "HALF pg u a DEDUP x", "POP g t"};
    char first[2][32];
    for (int i = 0; i < 2; i++)
        (void)snprintf(first[i], sizeof(first[i]), "%s", shell_do(s, "%s", lines[i]));
    uint64_t before = shell_digest(s);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        const char *said = shell_repeated(s, "%s", lines[i]);
        assert_true(i < 2 ? said && strcmp(said, first[i]) == 0 : !said);
    }
    assert_true(!kv_pending(s->st->kv) && shell_digest(s) == before);
}

static void figures(void **state)
{
    struct shell *s = *state;
    shell_do(s, "SEND t abc");
    shell_do(s, "MSEND t d ef");
    const struct tally *t = state_tally(s->st);
    assert_true(t->messages_in == 3 && t->bytes_in == 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(attributes),        SHELL_TEST(bodies_of_any_bytes), SHELL_TEST(msend_is_one_piece),
        SHELL_TEST(refused_leaves_nothing), SHELL_TEST(topics_have_a_limit), SHELL_TEST(dedup_answers_again),
        SHELL_TEST(dedup_in_one_group), SHELL_TEST(dedup_window_ends),  SHELL_TEST(dedup_of_half),
        SHELL_TEST(dedup_by_command),  SHELL_TEST(dedup_of_half_outlives_the_topic), SHELL_TEST(dedup_asked_alone),
        SHELL_TEST(figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
