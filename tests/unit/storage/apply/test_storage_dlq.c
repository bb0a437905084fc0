/* test_storage_dlq.c: tests DLQ LIST, REDRIVE and PURGE: what goes back to the group and what stays, in which order, how
 * much at once, and that neither a restart nor a command in the same commit group makes a difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "storage/group/group.h"
#include "tests/lib/shell.h"

/* Makes n dead letters "0", "1", ... of group g on topic t. */
static void letters(struct shell *s, int n)
{
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "GROUP CREATE g t ATTEMPTS 3 LEASE 5s");
    for (int i = 0; i < n; i++) {
        shell_do(s, "SEND t %d KEY k%d PROP p %d TAG x", i, i, i);
        shell_do(s, "POP g t");
        shell_expect(s, "OK", "REJECT g t:0:%d#1 REASON r%d", i, i);
    }
}

static int64_t dead(struct shell *s)
{
    return shell_field(shell_do(s, "LAG g"), "dead");
}

static void listed(void **state)
{
    struct shell *s = *state;
    shell_refused(s, "-NOGROUP", "DLQ LIST g");
    letters(s, 5);
    shell_expect(s, "[0 [%DLQ%g:0:0=0 %DLQ%g:0:1=1 %DLQ%g:0:2=2 %DLQ%g:0:3=3 %DLQ%g:0:4=4]]", "DLQ LIST g");
    shell_expect(s, "[2 [%DLQ%g:0:0=0 %DLQ%g:0:1=1]]", "DLQ LIST g COUNT 2");
    shell_expect(s, "[4 [%DLQ%g:0:2=2 %DLQ%g:0:3=3]]", "DLQ LIST g COUNT 2 CURSOR 2");
    shell_expect(s, "[0 [%DLQ%g:0:4=4]]", "DLQ LIST g COUNT 2 CURSOR 4");
    shell_expect(s, "[0 [%DLQ%g:0:3=3 %DLQ%g:0:4=4]]", "DLQ LIST g COUNT 2 CURSOR 3");
    shell_expect(s, "[0 []]", "DLQ LIST g CURSOR 99");
    shell_refused(s, "-ERR", "DLQ LIST g CURSOR x");
    s->full = true;
    const char *letter = shell_do(s, "DLQ LIST g COUNT 1");
    assert_non_null(strstr(letter, "reason:r0"));
    assert_non_null(strstr(letter, "origin:t:0:0"));
    assert_int_equal(shell_field(letter, "attempts"), 1);
    s->full = false;
    shell_do(s, "GROUP CREATE h t");
    shell_expect(s, "[0 []]", "DLQ LIST h");
}

static void redriven(void **state)
{
    struct shell *s = *state;
    letters(s, 3);
    shell_expect(s, "3", "DLQ REDRIVE g");
    shell_expect(s, "[0 []]", "DLQ LIST g");
    assert_int_equal(dead(s), 0);
    shell_expect(s, "[]", "FIND %%DLQ%%g KEY k1");
    shell_expect(s, "[%RETRY%g:0:1=1]", "FIND %%RETRY%%g KEY k1");
    s->full = true;
    const char *said = shell_do(s, "POP g t");
    assert_non_null(strstr(said, "(%RETRY%g:0:0#1 0 {"));
    assert_non_null(strstr(said, "origin:t:0:0"));
    assert_non_null(strstr(said, "tag:x"));
    assert_non_null(strstr(said, "{p:0}"));
    assert_null(strstr(said, "reason:"));
    assert_null(strstr(said, "attempts:"));
    s->full = false;
    shell_expect(s, "[%RETRY%g:0:1#1=1 %RETRY%g:0:2#1=2]", "POP g t COUNT 9");
    shell_expect(s, "2", "ACK g %%RETRY%%g:0:0#1 %%RETRY%%g:0:1#1");
    shell_expect(s, "0", "DLQ REDRIVE g");
    shell_expect(s, "[t:0:0#1=0 t:0:1#1=1 t:0:2#1=2]", "POP h t COUNT 9"); /* nothing of another group's */
}

