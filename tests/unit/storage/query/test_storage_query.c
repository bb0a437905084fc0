/* test_storage_query.c: tests queries: the form of replies, inclusive limits, deleted messages, and sums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/shell.h"

static void read_by_offset(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    shell_do(s, "MSEND t a b c");
    shell_do(s, "SEND t d QUEUE 0");
    shell_expect(s, "[t:0:0=a]", "READ t 0 0");
    shell_expect(s, "[t:0:2=c t:0:3=d]", "READ t 0 2 COUNT 9");
    shell_expect(s, "[]", "READ t 0 4");
    shell_expect(s, "[]", "READ t 0 9223372036854775807");
    shell_expect(s, "[]", "READ t 1 0");
    shell_refused(s, "-ERR", "READ t 2 0");
    shell_refused(s, "-ERR", "READ t 4294967296 0");
    shell_refused(s, "-NOTOPIC", "READ u 0 0");
    shell_do(s, "TOPIC PURGE t");
    shell_do(s, "SEND t e QUEUE 0");
    shell_expect(s, "[t:0:4=e]", "READ t 0 1"); /* below the oldest message: it starts at that one */
}

static void reading_says_when_to_park(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t");
    struct slice words[] = {SLICE_LIT("READ"), SLICE_LIT("t"), SLICE_LIT("0"), SLICE_LIT("0")};
    struct command cmd;
    char err[ERR_SIZE];
    assert_int_equal(command_from_words(&s->space, words, 4, &cmd, err, sizeof(err)), ST_OK);
    struct view *v = view_open(s->store);
    struct query_hint hint;
    struct buf reply;
    buf_init(&reply, 0);
    query_all(v, &s->policy, s->now_ms, &cmd, &reply, &hint);
    assert_true(hint.nothing && hint.key == news_key(NEWS_TOPIC, SLICE_LIT("t"), slice_of(NULL, 0)));
    shell_do(s, "SEND t a QUEUE 0"); /* a view does not change after it was opened */
    buf_reset(&reply, 0);
    query_all(v, &s->policy, s->now_ms, &cmd, &reply, &hint);
    assert_true(hint.nothing);
    view_close(v);
    buf_free(&reply);
    shell_expect(s, "[t:0:0=a]", "READ t 0 0");
}

static void get(void **state)
{
    struct shell *s = *state;
    shell_do(s, "MSEND t a b");
    shell_expect(s, "t:0:1=b", "GET t:0:1");
    shell_expect(s, "null", "GET t:0:2");
    shell_expect(s, "null", "GET t:9:0");
    shell_expect(s, "null", "GET u:0:0");
    shell_expect(s, "null", "GET t:0:9223372036854775807");
    shell_do(s, "TOPIC PURGE t");
    shell_expect(s, "null", "GET t:0:1");
}

static void find_by_key(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    for (int i = 0; i < 5; i++) {
        shell_do(s, "SEND t m%d KEY k KEY k%d", i, i);
        s->now_ms += 10;
    }
    long long t0 = (long long)SHELL_TIME;
    shell_expect(s, "[t:0:0=m0 t:1:0=m1 t:0:1=m2 t:1:1=m3 t:0:2=m4]", "FIND t KEY k");
    shell_expect(s, "[t:1:1=m3]", "FIND t KEY k3");
    shell_expect(s, "[]", "FIND t KEY nosuch");
    shell_expect(s, "[t:0:1=m2 t:1:1=m3]", "FIND t KEY k FROM %lld TO %lld", t0 + 20, t0 + 30);
    shell_expect(s, "[t:0:2=m4]", "FIND t KEY k FROM %lld", t0 + 31);
    shell_expect(s, "[t:0:0=m0]", "FIND t KEY k TO %lld", t0 + 9);
    shell_expect(s, "[t:0:0=m0 t:1:0=m1]", "FIND t KEY k COUNT 2");
    shell_expect(s, "[]", "FIND t KEY k FROM %lld TO %lld", t0 + 30, t0 + 20);
    shell_expect(s, "[]", "FIND t KEY k TO 1960-01-01T00:00:00Z");
    shell_expect(s, "[t:0:0=m0]", "FIND t KEY k COUNT 1 FROM 1969-12-31T23:59:59.998Z TO 9223372036854775807");
    shell_refused(s, "-NOTOPIC", "FIND u KEY k");
    shell_refused(s, "-ERR", "FIND t");
    shell_do(s, "TOPIC PURGE t");
    shell_expect(s, "[]", "FIND t KEY k");
}

