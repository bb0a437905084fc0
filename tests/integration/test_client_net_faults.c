/*
 * test_client_net_faults.c: lets each allocation and each system call fail that libhalfmq makes on its way to a broker
 * and back: the n-th one, for every n. Whatever fails, the message is told once, and is sent in the end unless there
 * was no memory for it; no descriptor and no memory is left behind.
 *
 * The client is driven by the test's own thread, as a loop would drive it, and only what that thread does inside the
 * library counts. The broker is a thread that answers whatever it is asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/rpc/rpc.h"
#include "tests/lib/fault_heap.h"
#include "tests/lib/rig.h"

#define FDS_MAX 8
#define LIVES_MAX 2000

/* ---- system calls that fail ---- */

static _Thread_local bool inside;
static unsigned left; /* until one fails; 0: none does */
static bool fired;

static void go_inside(bool in)
{
    inside = in;
    fault_heap_inside(in);
}

static bool fails(int with)
{
    if (!inside || left == 0 || --left > 0)
        return false;
    fired = true;
    errno = with;
    return true;
}

/* WRAP(name, errno, parameters, arguments): a call that returns -1. */
#define WRAP(type, name, with, params, args) \
    type __real_##name params;               \
    type __wrap_##name params;               \
    type __wrap_##name params                \
    {                                        \
        return fails(with) ? -1 : __real_##name args; \
    }

WRAP(int, socket, EMFILE, (int family, int kind, int protocol), (family, kind, protocol))
WRAP(int, setsockopt, ENOBUFS, (int fd, int level, int name, const void *v, socklen_t n), (fd, level, name, v, n))
WRAP(int, getsockopt, ENOBUFS, (int fd, int level, int name, void *v, socklen_t *n), (fd, level, name, v, n))
WRAP(int, connect, ENETUNREACH, (int fd, const struct sockaddr *to, socklen_t n), (fd, to, n))
WRAP(ssize_t, recv, ECONNRESET, (int fd, void *to, size_t n, int flags), (fd, to, n, flags))
WRAP(ssize_t, sendmsg, EPIPE, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
WRAP(int, epoll_create1, EMFILE, (int flags), (flags))
WRAP(int, epoll_ctl, ENOSPC, (int fd, int op, int other, struct epoll_event *e), (fd, op, other, e))
WRAP(int, epoll_wait, EINTR, (int fd, struct epoll_event *e, int n, int ms), (fd, e, n, ms))
WRAP(int, eventfd, EMFILE, (unsigned n, int flags), (n, flags))
WRAP(int, poll, EINTR, (struct pollfd * fds, nfds_t n, int ms), (fds, n, ms))
WRAP(ssize_t, getrandom, ENOSYS, (void *to, size_t n, unsigned flags), (to, n, flags))

int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *arg)
{
    return fails(EAGAIN) ? EAGAIN : __real_pthread_create(t, a, run, arg);
}

int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret)
{
    return fails(ENOMEM) ? EAI_SYSTEM : __real_getaddrinfo(host, port, hints, ret);
}

/* ---- the broker ---- */

static int listener;
static _Atomic bool broker_stops;

static bool answer_all(int fd, struct rpc_reader *reader, struct buf *in)
{
    struct rpc_frame frame;
    size_t used;
    char err[128];
    while (in->len > 0 && rpc_reader_next(reader, buf_slice(in), &frame, &used, err, sizeof err) == ST_OK) {
        struct buf out;
        buf_init(&out, 0);
        rpc_put_result(&out, frame.id);
        rpc_put_str(&out, SLICE_LIT("t:0:0"));
        bool sent = frame.type != RPC_REQUEST || send(fd, out.data, out.len, MSG_NOSIGNAL) == (ssize_t)out.len;
        buf_free(&out);
        buf_consume(in, used);
        if (!sent)
            return false;
    }
    return true;
}

static void serve(int fd)
{
    struct rpc_reader *reader = rpc_reader_new(1 << 20);
    struct buf in;
    buf_init(&in, 0);
    for (;;) {
        uint8_t *room = buf_room(&in, 4096);
        ssize_t n = room ? recv(fd, room, 4096, 0) : -1;
        if (n <= 0)
            break;
        buf_added(&in, (size_t)n);
        if (!answer_all(fd, reader, &in))
            break;
    }
    buf_free(&in);
    rpc_reader_free(reader);
    close(fd);
}

/* One connection at a time: the client gives one up before it makes another. */
static void *broker_main(void *arg)
{
    (void)arg;
    while (!atomic_load(&broker_stops)) {
        struct pollfd wait = {.fd = listener, .events = POLLIN};
        int fd = poll(&wait, 1, 10) == 1 ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (fd >= 0)
            serve(fd);
    }
    return NULL;
}

/* ---- the loop ---- */

static struct pollfd watched[FDS_MAX];
static int64_t due_ms; /* -1: never */

static void on_watch(void *arg, int fd, int want_read, int want_write)
{
    size_t i = 0;
    (void)arg;
    while (i < FDS_MAX - 1 && watched[i].fd != fd && watched[i].fd != -1)
        i++;
    watched[i].fd = want_read || want_write ? fd : -1;
    watched[i].events = (short)((want_read ? POLLIN : 0) | (want_write ? POLLOUT : 0));
    watched[i].revents = 0;
}

static void on_deadline(void *arg, int64_t in_ms)
{
    (void)arg;
    due_ms = in_ms < 0 ? -1 : spawn_now_ms() + in_ms;
}

