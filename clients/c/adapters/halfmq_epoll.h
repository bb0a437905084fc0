/*
 * halfmq_epoll.h: a HalfMQ client on the application's own epoll loop. Header only.
 *
 *     struct hmq_epoll *adapter;
 *     hmq_client *client;
 *     hmq_epoll_new(epoll_fd, NULL, &adapter, &client, &err);
 *     for (;;) {
 *         n = epoll_wait(epoll_fd, events, 16, -1);
 *         for (i = 0; i < n; i++)
 *             if (!hmq_epoll_handle(adapter, &events[i]))
 *                 ... an event of the application's ...
 *     }
 *     hmq_client_free(client);              -- still on the loop's thread
 *     hmq_epoll_free(adapter);
 *
 * The client has three descriptors in the set: its socket, one by which other threads wake it, and a timer. The data of
 * their events are pointers into the adapter, so the application's own events must have pointers as data as well.
 */
#ifndef HALFMQ_EPOLL_H
#define HALFMQ_EPOLL_H

#include <halfmq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hmq_epoll {
    int epoll;
    hmq_client *client;
    int failed; /* 1: a descriptor cannot be watched (no memory); the client does not go on */
    struct {
        int fd; /* -1: not in use */
    } slots[3]; /* the last one is the timer */
};

/* The client names a descriptor. */
static inline void hmq_epoll_watch(void *arg, int fd, int want_read, int want_write)
{
    struct hmq_epoll *a = (struct hmq_epoll *)arg;
    int i = a->slots[0].fd == fd || (a->slots[1].fd != fd && a->slots[0].fd < 0) ? 0 : 1;
    struct epoll_event e;
    int known = a->slots[i].fd == fd;
    memset(&e, 0, sizeof e);
    if (want_read)
        e.events |= EPOLLIN;
    if (want_write)
        e.events |= EPOLLOUT;
    e.data.ptr = &a->slots[i];
    if (e.events == 0) {
        if (known && epoll_ctl(a->epoll, EPOLL_CTL_DEL, fd, &e) != 0)
            a->failed = 1;
        a->slots[i].fd = known ? -1 : a->slots[i].fd;
        return;
    }
    a->slots[i].fd = fd;
    if (epoll_ctl(a->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e) != 0)
        a->failed = 1;
}

static inline void hmq_epoll_deadline(void *arg, int64_t in_ms)
{
    struct hmq_epoll *a = (struct hmq_epoll *)arg;
    struct itimerspec in;
    memset(&in, 0, sizeof in);
    in.it_value.tv_sec = (time_t)(in_ms > 0 ? in_ms / 1000 : 0);
    in.it_value.tv_nsec = in_ms > 0 ? (long)(in_ms % 1000) * 1000000 : in_ms == 0 ? 1 : 0; /* all 0: no timer */
    if (timerfd_settime(a->slots[2].fd, 0, &in, NULL) != 0)
        a->failed = 1;
}

/* 1: the event was the client's, and is handled. 0: it is the application's. */
static inline int hmq_epoll_handle(struct hmq_epoll *a, const struct epoll_event *e)
{
    int i;
    uint64_t count;
    for (i = 0; i < 3 && e->data.ptr != &a->slots[i]; i++)
        ;
    if (i == 3)
        return 0;
    if (i == 2) {
        if (read(a->slots[2].fd, &count, sizeof count) == (ssize_t)sizeof count)
            hmq_client_timeout(a->client);
        return 1;
    }
    if (e->events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
        hmq_client_writable(a->client, a->slots[i].fd);
    if (e->events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        hmq_client_readable(a->client, a->slots[i].fd);
    return 1;
}

/* After hmq_client_free. NULL is fine. */
static inline void hmq_epoll_free(struct hmq_epoll *a)
{
    if (!a)
        return;
    if (a->slots[2].fd >= 0)
        close(a->slots[2].fd);
    free(a);
}

/*
 * A client on this epoll set. options as for hmq_client_new. The loop belongs to the thread that calls this and waits for
 * the set. Errors as hmq_client_new_loop; HMQ_ESYSTEM: the system has no timer.
 */
static inline enum hmq_status hmq_epoll_new(int epoll_fd, const hmq_options *options, struct hmq_epoll **ret_adapter,
                                            hmq_client **ret_client, hmq_error *err)
{
    struct hmq_epoll *a = (struct hmq_epoll *)calloc(1, sizeof *a);
    enum hmq_status status = a ? HMQ_ESYSTEM : HMQ_ENOMEM;
    hmq_loop loop = HMQ_LOOP;
    struct epoll_event e;
    memset(&e, 0, sizeof e);
    e.events = EPOLLIN;
    if (a) {
        a->epoll = epoll_fd;
        a->slots[0].fd = a->slots[1].fd = -1;
        a->slots[2].fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        e.data.ptr = &a->slots[2];
    }
    if (err) {
        err->code = status;
        snprintf(err->text, sizeof err->text, "%s", hmq_strerror(status));
    }
    loop.arg = a;
    loop.watch = hmq_epoll_watch;
    loop.deadline = hmq_epoll_deadline;
    if (a && a->slots[2].fd >= 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, a->slots[2].fd, &e) == 0)
        status = hmq_client_new_loop(options, &loop, &a->client, err);
    if (status != HMQ_OK) {
        hmq_epoll_free(a);
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
