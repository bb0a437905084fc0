/* test_storage_delay.c: tests that delayed messages are never early, that they are stored like others when they are
 * due, that they are listed and cancelled, and deleted with their topic; from SEND and from COMMIT, and after
 * restarts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/shell.h"

static char token[32];

/* Runs SEND with these options. Returns the token. */
static const char *later(struct shell *s, const char *rest)
{
    (void)snprintf(token, sizeof(token), "%s", shell_do(s, "SEND %s", rest));
    assert_int_equal(token[0], '@');
    return token;
}

static uint64_t delayed(struct shell *s)
{
    return state_tally(s->st)->delayed;
}

static void nothing_left(struct shell *s)
{
    assert_int_equal(delayed(s), 0);
    assert_int_equal(shell_rows(s, 'L') + shell_rows(s, 'N') + shell_rows(s, 'W'), 0);
}

static void never_early(void **state)
{
    struct shell *s = *state;
    later(s, "t a DELAY 5s QUEUE 1 KEY k TAG g PROP p v");
    assert_int_equal(delayed(s), 1);
    shell_pass(s, 4999);
    shell_expect(s, "[]", "READ t 1 0");
    shell_reopen(s);
    assert_int_equal(delayed(s), 1);
    shell_pass(s, 0);
    shell_expect(s, "[]", "FIND t KEY k");
    shell_pass(s, 1);
    shell_expect(s, "[t:1:0=a]", "FIND t KEY k");
    nothing_left(s);
    shell_expect(s, "[t:1:0#1=a]", "POP g t");
    s->full = true;
    const char *text = shell_do(s, "GET t:1:0");
    assert_int_equal(shell_field(text, "born"), SHELL_TIME);
    assert_int_equal(shell_field(text, "stored"), SHELL_TIME + 5000);
    assert_non_null(strstr(text, "tag:g"));
    assert_non_null(strstr(text, "{p:v}"));
}

/* If the TICK is late, the message is late, and `stored` is the time of the TICK. */
static void late(void **state)
{
    struct shell *s = *state;
    later(s, "t a DELAY 1s QUEUE 0");
    s->now_ms += 7000;
    shell_expect(s, "[]", "READ t 0 0");
    shell_pass(s, 0);
    s->full = true;
    assert_int_equal(shell_field(shell_do(s, "GET t:0:0"), "stored"), SHELL_TIME + 7000);
}

static void at_a_time(void **state)
{
    struct shell *s = *state;
    later(s, "t a QUEUE 0 AT 1795501805000");
    shell_pass(s, 4999);
    shell_expect(s, "[]", "READ t 0 0");
    shell_pass(s, 1);
    shell_expect(s, "[t:0:0=a]", "READ t 0 0");
    later(s, "t b QUEUE 0 AT 2026-11-24T06:30:06Z");
    shell_pass(s, 1000);
    shell_expect(s, "[t:0:1=b]", "READ t 0 1");
}

/* With DELAY 0 or an AT in the past, the message is stored at once and the reply is an id. */
static void at_once(void **state)
{
    struct shell *s = *state;
    shell_expect(s, "t:0:0", "SEND t a QUEUE 0 DELAY 0");
    shell_expect(s, "t:0:1", "SEND t a QUEUE 0 AT 1795501800000");
    shell_expect(s, "t:0:2", "SEND t a QUEUE 0 AT 0");
    shell_expect(s, "t:0:3", "SEND t a QUEUE 0 AT 1901-01-01T00:00:00Z");
    nothing_left(s);
}

static void a_year_ahead(void **state)
{
    struct shell *s = *state;
    later(s, "t a QUEUE 0 DELAY 366d");
    (void)shell_do(s, "SEND t b QUEUE 0 AT %lld", (long long)(s->now_ms + DURATION_MS_MAX));
    assert_int_equal(delayed(s), 2);
    shell_refused(s, "-ERR", "SEND t c DELAY 367d");
    shell_refused(s, "-ERR", "SEND t c AT %lld", (long long)(s->now_ms + DURATION_MS_MAX + 1));
    shell_refused(s, "-ERR", "SEND t c AT 9223372036854775807");
    shell_refused(s, "-ERR", "HALF pg t c AT %lld", (long long)(s->now_ms + DURATION_MS_MAX + 1));
    shell_refused(s, "-ERR", "SEND t c DELAY 1s AT 5");
    shell_pass(s, DURATION_MS_MAX - 1);
    shell_expect(s, "[]", "READ t 0 0 COUNT 9");
    shell_pass(s, 1);
    shell_expect(s, "[t:0:0=a t:0:1=b]", "READ t 0 0 COUNT 9");
}

