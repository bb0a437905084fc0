/* Delayed messages: never early, stored as any other when they fire, listed, cancelled, gone with their
 * topic; from SEND and from COMMIT; over restarts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/store.h"

static char token[32];

/* SEND with the options; its token. */
static const char *later(struct store *s, const char *rest)
{
    (void)snprintf(token, sizeof(token), "%s", store_do(s, "SEND %s", rest));
    assert_int_equal(token[0], '@');
    return token;
}

static uint64_t delayed(struct store *s)
{
    return state_tally(s->st)->delayed;
}

static void nothing_left(struct store *s)
{
    assert_int_equal(delayed(s), 0);
    assert_int_equal(store_rows(s, 'L') + store_rows(s, 'N') + store_rows(s, 'W'), 0);
}

static void never_early(void **state)
{
    struct store *s = *state;
    later(s, "t a DELAY 5s QUEUE 1 KEY k TAG g PROP p v");
    assert_int_equal(delayed(s), 1);
    store_pass(s, 4999);
    store_expect(s, "[]", "READ t 1 0");
    store_reopen(s);
    assert_int_equal(delayed(s), 1);
    store_pass(s, 0);
    store_expect(s, "[]", "FIND t KEY k");
    store_pass(s, 1);
    store_expect(s, "[t:1:0=a]", "FIND t KEY k");
    nothing_left(s);
    store_expect(s, "[t:1:0#1=a]", "POP g t");
    s->full = true;
    const char *text = store_do(s, "GET t:1:0");
    assert_int_equal(store_field(text, "born"), STORE_TIME);
    assert_int_equal(store_field(text, "stored"), STORE_TIME + 5000);
    assert_non_null(strstr(text, "tag:g"));
    assert_non_null(strstr(text, "{p:v}"));
}

/* A clock that is late makes it late, and stored says when it was. */
static void late(void **state)
{
    struct store *s = *state;
    later(s, "t a DELAY 1s QUEUE 0");
    s->now_ms += 7000;
    store_expect(s, "[]", "READ t 0 0");
    store_pass(s, 0);
    s->full = true;
    assert_int_equal(store_field(store_do(s, "GET t:0:0"), "stored"), STORE_TIME + 7000);
}

static void at_a_time(void **state)
{
    struct store *s = *state;
    later(s, "t a QUEUE 0 AT 1795501805000");
    store_pass(s, 4999);
    store_expect(s, "[]", "READ t 0 0");
    store_pass(s, 1);
    store_expect(s, "[t:0:0=a]", "READ t 0 0");
    later(s, "t b QUEUE 0 AT 2026-11-24T06:30:06Z");
    store_pass(s, 1000);
    store_expect(s, "[t:0:1=b]", "READ t 0 1");
}

/* DELAY 0 and an AT that is over: stored now, answered by an id. */
static void at_once(void **state)
{
    struct store *s = *state;
    store_expect(s, "t:0:0", "SEND t a QUEUE 0 DELAY 0");
    store_expect(s, "t:0:1", "SEND t a QUEUE 0 AT 1795501800000");
    store_expect(s, "t:0:2", "SEND t a QUEUE 0 AT 0");
    store_expect(s, "t:0:3", "SEND t a QUEUE 0 AT 1901-01-01T00:00:00Z");
    nothing_left(s);
}

static void a_year_ahead(void **state)
{
    struct store *s = *state;
    later(s, "t a QUEUE 0 DELAY 366d");
    (void)store_do(s, "SEND t b QUEUE 0 AT %lld", (long long)(s->now_ms + DURATION_MS_MAX));
    assert_int_equal(delayed(s), 2);
    store_refused(s, "-ERR", "SEND t c DELAY 367d");
    store_refused(s, "-ERR", "SEND t c AT %lld", (long long)(s->now_ms + DURATION_MS_MAX + 1));
    store_refused(s, "-ERR", "SEND t c AT 9223372036854775807");
    store_refused(s, "-ERR", "HALF pg t c AT %lld", (long long)(s->now_ms + DURATION_MS_MAX + 1));
    store_refused(s, "-ERR", "SEND t c DELAY 1s AT 5");
    store_pass(s, DURATION_MS_MAX - 1);
    store_expect(s, "[]", "READ t 0 0 COUNT 9");
    store_pass(s, 1);
    store_expect(s, "[t:0:0=a t:0:1=b]", "READ t 0 0 COUNT 9");
}

