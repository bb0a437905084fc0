/*
 * test_client_share.c: tests that the consumers of one client share its memory: large messages come as far as there is
 * room, and none is dropped after it was leased, which would cost the time of a lease.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/rig.h"

#define MESSAGES 60
#define LEN 150000
#define GROUPS 3

static _Atomic unsigned handled, again;

static enum hmq_verdict handle(void *arg, const hmq_message *m, hmq_retry *retry)
{
    (void)arg;
    (void)retry;
    spawn_pause();
    atomic_fetch_add(&again, hmq_message_attempt(m) > 1);
    atomic_fetch_add(&handled, 1);
    return HMQ_ACK;
}

static bool has_handled_all(void *arg)
{
    (void)arg;
    return atomic_load(&handled) >= MESSAGES * GROUPS;
}

static void test_consumers_share_the_memory(void **state)
{
    (void)state;
    static char body[LEN];
    const char *topic = "t";
    hmq_consumer *consumers[GROUPS] = {NULL};
    hmq_producer *producer = NULL;
    hmq_error err;
    struct spawned *broker = rig_spawn(NULL);
    hmq_client *client = rig_connect(broker, "?max_memory=16777216"); /* half of it for messages */
    RIG_CHECK(hmq_producer_new(client, NULL, &producer, &err), &err);
    for (int i = 0; i < MESSAGES; i++)
        RIG_CHECK(hmq_send(producer, topic, body, sizeof body, NULL, RIG_DEADLINE_MS, NULL, &err), &err);
    RIG_CHECK(hmq_producer_close(producer, RIG_DEADLINE_MS, &err), &err);
    for (int i = 0; i < GROUPS; i++) {
        char group[8];
        snprintf(group, sizeof group, "g%d", i);
        RIG_CHECK(hmq_consumer_new(client, group, &topic, 1, handle, NULL, NULL, &consumers[i], &err), &err);
    }
    rig_eventually(has_handled_all, NULL, "each group has all messages");
    assert_int_equal(atomic_load(&again), 0);
    for (int i = 0; i < GROUPS; i++)
        RIG_CHECK(hmq_consumer_close(consumers[i], RIG_DEADLINE_MS, &err), &err);
    hmq_client_free(client);
    assert_int_equal(spawn_stop(broker), 0);
    spawn_free(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_consumers_share_the_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