/* The bytes of all records in the store. */
static size_t records_bytes(struct shell *s)
{
    size_t n = 0;
    struct kv_iter *it = kv_iter_new(s->st->kv, KV_LOG, NULL, slice_of(NULL, 0), SLICE_LIT("\xff"));
    assert_non_null(it);
    for (kv_iter_first(it); kv_iter_valid(it); kv_iter_next(it))
        n += kv_iter_value(it).len;
    kv_iter_free(it);
    return n;
}

/* `bytes` is that of the records that are there. */
static void topic_info(void **state)
{
    struct shell *s = *state;
    char want[400];
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    shell_do(s, "MSEND t a b c");
    int64_t one = shell_field(shell_do(s, "TOPIC INFO t"), "bytes");
    assert_true(one > 48 && one < 200);
    (void)snprintf(want, sizeof(want),
                   "{name:t queues:2 order_queues:2 compress:none retention:0 maxbytes:0 created:%lld messages:3 delayed:0 queue:["
                   "{queue:0 first:0 next:3 messages:3 bytes:%d} {queue:1 first:0 next:0 messages:0 bytes:0}] bytes:%d damaged:[]}",
                   (long long)SHELL_TIME, (int)one, (int)one);
    shell_expect(s, want, "TOPIC INFO t");
    shell_do(s, "MSEND t a b c QUEUE 0");
    shell_do(s, "SEND t a QUEUE 0");
    shell_do(s, "SEND t a QUEUE 1");
    (void)snprintf(want, sizeof(want), "] bytes:%d damaged:[]}", (int)records_bytes(s));
    assert_non_null(strstr(shell_do(s, "TOPIC INFO t"), want));
    shell_do(s, "TOPIC PURGE t");
    assert_non_null(strstr(shell_do(s, "TOPIC INFO t"), "messages:0 bytes:0} {"));
    assert_non_null(strstr(shell_do(s, "TOPIC INFO t"), "] bytes:0 damaged:[]}"));
    shell_do(s, "MSEND t a b c");
    assert_int_equal(shell_field(shell_do(s, "TOPIC INFO t"), "bytes"), one);
    shell_refused(s, "-NOTOPIC", "TOPIC INFO u");
}

static void topic_list(void **state)
{
    struct shell *s = *state;
    shell_expect(s, "[]", "TOPIC LIST");
    shell_do(s, "TOPIC CREATE b1");
    shell_do(s, "TOPIC CREATE a");
    shell_do(s, "TOPIC CREATE b2");
    shell_expect(s, "[a b1 b2]", "TOPIC LIST");
    shell_expect(s, "[b1 b2]", "TOPIC LIST b*");
    shell_expect(s, "[b1 b2]", "TOPIC LIST [ab]?");
    shell_expect(s, "[]", "TOPIC LIST x");
}

static void lag_adds_up(void **state)
{
    struct shell *s = *state;
    shell_expect(s, "[]", "LAG");
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "MSEND t a b c d e f");
    s->now_ms += 500;
    shell_do(s, "GROUP CREATE never t");
    shell_do(s, "POP g t COUNT 4 LEASE 10s");
    shell_do(s, "NACK g t:0:0#1 DELAY 1s");
    shell_do(s, "NACK g t:0:1#1");
    shell_do(s, "REJECT g t:0:2#1");
    shell_expect(s,
                 "[{group:g topic:t ready:3 inflight:1 delayed:1 dead:1 lag:5 oldest_ms:500} "
                 "{group:never topic:t ready:6 inflight:0 delayed:0 dead:0 lag:6 oldest_ms:500}]",
                 "LAG");
    shell_do(s, "ACK g t:0:3#1");
    shell_do(s, "POP g t COUNT 1");
    shell_expect(s, "[{group:g topic:t ready:2 inflight:1 delayed:1 dead:1 lag:4 oldest_ms:500}]", "LAG g");
    shell_refused(s, "-NOGROUP", "LAG nosuch");
}

/* LAG shows the oldest of the remaining messages. */
static void lag_oldest(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    for (int i = 0; i < 3; i++) {
        shell_do(s, "SEND t m%s", i == 1 ? " TTL 50ms" : "");
        s->now_ms += 100;
    }
    shell_do(s, "POP g t COUNT 9");
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "oldest_ms"), 300);
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "lag"), 2);
    shell_do(s, "ACK g t:0:0#1");
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "oldest_ms"), 100);
    shell_do(s, "ACK g t:0:2#1");
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "oldest_ms"), 0);
}