/* In the order in which they fall due, those of one time in the order sent; ORDER picks the queue then. */
static void order(void **state)
{
    struct store *s = *state;
    store_do(s, "TOPIC CREATE t QUEUES 1");
    later(s, "t c DELAY 3s ORDER k");
    later(s, "t a DELAY 1s");
    later(s, "t b DELAY 2s");
    later(s, "t b2 DELAY 2s");
    store_pass(s, 5000);
    store_expect(s, "[t:0:0=a t:0:1=b t:0:2=b2 t:0:3=c]", "READ t 0 0 COUNT 9");
}

/* TTL counts from the SEND, as DELAY does. */
static void time_to_live(void **state)
{
    struct store *s = *state;
    later(s, "t a QUEUE 0 DELAY 5s TTL 7s");
    store_pass(s, 5000);
    store_do(s, "GROUP CREATE g t");
    store_expect(s, "[t:0:0#1=a]", "POP g t LEASE 1s");
    s->full = true;
    assert_int_equal(store_field(store_do(s, "GET t:0:0"), "expires"), STORE_TIME + 7000);
    s->full = false;
    store_pass(s, 2000);
    store_expect(s, "[]", "POP g t");
}

/* Nobody is woken by it, nobody sees it, and it is no lag. */
static void dropped(struct store *s)
{
    assert_int_equal(s->fx.n_keys, 0);
    nothing_left(s);
    store_expect(s, "[]", "DELAYED LIST t");
    assert_int_equal(store_field(store_do(s, "TOPIC INFO t"), "delayed"), 0);
    store_expect(s, "[]", "READ t 0 0");
    store_expect(s, "[]", "FIND t KEY k");
    store_expect(s, "[]", "POP g t");
    assert_int_equal(store_field(store_do(s, "LAG g"), "lag"), 0);
}

static void over_when_due(void **state)
{
    struct store *s = *state;
    store_do(s, "TOPIC CREATE t");
    store_do(s, "GROUP CREATE g t");
    later(s, "t a QUEUE 0 KEY k DELAY 5s TTL 2s");
    later(s, "t b QUEUE 0 KEY k DELAY 5s TTL 5s");
    later(s, "t c QUEUE 0 KEY k AT 1795501805000 TTL 5s");
    later(s, "t d QUEUE 0 KEY k DELAY 1 TTL 0");
    store_reopen(s);
    assert_int_equal(delayed(s), 4);
    s->now_ms += 5000;
    store_expect(s, "OK", "TICK");
    dropped(s);
    assert_int_equal(state_tally(s->st)->delayed_expired, 4);
    store_expect(s, "0", "DELAYED CANCEL %s", token);
}

/* In time, had the broker not been down; and cancelled though it is over. */
static void over_when_late(void **state)
{
    struct store *s = *state;
    store_do(s, "TOPIC CREATE t");
    store_do(s, "GROUP CREATE g t");
    later(s, "t a QUEUE 0 KEY k DELAY 1s TTL 5s");
    s->now_ms += 5000;
    store_expect(s, "1", "DELAYED CANCEL %s", token);
    later(s, "t b QUEUE 0 KEY k DELAY 1s TTL 5s");
    s->now_ms += 5000;
    store_expect(s, "OK", "TICK");
    dropped(s);
    later(s, "t c QUEUE 0 DELAY 1s TTL 5s");
    s->now_ms += 4999;
    store_expect(s, "OK", "TICK");
    store_expect(s, "[t:0:0#1=c]", "POP g t");
}

static void dedup_answers_the_token(void **state)
{
    struct store *s = *state;
    later(s, "t a DELAY 5s DEDUP d");
    store_expect(s, token, "SEND t a DEDUP d");
    store_expect(s, token, "SEND t a DELAY 9s DEDUP d");
    store_pass(s, 5000);
    store_expect(s, token, "SEND t a DELAY 5s DEDUP d");
    store_expect(s, "t:0:1", "SEND t b QUEUE 0"); /* the one message took t:0:0 */
    assert_int_equal(delayed(s), 0);
}

static void listed(void **state)
{
    struct store *s = *state;
    store_refused(s, "-NOTOPIC", "DELAYED LIST t");
    store_do(s, "TOPIC CREATE t");
    store_expect(s, "[]", "DELAYED LIST t");
    char b[32], a[32], want[100];
    (void)snprintf(b, sizeof(b), "%s", later(s, "t b DELAY 20s"));
    (void)snprintf(a, sizeof(a), "%s", later(s, "t a DELAY 10s"));
    later(s, "u x DELAY 1s");
    (void)snprintf(want, sizeof(want), "[%s=a %s=b]", a, b);
    store_expect(s, want, "DELAYED LIST t");
    (void)snprintf(want, sizeof(want), "[%s=a]", a);
    store_expect(s, want, "DELAYED LIST t COUNT 1");
    assert_int_equal(store_field(store_do(s, "TOPIC INFO t"), "delayed"), 2);
}

