/*
 * test_storage_steps.c: tests that lists over many rows are made in steps: no step looks at many rows, or appends much,
 * and what they append is one reply, as of one moment, also where it is taken out between two steps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/base/reply.h"
#include "tests/lib/shell.h"

#define MANY 5000
#define PIECE_MOST ((size_t)KIB(128)) /* of small rows */
#define WORDS_MAX 16

/* What came out of a query that was made in steps. */
struct made {
    unsigned steps;
    size_t piece_most;
    struct buf reply;
    struct query_hint hint;
};

/* Between the steps something is written, which the reply must not show. */
static void made_run(struct shell *s, const char *line, struct made *m)
{
    struct slice words[WORDS_MAX];
    size_t n = 0;
    for (const char *at = line; *at; at += *at == ' ') {
        size_t len = strcspn(at, " ");
        words[n++] = slice_of(at, len);
        at += len;
    }
    char err[256];
    struct command cmd;
    struct command_space space;
    command_space_init(&space);
    assert_int_equal(command_from_words(&space, words, n, &cmd, err, sizeof(err)), ST_OK);
    *m = (struct made){0};
    struct buf piece;
    buf_init(&piece, 0);
    buf_init(&m->reply, 0);
    struct view *v = view_open(s->store);
    assert_non_null(v);
    enum query_step step = query_run(v, &s->policy, s->now_ms, &cmd, &piece, &m->hint);
    for (;;) {
        assert_int_not_equal(step, QUERY_BROKEN);
        m->steps++;
        m->piece_most = piece.len > m->piece_most ? piece.len : m->piece_most;
        buf_put_slice(&m->reply, buf_slice(&piece));
        buf_reset(&piece, SIZE_MAX);
        if (step == QUERY_DONE)
            break;
        if (m->steps < 3)
            (void)shell_do(s, "SEND other x");
        step = query_go_on(v, &cmd, &piece, &m->hint);
    }
    view_close(v);
    command_space_free(&space);
    buf_free(&piece);
}

/* The reply has n items, or, behind a cursor, n in its second value; and it is whole. */
static void made_check(struct shell *s, const char *line, unsigned steps_least, int64_t n)
{
    struct made m;
    made_run(s, line, &m);
    assert_true(m.steps >= steps_least);
    assert_true(m.piece_most <= PIECE_MOST);
    struct cursor c = cursor_of(buf_slice(&m.reply));
    struct token t;
    assert_true(reply_next(&c, &t) && t.kind == TOK_ARRAY);
    if (t.n == 2 && n != 2)
        assert_true(reply_next(&c, &t) && reply_next(&c, &t) && t.kind == TOK_ARRAY);
    assert_int_equal(t.n, n);
    struct buf text, whole;
    buf_init(&text, 0);
    buf_init(&whole, 0);
    shell_render(&text, buf_slice(&m.reply), true);
    s->full = true;
    buf_put_slice(&whole, slice_str(shell_do(s, "%s", line)));
    s->full = false;
    assert_true(slice_equal(buf_slice(&text), buf_slice(&whole)));
    buf_free(&text);
    buf_free(&whole);
    buf_free(&m.reply);
}

static void add_many(struct shell *s, const char *fmt, int n)
{
    for (int i = 0; i < n; i += 1000) {
        for (int k = i; k < i + 1000; k++)
            shell_add(s, fmt, k);
        assert_true(shell_write(s));
    }
}

static void finds(void **state)
{
    struct shell *s = *state;
    add_many(s, "SEND t body-%d KEY k QUEUE 0", MANY);
    for (int i = 0; i < 1000; i++)
        (void)shell_do(s, "SEND t alone-%d KEY alone QUEUE 1", i);
    made_check(s, "FIND t KEY k COUNT 10000", 4, MANY);
    made_check(s, "FIND t KEY alone COUNT 10000", 4, 1000);
    made_check(s, "FIND t KEY k COUNT 3", 1, 3);
    made_check(s, "FIND t KEY none", 1, 0);
}

/* Large records count for more than their number. */
static void finds_large(void **state)
{
    struct shell *s = *state;
    static char body[100001];
    memset(body, 'x', 100000);
    struct slice words[] = {SLICE_LIT("SEND"), SLICE_LIT("t"),     slice_of(body, 100000), SLICE_LIT("KEY"),
                            SLICE_LIT("k"),    SLICE_LIT("QUEUE"), SLICE_LIT("0")};
    for (int i = 0; i < 200; i++)
        (void)shell_do_words(s, words, 7);
    struct made m;
    made_run(s, "FIND t KEY k COUNT 10000", &m);
    assert_true(m.steps >= 8); /* eight megabytes, of which a step reads at most four, and appends one message */
    assert_true(m.hint.cut);
    assert_true(m.reply.len >= REPLY_BYTES_SOFT && m.reply.len < REPLY_BYTES_SOFT + 200000);
    buf_free(&m.reply);
}

static void delayed(void **state)
{
    struct shell *s = *state;
    add_many(s, "SEND t body-%d DELAY 1h", MANY);
    made_check(s, "DELAYED LIST t COUNT 10000", 3, MANY);
    made_check(s, "DELAYED LIST t", 1, 100);
    shell_refused(s, "-NOTOPIC", "DELAYED LIST nosuch");
}

static void transactions(void **state)
{
    struct shell *s = *state;
    add_many(s, "HALF p t body-%d", MANY);
    made_check(s, "TXN LIST COUNT 10000", 3, MANY);
    made_check(s, "TXN LIST COUNT 10000 STATE parked", 3, 0);
    made_check(s, "TXN LIST COUNT 3", 1, 3);
    shell_pass(s, 1000); /* they are old now, and have other rows */
    made_check(s, "TXN LIST COUNT 10000 PGROUP p", 3, MANY);
}

static void pgroups(void **state)
{
    struct shell *s = *state;
    add_many(s, "PGROUP SET p%06d CHECKIN 1s", MANY);
    for (int i = 0; i < 1000; i++)
        shell_add(s, "HALF p%06d t m", i * 7);
    assert_true(shell_write(s));
    shell_pass(s, 1000);
    int64_t both = (MANY + 6) / 7, all = MANY + 1000 - both;
    made_check(s, "PGROUP LIST", 4, all);
}

static void topic_info(void **state)
{
    struct shell *s = *state;
    (void)shell_do(s, "TOPIC CREATE t QUEUES 1024");
    for (int i = 0; i < 1024; i++)
        shell_add(s, "SEND t body QUEUE %d", i);
    assert_true(shell_write(s));
    struct made m;
    made_run(s, "TOPIC INFO t", &m);
    assert_true(m.steps >= 3);
    struct buf text;
    buf_init(&text, 0);
    shell_render(&text, buf_slice(&m.reply), true);
    buf_put_u8(&text, 0);
    assert_string_equal((const char *)text.data, shell_do(s, "TOPIC INFO t"));
    buf_free(&text);
    buf_free(&m.reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(finds),   SHELL_TEST(finds_large), SHELL_TEST(delayed), SHELL_TEST(transactions),
        SHELL_TEST(pgroups), SHELL_TEST(topic_info),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