/* Messages are stored in the order in which they are due, then in the order sent; ORDER chooses the queue then. */
static void order(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    later(s, "t c DELAY 3s ORDER k");
    later(s, "t a DELAY 1s");
    later(s, "t b DELAY 2s");
    later(s, "t b2 DELAY 2s");
    shell_pass(s, 5000);
    shell_expect(s, "[t:0:0=a t:0:1=b t:0:2=b2 t:0:3=c]", "READ t 0 0 COUNT 9");
}

/* The TTL counts from the SEND, as the DELAY does. */
static void time_to_live(void **state)
{
    struct shell *s = *state;
    later(s, "t a QUEUE 0 DELAY 5s TTL 7s");
    shell_pass(s, 5000);
    shell_do(s, "GROUP CREATE g t");
    shell_expect(s, "[t:0:0#1=a]", "POP g t LEASE 1s");
    s->full = true;
    assert_int_equal(shell_field(shell_do(s, "GET t:0:0"), "expires"), SHELL_TIME + 7000);
    s->full = false;
    shell_pass(s, 2000);
    shell_expect(s, "[]", "POP g t");
}

/* Checks that the expired message wakes nobody, is not seen, and is not counted as lag. */
static void dropped(struct shell *s)
{
    assert_int_equal(s->fx.n_keys, 0);
    nothing_left(s);
    shell_expect(s, "[]", "DELAYED LIST t");
    assert_int_equal(shell_field(shell_do(s, "TOPIC INFO t"), "delayed"), 0);
    shell_expect(s, "[]", "READ t 0 0");
    shell_expect(s, "[]", "FIND t KEY k");
    shell_expect(s, "[]", "POP g t");
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "lag"), 0);
}

static void over_when_due(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t");
    shell_do(s, "GROUP CREATE g t");
    later(s, "t a QUEUE 0 KEY k DELAY 5s TTL 2s");
    later(s, "t b QUEUE 0 KEY k DELAY 5s TTL 5s");
    later(s, "t c QUEUE 0 KEY k AT 1795501805000 TTL 5s");
    later(s, "t d QUEUE 0 KEY k DELAY 1 TTL 0");
    shell_reopen(s);
    assert_int_equal(delayed(s), 4);
    s->now_ms += 5000;
    shell_expect(s, "OK", "TICK");
    dropped(s);
    assert_int_equal(state_tally(s->st)->delayed_expired, 4);
    shell_expect(s, "0", "DELAYED CANCEL %s", token);
}

/* A message that expired while the broker was down; and one that is cancelled after it expired. */
static void over_when_late(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t");
    shell_do(s, "GROUP CREATE g t");
    later(s, "t a QUEUE 0 KEY k DELAY 1s TTL 5s");
    s->now_ms += 5000;
    shell_expect(s, "1", "DELAYED CANCEL %s", token);
    later(s, "t b QUEUE 0 KEY k DELAY 1s TTL 5s");
    s->now_ms += 5000;
    shell_expect(s, "OK", "TICK");
    dropped(s);
    later(s, "t c QUEUE 0 DELAY 1s TTL 5s");
    s->now_ms += 4999;
    shell_expect(s, "OK", "TICK");
    shell_expect(s, "[t:0:0#1=c]", "POP g t");
}

static void dedup_answers_the_token(void **state)
{
    struct shell *s = *state;
    later(s, "t a DELAY 5s DEDUP d");
    shell_expect(s, token, "SEND t a DEDUP d");
    shell_expect(s, token, "SEND t a DELAY 9s DEDUP d");
    shell_pass(s, 5000);
    shell_expect(s, token, "SEND t a DELAY 5s DEDUP d");
    shell_expect(s, "t:0:1", "SEND t b QUEUE 0"); /* the other message got t:0:0 */
    assert_int_equal(delayed(s), 0);
}

static void listed(void **state)
{
    struct shell *s = *state;
    shell_refused(s, "-NOTOPIC", "DELAYED LIST t");
    shell_do(s, "TOPIC CREATE t");
    shell_expect(s, "[]", "DELAYED LIST t");
    char b[32], a[32], want[100];
    (void)snprintf(b, sizeof(b), "%s", later(s, "t b DELAY 20s"));
    (void)snprintf(a, sizeof(a), "%s", later(s, "t a DELAY 10s"));
    later(s, "u x DELAY 1s");
    (void)snprintf(want, sizeof(want), "[%s=a %s=b]", a, b);
    shell_expect(s, want, "DELAYED LIST t");
    (void)snprintf(want, sizeof(want), "[%s=a]", a);
    shell_expect(s, want, "DELAYED LIST t COUNT 1");
    assert_int_equal(shell_field(shell_do(s, "TOPIC INFO t"), "delayed"), 2);
}

