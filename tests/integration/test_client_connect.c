/*
 * test_client_connect.c: tests how libhalfmq finds a broker: Unix sockets, servers that do not answer, names whose
 * look-up takes long, and transports. The test plays the broker and, by the linker's --wrap, the resolver.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clients/c/wire/net.h"
#include "tests/lib/fake.h"
#include "tests/lib/tmpdir.h"

/* ---- the resolver ---- */

int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **found);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **found);

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool held; /* look-ups of names wait */
    unsigned waiting, begun;
    const char *const *addresses; /* what a name has; NULL: 127.0.0.1 */
} resolver = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void resolver_hold(bool held)
{
    pthread_mutex_lock(&resolver.lock);
    resolver.held = held;
    pthread_cond_broadcast(&resolver.changed);
    while (!held && resolver.waiting > 0)
        pthread_cond_wait(&resolver.changed, &resolver.lock);
    pthread_mutex_unlock(&resolver.lock);
}

static bool resolver_is_busy(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&resolver.lock);
    bool busy = resolver.waiting > 0;
    pthread_mutex_unlock(&resolver.lock);
    return busy;
}

/* A name has all of resolver.addresses, in this order. */
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **found)
{
    static const char *const local[] = {"127.0.0.1", NULL};
    struct addrinfo numeric = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, **last = found;
    if (!strstr(host, ".test") || hints->ai_flags & AI_NUMERICHOST)
        return __real_getaddrinfo(host, port, hints, found);
    pthread_mutex_lock(&resolver.lock);
    resolver.begun++;
    resolver.waiting++;
    while (resolver.held)
        pthread_cond_wait(&resolver.changed, &resolver.lock);
    resolver.waiting--;
    pthread_cond_broadcast(&resolver.changed);
    const char *const *addresses = resolver.addresses ? resolver.addresses : local;
    pthread_mutex_unlock(&resolver.lock);
    *found = NULL;
    for (; *addresses; addresses++) {
        if (__real_getaddrinfo(*addresses, port, &numeric, last) != 0)
            return EAI_NONAME;
        last = &(*last)->ai_next;
    }
    return 0;
}

/* ---- servers ---- */

/* A socket that accepts nothing: whoever connects to it gets no answer. */
struct deaf {
    int listener, filler[4];
};

static void deaf_start(struct deaf *d, const char *ip, uint16_t port, uint16_t *ret_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t size = sizeof at;
    assert_int_equal(inet_pton(AF_INET, ip, &at.sin_addr), 1);
    d->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(d->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(d->listener, 0), 0);
    assert_int_equal(getsockname(d->listener, (struct sockaddr *)&at, &size), 0);
    *ret_port = ntohs(at.sin_port);
    for (size_t i = 0; i < sizeof d->filler / sizeof *d->filler; i++) {
        d->filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(d->filler[i], (struct sockaddr *)&at, sizeof at);
    }
}

static void deaf_stop(struct deaf *d)
{
    for (size_t i = 0; i < sizeof d->filler / sizeof *d->filler; i++)
        close(d->filler[i]);
    close(d->listener);
}

static hmq_client *client_for(struct fake *p, const char *servers, const char *query, const struct transport *transport)
{
    hmq_client *client = NULL;
    hmq_error err;
    hmq_options *o = rig_options_for(p->port, query);
    RIG_CHECK(hmq_options_set(o, "servers", servers, &err), &err);
    hmq_options_set_event_fn(o, fake_on_event, &p->events);
    o->transport = transport;
    RIG_CHECK(hmq_client_new(o, &client, &err), &err);
    hmq_options_free(o);
    return client;
}

static void ping(struct fake *p, hmq_client *client)
{
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_request *request = hmq_request_new("ping");
    hmq_error err;
    RIG_CHECK(hmq_call_async(client, request, RIG_DEADLINE_MS, fake_on_reply, &r, &err), &err);
    hmq_request_free(request);
    if (p->fd < 0)
        fake_answer_call(p);
    fake_hear(p);
    fake_answer(p);
    rig_eventually(fake_ended, &r, "the ping is answered");
    assert_int_equal(r.last, HMQ_OK);
}

static void listen_unix(struct fake *p, const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    close(p->listener);
    p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(p->listener, 4), 0);
}