/* It dies with the settings that the group has on the topic it came from, and keeps its first origin. */
static void dead_again(void **state)
{
    struct shell *s = *state;
    letters(s, 1);
    for (int round = 0; round < 3; round++) {
        shell_expect(s, "1", "DLQ REDRIVE g");
        for (int i = 1; i <= 3; i++) {
            char want[60];
            (void)snprintf(want, sizeof(want), "[%%RETRY%%g:0:%d#%d=0]", round, i);
            assert_string_equal(shell_do(s, "POP g t"), want);
            shell_expect(s, "OK", "NACK g %%RETRY%%g:0:%d#%d", round, i);
        }
        assert_int_equal(dead(s), 1);
        s->full = true;
        const char *letter = shell_do(s, "DLQ LIST g");
        assert_non_null(strstr(letter, "origin:t:0:0"));
        assert_non_null(strstr(letter, "reason:not acknowledged"));
        assert_int_equal(shell_field(letter, "attempts"), 3);
        s->full = false;
    }
    shell_expect(s, "1", "DLQ REDRIVE g");
    shell_expect(s, "[%RETRY%g:0:3#1=0]", "POP g t");
    shell_pass(s, 5000);
    shell_expect(s, "[%RETRY%g:0:3#2=0]", "POP g t LEASE 1s");
    shell_pass(s, 1000);
    shell_expect(s, "[%RETRY%g:0:3#3=0]", "POP g t");
    shell_pass(s, 5000);
    s->full = true;
    assert_non_null(strstr(shell_do(s, "DLQ LIST g"), "reason:lease ended"));
}

static void by_id(void **state)
{
    struct shell *s = *state;
    letters(s, 6);
    shell_expect(s, "2", "DLQ REDRIVE g %%DLQ%%g:0:4 %%DLQ%%g:0:2 %%DLQ%%g:0:4 %%DLQ%%g:0:77 %%DLQ%%g:1:0");
    assert_int_equal(dead(s), 4);
    shell_expect(s, "[0 [%DLQ%g:0:0=0 %DLQ%g:0:1=1 %DLQ%g:0:3=3 %DLQ%g:0:5=5]]", "DLQ LIST g");
    shell_expect(s, "[%RETRY%g:0:0#1=4 %RETRY%g:0:1#1=2]", "POP g t COUNT 9");
    shell_expect(s, "null", "GET %%DLQ%%g:0:2");
    shell_expect(s, "null", "GET %%DLQ%%g:0:4");
    shell_expect(s, "[%DLQ%g:0:3=3 %DLQ%g:0:5=5]", "READ %%DLQ%%g 0 2 COUNT 2");
    shell_expect(s, "[%DLQ%g:0:0#1=0 %DLQ%g:0:1#1=1 %DLQ%g:0:3#1=3 %DLQ%g:0:5#1=5]", "POP other %%DLQ%%g COUNT 9");
    shell_expect(s, "0", "DLQ REDRIVE g %%DLQ%%g:0:4");
    shell_reopen(s);
    assert_int_equal(dead(s), 4);
    shell_expect(s, "0", "DLQ REDRIVE g %%DLQ%%g:0:4");
    assert_int_equal(shell_rows(s, 'd'), 1);
    shell_expect(s, "3", "DLQ REDRIVE g COUNT 3"); /* the floor rises over 2 and 4, too */
    shell_expect(s, "[0 [%DLQ%g:0:5=5]]", "DLQ LIST g");
    assert_int_equal(shell_rows(s, 'd'), 0);
    assert_int_equal(shell_field(shell_do(s, "TOPIC INFO %%DLQ%%g"), "messages"), 1);
    shell_expect(s, "1", "DLQ REDRIVE g COUNT 99999999999");
    assert_int_equal(dead(s), 0);
}

/* LAG of a group on the topic of dead letters leaves out what was redriven by its id. */
static void not_counted_behind(void **state)
{
    struct shell *s = *state;
    letters(s, 70); /* more than one row of removed ones has */
    shell_do(s, "GROUP CREATE other %%DLQ%%g");
    assert_int_equal(shell_field(shell_do(s, "LAG other"), "ready"), 70);
    shell_expect(s, "4", "DLQ REDRIVE g %%DLQ%%g:0:2 %%DLQ%%g:0:4 %%DLQ%%g:0:5 %%DLQ%%g:0:69");
    assert_int_equal(shell_field(shell_do(s, "LAG other"), "ready"), 66);
    shell_expect(s, "[%DLQ%g:0:0#1=0 %DLQ%g:0:1#1=1 %DLQ%g:0:3#1=3]", "POP other %%DLQ%%g COUNT 3");
    assert_int_equal(shell_field(shell_do(s, "LAG other"), "ready"), 63);
    shell_reopen(s);
    assert_int_equal(shell_field(shell_do(s, "LAG other"), "ready"), 63);
    const char *rest = shell_do(s, "POP other %%DLQ%%g COUNT 100");
    assert_null(strstr(rest, "%DLQ%g:0:4#"));
    assert_int_equal(shell_field(shell_do(s, "LAG other"), "ready"), 0);
    assert_int_equal(shell_field(shell_do(s, "LAG other"), "inflight"), 66);
}