static void listed_in_full(void **state)
{
    struct shell *s = *state;
    later(s, "t b DELAY 20s QUEUE 2 TTL 1h KEY k TAG g PROP p v");
    s->full = true;
    char want[240];
    (void)snprintf(want, sizeof(want),
                   "[(%s b {topic:t born:%lld due:%lld queue:2 ttl:3600000 expires:%lld key:[k] tag:g} {p:v})]",
                   token, (long long)SHELL_TIME, (long long)SHELL_TIME + 20000, (long long)SHELL_TIME + 3600000);
    shell_expect(s, want, "DELAYED LIST t");
}

static void cancelled(void **state)
{
    struct shell *s = *state;
    later(s, "t a QUEUE 0 DELAY 5s");
    shell_refused(s, "-ERR", "DELAYED CANCEL 4294967297");
    shell_expect(s, "0", "DELAYED CANCEL @4294967297");
    shell_expect(s, "1", "DELAYED CANCEL %s", token);
    shell_expect(s, "0", "DELAYED CANCEL %s", token);
    nothing_left(s);
    shell_pass(s, 5000);
    shell_expect(s, "[]", "READ t 0 0");
    /* A message that is visible cannot be cancelled. */
    later(s, "t b QUEUE 0 DELAY 5s");
    shell_pass(s, 5000);
    shell_expect(s, "0", "DELAYED CANCEL %s", token);
    shell_expect(s, "[t:0:0=b]", "READ t 0 0");
    /* It is due, but the TICK is late, so it is not visible and can be cancelled. */
    later(s, "t c QUEUE 0 DELAY 5s");
    s->now_ms += 6000;
    shell_expect(s, "1", "DELAYED CANCEL %s", token);
    shell_pass(s, 0);
    shell_expect(s, "[]", "READ t 0 1");
    nothing_left(s);
}

/* Reads the token in the reply of a command in the open group. */
static void token_in_group(struct shell *s, uint32_t i)
{
    struct cursor c = cursor_of(buf_slice(&shell_outcome(s, i)->reply));
    struct token t;
    assert_true(reply_next(&c, &t));
    (void)snprintf(token, sizeof(token), "%.*s", (int)t.bytes.len, (const char *)t.bytes.data);
}

static void in_one_group(void **state)
{
    struct shell *s = *state;
    token_in_group(s, shell_add(s, "SEND t a DELAY 1s"));
    uint32_t first = shell_add(s, "DELAYED CANCEL %s", token);
    uint32_t again = shell_add(s, "DELAYED CANCEL %s", token);
    assert_true(shell_write(s));
    assert_string_equal(shell_reply(s, first), "1");
    assert_string_equal(shell_reply(s, again), "0");
    nothing_left(s);
    /* It is cancelled in the commit group in which it becomes visible. */
    later(s, "t b QUEUE 0 DELAY 1s");
    s->now_ms += 1000;
    shell_add(s, "DELAYED CANCEL %s", token);
    shell_add(s, "TICK");
    assert_true(shell_write(s));
    shell_expect(s, "[]", "READ t 0 0");
    later(s, "t c QUEUE 0 DELAY 1s");
    s->now_ms += 1000;
    shell_add(s, "TICK");
    shell_add(s, "TICK");
    uint32_t late = shell_add(s, "DELAYED CANCEL %s", token);
    assert_true(shell_write(s));
    assert_string_equal(shell_reply(s, late), "0");
    shell_expect(s, "[t:0:0=c]", "READ t 0 0 COUNT 9");
    nothing_left(s);
}

static void topic_deleted(void **state)
{
    struct shell *s = *state;
    later(s, "t a QUEUE 0 DELAY 5s");
    later(s, "u b QUEUE 0 DELAY 5s");
    later(s, "t c QUEUE 0 DELAY 6s");
    shell_expect(s, "OK", "TOPIC DELETE t");
    assert_int_equal(delayed(s), 1);
    assert_int_equal(shell_rows(s, 'L'), 1);
    shell_do(s, "TOPIC CREATE t"); /* another topic, though of the same name */
    shell_expect(s, "[]", "DELAYED LIST t");
    shell_expect(s, "0", "DELAYED CANCEL %s", token);
    shell_pass(s, 9000);
    shell_expect(s, "[]", "READ t 0 0");
    shell_expect(s, "[u:0:0=b]", "READ u 0 0");
    nothing_left(s);
}

