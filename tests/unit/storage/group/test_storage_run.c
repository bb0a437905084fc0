/* test_storage_run.c: compares runs with a simple model: a table of offsets, each with its state, attempt and due time.
 * Tests adding, clearing, waiting, splitting, isolating, and loading the rows that were written, with a window of
 * waiting runs so small that they are read again and again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage/group/run_rows.h"
#include "storage/group/waiting.h"
#include "tests/lib/prng.h"
#include "tests/lib/shell.h"

#define QUEUES 3
#define SPAN 3000
#define GT 77

struct cell {
    enum run_state state; /* 0: not there */
    uint32_t attempt;
    int64_t due_ms;
};

struct fixture {
    struct shell s;
    struct runs rs;
    struct prng p;
    struct cell cells[QUEUES][SPAN];
    uint64_t next[QUEUES];
};

/* The leased messages are found by place, the waiting ones are counted, and the first of them comes first. */
static void check(struct fixture *f)
{
    uint64_t leased = 0, waiting = 0;
    int64_t first_leased = INT64_MAX, first_waiting = INT64_MAX;
    for (uint32_t q = 0; q < QUEUES; q++) {
        for (uint64_t i = 0; i < SPAN; i++) {
            const struct cell *c = &f->cells[q][i];
            const struct run *r = run_find(&f->rs, q, i);
            assert_int_equal(r != NULL, c->state == RUN_LEASED);
            if (r)
                assert_true(r->state == RUN_LEASED && r->attempt == c->attempt && r->due_ms == c->due_ms);
            int64_t *first = c->state == RUN_LEASED ? &first_leased : &first_waiting;
            *first = c->state && c->due_ms < *first ? c->due_ms : *first;
            leased += c->state == RUN_LEASED;
            waiting += c->state == RUN_WAITING;
        }
    }
    assert_true(f->rs.n_leased == leased && f->rs.n_waiting == waiting);
    const struct run *l = run_first_leased(&f->rs);
    struct run *w = NULL;
    assert_int_equal(waiting_first(&f->rs, f->s.st, GT, &w), ST_OK);
    assert_true((l ? l->due_ms : INT64_MAX) == first_leased);
    assert_true((w ? w->due_ms : INT64_MAX) == first_waiting);
}

static void set_cells(struct fixture *f, const struct run *r)
{
    for (uint64_t i = 0; i < r->count; i++)
        if (run_has(r, r->base + i))
            f->cells[r->queue][r->base + i] = (struct cell){r->state, r->attempt, r->due_ms};
}

static void add(struct fixture *f)
{
    uint32_t q = (uint32_t)prng_below(&f->p, QUEUES), count = 1 + (uint32_t)prng_below(&f->p, 200);
    uint64_t bits[RUN_WORDS_MAX];
    if (f->next[q] + count > SPAN)
        return;
    for (uint32_t i = 0; i < RUN_WORDS_MAX; i++)
        bits[i] = prng_next(&f->p) | prng_next(&f->p);
    bits[0] |= 1;
    bool all = prng_below(&f->p, 2);
    struct run *r = run_add(&f->rs, q, f->next[q], count, RUN_LEASED, (struct run_past){1, 1}, (int64_t)prng_below(&f->p, 50),
                            all ? NULL : bits);
    assert_non_null(r);
    f->next[q] += count;
    set_cells(f, r);
}

/* Picks a leased message, starting at a random place. */
static struct run *pick(struct fixture *f, uint64_t *ret_offset)
{
    uint32_t q = (uint32_t)prng_below(&f->p, QUEUES);
    for (uint64_t i = prng_below(&f->p, SPAN); i < SPAN; i++) {
        if (f->cells[q][i].state != RUN_LEASED)
            continue;
        *ret_offset = i;
        return run_find(&f->rs, q, i);
    }
    return NULL;
}

static void wait_for(struct fixture *f, struct run *r)
{
    uint32_t attempt = r->attempt + (uint32_t)prng_below(&f->p, 2);
    int64_t due = (int64_t)prng_below(&f->p, 50);
    for (uint64_t i = 0; i < r->count; i++)
        if (run_has(r, r->base + i))
            f->cells[r->queue][r->base + i] = (struct cell){RUN_WAITING, attempt, due};
    assert_int_equal(run_wait(&f->rs, r, attempt, due), ST_OK);
}

