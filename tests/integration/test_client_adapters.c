/*
 * test_client_adapters.c: tests the adapters for plain epoll and, where it is installed, libuv: a client on the loop sends,
 * is told, times out, survives the broker's restart, and is closed. test_client_loop.c does so for libevent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "clients/c/adapters/halfmq_epoll.h"
#ifdef HAVE_UV
#include "clients/c/adapters/halfmq_uv.h"
#endif
#include "tests/lib/rig.h"

#define MESSAGES 200

/* What the loop of a test waits for. */
struct course {
    struct spawned *broker;
    hmq_client *client;
    hmq_producer *producer;
    unsigned stored, failed;
    enum hmq_status last;
};

static void on_sent(void *arg, const char *id, const hmq_error *err)
{
    struct course *c = arg;
    c->stored += id != NULL;
    c->failed += id == NULL;
    c->last = err->code;
}

static void put(struct course *c, int n, int64_t timeout_ms)
{
    hmq_error err;
    for (int i = 0; i < n; i++)
        RIG_CHECK(hmq_send_async(c->producer, "t", "x", 1, NULL, timeout_ms, on_sent, c, &err), &err);
}

static void begin(struct course *c)
{
    hmq_error err;
    RIG_CHECK(hmq_producer_new(c->client, NULL, &c->producer, &err), &err);
    put(c, MESSAGES, RIG_DEADLINE_MS);
}

/* Kills the broker; what is sent then ends by its deadline, for which nothing but the timer wakes the loop. */
static void go_on_without_a_broker(struct course *c)
{
    spawn_kill(c->broker);
    put(c, 1, 30);
}

static void go_on_with_a_broker(struct course *c)
{
    assert_true(c->last == HMQ_EDISCONNECTED || c->last == HMQ_EUNKNOWN);
    spawn_again(c->broker);
    put(c, MESSAGES, RIG_DEADLINE_MS);
}

/* The loop has done what is due: true where there is nothing more. Called again and again. */
static bool advance(struct course *c, unsigned *stage)
{
    if (*stage == 0 && c->stored == MESSAGES) {
        go_on_without_a_broker(c);
        ++*stage;
    } else if (*stage == 1 && c->failed == 1) {
        go_on_with_a_broker(c);
        ++*stage;
    }
    return *stage == 2 && c->stored == 2 * MESSAGES;
}

static void end(struct course *c)
{
    hmq_error err;
    RIG_CHECK(hmq_producer_close(c->producer, RIG_DEADLINE_MS, &err), &err);
    hmq_client_free(c->client);
    spawn_stop(c->broker);
    spawn_free(c->broker);
}

static void test_epoll(void **state)
{
    struct course c = {.broker = rig_spawn(NULL)};
    struct hmq_epoll *adapter = NULL;
    struct epoll_event events[4], own = {.events = EPOLLIN};
    unsigned stage = 0;
    hmq_error err;
    (void)state;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    hmq_options *o = rig_options_for(c.broker->port, "?reconnect_min_ms=1&reconnect_max_ms=20");
    RIG_CHECK(hmq_epoll_new(epoll, o, &adapter, &c.client, &err), &err);
    hmq_options_free(o);
    own.data.ptr = &own;
    assert_int_equal(hmq_epoll_handle(adapter, &own), 0);
    begin(&c);
    while (!advance(&c, &stage)) {
        int n = epoll_wait(epoll, events, 4, RIG_DEADLINE_MS);
        assert_true(n > 0);
        for (int i = 0; i < n; i++)
            assert_int_equal(hmq_epoll_handle(adapter, &events[i]), 1);
        assert_int_equal(adapter->failed, 0);
    }
    end(&c);
    hmq_epoll_free(adapter);
    assert_int_equal(epoll_wait(epoll, events, 4, 0), 0);
    close(epoll);
}

#ifdef HAVE_UV
static void test_uv(void **state)
{
    struct course c = {.broker = rig_spawn(NULL)};
    struct hmq_uv *adapter = NULL;
    uv_loop_t loop;
    unsigned stage = 0;
    hmq_error err;
    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    hmq_options *o = rig_options_for(c.broker->port, "?reconnect_min_ms=1&reconnect_max_ms=20");
    RIG_CHECK(hmq_uv_new(&loop, o, &adapter, &c.client, &err), &err);
    hmq_options_free(o);
    begin(&c);
    while (!advance(&c, &stage)) {
        assert_true(uv_run(&loop, UV_RUN_ONCE) != 0);
        assert_int_equal(adapter->failed, 0);
    }
    end(&c);
    hmq_uv_free(adapter);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_epoll),
#ifdef HAVE_UV
        cmocka_unit_test(test_uv),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
