/*
 * test_storage_advance.c: tests that groups with a filter go on without a consumer (storage/query/advance.c,
 * storage/apply/group_seek.c): how far, what LAG says then, and what becomes of an ADVANCE that comes too late.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage/group/group.h"
#include "storage/query.h"
#include "storage/sift.h"
#include "tests/lib/prng.h"
#include "tests/lib/shell.h"
#include "tests/lib/sifting.h"

#define FAR 25000 /* more than LAG looks at */

/* n messages that no group wants, with these options. */
static void fill(struct shell *s, int n, const char *options)
{
    for (int i = 0; i < n; i++) {
        (void)shell_add(s, "SEND t x PROP n 0 TAG other %s", options);
        if (s->n == SHELL_REPLIES_MAX - 1)
            assert_true(shell_write(s));
    }
    assert_true(shell_write(s));
}

static int64_t lag_of(struct shell *s, const char *group, const char *field)
{
    return shell_field(shell_do(s, "LAG %s", group), field);
}

static void two_groups(struct shell *s, const char *options)
{
    shell_expect(s, "OK", "GROUP CREATE tag t FILTER TAG rare||seldom %s", options);
    shell_expect(s, "OK", "GROUP CREATE where t FILTER WHERE \"n > 5\" %s", options);
}

static void goes_on_to_the_first_match(void **state)
{
    struct shell *s = *state;
    static const char *const groups[] = {"tag", "where"};
    shell_do(s, "TOPIC CREATE t QUEUES 2");
    two_groups(s, "");
    shell_expect(s, "OK", "GROUP CREATE all t");
    fill(s, FAR, "");
    shell_do(s, "SEND t first QUEUE 0 PROP n 6 TAG rare");
    fill(s, 300, "QUEUE 0");
    fill(s, 300, "QUEUE 1");
    shell_do(s, "SEND t second QUEUE 1 PROP n 7 TAG seldom");
    uint32_t runs = shell_rows(s, 'R'), waiting = shell_rows(s, 'V');
    for (int i = 0; i < 2; i++)
        assert_true(lag_of(s, groups[i], "unexamined") > 0);
    assert_true(sifting_advance(s, ADVANCE_LEAST) >= 2);
    assert_int_equal(sifting_advance(s, ADVANCE_LEAST), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(lag_of(s, groups[i], "unexamined"), 0);
        assert_int_equal(lag_of(s, groups[i], "ready"), 2);
        assert_int_equal(shell_field(shell_do(s, "GROUP SEEK %s t latest DRYRUN", groups[i]), "next"), FAR / 2);
    }
    assert_true(shell_rows(s, 'R') == runs && shell_rows(s, 'V') == waiting); /* it needs no rows */
    assert_int_equal(lag_of(s, "all", "ready"), FAR + 602);
    shell_reopen(s);
    assert_non_null(strstr(sifting_do(s, "POP tag t COUNT 9"), "=first"));
    assert_non_null(strstr(sifting_do(s, "POP where t COUNT 9"), "=first"));
}

/* What a POP passes in no time is left to it, and a new filter is asked of it. */
static void a_few_are_left(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    two_groups(s, "");
    fill(s, ADVANCE_LEAST - 1, "");
    assert_int_equal(sifting_advance(s, ADVANCE_LEAST), 0);
    fill(s, 1, "");
    assert_int_equal(sifting_advance(s, ADVANCE_LEAST), 2);
    fill(s, 1, "");
    shell_expect(s, "OK", "GROUP SET tag t FILTER NONE");
    assert_int_equal(lag_of(s, "tag", "ready"), 1);
}

static bool due(void *arg, struct slice group, struct slice topic)
{
    (void)arg, (void)group, (void)topic;
    return true;
}

/* What is found out in a view, for the first group that can go on. */
static void look(struct shell *s, struct buf *sifted)
{
    struct advance *a = advance_new(ADVANCE_LEAST);
    struct view *v = view_open(s->store);
    struct advance_found found;
    assert_true(a && v);
    assert_int_equal(advance_step(a, v, s->now_ms, due, NULL, &found), ST_OK);
    buf_reset(sifted, 0);
    buf_put_slice(sifted, found.sifted);
    view_close(v);
    advance_free(a);
}

static void advance_with(struct shell *s, struct slice sifted)
{
    s->sifted = sifted;
    shell_expect(s, "OK", "ADVANCE g t");
    s->sifted = slice_of(NULL, 0);
}

static uint64_t next_of(struct shell *s)
{
    return (uint64_t)shell_field(shell_do(s, "GROUP SEEK g t latest DRYRUN"), "next");
}

static uint64_t group_id(struct shell *s)
{
    struct gt *gt = NULL;
    assert_int_equal(group_get(s->st, SLICE_LIT("g"), SLICE_LIT("t"), &gt), ST_OK);
    return gt->id;
}