static void listed_in_full(void **state)
{
    struct store *s = *state;
    later(s, "t b DELAY 20s QUEUE 2 TTL 1h KEY k TAG g PROP p v");
    s->full = true;
    char want[240];
    (void)snprintf(want, sizeof(want),
                   "[(%s b {topic:t born:%lld due:%lld queue:2 ttl:3600000 expires:%lld key:[k] tag:g} {p:v})]",
                   token, (long long)STORE_TIME, (long long)STORE_TIME + 20000, (long long)STORE_TIME + 3600000);
    store_expect(s, want, "DELAYED LIST t");
}

static void cancelled(void **state)
{
    struct store *s = *state;
    later(s, "t a QUEUE 0 DELAY 5s");
    store_refused(s, "-ERR", "DELAYED CANCEL 4294967297");
    store_expect(s, "0", "DELAYED CANCEL @4294967297");
    store_expect(s, "1", "DELAYED CANCEL %s", token);
    store_expect(s, "0", "DELAYED CANCEL %s", token);
    nothing_left(s);
    store_pass(s, 5000);
    store_expect(s, "[]", "READ t 0 0");
    /* What has fired cannot be cancelled. */
    later(s, "t b QUEUE 0 DELAY 5s");
    store_pass(s, 5000);
    store_expect(s, "0", "DELAYED CANCEL %s", token);
    store_expect(s, "[t:0:0=b]", "READ t 0 0");
    /* Due, but TICK is late: it was not handed out, so it can be. */
    later(s, "t c QUEUE 0 DELAY 5s");
    s->now_ms += 6000;
    store_expect(s, "1", "DELAYED CANCEL %s", token);
    store_pass(s, 0);
    store_expect(s, "[]", "READ t 0 1");
    nothing_left(s);
}

/* The answer of a command in the open group. */
static void token_in_group(struct store *s, uint32_t i)
{
    struct cursor c = cursor_of(buf_slice(&store_outcome(s, i)->reply));
    struct token t;
    assert_true(reply_next(&c, &t));
    (void)snprintf(token, sizeof(token), "%.*s", (int)t.bytes.len, (const char *)t.bytes.data);
}

static void in_one_group(void **state)
{
    struct store *s = *state;
    token_in_group(s, store_add(s, "SEND t a DELAY 1s"));
    uint32_t first = store_add(s, "DELAYED CANCEL %s", token);
    uint32_t again = store_add(s, "DELAYED CANCEL %s", token);
    assert_true(store_write(s));
    assert_string_equal(store_reply(s, first), "1");
    assert_string_equal(store_reply(s, again), "0");
    nothing_left(s);
    /* Cancelled in the very group in which it fires. */
    later(s, "t b QUEUE 0 DELAY 1s");
    s->now_ms += 1000;
    store_add(s, "DELAYED CANCEL %s", token);
    store_add(s, "TICK");
    assert_true(store_write(s));
    store_expect(s, "[]", "READ t 0 0");
    later(s, "t c QUEUE 0 DELAY 1s");
    s->now_ms += 1000;
    store_add(s, "TICK");
    store_add(s, "TICK");
    uint32_t late = store_add(s, "DELAYED CANCEL %s", token);
    assert_true(store_write(s));
    assert_string_equal(store_reply(s, late), "0");
    store_expect(s, "[t:0:0=c]", "READ t 0 0 COUNT 9");
    nothing_left(s);
}

static void topic_deleted(void **state)
{
    struct store *s = *state;
    later(s, "t a QUEUE 0 DELAY 5s");
    later(s, "u b QUEUE 0 DELAY 5s");
    later(s, "t c QUEUE 0 DELAY 6s");
    store_expect(s, "OK", "TOPIC DELETE t");
    assert_int_equal(delayed(s), 1);
    assert_int_equal(store_rows(s, 'L'), 1);
    store_do(s, "TOPIC CREATE t"); /* another topic, though of the same name */
    store_expect(s, "[]", "DELAYED LIST t");
    store_expect(s, "0", "DELAYED CANCEL %s", token);
    store_pass(s, 9000);
    store_expect(s, "[]", "READ t 0 0");
    store_expect(s, "[u:0:0=b]", "READ u 0 0");
    nothing_left(s);
}