/* A message is sent and its topic deleted in one commit group. */
static void topic_deleted_at_once(void **state)
{
    struct shell *s = *state;
    token_in_group(s, shell_add(s, "SEND t a DELAY 5s"));
    shell_add(s, "TOPIC DELETE t");
    uint32_t cancel = shell_add(s, "DELAYED CANCEL %s", token);
    shell_add(s, "SEND t b QUEUE 0");
    assert_true(shell_write(s));
    assert_string_equal(shell_reply(s, cancel), "0");
    assert_int_equal(delayed(s), 0);
    shell_pass(s, 5000);
    shell_expect(s, "[t:0:0=b]", "READ t 0 0 COUNT 9");
    nothing_left(s);
}

/* TOPIC PURGE deletes messages, but not delayed ones. */
static void topic_purged(void **state)
{
    struct shell *s = *state;
    later(s, "t a QUEUE 0 DELAY 5s");
    shell_do(s, "TOPIC PURGE t");
    assert_int_equal(delayed(s), 1);
    shell_pass(s, 5000);
    shell_expect(s, "[t:0:0=a]", "READ t 0 0");
}

static void no_topic(void **state)
{
    struct shell *s = *state;
    s->policy.auto_create_topics = false;
    shell_refused(s, "-NOTOPIC", "SEND t a DELAY 5s");
    assert_int_equal(shell_rows(s, 'L'), 0);
}

/* ---- delayed half messages ---- */

static void commit_tokens(struct shell *s, const char *tx, char out[2][32])
{
    const char *said = shell_do(s, "COMMIT %s", tx);
    assert_int_equal(sscanf(said, "[%31[^] ] %31[^]]]", out[0], out[1]), 2);
}

static void counted_from_the_commit(void **state)
{
    struct shell *s = *state;
    char tx[32], ids[2][32], again[2][32];
    (void)snprintf(tx, sizeof(tx), "%s", shell_do(s, "HALF pg t a QUEUE 0 DELAY 5s TTL 7s"));
    shell_do(s, "HALF pg t b QUEUE 0 TXN %s", tx);
    shell_pass(s, 20000);
    shell_expect(s, "[]", "DELAYED LIST t");
    commit_tokens(s, tx, ids);
    assert_int_equal(ids[0][0], '@');
    assert_string_equal(ids[1], "t:0:0");
    shell_pass(s, 4999);
    shell_expect(s, "[t:0:0=b]", "READ t 0 0 COUNT 9");
    shell_reopen(s);
    shell_pass(s, 1);
    shell_expect(s, "[t:0:0=b t:0:1=a]", "READ t 0 0 COUNT 9");
    commit_tokens(s, tx, again);
    assert_string_equal(again[0], ids[0]);
    assert_string_equal(again[1], ids[1]);
    s->full = true;
    const char *text = shell_do(s, "GET t:0:1");
    assert_int_equal(shell_field(text, "born"), SHELL_TIME);
    assert_int_equal(shell_field(text, "stored"), s->now_ms);
    assert_int_equal(shell_field(text, "expires"), s->now_ms + 2000);
    assert_true(shell_field(text, "txn") == (int64_t)strtoull(tx, NULL, 10));
    assert_int_equal(delayed(s), 0);
}

static void half_over_when_due(void **state)
{
    struct shell *s = *state;
    char tx[32], ids[2][32];
    (void)snprintf(tx, sizeof(tx), "%s", shell_do(s, "HALF pg t a QUEUE 0 KEY k DELAY 5s TTL 2s"));
    shell_do(s, "HALF pg t b QUEUE 0 KEY k AT 1795501830000 TTL 9s TXN %s", tx);
    shell_pass(s, 20000);
    commit_tokens(s, tx, ids);
    shell_do(s, "GROUP CREATE g t");
    s->full = true;
    assert_int_equal(shell_field(shell_do(s, "DELAYED LIST t"), "expires"), s->now_ms + 2000);
    s->full = false;
    shell_pass(s, 4999);
    assert_int_equal(delayed(s), 2);
    shell_pass(s, 1);
    assert_int_equal(delayed(s), 1);
    shell_pass(s, 5000);
    dropped(s);
    assert_int_equal(state_tally(s->st)->delayed_expired, 2);
}

