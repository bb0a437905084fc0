/* test_storage_part.c: tests parts of records for streams: exactly the granted messages, in valid records, in the order
 * of the queue; and plain readers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/batch.h"
#include "tests/lib/prng.h"
#include "tests/lib/shell.h"

#define QUEUES 10 /* more than places in a view */
#define OFFSETS 4000

/* The messages that were received in parts. */
struct heap {
    bool seen[QUEUES][OFFSETS];
    uint32_t n, parts, most; /* stop after so many parts; 0: never */
    size_t largest;
};

static bool is_set(const uint64_t *bits, uint64_t i)
{
    return !bits || ((bits[i / 64] >> (i % 64)) & 1);
}

/* Collects a part. Bodies are "queue:offset", so that it can check them. */
static bool collect(void *arg, const struct part *p)
{
    struct heap *heap = arg;
    struct buf cut;
    struct record_header h;
    buf_init(&cut, 0);
    assert_int_equal(record_cut(p->record, p->h, p->from, p->n, &cut), ST_OK);
    assert_int_equal(record_verify(buf_slice(&cut), &h), ST_OK);
    assert_true(h.count == p->n && h.base == p->h->base + p->from);
    assert_true(cut.len <= PART_BYTES_MAX || p->n == 1);
    heap->largest = cut.len > heap->largest ? cut.len : heap->largest;
    uint32_t meant = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        struct message m;
        unsigned queue = 0, offset = 0;
        char body[32] = "";
        assert_int_equal(record_message(buf_slice(&cut), &h, i, &m), ST_OK);
        memcpy(body, m.body.data, m.body.len < 31 ? m.body.len : 31);
        assert_int_equal(sscanf(body, "%u:%u", &queue, &offset), 2);
        assert_int_equal(offset, h.base + i);
        assert_true(!p->grant || p->grant->queue == queue);
        if (!is_set(p->bits, i))
            continue;
        assert_false(heap->seen[queue][offset]);
        heap->seen[queue][offset] = true;
        meant++;
    }
    assert_int_equal(meant, p->n_granted);
    assert_true(p->bits ? meant < p->n : meant == p->n);
    heap->n += meant;
    buf_free(&cut);
    return ++heap->parts != heap->most;
}

static uint32_t ends[QUEUES];
static struct record_cache *records; /* kept from view to view, for one store */

static void add_batch(struct shell *s, uint32_t queue, uint32_t n, size_t bytes)
{
    struct batch b;
    char topic_queue[8];
    uint8_t *body = calloc(1, bytes + 32);
    assert_non_null(body);
    batch_init(&b);
    for (uint32_t i = 0; i < n; i++) {
        int len = snprintf((char *)body, 32, "%u:%u ", queue, ends[queue]++);
        batch_add(&b, (struct message){.body = slice_of(body, (size_t)len + bytes)});
    }
    (void)snprintf(topic_queue, sizeof(topic_queue), "%u", queue);
    struct slice words[] = {SLICE_LIT("PRODUCE"), SLICE_LIT("t"), batch_end(&b), SLICE_LIT("QUEUE"),
                            slice_str(topic_queue)};
    shell_add_words(s, words, 5);
    batch_free(&b);
    free(body);
}

static void start(struct shell *s)
{
    memset(ends, 0, sizeof(ends));
    record_cache_empty(records);
    shell_do(s, "TOPIC CREATE t QUEUES %d", QUEUES);
    shell_do(s, "GROUP CREATE g t");
}