static void refused(void **state)
{
    struct shell *s = *state;
    shell_refused(s, "-NOGROUP", "DLQ REDRIVE g");
    shell_refused(s, "-NOGROUP", "DLQ PURGE g");
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "GROUP CREATE g t");
    shell_expect(s, "0", "DLQ REDRIVE g");
    shell_expect(s, "0", "DLQ PURGE g");
    shell_expect(s, "[t]", "TOPIC LIST");
    shell_do(s, "SEND t a");
    shell_do(s, "POP g t");
    shell_do(s, "REJECT g t:0:0#1");
    shell_refused(s, "-ERR", "DLQ REDRIVE g t:0:0");
    shell_refused(s, "-ERR", "DLQ REDRIVE g %%DLQ%%h:0:0");
    shell_refused(s, "-ERR", "DLQ REDRIVE g %%DLQ%%g:0:0 rubbish");
    shell_refused(s, "-ERR", "DLQ REDRIVE g COUNT 0");
    shell_refused(s, "-ERR", "DLQ REDRIVE g %%DLQ%%g:0:0 COUNT 1");
    assert_int_equal(dead(s), 1);
    s->st->meta.groups += GROUPS_MAX;
    shell_refused(s, "-LIMIT", "DLQ REDRIVE g");
    s->st->meta.groups -= GROUPS_MAX;
    assert_int_equal(dead(s), 1);
    shell_expect(s, "[%DLQ%g t]", "TOPIC LIST");
    shell_expect(s, "1", "DLQ REDRIVE g");
}

static void purged(void **state)
{
    struct shell *s = *state;
    letters(s, 5);
    shell_expect(s, "1", "DLQ REDRIVE g %%DLQ%%g:0:3");
    shell_expect(s, "4", "DLQ PURGE g");
    assert_int_equal(dead(s), 0);
    assert_int_equal(shell_rows(s, 'd'), 0);
    shell_expect(s, "0", "DLQ PURGE g");
    shell_expect(s, "0", "DLQ REDRIVE g");
    shell_expect(s, "[%RETRY%g:0:0#1=3]", "POP g t");
    shell_expect(s, "OK", "REJECT g %%RETRY%%g:0:0#1");
    shell_expect(s, "[0 [%DLQ%g:0:5=3]]", "DLQ LIST g"); /* ids go on */
}

/* All in one commit group: later commands see what earlier ones did. */
static void in_one_group(void **state)
{
    struct shell *s = *state;
    letters(s, 2);
    shell_do(s, "MSEND t a b c");
    shell_do(s, "POP g t COUNT 3");
    shell_add(s, "REJECT g t:0:2#1");
    shell_add(s, "REJECT g t:0:4#1");
    shell_add(s, "DLQ REDRIVE g %%DLQ%%g:0:2 %%DLQ%%g:0:1");
    shell_add(s, "DLQ REDRIVE g %%DLQ%%g:0:2");
    shell_add(s, "DLQ REDRIVE g COUNT 1");
    shell_add(s, "DLQ REDRIVE g");
    shell_add(s, "REJECT g t:0:3#1");
    shell_add(s, "POP g t COUNT 9");
    assert_true(shell_write(s));
    assert_string_equal(shell_reply(s, 2), "2");
    assert_string_equal(shell_reply(s, 3), "0");
    assert_string_equal(shell_reply(s, 4), "1");
    assert_string_equal(shell_reply(s, 5), "1");
    assert_string_equal(shell_reply(s, 7), "[%RETRY%g:0:0#1=a %RETRY%g:0:1#1=1 %RETRY%g:0:2#1=0 %RETRY%g:0:3#1=c]");
    shell_expect(s, "[0 [%DLQ%g:0:4=b]]", "DLQ LIST g");
    assert_int_equal(dead(s), 1);
    shell_reopen(s);
    assert_int_equal(dead(s), 1);
    shell_expect(s, "1", "DLQ REDRIVE g");
    assert_int_equal(shell_rows(s, 'd'), 0);
}