static void group_queries(void **state)
{
    struct shell *s = *state;
    shell_expect(s, "[]", "GROUP LIST");
    shell_do(s, "SEND t a");
    shell_do(s, "SEND u a");
    shell_do(s, "POP g t u");
    shell_do(s, "POP g2 t");
    shell_expect(s, "[g g2]", "GROUP LIST");
    const char *info = shell_do(s, "GROUP INFO g");
    assert_non_null(strstr(info, "[{group:g topic:t "));
    assert_non_null(strstr(info, " {group:g topic:u "));
    assert_int_equal(shell_field(info, "lease"), LEASE_MS_DEFAULT);
    assert_int_equal(shell_field(info, "attempts"), ATTEMPTS_DEFAULT);
    assert_null(strstr(info, "g2"));
    shell_refused(s, "-NOGROUP", "GROUP INFO nosuch");
}

static void txn_info(void **state)
{
    struct shell *s = *state;
    char tx[32], want[300];
    (void)snprintf(tx, sizeof(tx), "%s", shell_do(s, "HALF pg t a CHECKIN 1s"));
    const char *info = shell_do(s, "TXN INFO %s", tx);
    (void)snprintf(want, sizeof(want), "{txid:%s state:pending pgroup:pg created:%lld checks:0 messages:1", tx,
                   (long long)SHELL_TIME);
    assert_memory_equal(info, want, strlen(want));
    assert_int_equal(shell_field(info, "next_check"), SHELL_TIME + 1000);
    shell_do(s, "COMMIT %s", tx);
    info = shell_do(s, "TXN INFO %s", tx);
    assert_non_null(strstr(info, "state:committed"));
    assert_non_null(strstr(info, "ids:[t:0:0]"));
    assert_int_equal(shell_field(info, "decided"), SHELL_TIME);
}

static void attributes_of_a_delivery(void **state)
{
    struct shell *s = *state;
    s->full = true;
    shell_do(s, "SEND t a");
    s->now_ms += 7;
    const char *got = shell_do(s, "POP g t LEASE 10s");
    assert_non_null(strstr(got, "(t:0:0#1 a {topic:t queue:0 offset:0 "));
    assert_int_equal(shell_field(got, "attempt"), 1);
    assert_int_equal(shell_field(got, "stored"), SHELL_TIME);
    assert_int_equal(shell_field(got, "lease_until"), s->now_ms + 10000);
    assert_non_null(strstr(got, "group:g"));
    got = shell_do(s, "READ t 0 0");
    assert_int_equal(shell_field(got, "attempt"), -1);
}

/* ---- followers ---- */

struct copies {
    char text[200];
    size_t len;
};

static bool take_copy(void *arg, struct slice body)
{
    struct copies *c = arg;
    assert_true(c->len + body.len + 1 < sizeof(c->text));
    memcpy(c->text + c->len, body.data, body.len);
    c->len += body.len;
    c->text[c->len++] = ' ';
    c->text[c->len] = 0;
    return true;
}

static bool follow(struct shell *s, struct follower *f, size_t bytes, const char *want)
{
    struct copies c = {"", 0};
    struct view *v = view_open(s->store);
    bool more = follower_read(f, v, SLICE_LIT("t"), bytes, take_copy, &c);
    view_close(v);
    assert_string_equal(c.text, want);
    return more;
}

static void following(void **state)
{
    struct shell *s = *state;
    struct follower f;
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    shell_do(s, "SEND t before");
    struct view *v = view_open(s->store);
    assert_int_equal(follower_init(&f, v, SLICE_LIT("t")), ST_OK);
    view_close(v);
    assert_false(follow(s, &f, 100, ""));
    shell_do(s, "MSEND t a b");
    shell_do(s, "SEND t c QUEUE 1");
    assert_false(follow(s, &f, 100, "a b c "));
    assert_false(follow(s, &f, 100, ""));
    shell_do(s, "MSEND t d e f"); /* to queue 0; read a few bytes at a time */
    assert_true(follow(s, &f, 3, "d e "));
    assert_false(follow(s, &f, 3, "f "));
    shell_do(s, "SEND t g QUEUE 0");
    shell_do(s, "TOPIC PURGE t");
    shell_do(s, "SEND t h QUEUE 0");
    assert_false(follow(s, &f, 100, "h "));
    shell_do(s, "TOPIC DELETE t");
    assert_false(follow(s, &f, 100, ""));
    shell_do(s, "SEND t i"); /* another topic of that name, with more queues */
    shell_do(s, "SEND t j QUEUE 3");
    assert_false(follow(s, &f, 100, "i j "));
    follower_fini(&f);
}

static void following_what_is_not_there(void **state)
{
    struct shell *s = *state;
    struct follower f;
    struct view *v = view_open(s->store);
    assert_int_equal(follower_init(&f, v, SLICE_LIT("t")), ST_OK);
    view_close(v);
    assert_false(follow(s, &f, 100, ""));
    shell_do(s, "SEND t a");
    assert_false(follow(s, &f, 100, "a "));
    follower_fini(&f);
}

