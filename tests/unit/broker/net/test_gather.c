/* test_gather.c: how long a loop waits for the ACKs of ORDERED groups' streams (broker/net/gather.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>

#include "broker/net/gather.h"

#define SOME_NS INT64_C(50000)

static void one_acks(evutil_socket_t fd, short what, void *arg)
{
    struct gather_state *g = arg;
    (void)fd, (void)what;
    g->owed--;
}

/* All ACKs come: the wait ends with the last of them. */
static void all_come(void **state)
{
    (void)state;
    struct gather_state g = {.owed = 2};
    uint32_t in_flight = 1;
    struct event_base *base = event_base_new();
    struct event *acks[] = {evtimer_new(base, one_acks, &g), evtimer_new(base, one_acks, &g)};
    event_active(acks[0], EV_TIMEOUT, 0);
    event_active(acks[1], EV_TIMEOUT, 0);
    gather_acks(&g, base, &in_flight, SOME_NS);
    assert_int_equal(g.owed, 0);
    assert_int_equal(g.acks.misses + g.acks.skip, 0);
    event_free(acks[0]);
    event_free(acks[1]);
    event_base_free(base);
}

/* A client that takes its time is waited for ever more seldom. */
static void none_comes(void **state)
{
    (void)state;
    struct gather_state g = {.owed = 1};
    uint32_t in_flight = 1, skipped = 0;
    struct event_base *base = event_base_new();
    for (uint32_t misses = 1; misses <= 3; misses++) {
        gather_acks(&g, base, &in_flight, SOME_NS);
        assert_int_equal(g.acks.misses, misses);
        for (skipped = 0; g.acks.skip > 0; skipped++)
            gather_acks(&g, base, &in_flight, SOME_NS);
        assert_int_equal(skipped, 1U << misses);
    }
    event_base_free(base);
}

/* Nothing came, or no ACK is owed, or syncs are slow: there is no wait, and nothing is learned from it. */
static void no_reason(void **state)
{
    (void)state;
    struct gather_state g = {.owed = 1};
    uint32_t in_flight = 0;
    struct event_base *base = event_base_new();
    gather_acks(&g, base, &in_flight, SOME_NS);
    in_flight = 1;
    gather_acks(&g, base, &in_flight, 0);
    g.owed = 0;
    gather_acks(&g, base, &in_flight, SOME_NS);
    assert_int_equal(g.acks.misses + g.acks.skip, 0);
    event_base_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_come),
        cmocka_unit_test(none_comes),
        cmocka_unit_test(no_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
