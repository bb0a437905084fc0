/*
 * test_storage_lost.c: records that cannot be read. READ and GET say which messages are lost and where to go on, groups
 * and streams go on behind them, and each record is told once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "storage/model/topic.h"
#include "tests/lib/shell.h"

/* Three records in t:0: offsets 0..1, 2..4 and 5. */
static void three_records(struct shell *s)
{
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    shell_do(s, "MSEND t a b");
    shell_do(s, "MSEND t c d e");
    shell_do(s, "SEND t f KEY k");
}

static uint64_t id_of(struct shell *s, const char *name)
{
    struct topic *t = NULL;
    assert_int_equal(topic_get(s->st, slice_str(name), &t), ST_OK);
    return t->id;
}

/* Overwrites a record, or the directory's row of one, with other bytes. */
static void put_bytes(struct shell *s, enum kv_family f, struct key key, struct slice bytes)
{
    kv_put(s->st->kv, f, key_slice(&key), bytes);
    assert_int_equal(kv_write(s->st->kv, true, s->err, sizeof(s->err)), ST_OK);
}

static void lose(struct shell *s, uint64_t base)
{
    put_bytes(s, KV_LOG, key_log(id_of(s, "t"), 0, base), SLICE_LIT("not a record"));
}

static void lose_row(struct shell *s, uint64_t base)
{
    put_bytes(s, KV_STATE, key_directory(id_of(s, "t"), 0, base), SLICE_LIT("not a row"));
}

static void says(struct shell *s, const char *want, const char *line)
{
    s->full = true;
    const char *said = shell_do(s, "%s", line);
    if (!strstr(said, want))
        fail_msg("%s answers %s, not %s", line, said, want);
    s->full = false;
}

static void read_and_get_say_what_is_lost(void **state)
{
    struct shell *s = *state;
    three_records(s);
    lose(s, 2);
    shell_expect(s, "[t:0:0=a t:0:1=b]", "READ t 0 0 COUNT 9"); /* what can be read before it */
    for (int i = 0; i < 2; i++)
        says(s, "-DAMAGED t:0:2-4 cannot be read: the first offset behind it is 5", "READ t 0 2 COUNT 9");
    says(s, "-DAMAGED t:0:2-4 ", "READ t 0 3");
    says(s, "-DAMAGED t:0:2-4 ", "GET t:0:4");
    shell_expect(s, "[t:0:5=f]", "READ t 0 5 COUNT 9");
    shell_expect(s, "t:0:1=b", "GET t:0:1");
    assert_int_equal(store_damaged(s->store), 1);
}

static void without_its_row_the_next_record_ends_it(void **state)
{
    struct shell *s = *state;
    three_records(s);
    lose(s, 2);
    lose_row(s, 2);
    says(s, "-DAMAGED t:0:2-4 ", "READ t 0 2");
    says(s, "-DAMAGED t:0:3-4 ", "GET t:0:3");
    assert_int_equal(store_damaged(s->store), 1); /* the same one */
}

/* The next readable record is looked for in steps that double, and then between the last two. */
static void many_in_a_row_without_their_rows(void **state)
{
    struct shell *s = *state;
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    for (int i = 0; i < 13; i++)
        shell_do(s, "SEND t a");
    for (uint64_t base = 2; base < 10; base++) {
        lose(s, base);
        lose_row(s, base);
    }
    says(s, "-DAMAGED t:0:2-9 cannot be read: the first offset behind it is 10", "READ t 0 2");
    shell_expect(s, "[t:0:10=a]", "READ t 0 10");
    for (uint64_t base = 10; base < 13; base++) {
        lose(s, base);
        lose_row(s, base);
    }
    says(s, "-DAMAGED t:0:3-12 ", "READ t 0 3"); /* nothing behind it can be read */
    says(s, "-DAMAGED a row of the store", "READ t 0 13"); /* nobody knows whether it is behind the end */
}

/* Nothing behind it can be read either, but the directory's last row says where the queue ends. */
static void the_directory_ends_it(void **state)
{
    struct shell *s = *state;
    three_records(s);
    lose(s, 2);
    lose(s, 5);
    lose_row(s, 2);
    says(s, "-DAMAGED t:0:3-5 cannot be read: the first offset behind it is 6", "READ t 0 3");
    shell_expect(s, "[]", "READ t 0 6");
    shell_reopen(s);
    shell_expect(s, "t:0:6", "SEND t g");
    shell_expect(s, "[t:0:6=g]", "READ t 0 6");
}

