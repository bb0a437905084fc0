/* test_storage_run.c: compares runs with a simple model: a table of offsets, each with its state, attempt and due time.
 * Tests adding, clearing, moving, splitting, isolating, and loading the rows that were written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage/model/run.h"
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

static void check(struct fixture *f)
{
    uint64_t leased = 0, waiting = 0;
    int64_t first_leased = INT64_MAX, first_waiting = INT64_MAX;
    for (uint32_t q = 0; q < QUEUES; q++) {
        for (uint64_t i = 0; i < SPAN; i++) {
            const struct cell *c = &f->cells[q][i];
            const struct run *r = run_find(&f->rs, q, i);
            assert_int_equal(r != NULL, c->state != 0);
            if (!r)
                continue;
            assert_true(r->state == c->state && r->attempt == c->attempt && r->due_ms == c->due_ms);
            int64_t *first = c->state == RUN_LEASED ? &first_leased : &first_waiting;
            *first = c->due_ms < *first ? c->due_ms : *first;
            leased += c->state == RUN_LEASED;
            waiting += c->state == RUN_WAITING;
        }
    }
    assert_true(f->rs.n_leased == leased && f->rs.n_waiting == waiting);
    const struct run *l = run_first_due(&f->rs, RUN_LEASED), *w = run_first_due(&f->rs, RUN_WAITING);
    assert_true((l ? l->due_ms : INT64_MAX) == first_leased);
    assert_true((w ? w->due_ms : INT64_MAX) == first_waiting);
    assert_true(f->s.st->runs == f->rs.leased_runs + f->rs.waiting_runs);
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
    struct run *r = run_add(&f->rs, f->s.st, q, f->next[q], count, RUN_LEASED, 1,
                            (int64_t)prng_below(&f->p, 50), all ? NULL : bits);
    assert_non_null(r);
    f->next[q] += count;
    set_cells(f, r);
}

/* Picks a live message, starting at a random place. */
static struct run *pick(struct fixture *f, uint64_t *ret_offset)
{
    uint32_t q = (uint32_t)prng_below(&f->p, QUEUES);
    for (uint64_t i = prng_below(&f->p, SPAN); i < SPAN; i++) {
        if (!f->cells[q][i].state)
            continue;
        *ret_offset = i;
        return run_find(&f->rs, q, i);
    }
    return NULL;
}

static void change(struct fixture *f, struct run *r, uint64_t offset)
{
    enum run_state state = prng_below(&f->p, 2) ? RUN_LEASED : RUN_WAITING;
    uint32_t attempt = r->attempt + 1, queue = r->queue;
    int64_t due = (int64_t)prng_below(&f->p, 50);
    switch (prng_below(&f->p, 4)) {
    case 0:
        f->cells[queue][offset].state = 0;
        run_clear(&f->rs, f->s.st, r, offset);
        break;
    case 1:
        run_move(&f->rs, r, state, attempt, due);
        set_cells(f, r);
        break;
    case 2:
        if (offset > r->base)
            r = run_split(&f->rs, f->s.st, r, offset);
        assert_true(r && r->base == offset);
        break;
    default:
        r = run_isolate(&f->rs, f->s.st, r, offset);
        assert_true(r && r->live == 1 && run_has(r, offset));
        run_move(&f->rs, r, state, attempt, due);
        f->cells[queue][offset] = (struct cell){state, attempt, due};
    }
}

static void load_again(struct fixture *f)
{
    runs_flush(&f->rs, f->s.st, GT);
    assert_int_equal(kv_write(f->s.st->kv, false, f->s.err, sizeof(f->s.err)), ST_OK);
    if (prng_below(&f->p, 2))
        return;
    runs_fini(&f->rs, f->s.st);
    assert_int_equal(runs_load(&f->rs, f->s.st, GT), ST_OK);
}

static void against_cells(void **state)
{
    (void)state;
    static struct fixture f;
    shell_start(&f.s);
    f.p = prng_start();
    runs_init(&f.rs);
    for (int step = 0; step < 3000; step++) {
        uint64_t offset = 0;
        struct run *r = prng_below(&f.p, 20) == 0 ? NULL : pick(&f, &offset);
        if (r)
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
    runs_fini(&f.rs, f.s.st);
    assert_int_equal(f.s.st->runs, 0);
    shell_stop(&f.s);
}

/* If a part of a split has no live messages, it is dropped. */
static void split_off_nothing(void **state)
{
    (void)state;
    struct shell s;
    struct runs rs;
    uint64_t only_first[2] = {1, 0};
    shell_start(&s);
    runs_init(&rs);
    struct run *r = run_add(&rs, s.st, 0, 10, 100, RUN_LEASED, 1, 5, only_first);
    assert_null(run_split(&rs, s.st, r, 11));
    r = run_find(&rs, 0, 10);
    assert_true(r && r->count == 1 && rs.leased_runs == 1);
    uint64_t only_third = 4;
    r = run_add(&rs, s.st, 0, 200, 3, RUN_LEASED, 1, 5, &only_third);
    r = run_split(&rs, s.st, r, 202);
    assert_true(r && r->base == 202 && r->live == 1 && rs.leased_runs == 2);
    runs_fini(&rs, s.st);
    shell_stop(&s);
}

static void damaged_rows(void **state)
{
    (void)state;
    struct shell s;
    shell_start(&s);
    struct runs rs;
    runs_init(&rs);
    struct key key = key_run(GT, 0, 1);
    static const uint8_t no_live[] = {1, 1, 1, 1, 5, 0, 0, 0, 0, 0, 0, 0, 0};
    struct slice bad[] = {SLICE_LIT(""), SLICE_LIT("\x02"), slice_of(no_live, sizeof(no_live))};
    for (size_t i = 0; i < 3; i++) {
        core_put(s.st, &key, bad[i]);
        assert_int_equal(kv_write(s.st->kv, false, s.err, sizeof(s.err)), ST_OK);
        assert_int_equal(runs_load(&rs, s.st, GT), ST_IO);
        runs_fini(&rs, s.st);
    }
    shell_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_cells),
        cmocka_unit_test(split_off_nothing),
        cmocka_unit_test(damaged_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