static void change(struct fixture *f, struct run *r, uint64_t offset)
{
    switch (prng_below(&f->p, 5)) {
    case 0:
        f->cells[r->queue][offset].state = 0;
        run_clear(&f->rs, r, offset);
        break;
    case 1:
        wait_for(f, r);
        break;
    case 2:
        if (offset > r->base)
            r = run_split(&f->rs, r, offset);
        assert_true(r && r->base == offset);
        break;
    case 3:
        run_extend(&f->rs, r, (int64_t)prng_below(&f->p, 50));
        set_cells(f, r);
        break;
    default:
        r = run_isolate(&f->rs, r, offset);
        assert_true(r && r->live == 1 && run_has(r, offset));
        wait_for(f, r);
    }
}

/* Takes the first waiting run, or the front of it, and leases it again, as POP does. */
static void take_waiting(struct fixture *f)
{
    struct run *r = NULL;
    assert_int_equal(waiting_first(&f->rs, f->s.st, GT, &r), ST_OK);
    if (!r)
        return;
    uint32_t n = r->count > 1 && prng_below(&f->p, 2) ? 1 + (uint32_t)prng_below(&f->p, r->count - 1) : r->count;
    uint64_t bits[RUN_WORDS_MAX] = {0}, base = r->base;
    uint32_t queue = r->queue, attempt = r->attempt, live = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct cell *c = &f->cells[queue][base + i];
        assert_true(!run_has(r, base + i) ||
                    (c->state == RUN_WAITING && c->attempt == attempt && c->due_ms == r->due_ms));
        live += run_has(r, base + i);
        bits[i / 64] |= (uint64_t)run_has(r, base + i) << i % 64;
    }
    if (n == r->count)
        run_drop(&f->rs, r);
    else
        assert_int_equal(run_drop_before(&f->rs, r, base + n), ST_OK);
    if (live == 0)
        return;
    r = run_add(&f->rs, queue, base, n, RUN_LEASED, (struct run_past){attempt + 1, attempt + 1}, (int64_t)prng_below(&f->p, 50), bits);
    assert_non_null(r);
    set_cells(f, r);
}

static struct cursor_row *count_runs(struct fixture *f)
{
    static struct cursor_row row;
    row = (struct cursor_row){.n_queues = QUEUES};
    memcpy(row.next, f->next, sizeof(f->next));
    runs_count(&f->rs, f->s.st, GT, &row);
    return &row;
}

static void load_again(struct fixture *f)
{
    f->s.st->wait_window = 1 + (uint32_t)prng_below(&f->p, 6);
    const struct cursor_row *row = count_runs(f);
    runs_flush(&f->rs, f->s.st, GT);
    assert_true(f->rs.n_window <= f->s.st->wait_window);
    assert_int_equal(kv_write(f->s.st->kv, false, f->s.err, sizeof(f->s.err)), ST_OK);
    if (prng_below(&f->p, 2))
        return;
    runs_fini(&f->rs);
    assert_int_equal(runs_load(&f->rs, f->s.st, GT, row), ST_OK);
    assert_int_equal(f->rs.n_window, 0);
}

/* The window is as small as one run. */
static void against_cells(void **state)
{
    (void)state;
    static struct fixture f;
    shell_start(&f.s);
    f.p = prng_start();
    runs_init(&f.rs);
    for (int step = 0; step < 4000; step++) {
        uint64_t offset = 0;
        struct run *r = prng_below(&f.p, 20) == 0 ? NULL : pick(&f, &offset);
        if (prng_below(&f.p, 3) == 0)
            take_waiting(&f);
        else if (r)
            change(&f, r, offset);
        else
            add(&f);
        if (prng_below(&f.p, 60) == 0)
            load_again(&f);
        if (step % 50 == 0)
            check(&f);
    }
    load_again(&f);
    check(&f);
    runs_fini(&f.rs);
    shell_stop(&f.s);
}