static void test_a_unix_socket(void **state)
{
    struct fake *p = *state;
    char path[90], servers[128];
    char *folder = tmpdir_new();
    snprintf(path, sizeof path, "%s/mq", folder);
    snprintf(servers, sizeof servers, "unix:%s/absent,unix:%s", folder, path);
    listen_unix(p, path);
    hmq_client *client = client_for(p, servers, "", NULL);
    ping(p, client);
    assert_int_equal(atomic_load(&p->events.failed), 1); /* the one that is absent */
    hmq_client_free(client);
    tmpdir_remove(folder);
}

static void test_a_unix_socket_in_a_uri(void **state)
{
    hmq_options *o = hmq_options_new();
    hmq_error err;
    char servers[100];
    (void)state;
    RIG_CHECK(hmq_options_set_uri(o, "hmq://unix:%2Frun%2Fmq?linger_ms=1", &err), &err);
    RIG_CHECK(hmq_options_get(o, "servers", servers, sizeof servers, &err), &err);
    assert_string_equal(servers, "unix:/run/mq");
    hmq_options_free(o);
}

/* The attempt at the first server could last ten minutes. */
static void test_a_server_that_does_not_answer_is_not_waited_for(void **state)
{
    struct fake *p = *state;
    struct deaf deaf;
    uint16_t port;
    char servers[64];
    deaf_start(&deaf, "127.0.0.1", 0, &port);
    snprintf(servers, sizeof servers, "127.0.0.1:%u,127.0.0.1:%u", port, p->port);
    hmq_client *client = client_for(p, servers, "?connect_timeout_ms=600000", NULL);
    ping(p, client);
    hmq_client_free(client);
    deaf_stop(&deaf);
}

static void test_an_address_that_does_not_answer_is_not_waited_for(void **state)
{
    static const char *const addresses[] = {"127.0.0.2", "127.0.0.1", NULL};
    struct fake *p = *state;
    struct deaf deaf;
    uint16_t port;
    char servers[64];
    deaf_start(&deaf, "127.0.0.2", p->port, &port);
    resolver.addresses = addresses;
    snprintf(servers, sizeof servers, "many.test:%u", p->port);
    hmq_client *client = client_for(p, servers, "?connect_timeout_ms=600000", NULL);
    ping(p, client);
    hmq_client_free(client);
    resolver.addresses = NULL;
    deaf_stop(&deaf);
}

static void test_an_attempt_ends_at_its_deadline(void **state)
{
    struct fake *p = *state;
    struct deaf deaf;
    uint16_t port;
    char servers[64];
    hmq_error err;
    deaf_start(&deaf, "127.0.0.1", 0, &port);
    snprintf(servers, sizeof servers, "127.0.0.1:%u", port);
    hmq_client *client = client_for(p, servers, "?connect_timeout_ms=20&reconnect_min_ms=1&reconnect_max_ms=1", NULL);
    while (atomic_load(&p->events.failed) < 3)
        assert_int_equal(hmq_client_wait(client, 20, &err), HMQ_EDISCONNECTED);
    assert_non_null(strstr(err.text, "no answer"));
    hmq_client_free(client);
    deaf_stop(&deaf);
}

static void test_ipv6_and_ipv4_take_turns(void **state)
{
    static const char *const addresses[] = {"::1", "::2", "::3", "127.0.0.1", "127.0.0.2", NULL};
    static const char *const want[] = {"[::1]:7", "127.0.0.1:7", "[::2]:7", "127.0.0.2:7", "[::3]:7"};
    struct endpoints e;
    struct addresses found;
    char text[64];
    hmq_error err;
    (void)state;
    resolver.addresses = addresses;
    RIG_CHECK(endpoints_parse("many.test:7", &e, &err), &err);
    RIG_CHECK(endpoint_resolve(&e.list[0], &found, &err), &err);
    assert_int_equal(found.n, 5);
    for (size_t i = 0; i < 5; i++) {
        address_describe(&found.list[i], text, sizeof text);
        assert_string_equal(text, want[i]);
    }
    endpoints_free(&e);
    resolver.addresses = NULL;
}