static void turn(hmq_client *client)
{
    int64_t in_ms = due_ms < 0 ? 100 : due_ms - spawn_now_ms();
    struct pollfd ready[FDS_MAX];
    (void)poll(watched, FDS_MAX, (int)(in_ms < 0 ? 0 : in_ms < 100 ? in_ms : 100));
    memcpy(ready, watched, sizeof ready);
    go_inside(true);
    for (size_t i = 0; i < FDS_MAX; i++) {
        if (ready[i].fd >= 0 && ready[i].revents & (POLLIN | POLLERR | POLLHUP))
            hmq_client_readable(client, ready[i].fd);
        if (ready[i].fd >= 0 && ready[i].revents & (POLLOUT | POLLERR | POLLHUP))
            hmq_client_writable(client, ready[i].fd);
    }
    if (due_ms >= 0 && spawn_now_ms() >= due_ms)
        hmq_client_timeout(client);
    go_inside(false);
}

/* ---- one life ---- */

struct result {
    unsigned n;
    enum hmq_status status;
};

static void on_sent(void *arg, const char *id, const hmq_error *err)
{
    struct result *r = arg;
    (void)id;
    r->n++;
    r->status = err->code;
}

/* What was made to fail fails once: the second attempt succeeds. */
static hmq_client *make_client(const hmq_options *o)
{
    hmq_client *client = NULL;
    hmq_loop loop = HMQ_LOOP;
    hmq_error err;
    loop.watch = on_watch;
    loop.deadline = on_deadline;
    for (size_t i = 0; i < FDS_MAX; i++)
        watched[i] = (struct pollfd){.fd = -1};
    for (int i = 0; i < 2 && !client; i++) {
        go_inside(true);
        (void)!hmq_client_new_loop(o, &loop, &client, &err);
        go_inside(false);
        assert_true(client || fired || fault_heap_fired());
    }
    return client;
}

static hmq_producer *make_producer(hmq_client *client)
{
    hmq_producer *producer = NULL;
    hmq_error err;
    for (int i = 0; i < 2 && !producer; i++) {
        go_inside(true);
        (void)!hmq_producer_new(client, NULL, &producer, &err);
        go_inside(false);
    }
    return producer;
}

static void send_one(hmq_client *client, hmq_producer *producer, struct result *r)
{
    hmq_error err;
    int64_t deadline_ms = spawn_now_ms() + RIG_DEADLINE_MS;
    enum hmq_status status = HMQ_ENOMEM;
    for (int i = 0; i < 2 && status != HMQ_OK; i++) {
        go_inside(true);
        status = hmq_send_async(producer, "t", "x", 1, NULL, RIG_DEADLINE_MS, on_sent, r, &err);
        go_inside(false);
    }
    assert_int_equal(status, HMQ_OK);
    while (r->n == 0 && spawn_now_ms() < deadline_ms)
        turn(client);
    assert_int_equal(r->n, 1);
}

static unsigned open_descriptors(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static bool has_closed_all(void *arg)
{
    const unsigned *before = arg;
    return open_descriptors() <= *before;
}

/* heap: the n-th allocation fails, else the n-th system call. False: there are not so many. */
static bool life(const hmq_options *o, unsigned n, bool heap)
{
    struct result r = {0};
    unsigned before = open_descriptors();
    hmq_error err;
    left = heap ? 0 : n;
    fired = false;
    fault_heap_fail(heap ? n : 0, false);
    hmq_client *client = make_client(o);
    assert_non_null(client);
    hmq_producer *producer = make_producer(client);
    assert_non_null(producer);
    send_one(client, producer, &r);
    if (r.status != HMQ_OK)
        assert_true(heap && r.status == HMQ_ENOMEM);
    go_inside(true);
    (void)hmq_producer_close(producer, 1000, &err);
    hmq_client_free(client);
    go_inside(false);
    bool any = fired || fault_heap_fired();
    left = 0;
    fault_heap_fail(0, false);
    assert_int_equal(r.n, 1);
    rig_eventually(has_closed_all, &before, "no descriptor is left");
    return any;
}

static void live_all(const char *host)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof any;
    char servers[64];
    pthread_t broker;
    hmq_error err;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&any, sizeof any), 0);
    assert_int_equal(listen(listener, 16), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&any, &size), 0);
    atomic_store(&broker_stops, false);
    assert_int_equal(pthread_create(&broker, NULL, broker_main, NULL), 0);
    hmq_options *o = rig_options_for(ntohs(any.sin_port), "?reconnect_min_ms=1&reconnect_max_ms=2&user=ann&password=x");
    snprintf(servers, sizeof servers, "%s:%u", host, (unsigned)ntohs(any.sin_port));
    RIG_CHECK(hmq_options_set(o, "servers", servers, &err), &err);
    (void)life(o, 0, false);
    unsigned n = 1;
    while (n < LIVES_MAX && life(o, n, false))
        n++;
    assert_in_range(n, 8, LIVES_MAX - 1); /* there are at least so many system calls */
    for (n = 1; n < LIVES_MAX && life(o, n, true); n++)
        ;
    assert_in_range(n, 10, LIVES_MAX - 1); /* and allocations */
    hmq_options_free(o);
    atomic_store(&broker_stops, true);
    pthread_join(broker, NULL);
    close(listener);
}

static void test_an_address(void **state)
{
    (void)state;
    live_all("127.0.0.1");
}

static void test_a_name(void **state)
{
    (void)state;
    live_all("localhost");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_address),
        cmocka_unit_test(test_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