/* Checks that the parts for the i-th command of the open group have exactly its granted messages. */
static void expect_grants(struct shell *s, uint32_t i)
{
    static struct heap heap;
    const struct outcome *out = shell_outcome(s, i);
    struct granted done;
    uint32_t n = 0;
    for (int i_view = 0; i_view < 3; i_view++) { /* without records that are kept, then with them */
        struct view *v = view_open(s->store);
        view_keep_records(v, i_view ? records : NULL);
        for (int again = 0; again < 2; again++) { /* the second time it goes back to where it was */
            heap = (struct heap){0};
            assert_int_equal(query_grant_parts(v, out, collect, &heap, &done), ST_OK);
        }
        view_close(v);
    }
    for (uint32_t k = 0; k < out->n_grants; k++) {
        const struct grant *g = &out->grants[k];
        for (uint32_t o = 0; o < g->count; o++) {
            n += is_set(g->bits, o);
            if (is_set(g->bits, o))
                assert_true(heap.seen[g->queue][g->base + o]);
        }
    }
    assert_int_equal(heap.n, n);
}

static void grants_of_any_shape(void **state)
{
    struct shell *s = *state;
    struct prng p = prng_start();
    start(s);
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 3; i++) {
            uint32_t queue = (uint32_t)prng_below(&p, QUEUES);
            if (prng_below(&p, 2))
                add_batch(s, queue, 1 + (uint32_t)prng_below(&p, 90), prng_below(&p, 50));
            for (uint64_t n = prng_below(&p, 4); n > 0; n--, ends[queue]++)
                shell_add(s, "SEND t %u:%u QUEUE %u", queue, ends[queue], queue);
        }
        assert_true(shell_write(s));
        uint32_t pop = shell_add(s, "POP g t COUNT %u LEASE 50", 1 + (uint32_t)prng_below(&p, 300));
        expect_grants(s, pop);
        assert_true(shell_write(s));
        char line[200];
        for (int i = 0; i < 12; i++) { /* makes holes of any length for the next round */
            uint32_t queue = (uint32_t)prng_below(&p, QUEUES), at = (uint32_t)prng_below(&p, ends[queue] + 1);
            (void)snprintf(line, sizeof(line), "ACK g t:%u:%u-%u#%u", queue, at,
                           at + (uint32_t)prng_below(&p, 30), 1 + (uint32_t)prng_below(&p, 4));
            shell_do(s, "%s", line);
        }
        shell_pass(s, (int64_t)prng_below(&p, 60));
    }
}

/* A short gap is sent as a part of the record, a long one is left out. */
static void gaps(void **state)
{
    struct shell *s = *state;
    static struct heap heap;
    start(s);
    add_batch(s, 0, 200, 0);
    assert_true(shell_write(s));
    shell_do(s, "POP g t COUNT 200 LEASE 50");
    shell_expect(s, "99", "ACK g t:0:1-99#1");
    shell_expect(s, "5", "ACK g t:0:110-114#1");
    shell_pass(s, 50);
    uint32_t pop = shell_add(s, "POP g t COUNT 200");
    heap = (struct heap){0};
    struct granted done;
    struct view *v = view_open(s->store);
    assert_int_equal(query_grant_parts(v, shell_outcome(s, pop), collect, &heap, &done), ST_OK);
    view_close(v);
    assert_true(shell_write(s));
    assert_int_equal(heap.n, 96);
    assert_int_equal(heap.parts, 2);
}

static void large_records_come_in_parts(void **state)
{
    struct shell *s = *state;
    static struct heap heap;
    start(s);
    add_batch(s, 1, 60, 100000);
    assert_true(shell_write(s));
    add_batch(s, 1, 1, PART_BYTES_MAX);
    assert_true(shell_write(s));
    uint32_t pop = shell_add(s, "POP g t COUNT 61");
    expect_grants(s, pop);
    assert_true(shell_write(s));
    heap = (struct heap){0};
    struct reader r = {.topic = SLICE_LIT("t"), .queue = 1};
    struct view *v = view_open(s->store);
    bool end = false;
    assert_int_equal(reader_parts(&r, v, collect, &heap, &end), ST_OK);
    assert_true(end && heap.n == 61 && r.next == 61 && heap.parts == 7);
    assert_true(heap.largest > PART_BYTES_MAX); /* a single message cannot be cut */
    view_close(v);
}