static void too_late(void **state)
{
    static const struct {
        const char *command;
        uint64_t next; /* what comes of it */
    } late[] = {
        {"GROUP SET g t FILTER TAG other", 0},
        {"GROUP SET g t FILTER NONE", 0},
        {"GROUP SEEK g t QUEUE 0 OFFSET 150", 200}, /* true all the same */
        {"GROUP SEEK g t latest", 201},
        {"GROUP SET g t ORDERED", 200},
        {"TOPIC SET t QUEUES 3", 200},
    };
    struct buf sifted;
    buf_init(&sifted, 0);
    for (size_t i = 0; i < sizeof(late) / sizeof(late[0]); i++) {
        struct shell *s = *state;
        shell_do(s, "TOPIC DELETE t");
        shell_do(s, "TOPIC CREATE t QUEUES 1");
        shell_expect(s, "OK", "GROUP CREATE g t FILTER TAG rare");
        fill(s, 200, "");
        shell_do(s, "SEND t match TAG rare");
        look(s, &sifted);
        shell_do(s, "%s", late[i].command);
        advance_with(s, buf_slice(&sifted));
        assert_int_equal(next_of(s), late[i].next);
        shell_do(s, "GROUP DELETE g");
        advance_with(s, buf_slice(&sifted));
        shell_expect(s, "OK", "GROUP CREATE g t FILTER TAG rare");
        advance_with(s, buf_slice(&sifted));
        assert_int_equal(next_of(s), 0);
        shell_do(s, "TOPIC PURGE t");
        advance_with(s, buf_slice(&sifted));
        shell_expect(s, "[]", "POP g t");
    }
    buf_free(&sifted);
}

/* What was true of one class is no reason to move a cursor of all classes. */
static void ordered_meanwhile(void **state)
{
    struct shell *s = *state;
    struct buf sifted;
    buf_init(&sifted, 0);
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_expect(s, "OK", "GROUP CREATE g t FILTER TAG rare");
    shell_do(s, "SEND t high PRIORITY 8 TAG rare");
    fill(s, 200, "");
    look(s, &sifted);
    shell_expect(s, "OK", "GROUP SET g t ORDERED");
    advance_with(s, buf_slice(&sifted));
    shell_expect(s, "[t:0:0#1=high]", "POP g t");
    buf_free(&sifted);
}

/* A group that was moved back to before what was looked at gets all from there on. */
static void moved_back_meanwhile(void **state)
{
    struct shell *s = *state;
    struct buf sifted;
    buf_init(&sifted, 0);
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_expect(s, "OK", "GROUP CREATE g t FILTER TAG rare");
    shell_do(s, "SEND t match TAG rare");
    fill(s, 200, "");
    shell_expect(s, "[t:0:0#1=match]", "POP g t");
    look(s, &sifted);
    shell_expect(s, "OK", "GROUP SEEK g t earliest");
    advance_with(s, buf_slice(&sifted));
    assert_int_equal(next_of(s), 0);
    shell_expect(s, "[t:0:0#2=match]", "POP g t");
    buf_free(&sifted);
}

/* A POP that has enough, and leaves much behind it, tells the broker so, and wakes nobody. */
static void a_pop_tells_what_it_leaves(void **state)
{
    struct shell *s = *state;
    uint64_t key = news_key(NEWS_GROUP, SLICE_LIT("g"), SLICE_LIT("t"));
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_expect(s, "OK", "GROUP CREATE g t FILTER TAG rare");
    for (int left = ADVANCE_LEAST - 1; left <= ADVANCE_LEAST; left++) {
        shell_do(s, "TOPIC PURGE t");
        shell_do(s, "SEND t match TAG rare");
        fill(s, left, "");
        assert_non_null(strstr(shell_do(s, "POP g t"), "=match"));
        bool told = s->fx.n_keys == 1 && s->fx.keys[0] == key && s->fx.counts[0] == 0;
        assert_int_equal(told, left == ADVANCE_LEAST);
    }
}

/* Any bytes do no harm: what they say is used where it can be true only. */
static void malformed(void **state)
{
    struct shell *s = *state;
    struct prng p = prng_start();
    uint8_t noise[200];
    struct buf sifted;
    buf_init(&sifted, 0);
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_expect(s, "OK", "GROUP CREATE g t FILTER TAG rare");
    fill(s, 200, "");
    look(s, &sifted);
    for (int i = 0; i < 300; i++) {
        for (size_t k = 0; k < sizeof(noise); k++)
            noise[k] = (uint8_t)prng_below(&p, 256);
        advance_with(s, slice_of(noise, prng_below(&p, sizeof(noise))));
        advance_with(s, slice_of(sifted.data, prng_below(&p, (uint32_t)sifted.len)));
    }
    struct cursor c = cursor_of(buf_slice(&sifted));
    struct sift_stretch far;
    assert_true(sift_stretch_next(&c, &far));
    far.to = 1000; /* behind the end */
    buf_reset(&sifted, 0);
    sift_stretch_put(&sifted, &far);
    advance_with(s, buf_slice(&sifted));
    assert_int_equal(next_of(s), 0);
    buf_free(&sifted);
}

