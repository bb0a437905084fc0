/*
 * test_storage_seek_random.c: a group that is moved about at random, by all queues, by one, by time, with leases out and
 * messages that wait for a retry, ORDERED or not, over restarts; compared with a table of what became of each message.
 *
 *   never twice   an attempt number of a message that came before never comes again
 *   all, and once what is not acknowledged from the target of the last SEEK on comes, until it is
 *   dead          after ATTEMPTS deliveries since the SEEK, and not before
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/prng.h"
#include "tests/lib/shell.h"

#define QUEUES 3
#define SPAN 400
#define STEPS 1500
#define ATTEMPTS 3

enum cell_state { FRESH, LEASED, WAITING, DONE };

struct cell {
    enum cell_state state;
    uint32_t attempt;   /* the highest that came, ever */
    uint32_t delivered; /* since the SEEK */
    int64_t due_ms, stored_ms;
};

static struct world {
    struct shell *s;
    struct prng p;
    struct cell cells[QUEUES][SPAN];
    uint32_t end[QUEUES], dead;
    uint32_t high[QUEUES]; /* what is behind was never passed: it begins with attempt 1 */
    bool ordered, was_ordered;
} w;

static uint32_t below(uint64_t n)
{
    return (uint32_t)prng_below(&w.p, n);
}

static void one_is_sent(void)
{
    unsigned q = 0, o = 0;
    const char *said = shell_do(w.s, below(2) ? "SEND t m QUEUE %u" : "SEND t m ORDER k%u", below(QUEUES));
    assert_int_equal(sscanf(said, "t:%u:%u", &q, &o), 2);
    assert_true(o == w.end[q] && o < SPAN);
    w.cells[q][w.end[q]++] = (struct cell){.state = FRESH, .stored_ms = w.s->now_ms};
}

static void came(uint32_t q, uint64_t offset, uint32_t attempt, int64_t until_ms)
{
    struct cell *c = &w.cells[q][offset];
    assert_true(offset < w.end[q] && attempt > c->attempt);
    assert_true(offset < w.high[q] || attempt == 1 || w.was_ordered); /* the cursor may have passed it over */
    w.high[q] = offset < w.high[q] ? w.high[q] : (uint32_t)offset + 1;
    bool due = c->state == WAITING && (c->due_ms <= w.s->now_ms || w.was_ordered);
    bool over = c->state == LEASED && c->due_ms <= w.s->now_ms && c->delivered < ATTEMPTS;
    assert_true(c->state == FRESH || due || over);
    *c = (struct cell){LEASED, attempt, c->delivered + 1, until_ms, c->stored_ms};
}

static void some_are_popped(void)
{
    uint32_t at = shell_add(w.s, "POP g t COUNT %u LEASE %u", 1 + below(30), 1 + below(500));
    const struct outcome *out = shell_outcome(w.s, at);
    for (uint32_t i = 0; i < out->n_grants; i++) {
        const struct grant *g = &out->grants[i];
        for (uint32_t k = 0; k < g->count; k++)
            if (g->bits[k / 64] >> (k % 64) & 1)
                came(g->queue, g->base + k, g->attempt, g->lease_until_ms);
    }
    assert_true(shell_write(w.s));
}

/* Ends leases that are over, as the store does by itself. */
static void leases_end(void)
{
    for (uint32_t q = 0; q < QUEUES; q++)
        for (uint32_t o = 0; o < w.end[q]; o++) {
            struct cell *c = &w.cells[q][o];
            if (c->state != LEASED || c->due_ms > w.s->now_ms)
                continue;
            bool dies = c->delivered >= ATTEMPTS;
            w.dead += dies;
            c->state = dies ? DONE : WAITING;
            c->due_ms = w.s->now_ms;
        }
}

static void time_passes(void)
{
    shell_pass(w.s, below(4) ? below(20) : below(700));
    leases_end();
}