/* One command moves 1,000 letters at most, and 4 MiB at most. */
static void in_bounded_steps(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "GROUP CREATE g t ATTEMPTS 1 LEASE 1s");
    for (int i = 0; i < 2500; i++) {
        shell_add(s, "SEND t %d", i);
        if (i % 500 == 499)
            assert_true(shell_write(s));
    }
    for (int i = 0; i < 3; i++)
        shell_do(s, "POP g t COUNT 1000");
    shell_pass(s, 1000);
    assert_int_equal(dead(s), 2500);
    shell_expect(s, "1000", "DLQ REDRIVE g COUNT 100000");
    assert_int_equal(dead(s), 1500);
    shell_expect(s, "1000", "DLQ REDRIVE g");
    shell_expect(s, "500", "DLQ REDRIVE g");
    shell_expect(s, "0", "DLQ REDRIVE g");
    assert_int_equal(shell_field(shell_do(s, "TOPIC INFO %%RETRY%%g"), "messages"), 2500);
    static uint8_t body[1500000];
    memset(body, 'x', sizeof(body));
    struct slice words[] = {SLICE_LIT("SEND"), SLICE_LIT("u"), slice_of(body, sizeof(body))};
    for (int i = 0; i < 4; i++)
        shell_do_words(s, words, 3);
    shell_do(s, "GROUP CREATE h u ATTEMPTS 1 LEASE 1s");
    shell_do(s, "POP h u COUNT 9");
    shell_do(s, "POP h u COUNT 9");
    shell_pass(s, 1000);
    shell_expect(s, "3", "DLQ REDRIVE h");
    shell_expect(s, "1", "DLQ REDRIVE h");
}

/* What was acknowledged of the redriven messages is deleted by the next REDRIVE. */
static void trimmed(void **state)
{
    struct shell *s = *state;
    letters(s, 4);
    shell_do(s, "DLQ REDRIVE g COUNT 3");
    shell_do(s, "POP g t COUNT 3");
    shell_expect(s, "1", "ACK g %%RETRY%%g:0:0#1");
    shell_do(s, "DLQ REDRIVE g");
    shell_expect(s, "[%RETRY%g:0:1=1 %RETRY%g:0:2=2 %RETRY%g:0:3=3]", "READ %%RETRY%%g 0 0 COUNT 9");
    shell_expect(s, "2", "ACK g %%RETRY%%g:0:1#1 %%RETRY%%g:0:2#1");
    shell_do(s, "POP g t COUNT 3");
    shell_expect(s, "OK", "REJECT g %%RETRY%%g:0:3#1");
    shell_do(s, "DLQ REDRIVE g");
    shell_expect(s, "[%RETRY%g:0:4=3]", "READ %%RETRY%%g 0 0 COUNT 9");
    shell_reopen(s);
    shell_expect(s, "[%RETRY%g:0:4#1=3]", "POP g t COUNT 9");
}

/* GROUP DELETE takes the dead letters and the redriven ones with it, and attempt numbers go on. */
static void gone_with_the_group(void **state)
{
    struct shell *s = *state;
    letters(s, 3);
    shell_do(s, "DLQ REDRIVE g COUNT 2");
    shell_expect(s, "[%RETRY%g:0:0#1=0]", "POP g t");
    shell_expect(s, "OK", "GROUP DELETE g");
    shell_expect(s, "[t]", "TOPIC LIST");
    shell_expect(s, "-NOGROUP", "DLQ LIST g");
    shell_expect(s, "[t:0:0#2=0]", "POP g t");
    shell_expect(s, "OK", "REJECT g t:0:0#2");
    shell_expect(s, "1", "DLQ REDRIVE g");
    shell_expect(s, "0", "ACK g %%RETRY%%g:0:0#1"); /* of the group that was deleted */
    shell_expect(s, "[%RETRY%g:0:0#2=0]", "POP g t");
}