/* Each class has a cursor: one that has met its match does not hold up the others. */
static void by_priority(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    two_groups(s, "");
    shell_do(s, "SEND t low PRIORITY 1 PROP n 9 TAG rare");
    fill(s, FAR, "");
    fill(s, 200, "PRIORITY 8");
    shell_do(s, "SEND t high PRIORITY 8 PROP n 9 TAG rare");
    shell_do(s, "SEND t middle PROP n 9 TAG rare");
    assert_true(sifting_advance(s, ADVANCE_LEAST) >= 2);
    assert_int_equal(sifting_advance(s, ADVANCE_LEAST), 0);
    assert_int_equal(shell_field(shell_do(s, "GROUP SEEK tag t latest DRYRUN"), "next"), FAR + 202);
    for (int i = 0; i < 2; i++) {
        const char *pop = i ? "POP where t" : "POP tag t";
        assert_string_equal(sifting_do(s, pop), "[t:0:25201#1=high]");
        assert_string_equal(sifting_do(s, pop), "[t:0:25202#1=middle]");
        assert_string_equal(sifting_do(s, pop), "[t:0:0#1=low]");
        assert_string_equal(sifting_do(s, pop), "[]");
    }
}

static void what_has_expired_is_passed(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    two_groups(s, "");
    shell_do(s, "SEND t old TTL 1s PROP n 9 TAG rare");
    fill(s, 200, "");
    assert_int_equal(sifting_advance(s, ADVANCE_LEAST), 0);
    shell_pass(s, 2000);
    assert_int_equal(sifting_advance(s, ADVANCE_LEAST), 2);
    assert_int_equal(lag_of(s, "tag", "ready"), 0);
    assert_int_equal(shell_field(shell_do(s, "GROUP SEEK where t latest DRYRUN"), "next"), 201);
}

/* A record that cannot be read is left to POPs, of whatever class its messages are: they tell of it. */
static void damage_is_met(void **state)
{
    struct shell *s = *state;
    struct topic *t = NULL;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_expect(s, "OK", "GROUP CREATE g t FILTER WHERE \"n > 5\"");
    fill(s, 150, "PRIORITY 7");
    fill(s, 10, "");
    fill(s, 150, "PRIORITY 7");
    assert_int_equal(topic_get(s->st, SLICE_LIT("t"), &t), ST_OK);
    struct key key = key_log(t->id, 0, 150);
    kv_put(s->st->kv, KV_LOG, key_slice(&key), SLICE_LIT("not a record"));
    assert_int_equal(kv_write(s->st->kv, true, s->err, sizeof(s->err)), ST_OK);
    assert_true(sifting_advance(s, ADVANCE_LEAST) >= 1);
    assert_int_equal(next_of(s), 150);
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "unexamined"), 0);
    struct key lane = key_class_cursor(group_id(s), 7);
    struct class_cursor_row row;
    struct buf bytes;
    buf_init(&bytes, 0);
    assert_int_equal(kv_get(s->st->kv, KV_STATE, NULL, key_slice(&lane), &bytes), ST_OK);
    assert_int_equal(class_cursor_decode(buf_slice(&bytes), &row), ST_OK);
    assert_int_equal(row.next[0], 150);
    buf_free(&bytes);
}

/* ---- a store whose groups go on, and one whose groups do not, answer alike ---- */

static uint32_t below(struct prng *p, uint32_t n)
{
    return (uint32_t)prng_below(p, n);
}

static const char *any_send(struct prng *p)
{
    static const char *const some[] = {"TAG rare PROP n 9", "TAG other PROP n 1", "TAG other PROP n 1", "TAG other",
                                       "TAG other PROP n 2 ORDER a", "TAG seldom PROP n 8 ORDER b", "TAG other PROP n 0 PRIORITY 7",
                                       "TAG rare PROP n 7 PRIORITY 7", "TAG rare PROP n 7 PRIORITY 1", "TAG other PRIORITY 1",
                                       "TAG rare PROP n 9 TTL 1s"};
    return some[below(p, sizeof(some) / sizeof(some[0]))];
}

struct last {
    char a[40], b[40]; /* the last receipts, ... */
    bool where;        /* ... of this group */
};

/* Splits "[t:0:7#2=m]" into its receipt, and the rest, which is the same as without ADVANCEs: an attempt number may be higher
 * where a group was moved back over what it had passed. */
