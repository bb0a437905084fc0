/*
 * open.c: opening and closing a client, with a thread of its own or for the application's loop, and the
 * functions that this loop calls. They are declared in halfmq.h.
 */
#include "clients/c/halfmq.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clients/c/client/client_inner.h"
#include "clients/c/client/driver.h"
#include "clients/c/client/gate.h"
#include "clients/c/client/peer.h"
#include "clients/c/client/thread.h"
#include "clients/c/client/wait.h"
#include "clients/c/client/watch.h"
#include "clients/c/wire/clock.h"
#include "clients/c/wire/sized.h"

static bool open_locks(struct hmq_client *c)
{
    if (pthread_mutex_init(&c->lock, NULL) != 0)
        return false;
    bool second = pthread_mutex_init(&c->stats_lock, NULL) == 0;
    if (second && clock_cond_init(&c->changed))
        return true;
    if (second)
        pthread_mutex_destroy(&c->stats_lock);
    pthread_mutex_destroy(&c->lock);
    return false;
}

/* Frees a client whose driver has stopped, or never ran. */
static void open_undo(struct hmq_client *c)
{
    core_fini(&c->core);
    memory_drop(c->memory);
    close(c->wake_fd);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->stats_lock);
    pthread_mutex_destroy(&c->lock);
    hmq_options_free(c->options);
    free(c);
}

/* Those who wait in a function of the client have been woken, and leave. */
static void open_await_callers(struct hmq_client *c)
{
    pthread_mutex_lock(&c->lock);
    while (!gate_empty(&c->gate))
        pthread_cond_wait(&c->changed, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

/* The driver has stopped. */
static void open_bury(struct hmq_client *c)
{
    open_await_callers(c);
    open_undo(c);
}

/* Nobody has the client any more. */
static void open_end(struct hmq_client *c)
{
    gate_close(&c->gate, c);
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    watch_wake_locked(c, CORE_NOW);
    assert(TAILQ_EMPTY(&c->services)); /* each role releases the client after its service */
    pthread_mutex_unlock(&c->lock);
    client_changed(c);
    if (!wait_is_possible(c)) { /* a callback: it returns into the driver, which cannot be waited for */
        c->bury = open_bury;
        if (c->threaded)
            pthread_detach(c->thread);
        return;
    }
    if (c->threaded)
        pthread_join(c->thread, NULL);
    else
        driver_stop(c);
    open_bury(c);
}

static enum hmq_status open_core(struct hmq_client *c, hmq_error *err)
{
    core_init(&c->core);
    c->core.max_pending = (size_t)options_num(c->options, CHOICE_max_pending);
    c->core.max_pending_bytes = (size_t)options_num(c->options, CHOICE_max_pending_bytes);
    c->core.batch_bytes = (size_t)options_num(c->options, CHOICE_max_batch_bytes);
    size_t most = (size_t)options_num(c->options, CHOICE_max_memory);
    c->core.max_note_memory = most / 16;
    c->core.max_memory = most / 4;
    c->memory = memory_new(most / 8); /* up to half of it: memory.h; three sixteenths are left for what is read: intake.h */
    if (!c->memory)
        return error_plain(err, HMQ_ENOMEM);
    uint64_t bits = 0;
    if (!clock_random(&bits))
        return error_set(err, HMQ_ESYSTEM, "the system has no random numbers: %s",
                         strerror(errno));
    c->core.random = bits;
    atomic_init(&c->next_id, (uint32_t)(bits >> 40));
    return HMQ_OK;
}

/* Everything but the loop and the thread. */
static enum hmq_status open_client(const hmq_options *options, struct hmq_client **ret_client,
                                   hmq_error *err)
{
    struct hmq_client *c = calloc(1, sizeof *c);
    if (!c)
        return error_plain(err, HMQ_ENOMEM);
    TAILQ_INIT(&c->services);
    TAILQ_INIT(&c->taken_back);
    c->users = 1;
    c->end = open_end;
    c->told_fd = -1;
    c->peer.net = NET_NONE;
    c->peer.dial.epoll = -1;
    c->told_until_ms = c->timer_ms = CORE_NEVER;
    c->options = options_clone(options);
    c->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (!c->options || c->wake_fd < 0 || !open_locks(c)) {
        enum hmq_status status = c->wake_fd < 0 ? error_set(err, HMQ_ESYSTEM, "%s", strerror(errno))
                                                : error_plain(err, HMQ_ENOMEM);
        if (c->wake_fd >= 0)
            close(c->wake_fd);
        hmq_options_free(c->options);
        free(c);
        return status;
    }
    enum hmq_status status = open_core(c, err);
    if (status == HMQ_OK)
        status = peer_init(c, err);
    if (status != HMQ_OK) {
        peer_fini(c);
        open_undo(c);
        return status;
    }
    *ret_client = c;
    return HMQ_OK;
}

/* With the given options; NULL: with the defaults and HALFMQ_URL. */
static enum hmq_status open_with(const hmq_options *options, struct hmq_client **ret_client,
                                 hmq_error *err)
{
    if (options)
        return open_client(options, ret_client, err);
    hmq_options *own = hmq_options_new();
    if (!own)
        return error_plain(err, HMQ_ENOMEM);
    enum hmq_status status = hmq_options_set_uri(own, NULL, err);
    if (status == HMQ_OK)
        status = open_client(own, ret_client, err);
    hmq_options_free(own);
    return status;
}

enum hmq_status hmq_client_new(const hmq_options *options, hmq_client **ret_client, hmq_error *err)
{
    struct hmq_client *c = NULL;
    if (!ret_client)
        return error_set(err, HMQ_EINVAL, "ret_client is NULL");
    enum hmq_status status = open_with(options, &c, err);
    if (status != HMQ_OK)
        return status;
    assert(c);
    c->threaded = true;
    if (!thread_start(c)) {
        peer_fini(c);
        open_undo(c);
        return error_set(err, HMQ_ESYSTEM, "the system has no thread for the client");
    }
    *ret_client = c;
    return error_none(err);
}

enum hmq_status hmq_client_new_loop(const hmq_options *options, const hmq_loop *loop,
                                    hmq_client **ret_client, hmq_error *err)
{
    struct hmq_client *c = NULL;
    hmq_loop known = HMQ_LOOP;
    if (!ret_client || !loop || !sized_read(&known, sizeof known, loop, sizeof known) || !known.watch ||
        !known.deadline)
        return error_set(err, HMQ_EINVAL, "a loop starts from HMQ_LOOP, and needs both its functions and ret_client");
    enum hmq_status status = open_with(options, &c, err);
    if (status != HMQ_OK)
        return status;
    assert(c);
    c->loop = known;
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
    if (c)
        client_release(c);
}

static void open_step(struct hmq_client *c, bool readable, bool writable)
{
    driver_step(c, readable, writable);
    if (!c->bury || c->inside > 0)
        return;
    driver_stop(c);
    c->bury(c);
}

void hmq_client_readable(hmq_client *c, int fd)
{
    if (fd == c->wake_fd || fd == c->told_fd)
        open_step(c, fd == c->told_fd, false);
}

void hmq_client_writable(hmq_client *c, int fd)
{
    if (fd == c->told_fd)
        open_step(c, false, true);
}

void hmq_client_timeout(hmq_client *c)
{
    watch_timed_out(c);
    open_step(c, false, false);
}
