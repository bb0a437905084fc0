/*
 * test_journal_exec.c: the commands of an EXEC go through the journal as one entry: in a row, in a heavy turn where they
 * may take long, and not without bound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <semaphore.h>
#include <stdatomic.h>

#include "broker/journal/journal.h"
#include "protocol/base/reply.h"
#include "storage/state.h"
#include "storage/store.h"
#include "tests/lib/tmpdir.h"

static struct journal_client owner;
static struct entry_list came_back;
static sem_t woken; /* entries came back, or the owner is to lead */
static _Atomic unsigned n_back;
static atomic_bool nudged;

struct rig {
    char *folder;
    struct store *store;
    struct state *state;
    struct journal *j;
};

static void on_post(struct journal_client *c, struct entry_list *done)
{
    struct entry *e = NULL;
    (void)c;
    while ((e = entry_pop(done))) {
        entry_push(&came_back, e);
        n_back++;
    }
    sem_post(&woken);
}

static void on_news(struct journal_client *c, const struct effects *fx)
{
    (void)c, (void)fx;
}

static void on_nudge(struct journal_client *c)
{
    (void)c;
    nudged = true;
    sem_post(&woken);
}

static void on_fatal(const char *text)
{
    fprintf(stderr, "the store failed: %s\n", text);
    abort();
}

static void rig_open(struct rig *r)
{
    char path[512], err[512] = "";
    *r = (struct rig){.folder = tmpdir_new()};
    snprintf(path, sizeof path, "%s/store", r->folder);
    const struct store_options so = {.path = path, .memory_bytes = 64 << 20};
    if (store_open(&so, &r->store, err, sizeof err) != ST_OK || state_load(r->store, &r->state, err, sizeof err) != ST_OK)
        fail_msg("%s", err);
    const struct journal_options jo = {.store = r->store, .state = r->state, .fsync = FSYNC_NEVER,
                                       .fsync_interval_ms = 1000, .pending_bytes_max = 64 << 20, .pending_max = 1000,
                                       .data_path = r->folder, .fatal = on_fatal};
    assert_int_equal(journal_new(&jo, &r->j), ST_OK);
    owner = (struct journal_client){.post = on_post, .news = on_news, .nudge = on_nudge};
    came_back = (struct entry_list){0};
    journal_register(r->j, &owner);
    const struct policy policy = {.auto_create_topics = true, .txn_outcome_retention_ms = 60000, .checkin_ms = 60000,
                                  .check_every_ms = 60000, .check_max = 3, .txn_timeout_ms = 600000, .txn_bytes = TXN_BYTES_MAX};
    journal_set_policy(r->j, &policy);
    sem_init(&woken, 0, 0);
}

static void rig_close(struct rig *r)
{
    journal_free(r->j);
    state_drop(r->state);
    store_close(r->store);
    tmpdir_remove(r->folder);
    sem_destroy(&woken);
}

static struct entry *made(const char *line)
{
    struct command_space space;
    struct slice words[16];
    struct command cmd;
    char err[256] = "";
    size_t n = 0;
    command_space_init(&space);
    for (const char *at = line; *at; at += strspn(at, " ")) {
        words[n] = slice_of(at, strcspn(at, " "));
        at += words[n++].len;
    }
    if (command_from_words(&space, words, n, &cmd, err, sizeof err) != ST_OK)
        fail_msg("%s", err);
    struct entry *e = entry_new(NULL, &cmd);
    assert_non_null(e);
    command_space_free(&space);
    return e;
}

static struct entry *exec_of(const char *const *lines, size_t n)
{
    struct entry_list l = {0};
    struct entry *e = made("EXEC");
    size_t before = e->bytes;
    for (size_t i = 0; i < n; i++)
        entry_push(&l, made(lines[i]));
    size_t bytes = l.bytes;
    entry_put_more(e, &l);
    assert_int_equal(e->bytes, before + bytes);
    return e;
}

/* Submits what is there and waits until n entries are back. */
static void run(struct rig *r, struct entry **e, unsigned n)
{
    unsigned before = n_back;
    for (unsigned i = 0; i < n; i++)
        assert_true(journal_submit(r->j, &owner, e[i]));
    journal_turn(r->j, &owner, TURN_NEWS_FIRST);
    while (n_back - before < n) {
        sem_wait(&woken);
        if (atomic_exchange(&nudged, false)) /* the writer thread has led until now */
            journal_turn(r->j, &owner, TURN_NEWS_FIRST);
    }
}

static void assert_bulk(const struct entry *e, const char *text)
{
    struct cursor c = cursor_of(buf_slice(&e->out.reply));
    struct token t;
    assert_int_equal(e->fate, ST_OK);
    assert_true(reply_next(&c, &t));
    assert_true(slice_equal(t.bytes, slice_str(text)));
}

static void free_all(void)
{
    for (struct entry *e; (e = entry_pop(&came_back));)
        entry_free(e);
}

