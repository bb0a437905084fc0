/* test_storage_pop.c: tests which messages POP delivers, in which order, how many, and which never. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/prng.h"
#include "storage/model/tail.h"
#include "tests/lib/shell.h"

static void oldest_first_over_queues(void **state)
{
    struct shell *s = *state;
    for (int i = 0; i < 8; i++) {
        shell_do(s, "SEND t m%d QUEUE %d", i, (i * 3) % 4);
        s->now_ms++;
    }
    for (int i = 0; i < 8; i++) {
        char want[64];
        (void)snprintf(want, sizeof(want), "=m%d]", i);
        assert_non_null(strstr(shell_do(s, "POP g t"), want));
    }
    shell_expect(s, "[]", "POP g t");
}

/* In one commit group all messages have the same time: they are delivered in the order sent all the same. */
static void oldest_first_in_a_group(void **state)
{
    struct shell *s = *state;
    shell_add(s, "MSEND t 00 01 02 03 04");
    shell_add(s, "SEND t 05");
    shell_add(s, "SEND t 06");
    shell_add(s, "MSEND t 07 08 09");
    shell_add(s, "SEND u 00");
    assert_true(shell_write(s));
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 10; i++) {
            char want[16];
            (void)snprintf(want, sizeof(want), "=%02d]", i);
            assert_non_null(strstr(shell_do(s, "POP g%d t", round), want));
        }
        shell_reopen(s); /* in the second round nothing is in memory */
    }
}

static void count_and_rest(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    for (int i = 0; i < 7; i++)
        shell_add(s, "SEND t m%d", i);
    assert_true(shell_write(s));
    shell_expect(s, "[t:0:0#1=m0 t:1:0#1=m1 t:0:1#1=m2 t:1:1#1=m3 t:0:2#1=m4]", "POP g t COUNT 5");
    shell_expect(s, "[t:1:2#1=m5 t:0:3#1=m6]", "POP g t COUNT 5");
    shell_expect(s, "[]", "POP g t COUNT 5");
    shell_expect(s, "[t:0:0#1=m0]", "POP other t"); /* each group has its own position */
}

static void waiting_before_fresh(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "MSEND t a b c");
    shell_do(s, "POP g t COUNT 2");
    shell_do(s, "NACK g t:0:1#1");
    s->now_ms++;
    shell_do(s, "NACK g t:0:0#1");
    shell_expect(s, "[t:0:1#2=b]", "POP g t"); /* this message has waited longest */
    shell_expect(s, "[t:0:0#2=a t:0:2#1=c]", "POP g t COUNT 9");
}

static void several_topics(void **state)
{
    struct shell *s = *state;
    shell_do(s, "SEND a 1");
    shell_do(s, "SEND b 2");
    shell_expect(s, "[b:0:0#1=2]", "POP g b a");
    shell_expect(s, "-NOTOPIC", "POP g a nosuch");
    shell_expect(s, "[a:0:0#1=1]", "POP g b a COUNT 3");
    assert_int_equal(s->st->meta.groups, 2);
}

static void same_group_sees_itself(void **state)
{
    struct shell *s = *state;
    shell_add(s, "SEND t a");
    uint32_t pop = shell_add(s, "POP g t COUNT 3");
    uint32_t none = shell_add(s, "POP g t COUNT 3");
    uint32_t ack = shell_add(s, "ACK g t:0:0#1");
    uint32_t twice = shell_add(s, "ACK g t:0:0#1");
    assert_true(shell_write(s));
    assert_string_equal(shell_reply(s, pop), "[t:0:0#1=a]");
    assert_string_equal(shell_reply(s, none), "[]");
    assert_string_equal(shell_reply(s, ack), "1");
    assert_string_equal(shell_reply(s, twice), "0");
}

static void nothing_tells_so(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t");
    shell_add(s, "POP g t WAIT 1s");
    assert_true(shell_outcome(s, 0)->nothing);
    assert_int_equal(shell_outcome(s, 0)->retry_at_ms, 0);
    assert_true(shell_write(s));
}

static void bytes_are_bounded(void **state)
{
    struct shell *s = *state;
    size_t size = 1u << 20;
    uint8_t *body = calloc(1, size);
    assert_non_null(body);
    struct slice words[] = {SLICE_LIT("SEND"), SLICE_LIT("t"), slice_of(body, size)};
    for (int i = 0; i < 24; i++)
        (void)shell_do_words(s, words, 3);
    uint32_t got = 0;
    for (int pops = 0; pops < 10; pops++) {
        uint32_t pop = shell_add(s, "POP g t COUNT 1000");
        const struct outcome *out = shell_outcome(s, pop);
        uint32_t n = 0;
        for (uint32_t i = 0; i < out->n_grants; i++)
            n += out->grants[i].count;
        assert_true(n >= 1 && n <= 3);
        got += n;
        assert_true(shell_write(s));
    }
    assert_true(got >= 20);
    free(body);
}

