/*
 * test_storage_faults.c: runs a sequence of commands on a store in which the n-th write, sync, read or allocation
 * fails, for every n. Whatever fails, everything that was acknowledged is there after a restart, undecided messages
 * are not visible, and nothing crashes or leaks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/batch.h"
#include "tests/lib/fault_heap.h"
#include "tests/lib/shell.h"

#define FACTS 40

/* One run: what was acknowledged, and the fault. */
struct life {
    struct shell s;
    bool over;    /* a group could not be written, or the store not be opened: the run ends, as after a crash */
    bool refused; /* some reply was an error */
    enum kv_op op;
    int stage, arm_stage, countdown; /* the fault is armed at the arm_stage-th opening */
    char stored[FACTS][48]; /* "t:0:1=body" */
    char acked[FACTS][24];  /* "t:0:1" */
    uint32_t n_stored, n_acked;
    char decided_against[32];
    bool taken_back; /* the DELAYED CANCEL of "back" was acknowledged */
};

/* Returns the reply, or NULL if the command was refused or its group lost. */
static const char *judge(struct life *f, const char *said)
{
    f->over = f->s.status != ST_OK;
    bool refused = said[0] == '-' || said[0] == '!';
    f->refused = f->refused || refused;
    if (f->over)
        assert_true(f->s.err[0] != 0);
    return refused ? NULL : said;
}

