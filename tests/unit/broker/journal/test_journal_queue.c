/*
 * test_journal_queue.c: which entries a commit group gets, where some are large; and that small ones of others are
 * not held up by those that a journal has of them.
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

#include "broker/journal/journal.h"
#include "broker/journal/journal_queue.h"
#include "storage/state.h"
#include "storage/store.h"
#include "tests/lib/tmpdir.h"

#define A 1 /* connections */
#define B 2
#define SMALL 100
#define LARGE MIB(3)

static struct journal_client owner;

/* An entry of a connection, told by its request. */
static struct entry *made(uint32_t slot, uint64_t request, size_t bytes)
{
    static const struct command cmd = {0};
    struct command send = cmd;
    send.info = command_info(CMD_SEND);
    uint8_t *body = calloc(1, bytes);
    assert_non_null(body);
    send.n_pos = 2;
    send.pos[0] = SLICE_LIT("t");
    send.pos[1] = slice_of(body, bytes);
    struct entry *e = entry_new(NULL, &send);
    free(body);
    assert_non_null(e);
    e->owner = &owner;
    e->slot = slot;
    e->request = request;
    return e;
}

static void push(struct journal_queue *q, uint32_t slot, uint64_t request, size_t bytes)
{
    queue_push(q, made(slot, request, bytes));
}

/* Has the turn "apply" up to `most` entries; checks that these are the ones wanted, as "1 2 3 ", in this order. */
static void turn(struct journal_queue *q, bool may_be_heavy, unsigned most, const char *wanted)
{
    struct queue_turn t;
    char got[256] = "";
    struct entry *e = NULL;
    queue_take(q, &t, may_be_heavy);
    for (unsigned n = 0; n < most && (e = queue_next(q, &t)); n++) {
        size_t at = strlen(got);
        snprintf(got + at, sizeof got - at, "%u ", (unsigned)e->request);
        entry_free(e);
    }
    t.rest = t.group;
    t.group = (struct entry_list){0};
    queue_give_back(q, &t);
    assert_string_equal(got, wanted);
}

static void test_small_entries_go_together(void **state)
{
    (void)state;
    struct journal_queue q = {0};
    for (uint64_t i = 1; i <= 4; i++)
        push(&q, i % 2 ? A : B, i, SMALL);
    assert_false(queue_wants_writer(&q));
    turn(&q, false, 3, "1 2 3 ");
    turn(&q, false, 99, "4 ");
    assert_false(queue_any(&q));
}

static void test_large_ones_wait_for_small_ones_of_others(void **state)
{
    (void)state;
    struct journal_queue q = {0};
    push(&q, A, 1, LARGE);
    push(&q, A, 2, SMALL);
    push(&q, A, 3, LARGE);
    push(&q, B, 4, SMALL);
    assert_true(queue_wants_writer(&q));
    turn(&q, true, 99, "4 ");
    push(&q, B, 5, SMALL);
    push(&q, A, 6, SMALL);
    turn(&q, true, 1, "1 ");  /* turns alternate */
    turn(&q, true, 99, "5 "); /* and what is behind a large one of its connection stays there */
    turn(&q, true, 99, "2 3 6 ");
    push(&q, A, 7, SMALL);
    assert_false(queue_wants_writer(&q));
    turn(&q, false, 99, "7 ");
    assert_false(queue_any(&q));
}

static void test_a_loop_puts_off_what_is_large(void **state)
{
    (void)state;
    struct journal_queue q = {0};
    push(&q, A, 1, LARGE);
    push(&q, B, 2, SMALL);
    turn(&q, false, 99, "2 ");
    turn(&q, false, 99, "");
    push(&q, B, 3, SMALL);
    turn(&q, false, 99, "3 ");
    assert_true(queue_wants_writer(&q));
    turn(&q, true, 99, "1 ");
    assert_false(queue_any(&q));
}

static void test_many_of_one_connection_count_together(void **state)
{
    (void)state;
    struct journal_queue q = {0};
    for (uint64_t i = 1; i <= 4; i++)
        push(&q, A, i, KIB(400));
    push(&q, B, 5, SMALL);
    turn(&q, true, 99, "1 2 5 ");
    turn(&q, true, 99, "3 4 ");
    assert_false(queue_any(&q));
}

