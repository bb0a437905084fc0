/*
 * test_gate.c: runs a whole broker in this process and opens and closes its gate (journal_in_charge).
 *
 * The program is linked with --wrap for three functions of the journal: journal_in_charge returns what the test wants,
 * journal_submit counts the commands that the broker submits on its own, and journal_register keeps the journal's
 * clients, so that the test can tell them of the opening as journal.h says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "broker/journal/journal.h"
#include "broker/server.h"
#include "broker/settings/settings.h"
#include "tests/lib/tmpdir.h"
#include "tests/lib/wire.h"

#define REFUSED_MIN 8 /* so often the closed gate is asked before the test looks at what was begun */

static atomic_bool gate_is_open;
static atomic_uint refused; /* times that the gate was asked and closed */
static struct journal_client *clients[JOURNAL_CLIENTS_MAX]; /* all are registered before the broker is ready */
static atomic_uint n_clients;
static atomic_uint ticks, checks_subscribed, checks_hooked;

bool __wrap_journal_in_charge(const struct journal *j);
bool __real_journal_submit(struct journal *j, struct journal_client *c, struct entry *e);
bool __wrap_journal_submit(struct journal *j, struct journal_client *c, struct entry *e);
void __real_journal_register(struct journal *j, struct journal_client *c);
void __wrap_journal_register(struct journal *j, struct journal_client *c);

bool __wrap_journal_in_charge(const struct journal *j)
{
    (void)j;
    bool is_open = atomic_load(&gate_is_open);
    if (!is_open)
        atomic_fetch_add(&refused, 1);
    return is_open;
}

bool __wrap_journal_submit(struct journal *j, struct journal_client *c, struct entry *e)
{
    if (e->cmd.info->id == CMD_TICK)
        atomic_fetch_add(&ticks, 1);
    if (e->cmd.info->id == CMD_CHECKS && slice_equal(e->cmd.pos[0], SLICE_LIT("subscribed")))
        atomic_fetch_add(&checks_subscribed, 1);
    if (e->cmd.info->id == CMD_CHECKS && slice_equal(e->cmd.pos[0], SLICE_LIT("hooked")))
        atomic_fetch_add(&checks_hooked, 1);
    return __real_journal_submit(j, c, e);
}

void __wrap_journal_register(struct journal *j, struct journal_client *c)
{
    __real_journal_register(j, c);
    clients[atomic_load(&n_clients)] = c;
    atomic_fetch_add(&n_clients, 1);
}

static void open_gate(void)
{
    static const struct effects fx = {.index = 1, .overflow = true, .next_due_ms = INT64_MAX};
    atomic_store(&gate_is_open, true);
    for (unsigned i = 0; i < atomic_load(&n_clients); i++)
        clients[i]->news(clients[i], &fx);
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static void *run_broker(void *arg)
{
    return server_run(arg) == 0 ? arg : NULL;
}

static struct wire client(uint16_t port)
{
    struct wire w;
    for (unsigned tries = 0; !wire_open(&w, port); tries++) {
        assert_true(tries < 1000);
        sleep_ms(10);
    }
    return w;
}

static void ask(struct wire *w, const char *command)
{
    struct resp_value *v = NULL;
    if (!wire_send_str(w, command) || !wire_reply(w, &v))
        fail_msg("%s", w->error);
    assert_int_not_equal(v->kind, RV_ERROR);
    resp_value_free(v);
}

static void wait_for(atomic_uint *count, unsigned least)
{
    for (unsigned tries = 0; atomic_load(count) < least; tries++) {
        assert_true(tries < 1000);
        sleep_ms(10);
    }
}

static void nothing_begins_behind_a_closed_gate(void **state)
{
    struct settings *settings = NULL;
    char port[32], data[512], err[256], *folder = tmpdir_new();
    uint16_t number = free_port();
    (void)state;
    snprintf(port, sizeof port, "--port=%u", number);
    snprintf(data, sizeof data, "--data=%s", folder);
    char *argv[] = {"halfmqd", port, data, "--http_port=0", "--log_level=error", "--checkin=1ms", NULL};
    if (settings_load(6, argv, NULL, &settings, err, sizeof err) != ST_OK)
        fail_msg("%s", err);
    pthread_t broker;
    assert_int_equal(pthread_create(&broker, NULL, run_broker, settings), 0);

    struct wire w = client(number), subscriber = client(number);
    ask(&w, "PGROUP SET hooked CHECKURL http://127.0.0.1:9/\r\n");
    ask(&subscriber, "SUBSCRIBE check:subscribed\r\n");
    ask(&w, "HALF subscribed t x\r\n");
    ask(&w, "HALF hooked t x\r\n");
    ask(&w, "SEND t x DELAY 1\r\n");
    wait_for(&refused, REFUSED_MIN);
    assert_int_equal(atomic_load(&ticks), 0);
    assert_int_equal(atomic_load(&checks_subscribed), 0);
    assert_int_equal(atomic_load(&checks_hooked), 0);

    open_gate();
    wait_for(&ticks, 1);
    wait_for(&checks_subscribed, 1);
    wait_for(&checks_hooked, 1);

    assert_true(wire_send_str(&w, "SHUTDOWN\r\n"));
    void *stopped = NULL;
    pthread_join(broker, &stopped);
    assert_non_null(stopped);
    wire_close(&w);
    wire_close(&subscriber);
    settings_free(settings);
    tmpdir_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_begins_behind_a_closed_gate)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