static void topics_deleted(void **state)
{
    struct shell *s = *state;
    letters(s, 3);
    shell_do(s, "DLQ REDRIVE g COUNT 2");
    shell_expect(s, "OK", "TOPIC DELETE %%RETRY%%g");
    shell_expect(s, "[]", "POP g t COUNT 9");
    shell_expect(s, "1", "DLQ REDRIVE g");
    shell_expect(s, "[%RETRY%g:0:0#1=2]", "POP g t COUNT 9");
    shell_expect(s, "OK", "REJECT g %%RETRY%%g:0:0#1");
    shell_expect(s, "OK", "TOPIC DELETE %%DLQ%%g");
    assert_int_equal(dead(s), 0);
    shell_expect(s, "0", "DLQ REDRIVE g");
    shell_expect(s, "[0 []]", "DLQ LIST g");
    shell_expect(s, "OK", "TOPIC PURGE %%RETRY%%g");
    shell_expect(s, "OK", "TOPIC DELETE t"); /* the group is on the topic of redriven messages only */
    shell_expect(s, "[]", "POP g %%RETRY%%g");
    shell_expect(s, "OK", "GROUP DELETE g");
    shell_expect(s, "[]", "TOPIC LIST");
}

/* POP takes what was redriven first, whatever topics it names, once. */
static void with_other_topics(void **state)
{
    struct shell *s = *state;
    letters(s, 2);
    shell_do(s, "SEND t x");
    shell_do(s, "SEND u y QUEUE 0");
    shell_expect(s, "2", "DLQ REDRIVE g");
    shell_expect(s, "[%RETRY%g:0:0#1=0]", "POP g u");
    shell_expect(s, "[t:0:2#1=x %RETRY%g:0:1#1=1]", "POP g t %%RETRY%%g COUNT 2");
    shell_expect(s, "OK", "NACK g %%RETRY%%g:0:0#1 DELAY 1s");
    shell_expect(s, "[u:0:0#1=y]", "POP g t u COUNT 9");
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "delayed"), 1);
    shell_pass(s, 1000);
    shell_expect(s, "[%RETRY%g:0:0#2=0]", "TAKE g u COUNT 9");
}

/* What was redriven counts for PAUSE, RATE and INFLIGHT of the topic that POP names. */
static void limited(void **state)
{
    struct shell *s = *state;
    letters(s, 5);
    shell_do(s, "SEND t x");
    shell_do(s, "SEND u y QUEUE 0");
    shell_do(s, "GROUP CREATE g u");
    struct gt *gt = NULL;
    assert_int_equal(group_get(s->st, SLICE_LIT("g"), SLICE_LIT("u"), &gt), ST_OK);
    gt->inflight = 3;
    shell_expect(s, "5", "DLQ REDRIVE g");
    shell_expect(s, "[%RETRY%g:0:0#1=0 %RETRY%g:0:1#1=1]", "POP g t COUNT 2");
    shell_expect(s, "[%RETRY%g:0:2#1=2]", "POP g u COUNT 9");
    shell_expect(s, "[]", "POP g u COUNT 9");
    shell_expect(s, "1", "ACK g %%RETRY%%g:0:1#1");
    assert_int_equal(s->fx.n_keys, 1); /* it is news: there is room again */
    shell_expect(s, "[%RETRY%g:0:3#1=3]", "POP g u COUNT 9");
    shell_expect(s, "[t:0:5#1=x %RETRY%g:0:4#1=4]", "POP g t COUNT 9");
    assert_int_equal(shell_field(shell_do(s, "LAG g"), "ready"), 0);
}