static bool no_part(void *arg, const struct part *p)
{
    (void)arg;
    (void)p;
    return true;
}

/* As where the index of a table is damaged: each read fails, wherever in the queue it is, also behind its end. Nobody may go on
 * offset by offset then, as there is no last one. */
static void damage_without_an_end(void **state)
{
    struct shell *s = *state;
    three_records(s);
    shell_reopen(s);
    struct reader reader = {.topic = SLICE_LIT("t"), .topic_id = id_of(s, "t"), .queue = 0, .next = 1};
    struct view *v = view_open(s->store);
    assert_non_null(v);
    kv_fault(s->st->kv, KV_OP_ITER_DAMAGE, -1);
    says(s, "-DAMAGED a row of the store is damaged", "READ t 0 3");
    says(s, "-DAMAGED t:0:3-3 ", "GET t:0:3");
    bool end = false;
    assert_int_equal(reader_parts(&reader, v, no_part, NULL, &end), ST_DAMAGED);
    assert_int_equal(reader.next, 1);
    kv_fault(s->st->kv, KV_OP_ITER_DAMAGE, 0);
    view_close(v);
    shell_expect(s, "[t:0:5=f]", "READ t 0 5");
}

/* The row of the first record is lost, with the bytes up to there: no byte is counted twice. */
static void bytes_of_a_queue(void **state)
{
    struct shell *s = *state;
    three_records(s);
    int64_t bytes = shell_field(shell_do(s, "TOPIC INFO t"), "bytes");
    lose_row(s, 0);
    assert_int_equal(shell_field(shell_do(s, "TOPIC INFO t"), "bytes"), bytes);
}

static void the_last_record_is_lost(void **state)
{
    struct shell *s = *state;
    three_records(s);
    lose(s, 5);
    says(s, "-DAMAGED t:0:5-5 ", "READ t 0 5");
    shell_expect(s, "[]", "READ t 0 6"); /* behind the end there is nothing to lose */
    shell_expect(s, "null", "GET t:0:6");
    says(s, "-DAMAGED t:0:5-5 cannot be read: FIND with TO ", "FIND t KEY k");
    shell_reopen(s);
    shell_expect(s, "t:0:6", "SEND t g"); /* no id is given twice */
    shell_expect(s, "[t:0:6=g]", "READ t 0 6");
}

static void a_record_at_the_wrong_place_is_lost(void **state)
{
    struct shell *s = *state;
    struct buf record;
    buf_init(&record, 0);
    three_records(s);
    struct key other = key_log(id_of(s, "t"), 0, 0);
    assert_int_equal(kv_get(s->st->kv, KV_LOG, NULL, key_slice(&other), &record), ST_OK);
    put_bytes(s, KV_LOG, key_log(id_of(s, "t"), 0, 2), buf_slice(&record));
    says(s, "-DAMAGED t:0:2-4 ", "READ t 0 2");
    says(s, "-DAMAGED t:0:2-4 ", "GET t:0:2");
    buf_free(&record);
}

static void a_missing_record_is_lost(void **state)
{
    struct shell *s = *state;
    three_records(s);
    struct key key = key_log(id_of(s, "t"), 0, 2);
    kv_del(s->st->kv, KV_LOG, key_slice(&key));
    assert_int_equal(kv_write(s->st->kv, true, s->err, sizeof(s->err)), ST_OK);
    says(s, "-DAMAGED t:0:2-4 ", "READ t 0 2");
    says(s, "-DAMAGED t:0:2-4 ", "GET t:0:3");
    shell_do(s, "TOPIC PURGE t"); /* but what was purged is gone */
    shell_expect(s, "null", "GET t:0:3");
    shell_expect(s, "[]", "READ t 0 0");
}

static void pop_leaves_out_what_is_lost(void **state)
{
    struct shell *s = *state;
    three_records(s);
    lose(s, 2);
    shell_expect(s, "[t:0:0#1=a t:0:1#1=b t:0:5#1=f]", "POP g t COUNT 9");
    shell_expect(s, "[]", "POP g t");
    shell_reopen(s);
    lose_row(s, 2);
    shell_expect(s, "[t:0:0#1=a t:0:1#1=b t:0:5#1=f]", "POP h t COUNT 9");
}

