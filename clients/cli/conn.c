/*
 * conn.c: hiredis as a transport; see conn.h.
 *
 * hiredis has no timeout for a whole reply: its timeout starts again with each piece that arrives. So the
 * deadline is kept here, on the monotonic clock.
 */
#include "clients/cli/conn.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "protocol/base/text.h"

#define POLL_MS_MAX 1000000

volatile sig_atomic_t conn_interrupted;

static void conn_interrupt(int sig)
{
    (void)sig;
    conn_interrupted = 1;
}

void conn_catch_interrupt(void)
{
    struct sigaction act = {.sa_handler = conn_interrupt}; /* no SA_RESTART: poll() has to return */
    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, NULL);
}

static int64_t conn_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void conn_close(struct cli_conn *c)
{
    if (c->redis)
        redisFree(c->redis);
    c->redis = NULL;
}

static void conn_explain_refused(const struct cli_options *o, const char *why)
{
    fprintf(stderr,
            "halfmq: cannot connect to %s:%d: %s\n"
            "  Start a broker with `halfmqd`, or say where one runs: --host and --port, or the\n"
            "  variables HALFMQ_HOST and HALFMQ_PORT.\n",
            o->host, o->port, why);
}

#define UNIX_PREFIX "unix:" /* of a host that is the path of a Unix socket */

static redisContext *conn_connect(const struct cli_options *o, struct timeval limit)
{
    size_t n = strlen(UNIX_PREFIX);
    bool is_path = strncmp(o->host, UNIX_PREFIX, n) == 0;
    return is_path ? redisConnectUnixWithTimeout(o->host + n, limit) : redisConnectWithTimeout(o->host, o->port, limit);
}

enum exit_code conn_open(struct cli_conn *c, const struct cli_options *o)
{
    struct timeval limit = {o->timeout_ms / 1000, o->timeout_ms % 1000 * 1000};
    *c = (struct cli_conn){.options = o};
    c->redis = conn_connect(o, limit);
    if (!c->redis || c->redis->err) {
        conn_explain_refused(o, c->redis ? c->redis->errstr : "out of memory");
        conn_close(c);
        return EXIT_NO_BROKER;
    }
    /* Bounds a write to a broker that does not read; reads have their own deadline. */
    redisSetTimeout(c->redis, limit);
    return EXIT_DONE;
}

static enum exit_code conn_lost(struct cli_conn *c)
{
    const struct cli_options *o = c->options;
    const char *why = c->redis->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK)
                          ? "the request could not be sent in time"
                          : c->redis->errstr;
    fprintf(stderr, "halfmq: lost the connection to %s:%d: %s\n", o->host, o->port, why);
    conn_close(c);
    return EXIT_NO_BROKER;
}

/* hiredis takes argument lists as two arrays; ours is one. */
static bool conn_append(redisContext *redis, const struct slice *words, size_t n)
{
    const char **argv = calloc(n, sizeof *argv);
    size_t *lengths = calloc(n, sizeof *lengths);
    bool ok = argv && lengths && n <= REQUEST_WORDS_MAX;
    for (size_t i = 0; ok && i < n; i++) {
        argv[i] = words[i].len ? (const char *)words[i].data : "";
        lengths[i] = words[i].len;
    }
    ok = ok && redisAppendCommandArgv(redis, (int)n, argv, lengths) == REDIS_OK;
    free(argv);
    free(lengths);
    return ok;
}

enum exit_code conn_send(struct cli_conn *c, const struct slice *words, size_t n)
{
    if (!c->redis) {
        enum exit_code e = conn_open(c, c->options);
        if (e != EXIT_DONE)
            return e;
    }
    if (!conn_append(c->redis, words, n)) {
        fputs("halfmq: too many words, or out of memory\n", stderr);
        conn_close(c);
        return EXIT_USAGE;
    }
    int done = 0;
    while (!done) {
        if (redisBufferWrite(c->redis, &done) != REDIS_OK)
            return conn_lost(c);
    }
    return EXIT_DONE;
}

enum exit_code conn_poll(struct cli_conn *c, bool readable, redisReply **ret_reply)
{
    void *reply = NULL;
    if (readable && redisBufferRead(c->redis) != REDIS_OK)
        return conn_lost(c);
    if (redisGetReplyFromReader(c->redis, &reply) != REDIS_OK)
        return conn_lost(c);
    *ret_reply = reply;
    return EXIT_DONE;
}

/* Waits until there are bytes. False: interrupted, or the deadline passed. */
static bool conn_wait_unblocked(struct cli_conn *c, int64_t deadline_ms, const sigset_t *before)
{
    struct pollfd p = {.fd = c->redis->fd, .events = POLLIN};
    for (;;) {
        int64_t left = deadline_ms < 0 ? POLL_MS_MAX : deadline_ms - conn_now_ms();
        if (conn_interrupted || left <= 0)
            return false;
        left = left < POLL_MS_MAX ? left : POLL_MS_MAX;
        struct timespec limit = {left / 1000, left % 1000 * 1000000};
        if (ppoll(&p, 1, &limit, before) > 0)
            return true;
    }
}

/* SIGINT is delivered only inside ppoll, so that one between the check of the flag and the wait is not lost. */
static bool conn_wait_readable(struct cli_conn *c, int64_t deadline_ms)
{
    sigset_t interrupt_only, before;
    sigemptyset(&interrupt_only);
    sigaddset(&interrupt_only, SIGINT);
    sigprocmask(SIG_BLOCK, &interrupt_only, &before);
    bool readable = conn_wait_unblocked(c, deadline_ms, &before);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return readable;
}

static enum exit_code conn_gave_up(struct cli_conn *c, int64_t timeout_ms)
{
    enum exit_code e = EXIT_INTERRUPTED;
    if (!conn_interrupted) {
        fprintf(stderr,
                "halfmq: no reply from %s:%d within %lld ms; use --timeout to wait longer.\n"
                "  The command may or may not have been carried out.\n",
                c->options->host, c->options->port, (long long)timeout_ms);
        e = EXIT_NO_BROKER;
    }
    conn_close(c);
    return e;
}

enum exit_code conn_receive(struct cli_conn *c, int64_t timeout_ms, redisReply **ret_reply)
{
    int64_t deadline = timeout_ms < 0 ? -1 : conn_now_ms() + timeout_ms;
    redisReply *reply = NULL;
    enum exit_code e = conn_poll(c, false, &reply);
    while (e == EXIT_DONE && !reply) {
        if (!conn_wait_readable(c, deadline))
            return conn_gave_up(c, timeout_ms);
        e = conn_poll(c, true, &reply);
    }
    if (e == EXIT_DONE)
        *ret_reply = reply;
    return e;
}

static int64_t conn_longest_wait(const struct slice *words, size_t n)
{
    int64_t longest = 0, ms;
    for (size_t i = 1; i + 1 < n; i++) {
        if (slice_equal_nocase(words[i], SLICE_LIT("WAIT")) && text_duration(words[i + 1], &ms))
            longest = ms > longest ? ms : longest;
    }
    return longest;
}

enum exit_code conn_ask(struct cli_conn *c, const struct slice *words, size_t n, redisReply **ret_reply)
{
    enum exit_code e = conn_send(c, words, n);
    if (e != EXIT_DONE)
        return e;
    return conn_receive(c, conn_longest_wait(words, n) + c->options->timeout_ms, ret_reply);
}
