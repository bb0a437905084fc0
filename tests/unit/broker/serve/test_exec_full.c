/*
 * test_exec_full.c: EXEC where the journal is full: it is BUSY, nothing was done, nothing stays queued, and the connection
 * and its memory are as before. The program is linked with --wrap for journal_submit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/journal/journal.h"
#include "tests/lib/loops.h"

static _Atomic int refuse; /* so many EXECs */

bool __real_journal_submit(struct journal *j, struct journal_client *c, struct entry *e);
bool __wrap_journal_submit(struct journal *j, struct journal_client *c, struct entry *e);

bool __wrap_journal_submit(struct journal *j, struct journal_client *c, struct entry *e)
{
    if (e->cmd.info->id != CMD_EXEC || refuse == 0)
        return __real_journal_submit(j, c, e);
    refuse--;
    return false;
}

/* Sends a line; the reply is to be that, or begin with it. */
static void say(struct wire *w, const char *line, const char *want)
{
    struct resp_value *v = NULL;
    if (!wire_send_str(w, line) || !wire_send_str(w, "\r\n") || !wire_reply(w, &v))
        fail_msg("%s: %s", line, w->error);
    if (v->kind == RV_ARRAY)
        assert_int_equal(v->n_items, strtoul(want, NULL, 10));
    else
        assert_memory_equal(v->bytes, want, strlen(want));
    resp_value_free(v);
}

/* Twice in a row, with commands that write, that read, and that look at messages; then it is done. */
static void busy(void **state)
{
    (void)state;
    struct loops *f = loops_start(1, NULL);
    struct wire w = loops_client(f, 0);
    say(&w, "TOPIC CREATE t QUEUES 1", "OK");
    say(&w, "GROUP CREATE g t FILTER WHERE \"a = 1\"", "OK");
    for (int round = 0; round < 3; round++) {
        refuse = round < 2;
        say(&w, "MULTI", "OK");
        say(&w, "SEND t m PROP a 1", "QUEUED");
        say(&w, "LAG g", "QUEUED");
        say(&w, "POP g t", "QUEUED");
        if (round < 2) {
            say(&w, "EXEC", "BUSY");
            say(&w, "EXEC", "ERR"); /* nothing is queued any more */
            say(&w, "READ t 0 0", "0");
        } else {
            say(&w, "EXEC", "3");
            say(&w, "READ t 0 0", "1");
        }
        assert_int_equal(refuse, 0);
    }
    wire_close(&w);
    loops_stop(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(busy)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
