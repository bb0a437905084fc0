/* unruly.c: a thread for each connection, which passes bytes on until it is told otherwise; see unruly.h. */
#include "tests/lib/unruly.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/rpc/rpc.h"

#define LOOK_MS 5 /* how soon a connection notices that it is to end */
#define PIECE 65536

struct unruly {
    int listener;
    uint16_t port, broker_port;
    pthread_t thread;
    _Atomic int mode, how;
    _Atomic unsigned generation; /* connections of an earlier one end */
    _Atomic unsigned made, refused, open;
    _Atomic bool stopping;
};

struct passage {
    struct unruly *unruly;
    int client, broker; /* broker -1: none */
    unsigned generation;
    struct rpc_reader *reader;
    struct buf in;
};

static int unruly_connect(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool unruly_send(int fd, const uint8_t *data, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        data += sent;
        n -= (size_t)sent;
    }
    return true;
}

/* Answers the requests in what came. */
static bool passage_refuse(struct passage *p, const uint8_t *data, size_t n)
{
    struct rpc_frame frame;
    size_t used;
    char err[128];
    buf_put(&p->in, data, n);
    while (p->in.len > 0 &&
           rpc_reader_next(p->reader, buf_slice(&p->in), &frame, &used, err, sizeof err) == ST_OK) {
        struct buf out;
        buf_init(&out, 0);
        if (frame.type == RPC_REQUEST)
            rpc_put_error(&out, frame.id, "DISKFULL", SLICE_LIT("no room in this test"));
        bool sent = unruly_send(p->client, out.data, out.len);
        atomic_fetch_add(&p->unruly->refused, out.len > 0);
        buf_free(&out);
        buf_consume(&p->in, used);
        if (!sent)
            return false;
    }
    return true;
}

/* Moves what there is to read. False: the end. */
static bool passage_move(struct passage *p, int from, int to)
{
    uint8_t piece[PIECE];
    ssize_t n = recv(from, piece, sizeof piece, 0);
    if (n <= 0)
        return false;
    return to < 0 ? passage_refuse(p, piece, (size_t)n) : unruly_send(to, piece, (size_t)n);
}

static void passage_run(struct passage *p)
{
    bool goes_on = true;
    while (goes_on && atomic_load(&p->unruly->generation) == p->generation && !atomic_load(&p->unruly->stopping)) {
        struct pollfd fds[2] = {{.fd = p->client, .events = POLLIN}, {.fd = p->broker, .events = POLLIN}};
        poll(fds, 2, LOOK_MS);
        if (fds[0].revents)
            goes_on = passage_move(p, p->client, p->broker);
        if (goes_on && fds[1].revents)
            goes_on = passage_move(p, p->broker, p->client);
    }
}

static void passage_end(struct passage *p)
{
    struct linger at_once = {.l_onoff = 1};
    char byte;
    if (atomic_load(&p->unruly->how) == UNRULY_HALF_CLOSE) {
        shutdown(p->client, SHUT_WR);
        while (recv(p->client, &byte, 1, 0) > 0 && !atomic_load(&p->unruly->stopping))
            ; /* until the client closes it */
    } else {
        setsockopt(p->client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    close(p->client);
    if (p->broker >= 0)
        close(p->broker);
    rpc_reader_free(p->reader);
    buf_free(&p->in);
}

static void *passage_main(void *arg)
{
    struct passage *p = arg;
    struct unruly *u = p->unruly;
    passage_run(p);
    passage_end(p);
    free(p);
    atomic_fetch_sub(&u->open, 1);
    return NULL;
}

static void unruly_take(struct unruly *u, int client)
{
    int mode = atomic_load(&u->mode);
    struct passage *p = calloc(1, sizeof *p);
    pthread_t thread;
    assert_non_null(p);
    *p = (struct passage){.unruly = u, .client = client, .broker = -1, .generation = atomic_load(&u->generation)};
    buf_init(&p->in, 0);
    if (mode == UNRULY_PASS)
        p->broker = unruly_connect(u->broker_port);
    if (mode == UNRULY_FULL)
        p->reader = rpc_reader_new(1u << 26);
    if (p->broker < 0 && !p->reader) {
        close(client);
        free(p);
        return;
    }
    atomic_fetch_add(&u->made, 1);
    atomic_fetch_add(&u->open, 1);
    assert_int_equal(pthread_create(&thread, NULL, passage_main, p), 0);
    pthread_detach(thread);
}

static void *unruly_main(void *arg)
{
    struct unruly *u = arg;
    while (!atomic_load(&u->stopping)) {
        struct pollfd wait = {.fd = u->listener, .events = POLLIN};
        int client = poll(&wait, 1, LOOK_MS) == 1 ? accept4(u->listener, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (client >= 0)
            unruly_take(u, client);
    }
    return NULL;
}

struct unruly *unruly_start(uint16_t broker_port)
{
    struct unruly *u = calloc(1, sizeof *u);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof any;
    assert_non_null(u);
    u->broker_port = broker_port;
    u->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(u->listener, (struct sockaddr *)&any, sizeof any), 0);
    assert_int_equal(listen(u->listener, 64), 0);
    assert_int_equal(getsockname(u->listener, (struct sockaddr *)&any, &size), 0);
    u->port = ntohs(any.sin_port);
    assert_int_equal(pthread_create(&u->thread, NULL, unruly_main, u), 0);
    return u;
}

void unruly_stop(struct unruly *u)
{
    atomic_store(&u->stopping, true);
    pthread_join(u->thread, NULL);
    while (atomic_load(&u->open) > 0)
        usleep(1000);
    close(u->listener);
    free(u);
}

uint16_t unruly_port(const struct unruly *u)
{
    return u->port;
}

void unruly_set(struct unruly *u, enum unruly_mode mode)
{
    atomic_store(&u->mode, mode);
}

void unruly_end(struct unruly *u, enum unruly_end how)
{
    atomic_store(&u->how, how);
    atomic_fetch_add(&u->generation, 1);
}

unsigned unruly_made(struct unruly *u)
{
    return atomic_load(&u->made);
}

unsigned unruly_refused(struct unruly *u)
{
    return atomic_load(&u->refused);
}