/* If the messages do not fit into a reply, it has as many as fit, and the rest can be popped later. The estimate uses
 * averages; here the large messages are first in all queues. */
static void uneven_sizes(void **state)
{
    struct shell *s = *state;
    size_t size = 3u << 20;
    uint8_t *body = malloc(size);
    assert_non_null(body);
    memset(body, 'x', size);
    struct slice words[] = {SLICE_LIT("SEND"), SLICE_LIT("t"), slice_of(body, size)};
    shell_do(s, "TOPIC CREATE t QUEUES 11");
    for (int i = 0; i < 44; i++)
        shell_add_words(s, words, 3);
    for (int i = 0; i < 3300; i++)
        shell_add(s, "SEND t x");
    assert_true(shell_write(s));
    uint32_t pop = shell_add(s, "POP g t COUNT 1000");
    assert_int_equal(shell_outcome(s, pop)->reply.len, 0); /* messages were granted, it is not an error */
    assert_true(shell_write(s));
    const char *got = shell_reply(s, pop);
    assert_true(strncmp(got, "[t:", 3) == 0 && strlen(got) > size && strlen(got) < 20 * size);
    free(body);
}

static void expired_are_never_handed_out(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "SEND t gone TTL 1s");
    shell_do(s, "SEND t stays TTL 1h");
    shell_do(s, "SEND t plain");
    s->now_ms += 1000;
    shell_expect(s, "[t:0:1#1=stays]", "POP g t");
    shell_do(s, "NACK g t:0:1#1");
    s->now_ms += 3600000;
    shell_expect(s, "[t:0:2#1=plain]", "POP g t COUNT 9"); /* not even for another attempt */
    shell_expect(s, "1", "ACK g t:0:2#1");
    const char *lag = shell_do(s, "LAG g");
    assert_int_equal(shell_field(lag, "lag"), 0);
}

static void ttl_of_nothing(void **state)
{
    struct shell *s = *state;
    shell_add(s, "SEND t a TTL 0");
    uint32_t pop = shell_add(s, "POP g t");
    assert_true(shell_write(s));
    assert_string_equal(shell_reply(s, pop), "[]");
    shell_expect(s, "[]", "POP h t");
}

/* There are more expired messages than fit into a run before the one that is ready. */
static void many_expired(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    for (int i = 0; i < 2500; i++)
        shell_add(s, "SEND t old TTL 1s");
    assert_true(shell_write(s));
    shell_do(s, "SEND t new");
    s->now_ms += 1000;
    shell_expect(s, "[t:0:2500#1=new]", "POP g t COUNT 10");
}

/* One command skips only a limited number of records that have expired as a whole. */
static void very_many_expired(void **state)
{
    struct shell *s = *state;
    struct topic *t = NULL;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    assert_int_equal(topic_get(s->st, SLICE_LIT("t"), &t), ST_OK);
    for (int i = 0; i < 6000; i++) {
        shell_add(s, "SEND t old TTL 1s");
        tail_flush(s->st, t);
        if (i == 3000)
            assert_true(shell_write(s));
    }
    assert_true(shell_write(s));
    shell_do(s, "SEND t new");
    s->now_ms += 1000;
    shell_reopen(s);
    shell_add(s, "POP g t");
    assert_true(shell_outcome(s, 0)->nothing);
    assert_true(shell_outcome(s, 0)->retry_at_ms == s->now_ms);
    assert_true(shell_write(s));
    shell_reopen(s);
    shell_expect(s, "[t:0:6000#1=new]", "POP g t");
}

/* And of messages that have expired within records that also have others. */
static void very_many_expired_between(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    for (int n = 0; n < 24; n++) {
        for (int i = 0; i < 1000; i++)
            shell_add(s, "SEND t old TTL 1s");
        shell_add(s, "SEND t new");
        assert_true(shell_write(s));
    }
    s->now_ms += 1000;
    shell_add(s, "POP g t COUNT 30");
    assert_int_equal(shell_outcome(s, 0)->n_grants, 19);
    assert_true(shell_write(s));
    shell_add(s, "POP g t COUNT 30");
    assert_int_equal(shell_outcome(s, 0)->n_grants, 5);
    assert_true(shell_write(s));
}

