/*
 * conn.c: hiredis as a transport; see conn.h.
 *
 * hiredis has no timeout for a whole reply: its timeout starts again with each piece that arrives. So the
 * deadline is kept here, on the monotonic clock.
 */
#include "clients/cli/conn.h"
#include "clients/cli/secure.h"

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
    if (c->redis && c->link.fd >= 0) {
        c->redis->fd = -1; /* the link closes it */
        net_close(&c->link);
    }
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

/* True: the connection is encrypted. */
static bool conn_secure(struct cli_conn *c)
{
    const struct cli_options *o = c->options;
    hmq_error err;
    int fd = c->redis->fd;
    if (secure_open(&c->link, fd, o, conn_now_ms() + o->timeout_ms, &err))
        return true;
    c->redis->fd = -1;
    fprintf(stderr, "halfmq: cannot connect to %s:%d: %s\n", o->host, o->port, err.text);
    if (strstr(err.text, "wrong version number"))
        fputs("  What answers there does not speak TLS: leave --tls out, or set tls_cert and tls_key of the broker.\n", stderr);
    conn_close(c);
    return false;
}

/* Logs in, where there is something to log in with. */
static enum exit_code conn_log_in(struct cli_conn *c)
{
    const struct cli_options *o = c->options;
    struct slice words[3] = {SLICE_LIT("AUTH")};
    size_t n = 1;
    redisReply *reply = NULL;
    if (!o->user && !o->password)
        return EXIT_DONE;
    if (o->user)
        words[n++] = slice_str(o->user);
    words[n++] = slice_str(o->password ? o->password : "");
    enum exit_code e = conn_ask(c, words, n, &reply);
    if (e != EXIT_DONE)
        return e;
    if (reply->type == REDIS_REPLY_ERROR) {
        fprintf(stderr, "halfmq: the broker refuses the login: %.*s\n", (int)reply->len, reply->str);
        conn_close(c);
        e = EXIT_REFUSED;
    }
    freeReplyObject(reply);
    return e;
}

enum exit_code conn_open(struct cli_conn *c, const struct cli_options *o)
{
    struct timeval limit = {o->timeout_ms / 1000, o->timeout_ms % 1000 * 1000};
    *c = (struct cli_conn){.options = o, .link = NET_NONE};
    c->redis = conn_connect(o, limit);
    if (!c->redis || c->redis->err) {
        conn_explain_refused(o, c->redis ? c->redis->errstr : "out of memory");
        conn_close(c);
        return EXIT_NO_BROKER;
    }
    /* Bounds a write to a broker that does not read; reads have their own deadline. */
    redisSetTimeout(c->redis, limit);
    if (o->tls && !conn_secure(c))
        return EXIT_NO_BROKER;
    return conn_log_in(c);
}

static enum exit_code conn_lost_by(struct cli_conn *c, const char *why)
{
    const struct cli_options *o = c->options;
    fprintf(stderr, "halfmq: lost the connection to %s:%d: %s\n", o->host, o->port, why);
    conn_close(c);
    return EXIT_NO_BROKER;
}

static enum exit_code conn_lost(struct cli_conn *c)
{
    const char *why = c->redis->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK)
                          ? "the request could not be sent in time"
                          : c->redis->errstr;
    return conn_lost_by(c, why);
}

static enum exit_code conn_link_lost(struct cli_conn *c, int failure)
{
    return conn_lost_by(c, failure == 0 ? "Server closed the connection" : c->link.why ? c->link.why : strerror(failure));
}

/* hiredis takes argument lists as two arrays; ours is one. NULL: no memory, or too many. *ret_size bytes, for the caller to
 * free with redisFreeCommand. */
static char *conn_format(const struct slice *words, size_t n, size_t *ret_size)
{
    const char **argv = calloc(n, sizeof *argv);
    size_t *lengths = calloc(n, sizeof *lengths);
    bool ok = argv && lengths && n <= REQUEST_WORDS_MAX;
    for (size_t i = 0; ok && i < n; i++) {
        argv[i] = words[i].len ? (const char *)words[i].data : "";
        lengths[i] = words[i].len;
    }
    char *request = NULL;
    int size = ok ? (int)redisFormatCommandArgv(&request, (int)n, argv, lengths) : -1;
    free(argv);
    free(lengths);
    *ret_size = size < 0 ? 0 : (size_t)size;
    return size < 0 ? NULL : request;
}

static enum exit_code conn_send_plain(struct cli_conn *c, const char *request, size_t size)
{
    int done = 0;
    if (redisAppendFormattedCommand(c->redis, request, size) != REDIS_OK)
        return conn_lost(c);
    while (!done) {
        if (redisBufferWrite(c->redis, &done) != REDIS_OK)
            return conn_lost(c);
    }
    return EXIT_DONE;
}

static enum exit_code conn_send_secure(struct cli_conn *c, const char *request, size_t size)
{
    int failed = secure_send(&c->link, request, size, conn_now_ms() + c->options->timeout_ms);
    return failed ? conn_link_lost(c, failed) : EXIT_DONE;
}

enum exit_code conn_send(struct cli_conn *c, const struct slice *words, size_t n)
{
    if (!c->redis) {
        enum exit_code e = conn_open(c, c->options);
        if (e != EXIT_DONE)
            return e;
    }
    size_t size;
    char *request = conn_format(words, n, &size);
    if (!request) {
        fputs("halfmq: too many words, or out of memory\n", stderr);
        conn_close(c);
        return EXIT_USAGE;
    }
    enum exit_code e = c->link.fd >= 0 ? conn_send_secure(c, request, size) : conn_send_plain(c, request, size);
    redisFreeCommand(request);
    return e;
}

/* Reads what there is and hands it to hiredis. */
static enum exit_code conn_read_secure(struct cli_conn *c)
{
    char block[16384];
    do {
        ssize_t n = net_read(&c->link, block, sizeof block);
        if (n < 0 && errno == EAGAIN)
            return EXIT_DONE;
        if (n <= 0)
            return conn_link_lost(c, n < 0 ? errno : 0);
        if (redisReaderFeed(c->redis->reader, block, (size_t)n) != REDIS_OK)
            return conn_lost(c);
    } while (c->link.has_more);
    return EXIT_DONE;
}

static enum exit_code conn_read(struct cli_conn *c)
{
    if (c->link.fd >= 0)
        return conn_read_secure(c);
    return redisBufferRead(c->redis) == REDIS_OK ? EXIT_DONE : conn_lost(c);
}

enum exit_code conn_poll(struct cli_conn *c, bool readable, redisReply **ret_reply)
{
    void *reply = NULL;
    enum exit_code e = readable ? conn_read(c) : EXIT_DONE;
    if (e != EXIT_DONE)
        return e;
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