/* Runs a query step by step; after each one its reply is taken out, as who sends it in pieces does. */
static uint32_t in_steps(struct shell *s, const char *line, struct buf *whole)
{
    struct slice words[8];
    size_t n = 0;
    char copy[64], err[ERR_SIZE], *rest = copy;
    (void)snprintf(copy, sizeof(copy), "%s", line);
    for (char *word; (word = strsep(&rest, " ")); n++) {
        assert_true(n < sizeof(words) / sizeof(words[0]));
        words[n] = slice_str(word);
    }
    struct command cmd;
    assert_int_equal(command_from_words(&s->space, words, n, &cmd, err, sizeof(err)), ST_OK);
    struct view *v = view_open(s->store);
    struct query_hint hint;
    struct buf reply;
    buf_init(&reply, 0);
    uint32_t steps = 1;
    enum query_step step = query_run(v, &s->policy, s->now_ms, &cmd, &reply, &hint);
    for (; step == QUERY_MORE; steps++) {
        buf_put_slice(whole, buf_slice(&reply));
        buf_reset(&reply, 0);
        step = query_go_on(v, &cmd, &reply, &hint);
    }
    assert_int_equal(step, QUERY_DONE);
    buf_put_slice(whole, buf_slice(&reply));
    buf_free(&reply);
    view_close(v);
    return steps;
}

static void assert_steps(struct shell *s, const char *line, uint32_t least)
{
    struct buf whole, text;
    buf_init(&whole, 0);
    buf_init(&text, 0);
    uint32_t steps = in_steps(s, line, &whole);
    assert_true(steps >= least);
    shell_render(&text, buf_slice(&whole), false);
    buf_put_u8(&text, 0);
    assert_string_equal((const char *)text.data, shell_do(s, "%s", line));
    buf_free(&whole);
    buf_free(&text);
}

/* A query over many rows is cut into steps; together they make the same reply. */
static void many_rows_in_steps(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE wide QUEUES 1024");
    for (int q = 0; q < 1024; q += 3) {
        shell_add(s, "SEND wide m QUEUE %d", q);
        shell_add(s, "SEND wide m TTL %d QUEUE %d", 1 + q, q);
    }
    assert_true(shell_write(s));
    for (int i = 0; i < 3000; i++) {
        if (i % 10 == 0)
            shell_add(s, "TOPIC CREATE t%d QUEUES 1", i);
        shell_add(s, "GROUP CREATE g%d %s%s", i, i % 4 ? "wide" : "t0", i % 3 ? "" : " FROM latest");
        if (i % 100 == 0)
            assert_true(shell_write(s));
    }
    shell_do(s, "POP g1 wide COUNT 900");
    s->now_ms += 500;
    assert_steps(s, "LAG", 4);
    assert_steps(s, "LAG g1", 1);
    assert_steps(s, "GROUP LIST", 3);
    assert_steps(s, "GROUP INFO g7", 1);
    assert_steps(s, "TOPIC LIST", 1);
    assert_steps(s, "TOPIC LIST t1*", 1);
}

/* One group on a topic whose messages expire one by one, more of them than one step looks at. */
static void one_row_in_steps(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    for (int i = 0; i < 3000; i++) {
        shell_add(s, "SEND t m TTL %d", i + 1);
        if (i % 2)
            assert_true(shell_write(s));
    }
    shell_do(s, "GROUP CREATE g t");
    shell_do(s, "POP h t COUNT 1000");
    shell_do(s, "POP h t COUNT 1000");
    s->now_ms += 500;
    assert_steps(s, "LAG", 2);
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "ready"), 2500);
    assert_int_equal(shell_field(shell_do(s, "LAG h"), "inflight"), 1500);
    assert_int_equal(shell_field(shell_do(s, "LAG h"), "lag"), 2500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(read_by_offset), SHELL_TEST(reading_says_when_to_park),
        SHELL_TEST(get),            SHELL_TEST(find_by_key),
        SHELL_TEST(topic_info),     SHELL_TEST(topic_list),
        SHELL_TEST(lag_adds_up),    SHELL_TEST(lag_oldest),
        SHELL_TEST(group_queries),  SHELL_TEST(txn_info),
        SHELL_TEST(attributes_of_a_delivery), SHELL_TEST(following),
        SHELL_TEST(following_what_is_not_there),
        SHELL_TEST(many_rows_in_steps),
        SHELL_TEST(one_row_in_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
