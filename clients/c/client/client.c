/*
 * client.c: making and ending clients, and what the roles need of one; see client.h.
 */
#include "clients/c/client/client.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clients/c/client/peer.h"
#include "clients/c/client/driver.h"

static bool locks_init(struct hmq_client *c)
{
    if (pthread_mutex_init(&c->lock, NULL) != 0)
        return false;
    if (clock_cond_init(&c->changed))
        return true;
    pthread_mutex_destroy(&c->lock);
    return false;
}

/* Frees what client_make made; the driver has stopped. */
static void client_unmake(struct hmq_client *c)
{
    core_fini(&c->core);
    close(c->wake_fd);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    hmq_options_free(c->options);
    free(c);
}

static enum hmq_status core_setup(struct hmq_client *c, hmq_error *err)
{
    if (!core_init(&c->core))
        return error_plain(err, HMQ_ENOMEM);
    c->core.max_pending = (size_t)options_num(c->options, CHOICE_max_pending);
    c->core.max_pending_bytes = (size_t)options_num(c->options, CHOICE_max_pending_bytes);
    c->core.batch_bytes = (size_t)options_num(c->options, CHOICE_max_batch_bytes);
    uint64_t bits = 0;
    if (!clock_random(&bits))
        return error_set(err, HMQ_ESYSTEM, "the system gives no random numbers: %s",
                         strerror(errno));
    c->core.random = bits;
    atomic_init(&c->next_id, (uint32_t)(bits >> 40));
    return HMQ_OK;
}

/* Everything but the loop and the thread. */
static enum hmq_status client_make(const hmq_options *options, struct hmq_client **ret_client,
                                   hmq_error *err)
{
    struct hmq_client *c = calloc(1, sizeof *c);
    if (!c)
        return error_plain(err, HMQ_ENOMEM);
    TAILQ_INIT(&c->services);
    c->told_fd = c->peer.fd = -1;
    c->told_until_ms = CORE_NEVER;
    c->options = options_clone(options);
    c->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (!c->options || c->wake_fd < 0 || !locks_init(c)) {
        enum hmq_status status = c->wake_fd < 0 ? error_set(err, HMQ_ESYSTEM, "%s", strerror(errno))
                                                : error_plain(err, HMQ_ENOMEM);
        if (c->wake_fd >= 0)
            close(c->wake_fd);
        hmq_options_free(c->options);
        free(c);
        return status;
    }
    enum hmq_status status = core_setup(c, err);
    if (status == HMQ_OK)
        status = peer_init(c, err);
    if (status != HMQ_OK) {
        peer_fini(c);
        client_unmake(c);
        return status;
    }
    *ret_client = c;
    return HMQ_OK;
}

/* The given options, or defaults and HALFMQ_URL. */
static enum hmq_status with_options(const hmq_options *options, struct hmq_client **ret_client,
                                    hmq_error *err)
{
    if (options)
        return client_make(options, ret_client, err);
    hmq_options *own = hmq_options_new();
    if (!own)
        return error_plain(err, HMQ_ENOMEM);
    enum hmq_status status = hmq_options_set_uri(own, NULL, err);
    if (status == HMQ_OK)
        status = client_make(own, ret_client, err);
    hmq_options_free(own);
    return status;
}

enum hmq_status hmq_client_new(const hmq_options *options, hmq_client **ret_client, hmq_error *err)
{
    struct hmq_client *c = NULL;
    if (!ret_client)
        return error_set(err, HMQ_EINVAL, "no place for the client given");
    enum hmq_status status = with_options(options, &c, err);
    if (status != HMQ_OK)
        return status;
    assert(c);
    c->threaded = true;
    if (!thread_start(c)) {
        peer_fini(c);
        client_unmake(c);
        return error_set(err, HMQ_ESYSTEM, "the system gives no thread");
    }
    *ret_client = c;
    return error_none(err);
}