static void all_of_it_is_done_in_a_row(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r);
    static const char *const lines[] = {"SEND t a QUEUE 0", "PING", "SEND t b QUEUE 9", "READ t 0 0", "SEND t c QUEUE 0"};
    struct entry *e[] = {made("SEND t x QUEUE 0"), exec_of(lines, 5), made("SEND t y QUEUE 0")};
    run(&r, e, 3);
    struct journal_stats before;
    journal_stats(r.j, &before);
    assert_int_equal(before.pending, 0);
    assert_int_equal(before.pending_bytes, 0);
    const struct entry *one = e[1]->more;
    assert_bulk(e[0], "t:0:0");
    assert_bulk(one, "t:0:1");
    assert_int_equal(one->next->out.reply.len, 0); /* what does not write is left to the connection */
    assert_true(reply_is_error(buf_slice(&one->next->next->out.reply), NULL));
    assert_bulk(one->next->next->next->next, "t:0:2");
    assert_bulk(e[2], "t:0:3");
    struct entry_list l = entry_take_more(e[1]);
    assert_int_equal(l.n, 5);
    assert_null(e[1]->more);
    entry_put_more(e[1], &l);
    free_all();
    rig_close(&r);
}

/* One that may take long waits for the writer thread, and nothing of it is done by the loop's turn. */
static void a_slow_one_is_not_a_loops(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r);
    static const char *const lines[] = {"SEND t a QUEUE 0", "SEND t b QUEUE 0"};
    struct entry *e[] = {exec_of(lines, 2), made("SEND t x QUEUE 0")};
    e[0]->slow = true;
    e[1]->slot = 1;
    run(&r, e, 2);
    assert_ptr_equal(came_back.first, e[1]);
    assert_bulk(e[1], "t:0:0");
    assert_bulk(e[0]->more, "t:0:1");
    free_all();
    rig_close(&r);
}

/* Transactions of 18 MB each, committed by one EXEC: more than a group can bear. */
static void there_is_a_bound_to_it(void **state)
{
    (void)state;
    enum { TXNS = 4, PARTS = 6, PART = 3 << 20 };
    struct rig r;
    rig_open(&r);
    static char body[PART + 1], line[TXNS][64];
    const char *lines[TXNS + 1];
    memset(body, 'x', PART);
    for (int t = 0; t < TXNS; t++) {
        char txid[32] = "";
        for (int p = 0; p < PARTS; p++) {
            struct option txn = {.id = OPT_ID_TXN, .v = slice_str(txid)};
            struct command cmd = {.info = command_info(CMD_HALF), .n_pos = 3, .n_opt = p > 0, .opt = &txn,
                                  .has = p > 0 ? OPT(TXN) : 0,
                                  .pos = {SLICE_LIT("g"), SLICE_LIT("t"), slice_of(body, PART)}};
            struct entry *half = entry_new(NULL, &cmd);
            run(&r, &half, 1);
            struct cursor c = cursor_of(buf_slice(&half->out.reply));
            struct token id;
            assert_true(reply_next(&c, &id));
            if (id.kind != TOK_BULK)
                fail_msg("%.*s", (int)id.bytes.len, id.bytes.data);
            snprintf(txid, sizeof txid, "%.*s", (int)id.bytes.len, id.bytes.data);
            free_all();
        }
        snprintf(line[t], sizeof line[t], "COMMIT %s", txid);
        lines[t] = line[t];
    }
    lines[TXNS] = "SEND t last";
    struct entry *e = exec_of(lines, TXNS + 1);
    run(&r, &e, 1);
    const struct entry *one = e->more;
    assert_int_equal(e->fate, ST_OK);
    assert_int_equal(one->fate, ST_OK);
    assert_int_equal(one->next->fate, ST_OK);
    for (one = one->next->next; one; one = one->next)
        assert_int_equal(one->fate, ST_BUSY);
    free_all();
    rig_close(&r);
}

static struct entry *large(const char *topic)
{
    static char body[2 << 20];
    memset(body, 'x', sizeof body);
    struct command cmd = {.info = command_info(CMD_SEND), .n_pos = 2, .pos = {slice_str(topic), slice_of(body, sizeof body)}};
    return entry_new(NULL, &cmd);
}

/* A letter that the open group has made, and that only the store could give back, is redriven by the next group. */
static void a_letter_of_the_same_group(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r);
    struct entry *first[] = {made("TOPIC CREATE t QUEUES 1"), made("GROUP CREATE g t"), large("t"), made("POP g t")};
    run(&r, first, 4);
    free_all();
    struct entry *e[] = {large("t"), made("REJECT g t:0:0#1"), made("DLQ REDRIVE g"), made("SEND t y")};
    run(&r, e, 4);
    struct cursor c = cursor_of(buf_slice(&e[2]->out.reply));
    struct token t;
    assert_true(reply_next(&c, &t) && t.kind == TOK_INT && t.n == 1);
    assert_bulk(e[3], "t:0:2");
    assert_ptr_equal(came_back.first->next->next, e[2]); /* in their order */
    free_all();
    rig_close(&r);
}

/* In an EXEC all of it is in one group: BUSY, and the rest is done. */
static void a_letter_of_the_same_exec(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r);
    struct entry *first[] = {made("TOPIC CREATE t QUEUES 1"), made("GROUP CREATE g t"), large("t"), made("POP g t")};
    run(&r, first, 4);
    free_all();
    static const char *const lines[] = {"REJECT g t:0:0#1", "DLQ REDRIVE g", "SEND t y"};
    struct entry *e = exec_of(lines, 3);
    run(&r, &e, 1);
    enum status s = ST_OK;
    assert_true(reply_is_error(buf_slice(&e->more->next->out.reply), &s) && s == ST_BUSY);
    assert_bulk(e->more->next->next, "t:0:1");
    free_all();
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_is_done_in_a_row),
        cmocka_unit_test(a_slow_one_is_not_a_loops),
        cmocka_unit_test(there_is_a_bound_to_it),
        cmocka_unit_test(a_letter_of_the_same_group),
        cmocka_unit_test(a_letter_of_the_same_exec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