/* If a part of a split has no live messages, it is dropped. */
static void split_off_nothing(void **state)
{
    (void)state;
    struct runs rs;
    uint64_t only_first[2] = {1, 0};
    runs_init(&rs);
    struct run *r = run_add(&rs, 0, 10, 100, RUN_LEASED, (struct run_past){1, 1}, 5, only_first);
    assert_null(run_split(&rs, r, 11));
    r = run_find(&rs, 0, 10);
    assert_true(r && r->count == 1 && rs.leased_runs == 1);
    uint64_t only_third = 4;
    r = run_add(&rs, 0, 200, 3, RUN_LEASED, (struct run_past){1, 1}, 5, &only_third);
    r = run_split(&rs, r, 202);
    assert_true(r && r->base == 202 && r->live == 1 && rs.leased_runs == 2);
    runs_fini(&rs);
}

/* Neighbours that begin to wait in one commit group, until the same time and after as many deliveries, become one. */
static void neighbours_wait_together(void **state)
{
    (void)state;
    static struct fixture f;
    shell_start(&f.s);
    runs_init(&f.rs);
    f.next[0] = COUNT_MAX + 1;
    assert_non_null(run_add(&f.rs, 0, 0, COUNT_MAX, RUN_LEASED, (struct run_past){1, 1}, 5, NULL));
    assert_non_null(run_add(&f.rs, 0, COUNT_MAX, 1, RUN_LEASED, (struct run_past){1, 1}, 5, NULL));
    for (uint64_t i = 0; i <= COUNT_MAX; i++) {
        uint64_t at = i * 5 % (COUNT_MAX + 1); /* in any order */
        struct run *r = run_isolate(&f.rs, run_find(&f.rs, 0, at), at);
        assert_int_equal(run_wait(&f.rs, r, 1, 70), ST_OK);
    }
    assert_true(f.rs.n_waiting == COUNT_MAX + 1 && f.rs.waiting_runs == 2 && f.rs.leased_runs == 0);
    runs_flush(&f.rs, f.s.st, GT);
    /* Those of the next group do not join them: this may not depend on what is in memory. */
    struct run *r = run_add(&f.rs, 0, COUNT_MAX + 1, 1, RUN_LEASED, (struct run_past){1, 1}, 5, NULL);
    assert_int_equal(run_wait(&f.rs, r, 1, 70), ST_OK);
    assert_int_equal(f.rs.waiting_runs, 3);
    runs_fini(&f.rs);
    shell_stop(&f.s);
}

#define BAD_ROWS 3

static void damaged_rows(void **state)
{
    (void)state;
    struct shell s;
    shell_start(&s);
    struct runs rs;
    struct run *r = NULL;
    runs_init(&rs);
    static struct cursor_row row = {.n_queues = 1, .next = {9}, .back = {8}, .leased = 1, .leased_runs = 1,
                                    .waiting = 1, .waiting_runs = 1};
    struct key key = key_run(GT, 0, 1), waiting = key_waiting(GT, 5, 0, 1, 0);
    static const uint8_t no_live[] = {1, 1, 1, 1, 5, 0, 0, 0, 0, 0, 0, 0, 0};
    struct slice bad[BAD_ROWS] = {SLICE_LIT(""), SLICE_LIT("\x02"), slice_of(no_live, sizeof(no_live))};
    for (size_t i = 0; i < BAD_ROWS; i++) {
        core_put(s.st, &key, bad[i]);
        core_put(s.st, &waiting, bad[i]);
        assert_int_equal(kv_write(s.st->kv, false, s.err, sizeof(s.err)), ST_OK);
        assert_int_equal(runs_load(&rs, s.st, GT, &row), ST_DAMAGED);
        assert_int_equal(waiting_first(&rs, s.st, GT, &r), ST_DAMAGED);
        assert_null(r);
        assert_int_equal(waiting_floor(&rs, s.st, GT).due_ms, 0);
        runs_fini(&rs);
    }
    core_del(s.st, &key); /* fewer rows than are counted */
    assert_int_equal(kv_write(s.st->kv, false, s.err, sizeof(s.err)), ST_OK);
    assert_int_equal(runs_load(&rs, s.st, GT, &row), ST_DAMAGED);
    runs_fini(&rs);
    shell_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_cells),
        cmocka_unit_test(split_off_nothing),
        cmocka_unit_test(neighbours_wait_together),
        cmocka_unit_test(damaged_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