enum hmq_status hmq_client_new_loop(const hmq_options *options, const hmq_loop *loop,
                                    hmq_client **ret_client, hmq_error *err)
{
    struct hmq_client *c = NULL;
    if (!ret_client || !loop || !loop->watch || !loop->deadline)
        return error_set(err, HMQ_EINVAL, "a loop needs both its functions");
    enum hmq_status status = with_options(options, &c, err);
    if (status != HMQ_OK)
        return status;
    assert(c);
    c->loop = *loop;
    c->loop.watch(c->loop.arg, c->wake_fd, 1, 0);
    driver_step(c, false, false);
    *ret_client = c;
    return error_none(err);
}

enum hmq_status hmq_client_open(const char *uri, hmq_client **ret_client, hmq_error *err)
{
    hmq_options *options = hmq_options_new();
    if (!options)
        return error_plain(err, HMQ_ENOMEM);
    enum hmq_status status = hmq_options_set_uri(options, uri, err);
    if (status == HMQ_OK)
        status = hmq_client_new(options, ret_client, err);
    hmq_options_free(options);
    return status;
}

void hmq_client_free(hmq_client *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    client_wake_locked(c, CORE_NOW);
    assert(TAILQ_EMPTY(&c->services)); /* producers and consumers are closed before their client */
    pthread_mutex_unlock(&c->lock);
    client_changed(c);
    if (c->threaded)
        pthread_join(c->thread, NULL);
    else
        driver_stop(c);
    client_unmake(c);
}

void hmq_client_readable(hmq_client *c, int fd)
{
    if (fd == c->wake_fd || fd == c->told_fd)
        driver_step(c, fd == c->told_fd, false);
}

void hmq_client_writable(hmq_client *c, int fd)
{
    if (fd == c->told_fd)
        driver_step(c, false, true);
}

void hmq_client_timeout(hmq_client *c)
{
    driver_step(c, false, false);
}

int64_t client_deadline(const struct hmq_client *c, int64_t timeout_ms)
{
    int64_t longest = 366LL * 24 * 3600 * 1000;
    if (timeout_ms < 0)
        timeout_ms = options_num(c->options, CHOICE_call_timeout_ms);
    return clock_ms() + (timeout_ms < longest ? timeout_ms : longest);
}

void client_wake_locked(struct hmq_client *c, int64_t due_ms)
{
    uint64_t one = 1;
    if (!c->sleeping || c->woken || due_ms >= c->sleep_until_ms)
        return;
    c->woken = true;
    ssize_t n = write(c->wake_fd, &one, sizeof one);
    (void)n; /* EAGAIN would mean that 2^64 wakings wait already */
}

enum hmq_status client_submit(struct hmq_client *c, struct call *call, int64_t linger_ms)
{
    pthread_mutex_lock(&c->lock);
    enum hmq_status status = HMQ_ECLOSED;
    int64_t deadline_ms = call->deadline_ms;
    if (!c->stopping)
        status = core_submit(&c->core, call, clock_ms(), linger_ms);
    if (status == HMQ_OK) {
        bool writable = c->connected && !c->blocked;
        int64_t flush_ms = writable ? core_next_flush(&c->core) : CORE_NEVER;
        client_wake_locked(c, flush_ms < deadline_ms ? flush_ms : deadline_ms);
    }
    pthread_mutex_unlock(&c->lock);
    return status;
}

void hmq_client_stats(hmq_client *c, hmq_stats *stats)
{
    hmq_stats s = {.size = sizeof s};
    pthread_mutex_lock(&c->lock);
    s.connected = c->connected;
    s.connects = c->connects;
    s.requests = c->core.requests;
    s.resent = c->core.resent;
    s.responses = c->core.responses;
    s.checks = c->checks;
    s.bytes_out = c->bytes_out;
    s.bytes_in = c->bytes_in;
    s.pending = c->core.pending;
    s.pending_bytes = c->core.pending_bytes;
    pthread_mutex_unlock(&c->lock);
    if (stats->size < s.size)
        s.size = stats->size;
    memcpy(stats, &s, s.size);
}