/* The keys of an ORDERED group hold among redriven messages, too; what waits behind a key is not deleted by a REDRIVE. */
static void ordered(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_expect(s, "OK", "GROUP CREATE g t ORDERED");
    for (int i = 0; i < 6; i++) {
        shell_do(s, "SEND t %d ORDER %s", i, i == 1 || i == 4 ? "b" : "a");
        shell_do(s, "POP g t");
        shell_expect(s, "OK", "REJECT g t:0:%d#1", i);
    }
    shell_expect(s, "5", "DLQ REDRIVE g COUNT 5");
    shell_expect(s, "[%RETRY%g:0:0#1=0 %RETRY%g:0:1#1=1]", "POP g t COUNT 9");
    shell_expect(s, "[]", "POP g t COUNT 9");
    shell_expect(s, "1", "ACK g %%RETRY%%g:0:0#1");
    shell_expect(s, "1", "DLQ REDRIVE g");
    shell_expect(s, "[%RETRY%g:0:2#1=2]", "POP g t COUNT 9");
    shell_expect(s, "OK", "NACK g %%RETRY%%g:0:2#1");
    shell_reopen(s);
    shell_expect(s, "[%RETRY%g:0:2#2=2]", "POP g t COUNT 9");
    shell_expect(s, "2", "ACK g %%RETRY%%g:0:2#2 %%RETRY%%g:0:1#1");
    shell_expect(s, "[%RETRY%g:0:3#1=3 %RETRY%g:0:4#1=4]", "POP g t COUNT 9");
    shell_expect(s, "2", "ACK g %%RETRY%%g:0:3#1 %%RETRY%%g:0:4#1");
    shell_expect(s, "[%RETRY%g:0:5#1=5]", "POP g t COUNT 9");
    shell_expect(s, "OK", "REJECT g %%RETRY%%g:0:5#1");
    shell_expect(s, "1", "DLQ REDRIVE g");
    shell_expect(s, "[%RETRY%g:0:6=5]", "READ %%RETRY%%g 0 0 COUNT 9"); /* all before is done */
}

/* A damaged letter stays where it is, and the others go. */
static void damaged(void **state)
{
    struct shell *s = *state;
    letters(s, 4);
    kv_fault(s->st->kv, KV_OP_ITER_DAMAGE, 1);
    shell_expect(s, "3", "DLQ REDRIVE g");
    kv_fault(s->st->kv, KV_OP_ITER_DAMAGE, 0);
    assert_int_equal(dead(s), 1);
    shell_expect(s, "[0 [%DLQ%g:0:0=0]]", "DLQ LIST g");
    shell_expect(s, "1", "DLQ REDRIVE g");
}

/* Makes three letters with priorities, redrives them, and pops them. */
static void three_redriven(struct shell *s, int i)
{
    for (int k = 0; k < 3; k++) {
        int n = 3 * i + k;
        shell_do(s, "SEND t m%d PRIORITY %d", n, i < 2 ? n : 4);
        shell_do(s, "POP g t");
        shell_expect(s, "OK", "REJECT g t:0:%d#1", n);
    }
    shell_expect(s, "3", "DLQ REDRIVE g");
    shell_do(s, "POP g t COUNT 3");
}

static int64_t redriven_kept(struct shell *s)
{
    return shell_field(shell_do(s, "TOPIC INFO %%RETRY%%g"), "messages");
}

/* What was redriven and acknowledged is deleted by the next REDRIVE, whatever PRIORITY it had; what is still out is not. */
static void priorities_do_not_pile_up(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "GROUP CREATE g t");
    for (int i = 0; i < 20; i++) {
        three_redriven(s, i);
        assert_int_equal(redriven_kept(s), 3);
        shell_expect(s, "3", "ACK g %%RETRY%%g:0:%d#1 %%RETRY%%g:0:%d#1 %%RETRY%%g:0:%d#1", 3 * i, 3 * i + 1, 3 * i + 2);
        if (i % 7 == 3)
            shell_reopen(s);
    }
    three_redriven(s, 20);
    shell_expect(s, "2", "ACK g %%RETRY%%g:0:61#1 %%RETRY%%g:0:62#1");
    three_redriven(s, 21);
    assert_int_equal(redriven_kept(s), 6);
    shell_expect(s, "1", "ACK g %%RETRY%%g:0:60#1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(listed),       SHELL_TEST(redriven),          SHELL_TEST(dead_again), SHELL_TEST(by_id),
        SHELL_TEST(not_counted_behind), SHELL_TEST(refused),      SHELL_TEST(purged),            SHELL_TEST(in_one_group), SHELL_TEST(in_bounded_steps),
        SHELL_TEST(trimmed),      SHELL_TEST(gone_with_the_group), SHELL_TEST(topics_deleted),
        SHELL_TEST(with_other_topics), SHELL_TEST(damaged), SHELL_TEST(limited), SHELL_TEST(ordered),
        SHELL_TEST(priorities_do_not_pile_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