/* Sent, and its topic deleted, in one group. */
static void topic_deleted_at_once(void **state)
{
    struct store *s = *state;
    token_in_group(s, store_add(s, "SEND t a DELAY 5s"));
    store_add(s, "TOPIC DELETE t");
    uint32_t cancel = store_add(s, "DELAYED CANCEL %s", token);
    store_add(s, "SEND t b QUEUE 0");
    assert_true(store_write(s));
    assert_string_equal(store_reply(s, cancel), "0");
    assert_int_equal(delayed(s), 0);
    store_pass(s, 5000);
    store_expect(s, "[t:0:0=b]", "READ t 0 0 COUNT 9");
    nothing_left(s);
}

/* A purge drops messages; what is delayed is none yet. */
static void topic_purged(void **state)
{
    struct store *s = *state;
    later(s, "t a QUEUE 0 DELAY 5s");
    store_do(s, "TOPIC PURGE t");
    assert_int_equal(delayed(s), 1);
    store_pass(s, 5000);
    store_expect(s, "[t:0:0=a]", "READ t 0 0");
}

static void no_topic(void **state)
{
    struct store *s = *state;
    s->policy.auto_create_topics = false;
    store_refused(s, "-NOTOPIC", "SEND t a DELAY 5s");
    assert_int_equal(store_rows(s, 'L'), 0);
}

/* ---- of a half message ---- */

static void commit_tokens(struct store *s, const char *tx, char out[2][32])
{
    const char *said = store_do(s, "COMMIT %s", tx);
    assert_int_equal(sscanf(said, "[%31[^] ] %31[^]]]", out[0], out[1]), 2);
}

static void counted_from_the_commit(void **state)
{
    struct store *s = *state;
    char tx[32], ids[2][32], again[2][32];
    (void)snprintf(tx, sizeof(tx), "%s", store_do(s, "HALF pg t a QUEUE 0 DELAY 5s TTL 7s"));
    store_do(s, "HALF pg t b QUEUE 0 TXN %s", tx);
    store_pass(s, 20000);
    store_expect(s, "[]", "DELAYED LIST t");
    commit_tokens(s, tx, ids);
    assert_int_equal(ids[0][0], '@');
    assert_string_equal(ids[1], "t:0:0");
    store_pass(s, 4999);
    store_expect(s, "[t:0:0=b]", "READ t 0 0 COUNT 9");
    store_reopen(s);
    store_pass(s, 1);
    store_expect(s, "[t:0:0=b t:0:1=a]", "READ t 0 0 COUNT 9");
    commit_tokens(s, tx, again);
    assert_string_equal(again[0], ids[0]);
    assert_string_equal(again[1], ids[1]);
    s->full = true;
    const char *text = store_do(s, "GET t:0:1");
    assert_int_equal(store_field(text, "born"), STORE_TIME);
    assert_int_equal(store_field(text, "stored"), s->now_ms);
    assert_int_equal(store_field(text, "expires"), s->now_ms + 2000);
    assert_true(store_field(text, "txn") == (int64_t)strtoull(tx, NULL, 10));
    assert_int_equal(delayed(s), 0);
}

static void half_over_when_due(void **state)
{
    struct store *s = *state;
    char tx[32], ids[2][32];
    (void)snprintf(tx, sizeof(tx), "%s", store_do(s, "HALF pg t a QUEUE 0 KEY k DELAY 5s TTL 2s"));
    store_do(s, "HALF pg t b QUEUE 0 KEY k AT 1795501830000 TTL 9s TXN %s", tx);
    store_pass(s, 20000);
    commit_tokens(s, tx, ids);
    store_do(s, "GROUP CREATE g t");
    s->full = true;
    assert_int_equal(store_field(store_do(s, "DELAYED LIST t"), "expires"), s->now_ms + 2000);
    s->full = false;
    store_pass(s, 4999);
    assert_int_equal(delayed(s), 2);
    store_pass(s, 1);
    assert_int_equal(delayed(s), 1);
    store_pass(s, 5000);
    dropped(s);
    assert_int_equal(state_tally(s->st)->delayed_expired, 2);
}