static void test_many_small_ones_weigh_nothing(void **state)
{
    (void)state;
    struct journal_queue q = {0};
    for (uint64_t i = 0; i < 4000; i++)
        push(&q, i % 4 ? A : B, i, SMALL);
    assert_true(q.waiting.bytes > QUEUE_SHARE_BYTES);
    assert_false(queue_wants_writer(&q));
    struct queue_turn t;
    queue_take(&q, &t, true);
    assert_false(t.heavy || t.weighs);
    for (uint64_t i = 0; i < 4000; i++) {
        struct entry *e = queue_next(&q, &t);
        assert_int_equal(e->request, i);
        entry_free(e);
    }
    queue_give_back(&q, &t);
    assert_false(queue_any(&q));
}

static void test_a_connection_that_is_alone_is_not_held_up(void **state)
{
    (void)state;
    struct journal_queue q = {0};
    for (uint64_t i = 1; i <= 4; i++)
        push(&q, A, i, KIB(700));
    turn(&q, true, 3, "1 2 3 ");
    turn(&q, true, 99, "4 ");
    assert_false(queue_any(&q));
}

static void test_what_is_too_long_for_a_turn_keeps_its_place(void **state)
{
    (void)state;
    struct journal_queue q = {0};
    struct queue_turn t;
    push(&q, A, 1, SMALL);
    push(&q, A, 2, SMALL);
    push(&q, B, 3, SMALL);
    queue_take(&q, &t, false);
    queue_put_off(&q, &t, queue_next(&q, &t));
    struct entry *e = queue_next(&q, &t);
    assert_int_equal(e->request, 3);
    entry_free(e);
    assert_null(queue_next(&q, &t));
    queue_give_back(&q, &t);
    push(&q, A, 4, SMALL);
    turn(&q, false, 99, "");
    turn(&q, true, 99, "1 2 4 ");
    assert_false(queue_any(&q));
}

/* ---- a whole journal ---- */

static uint64_t order[8];
static unsigned n_done;
static sem_t done_one;

static void on_post(struct journal_client *c, struct entry_list *done)
{
    struct entry *e = NULL;
    (void)c;
    while ((e = entry_pop(done))) {
        order[n_done++] = e->request;
        entry_free(e);
        sem_post(&done_one);
    }
}

static void on_news(struct journal_client *c, const struct effects *fx)
{
    (void)c, (void)fx;
}

static void on_nudge(struct journal_client *c)
{
    (void)c;
}

static void on_fatal(const char *text)
{
    fprintf(stderr, "the store failed: %s\n", text);
    abort();
}

static void test_a_journal_writes_a_small_one_before_the_last_large_ones(void **state)
{
    (void)state;
    char path[512], err[512] = "";
    char *folder = tmpdir_new();
    struct store *store = NULL;
    struct state *st = NULL;
    struct journal *j = NULL;
    snprintf(path, sizeof path, "%s/store", folder);
    const struct store_options so = {.path = path, .memory_bytes = 64 << 20};
    if (store_open(&so, &store, err, sizeof err) != ST_OK || state_load(store, &st, err, sizeof err) != ST_OK)
        fail_msg("%s", err);
    const struct journal_options jo = {.store = store, .state = st, .fsync = FSYNC_NEVER, .fsync_interval_ms = 1000,
                                       .pending_bytes_max = 64 << 20, .pending_max = 1000, .data_path = folder,
                                       .fatal = on_fatal};
    assert_int_equal(journal_new(&jo, &j), ST_OK);
    owner = (struct journal_client){.post = on_post, .news = on_news, .nudge = on_nudge};
    journal_register(j, &owner);
    sem_init(&done_one, 0, 0);
    struct entry *all[] = {made(A, 1, LARGE), made(A, 2, LARGE), made(A, 3, LARGE), made(A, 4, LARGE),
                           made(B, 5, SMALL)};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        assert_true(journal_submit(j, &owner, all[i]));
    journal_turn(j, &owner, TURN_NEWS_FIRST);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sem_wait(&done_one);
    static const uint64_t wanted[] = {5, 1, 2, 3, 4};
    assert_memory_equal(order, wanted, sizeof wanted);
    journal_free(j);
    state_drop(st);
    store_close(store);
    tmpdir_remove(folder);
    sem_destroy(&done_one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_entries_go_together),
        cmocka_unit_test(test_large_ones_wait_for_small_ones_of_others),
        cmocka_unit_test(test_a_loop_puts_off_what_is_large),
        cmocka_unit_test(test_many_of_one_connection_count_together),
        cmocka_unit_test(test_many_small_ones_weigh_nothing),
        cmocka_unit_test(test_a_connection_that_is_alone_is_not_held_up),
        cmocka_unit_test(test_what_is_too_long_for_a_turn_keeps_its_place),
        cmocka_unit_test(test_a_journal_writes_a_small_one_before_the_last_large_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