static const char *attempt(struct life *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static const char *attempt(struct life *f, const char *fmt, ...)
{
    char line[300];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    return f->over ? NULL : judge(f, shell_do(&f->s, "%s", line));
}

static void remember_stored(struct life *f, const char *id, size_t len, const char *body)
{
    assert_true(f->n_stored < FACTS);
    (void)snprintf(f->stored[f->n_stored++], sizeof(f->stored[0]), "%.*s=%s", (int)len, id, body);
}

static void send(struct life *f, const char *body, const char *options)
{
    const char *id = attempt(f, "SEND t %s %s", body, options);
    if (id)
        remember_stored(f, id, strlen(id), body);
}

/* Sends a delayed message that becomes visible and one that is cancelled. promises_hold checks the result. */
static void delay(struct life *f)
{
    (void)attempt(f, "SEND t later QUEUE 0 DELAY 1s KEY k TTL 1h");
    const char *said = attempt(f, "SEND t back DELAY 10s DEDUP back");
    char token[32] = "";
    (void)snprintf(token, sizeof(token), "%s", said ? said : "");
    f->taken_back = *token && attempt(f, "DELAYED CANCEL %s", token);
    (void)attempt(f, "SEND v gone DELAY 1s");
    (void)attempt(f, "DELAYED LIST t");
}

/* Sends a batch of two messages with all options that write rows. */
static void produce(struct life *f)
{
    struct batch b;
    if (f->over)
        return;
    batch_init(&b);
    batch_add_body(&b, "x");
    batch_add(&b, (struct message){.fields = MSG_KEY | MSG_TTL,
                                   .expires_ms = 3600000,
                                   .n_keys = 1,
                                   .keys = {SLICE_LIT("k")},
                                   .body = SLICE_LIT("y")});
    struct slice words[] = {SLICE_LIT("PRODUCE"), SLICE_LIT("t"),     batch_end(&b),  SLICE_LIT("QUEUE"),
                            SLICE_LIT("1"),       SLICE_LIT("DEDUP"), SLICE_LIT("b")};
    const char *said = judge(f, shell_do_words(&f->s, words, 7));
    for (int i = 0; said && i < 2; i++) {
        char id[32];
        int n = snprintf(id, sizeof(id), "t:1:%d", (int)shell_field(said, "offset") + i);
        remember_stored(f, id, (size_t)n, i ? "y" : "x");
    }
    batch_free(&b);
}

static void arm(struct life *f)
{
    if (f->stage++ == f->arm_stage)
        kv_fault(f->s.st->kv, f->op, f->countdown);
}

static void restart(struct life *f)
{
    if (f->over)
        return;
    shell_close(&f->s);
    f->over = !shell_open(&f->s);
    if (f->over)
        assert_true(f->s.err[0] != 0);
    else
        arm(f);
}

static void consume(struct life *f)
{
    char receipts[3][32] = {"", "", ""};
    const char *got = attempt(f, "POP g t COUNT 3 LEASE 10s");
    for (int i = 0; got && i < 3; i++) {
        got += strcspn(got, "t");
        size_t len = strcspn(got, "=");
        (void)snprintf(receipts[i], sizeof(receipts[i]), "%.*s", (int)len, got);
        got += strcspn(got, " ]");
    }
    if (receipts[0][0] && attempt(f, "ACK g %s", receipts[0]))
        (void)snprintf(f->acked[f->n_acked++], sizeof(f->acked[0]), "%.*s",
                       (int)strcspn(receipts[0], "#"), receipts[0]);
    if (receipts[1][0])
        (void)attempt(f, "NACK g %s DELAY 1s", receipts[1]);
    if (receipts[2][0]) /* and the rest of the transaction */
        (void)attempt(f, "EXTEND g %.*s-99%s 20s", (int)strcspn(receipts[2], "#"), receipts[2],
                      strchr(receipts[2], '#'));
}

static void transact(struct life *f)
{
    char tx[32] = "", against[32] = "";
    (void)attempt(f, "PGROUP SET pg CHECKMAX 9 CHECKURL http://h/ SECRET s");
    const char *id = attempt(f, "HALF pg t one KEY k CHECKIN 0");
    (void)snprintf(tx, sizeof(tx), "%s", id ? id : "");
    bool two = *tx && attempt(f, "HALF pg u two TXN %s", tx);
    (void)attempt(f, "CHECKS pg");
    id = attempt(f, "HALF pg t never");
    (void)snprintf(against, sizeof(against), "%s", id ? id : "");
    restart(f);
    const char *ids = *tx ? attempt(f, "COMMIT %s", tx) : NULL;
    if (ids) {
        size_t len = strcspn(ids + 1, " ]");
        remember_stored(f, ids + 1, len, "one");
        if (two)
            remember_stored(f, ids + 2 + len, strcspn(ids + 2 + len, "]"), "two");
    }
    if (*against)
        (void)attempt(f, "ROLLBACK %s", against);
}

static void tick(struct life *f, int64_t ms)
{
    f->s.now_ms += ms;
    (void)attempt(f, "TICK");
}

static void live(struct life *f)
{
    (void)attempt(f, "TOPIC CREATE t QUEUES 2");
    (void)attempt(f, "GROUP CREATE g t BACKOFF 1s ATTEMPTS 3");
    send(f, "a", "KEY k PROP p 1 TTL 1h");
    send(f, "b", "DEDUP d");
    const char *ids = attempt(f, "MSEND t c d");
    if (ids) {
        size_t len = strcspn(ids + 1, " ");
        remember_stored(f, ids + 1, len, "c");
        remember_stored(f, ids + 2 + len, strcspn(ids + 2 + len, "]"), "d");
    }
    produce(f);
    consume(f);
    delay(f);
    (void)attempt(f, "RELEASE g t:1:0-9#1");
    restart(f);
    send(f, "e", "QUEUE 1 DEDUP e");
    tick(f, 2000);
    consume(f);
    transact(f);
    (void)attempt(f, "LAG g");
    (void)attempt(f, "PGROUP INFO pg");
    (void)attempt(f, "PGROUP LIST");
    (void)attempt(f, "TXN LIST PGROUP pg STATE committed");
    (void)attempt(f, "PGROUP DELETE pg");
    (void)attempt(f, "FIND t KEY k");
    (void)attempt(f, "TOPIC INFO t");
    (void)attempt(f, "POP gone u");
    (void)attempt(f, "REJECT gone u:0:0#1");
    (void)attempt(f, "GROUP DELETE gone");
    (void)attempt(f, "TOPIC CREATE w");
    (void)attempt(f, "TOPIC DELETE w");
    (void)attempt(f, "TOPIC DELETE v");
    tick(f, 30000);
}

/* ---- checks after the run, without faults ---- */

static bool is_acked(const struct life *f, const char *id, size_t len)
{
    for (uint32_t i = 0; i < f->n_acked; i++)
        if (strlen(f->acked[i]) == len && memcmp(f->acked[i], id, len) == 0)
            return true;
    return false;
}

static void promises_hold(struct life *f)
{
    shell_close(&f->s);
    assert_true(shell_open(&f->s));
    for (uint32_t i = 0; i < f->n_stored; i++) {
        char id[40];
        (void)snprintf(id, sizeof(id), "%.*s", (int)strcspn(f->stored[i], "="), f->stored[i]);
        const char *got = shell_do(&f->s, "GET %s", id);
        /* The group on topic u may be deleted, but its messages are there. */
        assert_string_equal(got, f->stored[i]);
    }
    shell_pass(&f->s, 600000);
    for (int round = 0; round < 20; round++) {
        const char *got = shell_do(&f->s, "POP g t COUNT 100 LEASE 1s");
        if (got[0] == '-' || strcmp(got, "[]") == 0)
            break; /* the topic was never created, or there are no more messages */
        for (const char *at = got; (at = strstr(at, "t:")); at++) {
            assert_false(is_acked(f, at, strcspn(at, "#")));
            assert_true(strncmp(strchr(at, '=') + 1, "never", 5) != 0);
            assert_false(f->taken_back && strncmp(strchr(at, '=') + 1, "back", 4) == 0);
        }
        shell_pass(&f->s, 5000);
    }
    assert_int_equal(shell_field(shell_do(&f->s, "LAG g"), "inflight") > 0, 0);
}

static void begin(struct life *f)
{
    *f = (struct life){.arm_stage = -1};
    shell_start(&f->s);
    f->s.sync = true;
}

static void end(struct life *f)
{
    promises_hold(f);
    shell_stop(&f->s);
}

static struct life life;

static void nothing_fails(void **state)
{
    (void)state;
    begin(&life);
    live(&life);
    assert_true(!life.over && !life.refused && life.n_stored == 9 && life.n_acked == 2);
    end(&life);
}

static void each_fault(enum kv_op op, int most)
{
    for (int stage = 0; stage < 3; stage++) {
        for (int n = 1; n <= most; n++) {
            begin(&life);
            life.op = op;
            life.arm_stage = stage;
            life.countdown = n;
            arm(&life);
            live(&life);
            if (op == KV_OP_WRITE || op == KV_OP_SYNC)
                assert_true(life.over);
            end(&life);
        }
    }
}

static void each_write(void **state)
{
    (void)state;
    each_fault(KV_OP_WRITE, 6); /* each stage writes at least this often */
}

static void each_sync(void **state)
{
    (void)state;
    each_fault(KV_OP_SYNC, 6);
}

static void each_get(void **state)
{
    (void)state;
    each_fault(KV_OP_GET, 32);
}

static void each_iterator(void **state)
{
    (void)state;
    each_fault(KV_OP_ITER, 18);
}

static void each_allocation(bool forever)
{
    bool fired = true;
    uint64_t n = 1;
    for (; fired; n += forever ? 3 : 1) {
        assert_true(n < 5000);
        fault_heap_fail(0, false);
        begin(&life);
        life.s.inside = fault_heap_inside;
        fault_heap_fail(n, forever);
        live(&life);
        fired = fault_heap_fired();
        fault_heap_fail(0, false);
        /* If no error was reported, the failed allocation must be one that may be ignored. */
        assert_true(fired || (!life.over && !life.refused));
        life.s.inside = NULL;
        end(&life);
    }
    print_message("%llu allocations\n", (unsigned long long)n);
}

static void each_allocation_alone(void **state)
{
    (void)state;
    each_allocation(false);
}

static void each_allocation_and_all_behind_it(void **state)
{
    (void)state;
    each_allocation(true);
}

/* What the open group has stored is delivered by its POPs, or the group is given up: how much memory there is decides no
 * reply. */
static void records_of_the_open_group_are_found(void **state)
{
    (void)state;
    struct batch b;
    batch_init(&b);
    batch_add_body(&b, "x");
    struct slice words[] = {SLICE_LIT("PRODUCE"), SLICE_LIT("t"), batch_end(&b), SLICE_LIT("QUEUE"), SLICE_LIT("1")};
    bool fired = true;
    for (uint64_t n = 1; fired; n++) {
        struct shell s;
        fault_heap_fail(0, false);
        shell_start(&s);
        shell_expect(&s, "OK", "TOPIC CREATE t");
        shell_expect(&s, "[]", "POP g t");
        s.inside = fault_heap_inside;
        fault_heap_fail(n, false);
        uint32_t at = 0;
        for (int i = 0; i < 10; i++)
            (void)shell_add_words(&s, words, 5);
        at = shell_add(&s, "POP g t COUNT 20");
        uint32_t grants = shell_outcome(&s, at)->n_grants ? shell_outcome(&s, at)->grants[0].count : 0;
        fired = fault_heap_fired();
        fault_heap_fail(0, false);
        s.inside = NULL;
        if (shell_write(&s))
            assert_int_equal(grants, 10);
        shell_stop(&s);
    }
    batch_free(&b);
}

/* With an argument, only the tests that it names (with * and ?): they take long, and two processes half as long. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_fails),
        cmocka_unit_test(each_write),
        cmocka_unit_test(each_sync),
        cmocka_unit_test(each_get),
        cmocka_unit_test(each_iterator),
        cmocka_unit_test(records_of_the_open_group_are_found),
        cmocka_unit_test(each_allocation_alone),
        cmocka_unit_test(each_allocation_and_all_behind_it),
    };
    if (access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    else
        cmocka_set_skip_filter("each_allocation_and*");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