/* SKIP acknowledges what is leased, and counts it apart. */
static void skipped_messages_are_done_with(void **state)
{
    struct shell *s = *state;
    three_records(s);
    shell_do(s, "GROUP CREATE g t LEASE 1s");
    shell_do(s, "POP g t COUNT 4");
    shell_expect(s, "OK", "SKIP g t:0:2-4#1 t:0:0#9 u:0:0#1");
    assert_int_equal(state_tally(s->st)->messages_skipped, 2);
    assert_int_equal(state_tally(s->st)->messages_acked, 0);
    shell_reopen(s);
    shell_pass(s, 2000);
    shell_expect(s, "[t:0:0#2=a t:0:1#2=b t:0:4#1=e t:0:5#1=f]", "POP g t COUNT 9");
}

/* What cannot be read cannot be kept as a dead letter either; the group goes on. */
static void a_lost_message_is_no_dead_letter(void **state)
{
    struct shell *s = *state;
    three_records(s);
    shell_do(s, "GROUP CREATE g t ATTEMPTS 1 LEASE 1s");
    shell_do(s, "POP g t COUNT 9");
    lose(s, 2);
    shell_expect(s, "OK", "REJECT g t:0:3#1");
    shell_pass(s, 2000);
    shell_pass(s, 2000);
    shell_expect(s, "[%DLQ%g:0:0=a %DLQ%g:0:1=b %DLQ%g:0:2=f]", "READ %%DLQ%%g 0 0 COUNT 9");
    shell_expect(s, "[]", "POP g t");
}

static bool take_body(void *arg, struct slice body)
{
    buf_put_slice(arg, body);
    return true;
}

static void subscribers_go_on(void **state)
{
    struct shell *s = *state;
    struct follower f;
    struct buf seen;
    buf_init(&seen, 0);
    shell_do(s, "TOPIC CREATE t QUEUES 1");
    struct view *v = view_open(s->store);
    assert_int_equal(follower_init(&f, v, SLICE_LIT("t")), ST_OK);
    view_close(v);
    three_records(s);
    lose(s, 2);
    v = view_open(s->store);
    assert_false(follower_read(&f, v, SLICE_LIT("t"), MIB(1), take_body, &seen));
    assert_true(slice_equal(buf_slice(&seen), SLICE_LIT("abf")));
    assert_int_equal(f.next[0], 6);
    view_close(v);
    follower_fini(&f);
    buf_free(&seen);
}

static bool take_part(void *arg, const struct part *p)
{
    buf_printf(arg, "%llu+%u ", (unsigned long long)p->h->base + p->from, p->n);
    return true;
}

static void streams_go_on(void **state)
{
    struct shell *s = *state;
    struct buf seen;
    buf_init(&seen, 0);
    three_records(s);
    lose(s, 2);
    struct view *v = view_open(s->store);
    struct reader r = {.topic = SLICE_LIT("t")};
    bool end = false;
    assert_int_equal(reader_parts(&r, v, take_part, &seen, &end), ST_OK);
    assert_true(end && r.next == 6);
    assert_true(slice_equal(buf_slice(&seen), SLICE_LIT("0+2 5+1 ")));
    buf_reset(&seen, 0);
    view_close(v);
    uint32_t pop = shell_add(s, "POP g t COUNT 9");
    v = view_open(s->store);
    struct granted done;
    const struct lost *lost = NULL;
    assert_int_equal(query_grant_parts(v, shell_outcome(s, pop), take_part, &seen, &done), ST_OK);
    assert_true(slice_equal(buf_slice(&seen), SLICE_LIT("0+2 5+1 ")));
    assert_int_equal(view_lost(v, &lost), 1);
    assert_true(lost->first == 2 && lost->last == 4);
    view_close(v);
    assert_true(shell_write(s));
    buf_free(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(read_and_get_say_what_is_lost),
        SHELL_TEST(without_its_row_the_next_record_ends_it), SHELL_TEST(many_in_a_row_without_their_rows),
        SHELL_TEST(the_directory_ends_it), SHELL_TEST(damage_without_an_end),
        SHELL_TEST(bytes_of_a_queue),
        SHELL_TEST(the_last_record_is_lost),
        SHELL_TEST(a_record_at_the_wrong_place_is_lost),
        SHELL_TEST(a_missing_record_is_lost),
        SHELL_TEST(pop_leaves_out_what_is_lost),
        SHELL_TEST(skipped_messages_are_done_with),
        SHELL_TEST(a_lost_message_is_no_dead_letter),
        SHELL_TEST(subscribers_go_on),
        SHELL_TEST(streams_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