/* Random sends to random queues with random counts: each message is delivered once, in order within its queue. */
static void each_once_in_order(void **state)
{
    struct shell *s = *state;
    struct prng p = prng_start();
    uint64_t next[4] = {0};
    uint32_t sent = 0, got = 0;
    while (got < 500) {
        for (uint64_t i = prng_below(&p, 20); i > 0 && sent < 500; i--, sent++)
            shell_add(s, prng_below(&p, 2) ? "SEND t m" : "SEND t m QUEUE %d", (int)prng_below(&p, 4));
        uint32_t pop = shell_add(s, "POP g t COUNT %d", 1 + (int)prng_below(&p, 15));
        assert_true(shell_write(s));
        for (const char *at = shell_reply(s, pop); (at = strstr(at, "t:")); at += 2, got++) {
            uint32_t q = (uint32_t)(at[2] - '0');
            assert_int_equal(strtoull(at + 4, NULL, 10), next[q]++);
        }
    }
    assert_int_equal(got, 500);
}

/* Says of a TAKE which messages it got, "a-b" of one queue, and "+" where there is more at once. */
static const char *take(struct shell *s, const char *words)
{
    static char text[80];
    const struct outcome *o = shell_outcome(s, shell_add(s, "%s", words));
    size_t len = 0;
    text[0] = '\0';
    for (uint32_t g = 0; g < o->n_grants; g++) {
        unsigned long long base = o->grants[g].base;
        len += (size_t)snprintf(text + len, sizeof text - len, "%llu-%llu ", base, base + o->grants[g].count - 1);
    }
    (void)snprintf(text + len, sizeof text - len, "%s", o->more ? "+" : ".");
    assert_true(shell_write(s));
    return text;
}

/* A stream gets whole records where it can; a POP what it asks for. */
static void a_take_ends_with_a_record(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    for (int i = 0; i < 7; i++)
        shell_do(s, "MSEND t 0 1 2 3 4");
    shell_do(s, "GROUP CREATE g t");
    assert_string_equal(take(s, "TAKE g t COUNT 7"), "0-4 +");
    assert_string_equal(take(s, "TAKE g t COUNT 3"), "5-7 ."); /* nothing else would be left */
    assert_string_equal(take(s, "TAKE g t COUNT 4"), "8-9 +");
    assert_string_equal(take(s, "TAKE g t COUNT 10"), "10-19 .");
    assert_string_equal(take(s, "TAKE g t COUNT 9"), "20-24 +");
    assert_string_equal(take(s, "POP g t COUNT 7"), "25-31 .");
    assert_string_equal(take(s, "TAKE g t COUNT 9"), "32-34 .");
    assert_string_equal(take(s, "TAKE g t COUNT 9"), ".");
}

/* Whatever it asks for, a group's streams get each message once, and never nothing while there is one. */
static void takes_get_everything(void **state)
{
    struct shell *s = *state;
    struct prng p = prng_start();
    uint32_t sent = 0, got = 0;
    shell_do(s, "TOPIC CREATE t QUEUES 3");
    shell_do(s, "GROUP CREATE g t");
    while (got < sent || sent < 3000) {
        for (uint64_t i = prng_below(&p, 4); i > 0 && sent < 3000; i--) {
            uint32_t n = 1 + (uint32_t)prng_below(&p, 9);
            for (uint32_t k = 0; k < n; k++)
                shell_add(s, "SEND t m QUEUE %d", (int)prng_below(&p, prng_below(&p, 2) ? 1 : 3));
            assert_true(shell_write(s));
            sent += n;
        }
        char words[40];
        (void)snprintf(words, sizeof words, "TAKE g t COUNT %u", 1 + (unsigned)prng_below(&p, 20));
        const struct outcome *o = shell_outcome(s, shell_add(s, "%s", words));
        uint32_t before = got;
        for (uint32_t g = 0; g < o->n_grants; g++)
            got += o->grants[g].count;
        assert_true(got > before || before == sent);
        assert_true(got <= sent && (!o->more || got < sent));
        assert_true(shell_write(s));
    }
    assert_string_equal(take(s, "TAKE g t COUNT 9"), ".");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(a_take_ends_with_a_record),
        SHELL_TEST(takes_get_everything),
        SHELL_TEST(oldest_first_over_queues),
        SHELL_TEST(oldest_first_in_a_group),
        SHELL_TEST(count_and_rest),
        SHELL_TEST(waiting_before_fresh),
        SHELL_TEST(several_topics),
        SHELL_TEST(same_group_sees_itself),
        SHELL_TEST(nothing_tells_so),
        SHELL_TEST(bytes_are_bounded),
        SHELL_TEST(uneven_sizes),
        SHELL_TEST(expired_are_never_handed_out),
        SHELL_TEST(ttl_of_nothing),
        SHELL_TEST(many_expired),
        SHELL_TEST(very_many_expired), SHELL_TEST(very_many_expired_between),
        SHELL_TEST(each_once_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