static void split(char *said, char receipt[40])
{
    char *number = strchr(said, '#'), *body = strchr(said, '=');
    if (said[0] != '[' || !number || !body)
        return;
    (void)snprintf(receipt, 40, "%.*s", (int)(body - said - 1), said + 1);
    memmove(number, body, strlen(body) + 1);
}

static void both(struct shell *a, struct shell *b, struct last *last, const char *line)
{
    char said[2][20000];
    bool pop = strncmp(line, "POP", 3) == 0;
    (void)snprintf(said[0], sizeof(said[0]), "%s", pop ? sifting_do(a, line) : shell_do(a, "%s", line));
    (void)snprintf(said[1], sizeof(said[1]), "%s", pop ? sifting_do(b, line) : shell_do(b, "%s", line));
    last->where = pop && said[0][1] != ']' ? line[4] == 'w' : last->where;
    split(said[0], last->a);
    split(said[1], last->b);
    if (strcmp(said[0], said[1]) != 0)
        print_message("%s\n", line);
    assert_string_equal(said[0], said[1]);
}

/* What is said of the last message that was delivered. */
static void both_end(struct shell *a, struct shell *b, const struct last *last, const char *how)
{
    char said[300];
    (void)snprintf(said, sizeof(said), "%s", shell_do(a, how, last->a));
    assert_string_equal(said, shell_do(b, how, last->b));
}

static void burst(struct shell *a, struct shell *b, struct prng *p)
{
    const char *many = any_send(p);
    uint32_t n = 20 + below(p, 200), q = below(p, 3);
    for (uint32_t i = 0; i < n; i++) {
        const char *one = below(p, 20) ? many : any_send(p);
        (void)shell_add(a, "SEND t m%u QUEUE %u %s", i, q, one);
        (void)shell_add(b, "SEND t m%u QUEUE %u %s", i, q, one);
    }
    assert_true(shell_write(a) && shell_write(b));
}

static void any_command(struct shell *a, struct shell *b, struct last *last, struct prng *p)
{
    char line[120];
    const char *group = below(p, 2) ? "tag" : "where";
    uint32_t q = below(p, 3), o = below(p, 400);
    switch (below(p, 12)) {
    case 0: both_end(a, b, last, last->where ? "ACK where %s" : "ACK tag %s"); return;
    case 1: both_end(a, b, last, last->where ? "NACK where %s" : "NACK tag %s"); return;
    case 2: (void)snprintf(line, sizeof(line), "GROUP SEEK %s t QUEUE %u OFFSET %u", group, q, o); break;
    case 3: (void)snprintf(line, sizeof(line), "GROUP SET %s t ORDERED %s", group, below(p, 2) ? "yes" : "no"); break;
    case 4: (void)snprintf(line, sizeof(line), "GROUP SEEK %s t earliest", group); break;
    default: (void)snprintf(line, sizeof(line), "POP %s t LEASE %u", group, 1 + below(p, 900)); break; /* one: a POP of more may end early */
    }
    for (uint32_t n = line[0] == 'P' ? 1 + below(p, 60) : 1; n > 0; n--)
        both(a, b, last, line);
}

static void alike(void **state)
{
    struct shell *a = *state;
    struct prng p = prng_start();
    for (int history = 0; history < 12; history++) {
        static struct shell b, fresh;
        struct last last = {"t:0:0#1", "t:0:0#1", false};
        shell_start(&b);
        if (history)
            shell_start(&fresh), a = &fresh;
        both(a, &b, &last, "TOPIC CREATE t QUEUES 3");
        both(a, &b, &last, "GROUP CREATE tag t FILTER TAG rare||seldom LEASE 500");
        both(a, &b, &last, "GROUP CREATE where t FILTER WHERE \"n > 5\" LEASE 500");
        for (int i = 0; i < 60; i++) {
            if (below(&p, 3) == 0)
                burst(a, &b, &p);
            if (below(&p, 2))
                (void)sifting_advance(a, below(&p, 2) ? 1 : ADVANCE_LEAST);
            any_command(a, &b, &last, &p);
            int64_t ms = below(&p, 700);
            shell_pass(a, ms);
            shell_pass(&b, ms);
            if (below(&p, 20) == 0)
                shell_reload(a);
        }
        shell_stop(&b);
        if (history)
            shell_stop(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(goes_on_to_the_first_match),
        SHELL_TEST(a_few_are_left),
        SHELL_TEST(too_late),
        SHELL_TEST(ordered_meanwhile),
        SHELL_TEST(moved_back_meanwhile),
        SHELL_TEST(a_pop_tells_what_it_leaves),
        SHELL_TEST(malformed),
        SHELL_TEST(by_priority),
        SHELL_TEST(damage_is_met),
        SHELL_TEST(what_has_expired_is_passed),
        SHELL_TEST(alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