static void half_at_a_time(void **state)
{
    struct store *s = *state;
    char tx[32], over[32], ids[2][32];
    (void)snprintf(tx, sizeof(tx), "%s", store_do(s, "HALF pg t a QUEUE 0 AT 1795501810000"));
    store_do(s, "HALF pg t b QUEUE 0 AT 1795501820000 TXN %s", tx);
    (void)snprintf(over, sizeof(over), "%s", store_do(s, "HALF pg u x QUEUE 0 AT 1795501801000"));
    store_pass(s, 5000);
    store_expect(s, "[u:0:0]", "COMMIT %s", over); /* past by now: at once */
    commit_tokens(s, tx, ids);
    assert_true(ids[0][0] == '@' && ids[1][0] == '@' && strcmp(ids[0], ids[1]) != 0);
    store_expect(s, "1", "DELAYED CANCEL %s", ids[1]);
    store_pass(s, 4999);
    store_expect(s, "[]", "READ t 0 0");
    store_pass(s, 1);
    store_expect(s, "[t:0:0=a]", "READ t 0 0");
    store_pass(s, 10000);
    store_expect(s, "[t:0:0=a]", "READ t 0 0 COUNT 9");
}

static void rolled_back(void **state)
{
    struct store *s = *state;
    char tx[32];
    (void)snprintf(tx, sizeof(tx), "%s", store_do(s, "HALF pg t a DELAY 5s"));
    store_expect(s, "OK", "ROLLBACK %s", tx);
    assert_int_equal(delayed(s), 0);
    assert_int_equal(store_rows(s, 'L'), 0);
}

/* More than one TICK does: each does its share, none is lost, none is early. */
static void many_at_once(void **state)
{
    struct store *s = *state;
    store_do(s, "TOPIC CREATE t QUEUES 1");
    for (int i = 0; i < 2500; i++)
        store_add(s, "SEND t m DELAY 1s");
    assert_true(store_write(s));
    s->now_ms += 1000;
    static const uint64_t left[] = {1500, 500, 0};
    for (int i = 0; i < 3; i++) {
        store_expect(s, "OK", "TICK");
        assert_true(delayed(s) == left[i]);
        assert_true((s->fx.next_due_ms <= s->now_ms) == (left[i] > 0));
    }
    assert_int_equal(store_field(store_do(s, "TOPIC INFO t"), "messages"), 2500);
    nothing_left(s);
}

/* A SEND next to many delayed ones reads nothing from the store. */
static void in_nobodys_way(void **state)
{
    struct store *s = *state;
    for (int i = 0; i < 1000; i++)
        store_add(s, "SEND t m DELAY %ds", 1 + i);
    assert_true(store_write(s));
    kv_fault(s->st->kv, KV_OP_GET, 1);
    kv_fault(s->st->kv, KV_OP_ITER, 1);
    store_expect(s, "t:0:0", "SEND t a");
    assert_int_equal(later(s, "t a DELAY 1h")[0], '@');
    kv_fault(s->st->kv, KV_OP_GET, 0);
    kv_fault(s->st->kv, KV_OP_ITER, 0);
}

static void news(void **state)
{
    struct store *s = *state;
    later(s, "t a DELAY 1s");
    assert_int_equal(s->fx.n_keys, 0);
    assert_true(s->fx.next_due_ms <= s->now_ms + 1000);
    s->now_ms += 1000;
    store_do(s, "TICK");
    assert_int_equal(s->fx.n_keys, 1);
    assert_true(s->fx.keys[0] == news_key(NEWS_TOPIC, SLICE_LIT("t"), slice_of(NULL, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(never_early),
        STORE_TEST(late),
        STORE_TEST(at_a_time),
        STORE_TEST(at_once),
        STORE_TEST(a_year_ahead),
        STORE_TEST(order),
        STORE_TEST(time_to_live),
        STORE_TEST(over_when_due),
        STORE_TEST(over_when_late),
        STORE_TEST(dedup_answers_the_token),
        STORE_TEST(listed),
        STORE_TEST(listed_in_full),
        STORE_TEST(cancelled),
        STORE_TEST(in_one_group),
        STORE_TEST(topic_deleted),
        STORE_TEST(topic_deleted_at_once),
        STORE_TEST(topic_purged),
        STORE_TEST(no_topic),
        STORE_TEST(counted_from_the_commit),
        STORE_TEST(half_over_when_due),
        STORE_TEST(half_at_a_time),
        STORE_TEST(rolled_back),
        STORE_TEST(many_at_once),
        STORE_TEST(in_nobodys_way),
        STORE_TEST(news),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