static void one_ends(void)
{
    uint32_t q = below(QUEUES), o = w.end[q] ? below(w.end[q]) : 0;
    for (uint32_t n = 0; n < w.end[q] && w.cells[q][o].state != LEASED; n++)
        o = (o + 1) % w.end[q];
    struct cell *c = &w.cells[q][o];
    bool holds = o < w.end[q] && c->state == LEASED;
    uint32_t attempt = c->attempt ? c->attempt : 1;
    if (below(2)) {
        shell_expect(w.s, holds ? "1" : "0", "ACK g t:%u:%u#%u", q, o, attempt);
        c->state = holds ? DONE : c->state;
        return;
    }
    int64_t pause = below(2) ? 0 : below(300);
    const char *said = shell_do(w.s, "NACK g t:%u:%u#%u DELAY %lld", q, o, attempt, (long long)pause);
    assert_string_equal(said, holds ? "OK" : "-STALE");
    if (!holds)
        return;
    bool dies = c->delivered >= ATTEMPTS;
    w.dead += dies;
    c->state = dies ? DONE : WAITING;
    c->due_ms = w.s->now_ms + pause;
}

static void queue_moves(uint32_t q, uint32_t to)
{
    w.high[q] = to > w.high[q] ? to : w.high[q];
    for (uint32_t o = 0; o < w.end[q]; o++) {
        w.cells[q][o].state = o < to ? DONE : FRESH;
        w.cells[q][o].delivered = 0;
    }
}

static uint32_t first_at(uint32_t q, int64_t time_ms)
{
    uint32_t o = 0;
    while (o < w.end[q] && w.cells[q][o].stored_ms < time_ms)
        o++;
    return o;
}

static void the_group_is_moved(void)
{
    uint32_t q = below(QUEUES), to = below(w.end[q] + 1);
    int64_t time_ms = w.s->now_ms - 3000 + below(3500);
    switch (below(4)) {
    case 0:
        shell_expect(w.s, "OK", "GROUP SEEK g t %lld", (long long)time_ms);
        for (q = 0; q < QUEUES; q++)
            queue_moves(q, time_ms > w.s->now_ms ? w.end[q] : first_at(q, time_ms));
        return;
    case 1:
        shell_expect(w.s, "OK", below(2) ? "GROUP SEEK g t earliest" : "GROUP SEEK g t 1");
        for (q = 0; q < QUEUES; q++)
            queue_moves(q, 0);
        return;
    default:
        shell_expect(w.s, "OK", "GROUP SEEK g t QUEUE %u OFFSET %u", q, to);
        queue_moves(q, to);
    }
}

static void it_is_switched(void)
{
    w.ordered = !w.ordered;
    w.was_ordered = true;
    shell_expect(w.s, "OK", w.ordered ? "GROUP SET g t ORDERED" : "GROUP SET g t ORDERED no");
}

static void all_is_counted(void)
{
    uint64_t ready = 0, inflight = 0, delayed = 0;
    for (uint32_t q = 0; q < QUEUES; q++)
        for (uint32_t o = 0; o < w.end[q]; o++) {
            const struct cell *c = &w.cells[q][o];
            ready += c->state == FRESH || (c->state == WAITING && c->due_ms <= w.s->now_ms);
            delayed += c->state == WAITING && c->due_ms > w.s->now_ms;
            inflight += c->state == LEASED;
        }
    const char *said = shell_do(w.s, "LAG g");
    assert_int_equal(shell_field(said, "lag"), ready + inflight + delayed);
    assert_int_equal(shell_field(said, "inflight"), inflight);
    assert_int_equal(shell_field(said, "dead"), w.dead);
    if (!w.was_ordered) /* which takes pauses from those behind others */
        assert_int_equal(shell_field(said, "ready"), ready);
}

static void history(bool ordered)
{
    shell_expect(w.s, "OK", "TOPIC CREATE t QUEUES %d", QUEUES);
    shell_expect(w.s, "OK", "GROUP CREATE g t ATTEMPTS %d", ATTEMPTS);
    for (int i = 0; i < STEPS; i++) {
        uint32_t what = below(40);
        if (what < 10)
            one_is_sent();
        else if (what < 18)
            some_are_popped();
        else if (what < 30)
            one_ends();
        else if (what < 34)
            time_passes();
        else if (what < 37)
            the_group_is_moved();
        else if (what == 37 && ordered)
            it_is_switched();
        else if (what == 38)
            shell_reopen(w.s);
        w.s->st->wait_window = 3;
        all_is_counted();
    }
}

static void moved_about(void **state)
{
    w = (struct world){.s = *state, .p = prng_start()};
    history(false);
}

static void moved_about_and_ordered(void **state)
{
    w = (struct world){.s = *state, .p = prng_start()};
    history(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {SHELL_TEST(moved_about), SHELL_TEST(moved_about_and_ordered)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