static void half_at_a_time(void **state)
{
    struct shell *s = *state;
    char tx[32], over[32], ids[2][32];
    (void)snprintf(tx, sizeof(tx), "%s", shell_do(s, "HALF pg t a QUEUE 0 AT 1795501810000"));
    shell_do(s, "HALF pg t b QUEUE 0 AT 1795501820000 TXN %s", tx);
    (void)snprintf(over, sizeof(over), "%s", shell_do(s, "HALF pg u x QUEUE 0 AT 1795501801000"));
    shell_pass(s, 5000);
    shell_expect(s, "[u:0:0]", "COMMIT %s", over); /* the AT is past, so it is stored at once */
    commit_tokens(s, tx, ids);
    assert_true(ids[0][0] == '@' && ids[1][0] == '@' && strcmp(ids[0], ids[1]) != 0);
    shell_expect(s, "1", "DELAYED CANCEL %s", ids[1]);
    shell_pass(s, 4999);
    shell_expect(s, "[]", "READ t 0 0");
    shell_pass(s, 1);
    shell_expect(s, "[t:0:0=a]", "READ t 0 0");
    shell_pass(s, 10000);
    shell_expect(s, "[t:0:0=a]", "READ t 0 0 COUNT 9");
}

static void rolled_back(void **state)
{
    struct shell *s = *state;
    char tx[32];
    (void)snprintf(tx, sizeof(tx), "%s", shell_do(s, "HALF pg t a DELAY 5s"));
    shell_expect(s, "OK", "ROLLBACK %s", tx);
    assert_int_equal(delayed(s), 0);
    assert_int_equal(shell_rows(s, 'L'), 0);
}

/* More messages are due than one TICK stores: later ones store the rest, none is lost or early. */
static void many_at_once(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    for (int i = 0; i < 600; i++)
        shell_add(s, "SEND t m DELAY 1s");
    assert_true(shell_write(s));
    s->now_ms += 1000;
    static const uint64_t left[] = {344, 88, 0};
    for (int i = 0; i < 3; i++) {
        shell_expect(s, "OK", "TICK");
        assert_true(delayed(s) == left[i]);
        assert_true((s->fx.next_due_ms <= s->now_ms) == (left[i] > 0));
    }
    assert_int_equal(shell_field(shell_do(s, "TOPIC INFO t"), "messages"), 600);
    nothing_left(s);
}

/* With many delayed messages, SEND still reads nothing from the store. */
static void in_nobodys_way(void **state)
{
    struct shell *s = *state;
    for (int i = 0; i < 1000; i++)
        shell_add(s, "SEND t m DELAY %ds", 1 + i);
    assert_true(shell_write(s));
    kv_fault(s->st->kv, KV_OP_GET, 1);
    kv_fault(s->st->kv, KV_OP_ITER, 1);
    shell_expect(s, "t:0:0", "SEND t a");
    assert_int_equal(later(s, "t a DELAY 1h")[0], '@');
    kv_fault(s->st->kv, KV_OP_GET, 0);
    kv_fault(s->st->kv, KV_OP_ITER, 0);
}

static void news(void **state)
{
    struct shell *s = *state;
    later(s, "t a DELAY 1s");
    assert_int_equal(s->fx.n_keys, 0);
    assert_true(s->fx.next_due_ms <= s->now_ms + 1000);
    s->now_ms += 1000;
    shell_do(s, "TICK");
    assert_int_equal(s->fx.n_keys, 1);
    assert_true(s->fx.keys[0] == news_key(NEWS_TOPIC, SLICE_LIT("t"), slice_of(NULL, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(never_early),
        SHELL_TEST(late),
        SHELL_TEST(at_a_time),
        SHELL_TEST(at_once),
        SHELL_TEST(a_year_ahead),
        SHELL_TEST(order),
        SHELL_TEST(time_to_live),
        SHELL_TEST(over_when_due),
        SHELL_TEST(over_when_late),
        SHELL_TEST(dedup_answers_the_token),
        SHELL_TEST(listed),
        SHELL_TEST(listed_in_full),
        SHELL_TEST(cancelled),
        SHELL_TEST(in_one_group),
        SHELL_TEST(topic_deleted),
        SHELL_TEST(topic_deleted_at_once),
        SHELL_TEST(topic_purged),
        SHELL_TEST(no_topic),
        SHELL_TEST(counted_from_the_commit),
        SHELL_TEST(half_over_when_due),
        SHELL_TEST(half_at_a_time),
        SHELL_TEST(rolled_back),
        SHELL_TEST(many_at_once),
        SHELL_TEST(in_nobodys_way),
        SHELL_TEST(news),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