static void test_servers_are_shuffled(void **state)
{
    unsigned first[3] = {0};
    (void)state;
    for (uint64_t chance = 0; chance < 300; chance++) {
        struct endpoints e;
        unsigned seen = 0;
        assert_int_equal(endpoints_parse("a,b,c", &e, NULL), HMQ_OK);
        endpoints_shuffle(&e, chance * UINT64_C(0x9e3779b97f4a7c15));
        for (size_t i = 0; i < 3; i++)
            seen |= 1u << (e.list[i].host[0] - 'a');
        assert_int_equal(seen, 7);
        first[e.list[0].host[0] - 'a']++;
        endpoints_free(&e);
    }
    for (size_t i = 0; i < 3; i++)
        assert_true(first[i] > 50);
}

/* ---- names ---- */

static void test_a_look_up_blocks_nobody(void **state)
{
    struct fake *p = *state;
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmq_error err;
    resolver_hold(true);
    hmq_client *client = client_for(p, "slow.test", "?connect_timeout_ms=600000", NULL);
    rig_eventually(resolver_is_busy, NULL, "the look-up has begun");
    hmq_request *request = hmq_request_new("ping");
    RIG_CHECK(hmq_call_async(client, request, 10, fake_on_reply, &r, &err), &err);
    hmq_request_free(request);
    rig_eventually(fake_ended, &r, "the deadline of a request comes");
    assert_int_equal(r.last, HMQ_EDISCONNECTED);
    hmq_client_free(client);
    assert_true(resolver_is_busy(NULL));
    resolver_hold(false);
}

static void test_a_look_up_wakes_the_client(void **state)
{
    struct fake *p = *state;
    char servers[64];
    snprintf(servers, sizeof servers, "slow.test:%u", p->port);
    resolver_hold(true);
    hmq_client *client = client_for(p, servers, "?connect_timeout_ms=600000", NULL);
    rig_eventually(resolver_is_busy, NULL, "the look-up has begun");
    resolver_hold(false);
    ping(p, client);
    hmq_client_free(client);
}

static void test_a_look_up_that_takes_too_long(void **state)
{
    struct fake *p = *state;
    char servers[64];
    snprintf(servers, sizeof servers, "slow.test,127.0.0.1:%u", p->port);
    resolver_hold(true);
    hmq_client *client = client_for(p, servers, "?connect_timeout_ms=20", NULL);
    ping(p, client);
    assert_true(atomic_load(&p->events.failed) > 0);
    hmq_client_free(client);
    resolver_hold(false);
}

/* ---- transports ---- */

static struct {
    _Atomic unsigned begun, ended;
} rot;

/* Both sides greet with one byte; then all bytes are turned over. */
static bool rot_begin(struct net_link *n, const struct endpoint *e, const struct hmq_options *o, hmq_error *err)
{
    atomic_fetch_add(&rot.begun, 1);
    assert_non_null(o);
    if (!strcmp(e->host, "127.0.0.1")) {
        n->state = calloc(1, 1);
        return n->state != NULL;
    }
    snprintf(err->text, sizeof err->text, "not for %s", e->host);
    return false;
}

static enum net_shake rot_shake(struct net_link *n, hmq_error *err)
{
    uint8_t *greeted = n->state, answer;
    if (!*greeted && send(n->fd, "h", 1, MSG_NOSIGNAL) == 1)
        *greeted = 1;
    ssize_t got = recv(n->fd, &answer, 1, 0);
    if (got == 1 && answer == 'H')
        return NET_DONE;
    if (got < 0)
        return NET_WANTS_READ;
    snprintf(err->text, sizeof err->text, "no greeting");
    return NET_FAILED;
}

static ssize_t rot_read(struct net_link *n, void *to, size_t size)
{
    /* One byte less than there may be: the rest is what the transport still has. */
    ssize_t got = recv(n->fd, to, size > 7 ? 7 : size, 0);
    for (ssize_t i = 0; i < got; i++)
        ((uint8_t *)to)[i] ^= 0xff;
    n->has_more = got == 7;
    return got;
}

static ssize_t rot_write(struct net_link *n, const struct iovec *iov, size_t pieces)
{
    uint8_t bytes[256];
    size_t len = iov[0].iov_len < sizeof bytes ? iov[0].iov_len : sizeof bytes;
    (void)pieces;
    for (size_t i = 0; i < len; i++)
        bytes[i] = ((const uint8_t *)iov[0].iov_base)[i] ^ 0xff;
    return send(n->fd, bytes, len, MSG_NOSIGNAL);
}

