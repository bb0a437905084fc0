/*
 * halfmq_uv.h: a HalfMQ client on the application's libuv loop. Header only; link with libuv yourself.
 *
 *     struct hmq_uv *adapter;
 *     hmq_client *client;
 *     hmq_uv_new(loop, NULL, &adapter, &client, &err);
 *     uv_run(loop, UV_RUN_DEFAULT);
 *     hmq_client_free(client);              -- still on the loop's thread
 *     hmq_uv_free(adapter);
 *     uv_run(loop, UV_RUN_DEFAULT);         -- its handles are closed here
 *
 * The client keeps the loop alive as long as it lives; uv_stop lets uv_run return. libuv frees nothing at once: a handle
 * lives until its close callback, which the loop calls. So hmq_uv_free frees the adapter later, in the loop.
 */
#ifndef HALFMQ_UV_H
#define HALFMQ_UV_H

#include <halfmq.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hmq_uv {
    uv_loop_t *loop;
    hmq_client *client;
    uv_timer_t timer;
    int failed; /* 1: a descriptor cannot be watched (no memory); the loop was stopped */
    struct {
        int fd; /* -1: not in use */
        uv_poll_t *poll;
    } slots[2];
};

static inline void hmq_uv_on_closed(uv_handle_t *handle)
{
    free(handle);
}

static inline void hmq_uv_on_timer_closed(uv_handle_t *handle)
{
    free(handle->data); /* the adapter, which the timer is part of */
}

static inline void hmq_uv_on_fd(uv_poll_t *poll, int status, int events)
{
    struct hmq_uv *a = (struct hmq_uv *)poll->data;
    uv_os_fd_t fd;
    if (!a->client || uv_fileno((uv_handle_t *)poll, &fd) != 0)
        return;
    if (status < 0 || events & UV_WRITABLE)
        hmq_client_writable(a->client, fd);
    if (status < 0 || events & UV_READABLE)
        hmq_client_readable(a->client, fd);
}

static inline void hmq_uv_on_timer(uv_timer_t *timer)
{
    struct hmq_uv *a = (struct hmq_uv *)timer->data;
    if (a->client)
        hmq_client_timeout(a->client);
}

static inline void hmq_uv_drop(struct hmq_uv *a, int i)
{
    if (a->slots[i].poll)
        uv_close((uv_handle_t *)a->slots[i].poll, hmq_uv_on_closed);
    a->slots[i].poll = NULL;
    a->slots[i].fd = -1;
}

/* The client names a descriptor. */
static inline void hmq_uv_watch(void *arg, int fd, int want_read, int want_write)
{
    struct hmq_uv *a = (struct hmq_uv *)arg;
    int i = a->slots[0].fd == fd || (a->slots[1].fd != fd && a->slots[0].fd < 0) ? 0 : 1;
    int events = (want_read ? UV_READABLE : 0) | (want_write ? UV_WRITABLE : 0);
    if (!events) {
        if (a->slots[i].fd == fd)
            hmq_uv_drop(a, i);
        return;
    }
    if (a->slots[i].fd != fd) {
        uv_poll_t *poll = (uv_poll_t *)calloc(1, sizeof *poll);
        if (poll && uv_poll_init(a->loop, poll, fd) == 0) {
            poll->data = a;
            a->slots[i].fd = fd;
            a->slots[i].poll = poll;
        } else {
            free(poll);
        }
    }
    if (a->slots[i].fd == fd && uv_poll_start(a->slots[i].poll, events, hmq_uv_on_fd) == 0)
        return;
    a->failed = 1;
    uv_stop(a->loop);
}

static inline void hmq_uv_deadline(void *arg, int64_t in_ms)
{
    struct hmq_uv *a = (struct hmq_uv *)arg;
    if (in_ms < 0)
        uv_timer_stop(&a->timer);
    else if (uv_timer_start(&a->timer, hmq_uv_on_timer, (uint64_t)in_ms, 0) != 0)
        a->failed = 1;
}

/* After hmq_client_free; the loop must run once more. NULL is fine. */
static inline void hmq_uv_free(struct hmq_uv *a)
{
    if (!a)
        return;
    a->client = NULL;
    hmq_uv_drop(a, 0);
    hmq_uv_drop(a, 1);
    uv_close((uv_handle_t *)&a->timer, hmq_uv_on_timer_closed);
}

/*
 * A client whose loop is this one. options as for hmq_client_new. The loop belongs to the thread that calls this and runs
 * it. Errors as hmq_client_new_loop.
 */
static inline enum hmq_status hmq_uv_new(uv_loop_t *loop_of, const hmq_options *options, struct hmq_uv **ret_adapter,
                                         hmq_client **ret_client, hmq_error *err)
{
    struct hmq_uv *a = (struct hmq_uv *)calloc(1, sizeof *a);
    enum hmq_status status;
    hmq_loop loop = HMQ_LOOP;
    if (err) {
        err->code = HMQ_ENOMEM;
        snprintf(err->text, sizeof err->text, "%s", hmq_strerror(HMQ_ENOMEM));
    }
    if (!a || uv_timer_init(loop_of, &a->timer) != 0) {
        free(a);
        return HMQ_ENOMEM;
    }
    a->loop = loop_of;
    a->timer.data = a;
    a->slots[0].fd = a->slots[1].fd = -1;
    loop.arg = a;
    loop.watch = hmq_uv_watch;
    loop.deadline = hmq_uv_deadline;
    status = hmq_client_new_loop(options, &loop, &a->client, err);
    if (status != HMQ_OK) {
        hmq_uv_free(a);
        return status;
    }
    *ret_adapter = a;
    *ret_client = a->client;
    return HMQ_OK;
}

#ifdef __cplusplus
}
#endif

#endif