static void readers(void **state)
{
    struct shell *s = *state;
    static struct heap heap;
    start(s);
    add_batch(s, 2, 50, 0);
    assert_true(shell_write(s));
    add_batch(s, 2, 50, 0);
    assert_true(shell_write(s));
    heap = (struct heap){.most = 1};
    struct reader r = {.topic = SLICE_LIT("t"), .queue = 2, .next = 20};
    bool end = true;
    struct view *v = view_open(s->store);
    assert_int_equal(reader_parts(&r, v, collect, &heap, &end), ST_OK);
    assert_true(!end && heap.n == 30 && r.next == 50 && !heap.seen[2][19]);
    assert_int_equal(reader_parts(&r, v, collect, &heap, &end), ST_OK);
    assert_true(end && heap.n == 80 && r.next == 100);
    assert_int_equal(reader_parts(&r, v, collect, &heap, &end), ST_OK);
    assert_true(end && heap.n == 80);
    view_close(v);

    r.queue = QUEUES;
    v = view_open(s->store);
    assert_int_equal(reader_open(&r, v), ST_ERR);
    r.queue = 2;
    r.topic = SLICE_LIT("u");
    assert_int_equal(reader_open(&r, v), ST_NOTOPIC);
    view_close(v);
    r.topic = SLICE_LIT("t");
    shell_do(s, "TOPIC PURGE t");
    r.next = 0;
    v = view_open(s->store);
    assert_int_equal(reader_parts(&r, v, collect, &heap, &end), ST_OK);
    assert_true(end && r.next == 100);
    view_close(v);
    shell_do(s, "TOPIC DELETE t");
    shell_do(s, "TOPIC CREATE t"); /* another one of the same name */
    v = view_open(s->store);
    assert_int_equal(reader_parts(&r, v, collect, &heap, &end), ST_NOTOPIC);
    view_close(v);
}

/* TAKE delivers like POP, but does not create a group. */
static void take_makes_no_group(void **state)
{
    struct shell *s = *state;
    struct slice topics[] = {SLICE_LIT("t")};
    struct command cmd = {.info = command_info(CMD_TAKE), .n_pos = 1, .n_rest = 1, .pos = {SLICE_LIT("g")},
                          .rest = topics};
    struct stamp stamp = {.now_ms = s->now_ms, .policy = &s->policy};
    static const char *const said[] = {"-NOTOPIC", "-NOGROUP", "", "-NOGROUP"};
    for (int i = 0; i < 4; i++) {
        struct outcome out;
        struct buf text;
        outcome_init(&out);
        buf_init(&text, 0);
        stamp.index = ++s->index;
        state_apply(s->st, &stamp, &cmd, &out);
        if (out.n_grants == 0)
            shell_render(&text, buf_slice(&out.reply), false);
        buf_put_u8(&text, 0);
        assert_string_equal((const char *)text.data, said[i]);
        outcome_free(&out);
        buf_free(&text);
        assert_true(shell_write(s));
        static const char *const next[] = {"SEND t a", "GROUP CREATE g t", "GROUP DELETE g", "GROUP LIST"};
        const char *answer = shell_do(s, "%s", next[i]);
        assert_true(answer[0] != '-');
        if (i == 2)
            assert_int_equal(s->fx.keys[0], news_key(NEWS_GONE, SLICE_LIT("g"), SLICE_LIT("t")));
    }
    shell_expect(s, "[]", "GROUP LIST");
    shell_do(s, "TOPIC DELETE t");
    assert_int_equal(s->fx.keys[s->fx.n_keys - 1], news_key(NEWS_GONE, SLICE_LIT("t"), slice_of(NULL, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(grants_of_any_shape), SHELL_TEST(gaps),
        SHELL_TEST(large_records_come_in_parts), SHELL_TEST(readers),
        SHELL_TEST(take_makes_no_group),
    };
    records = record_cache_new();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    record_cache_free(records);
    return failed;
}