static void rot_end(struct net_link *n)
{
    atomic_fetch_add(&rot.ended, 1);
    free(n->state);
}

static const struct transport transport_rot = {"rot", rot_begin, rot_shake, rot_read, rot_write, rot_end, NULL};

static void accept_and_greet(struct fake *p, const char *with)
{
    uint8_t byte;
    fake_answer_call(p);
    assert_int_equal(recv(p->fd, &byte, 1, 0), 1);
    assert_int_equal(byte, 'h');
    fake_say(p, with, strlen(with));
}

static void test_a_transport_shakes_hands_and_carries_the_bytes(void **state)
{
    struct fake *p = *state;
    struct fake_result r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    char servers[64];
    uint8_t bytes[256];
    hmq_error err;
    snprintf(servers, sizeof servers, "127.0.0.2:%u,127.0.0.1:%u", p->port, p->port);
    hmq_client *client = client_for(p, servers, "?reconnect_min_ms=1&reconnect_max_ms=1", &transport_rot);
    accept_and_greet(p, "X"); /* which is not the greeting */
    fake_hang_up(p);
    accept_and_greet(p, "H");
    RIG_CHECK(hmq_client_wait(client, RIG_DEADLINE_MS, &err), &err);
    hmq_request *request = hmq_request_new("ping");
    RIG_CHECK(hmq_call_async(client, request, RIG_DEADLINE_MS, fake_on_reply, &r, &err), &err);
    hmq_request_free(request);
    ssize_t n = recv(p->fd, bytes, sizeof bytes, 0);
    assert_true(n > 4);
    for (ssize_t i = 0; i < n; i++)
        bytes[i] ^= 0xff;
    buf_put(&p->in, bytes, (size_t)n);
    fake_hear(p);
    struct buf b;
    buf_init(&b, 0);
    rpc_put_result(&b, p->frame.id);
    rpc_put_str(&b, SLICE_LIT("a text that is longer than what is read at once"));
    for (size_t i = 0; i < b.len; i++)
        b.data[i] ^= 0xff;
    fake_say(p, b.data, b.len);
    buf_free(&b);
    rig_eventually(fake_ended, &r, "the ping is answered");
    assert_int_equal(r.last, HMQ_OK);
    assert_int_equal(atomic_load(&p->events.connected), 1);
    hmq_client_free(client);
    assert_int_equal(atomic_load(&rot.begun), atomic_load(&rot.ended));
}

static void test_a_transport_that_gets_no_greeting(void **state)
{
    struct fake *p = *state;
    char servers[64];
    hmq_error err;
    snprintf(servers, sizeof servers, "127.0.0.1:%u", p->port);
    hmq_client *client =
        client_for(p, servers, "?connect_timeout_ms=20&reconnect_min_ms=1&reconnect_max_ms=1", &transport_rot);
    while (atomic_load(&p->events.failed) < 2)
        assert_int_equal(hmq_client_wait(client, 20, &err), HMQ_EDISCONNECTED);
    assert_int_equal(atomic_load(&p->events.connected), 0);
    hmq_client_free(client);
}

#define WITH_FAKE(f) cmocka_unit_test_setup_teardown(f, fake_start, fake_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FAKE(test_a_unix_socket),
        cmocka_unit_test(test_a_unix_socket_in_a_uri),
        WITH_FAKE(test_a_server_that_does_not_answer_is_not_waited_for),
        WITH_FAKE(test_an_address_that_does_not_answer_is_not_waited_for),
        WITH_FAKE(test_an_attempt_ends_at_its_deadline),
        cmocka_unit_test(test_ipv6_and_ipv4_take_turns),
        cmocka_unit_test(test_servers_are_shuffled),
        WITH_FAKE(test_a_look_up_blocks_nobody),
        WITH_FAKE(test_a_look_up_wakes_the_client),
        WITH_FAKE(test_a_look_up_that_takes_too_long),
        WITH_FAKE(test_a_transport_shakes_hands_and_carries_the_bytes),
        WITH_FAKE(test_a_transport_that_gets_no_greeting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
