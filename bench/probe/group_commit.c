/*
 * group_commit.c: walks over one schedule twice. `arrived` goes ahead and says how many messages are due, `answered`
 * follows when they are on disk. So nothing has to be stored for a message in between.
 */
#include "bench/probe/group_commit.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "bench/base/mono.h"
#include "bench/base/pace.h"

#define WATCHED_NS INT64_C(200000) /* most timers are late by less than this */

/* Waits until that time, and returns the time. */
static int64_t group_commit_wait_until(int64_t due)
{
    int64_t now = mono_ns();
    if (due - now > WATCHED_NS) {
        int64_t wake = due - WATCHED_NS;
        struct timespec at = {.tv_sec = wake / 1000000000, .tv_nsec = wake % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
    }
    while (now < due)
        now = mono_ns();
    return now;
}

static bool group_commit_put(int fd, const uint8_t *bytes, size_t len, uint64_t at)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, bytes, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
        at += (uint64_t)n;
    }
    return true;
}

static bool group_commit_prepare(const struct group_commit *g, int fd)
{
    for (size_t at = 0; at < GROUP_COMMIT_FILE_BYTES; at += GROUP_COMMIT_TURN_BYTES) {
        if (!group_commit_put(fd, g->bytes, GROUP_COMMIT_TURN_BYTES, at))
            return false;
    }
    return fsync(fd) == 0;
}

/* How many more messages are due by now, at most as many as fit into a turn. */
static uint64_t group_commit_take(struct pace *arrived, int64_t now, int64_t end, uint64_t most)
{
    uint64_t n = 0;
    for (int64_t due = pace_due(arrived); n < most && due <= now && due < end; n++) {
        pace_step(arrived);
        due = pace_due(arrived);
    }
    return n;
}

static void group_commit_answer(struct group_commit *g, struct pace *answered, uint64_t n, int64_t now)
{
    for (uint64_t i = 0; i < n; i++) {
        hist_record(g->took, now - pace_due(answered), 1);
        pace_step(answered);
    }
    g->turns++;
    g->messages += n;
    if (n > g->most)
        g->most = n;
    g->elapsed_ns = now - answered->origin_ns;
}

static bool group_commit_serve(struct group_commit *g, int fd)
{
    uint64_t each = g->size + GROUP_COMMIT_OVERHEAD, most = GROUP_COMMIT_TURN_BYTES / each, at = 0;
    struct pace arrived = {.per_s = g->per_s, .origin_ns = mono_ns()}, answered = arrived;
    int64_t end = arrived.origin_ns + g->duration_ns;
    for (int64_t due = arrived.origin_ns; due < end; due = pace_due(&arrived)) {
        uint64_t n = group_commit_take(&arrived, group_commit_wait_until(due), end, most);
        size_t len = (size_t)(n * each);
        if (g->overwrite && at + len > GROUP_COMMIT_FILE_BYTES)
            at = 0;
        if (!group_commit_put(fd, g->bytes, len, at) || (g->sync && fdatasync(fd) != 0))
            return false;
        at += len;
        group_commit_answer(g, &answered, n, mono_ns());
    }
    return true;
}

bool group_commit_run(struct group_commit *g)
{
    assert(g->per_s > 0 && g->per_s <= GROUP_COMMIT_RATE_MAX);
    assert(g->size <= GROUP_COMMIT_TURN_BYTES - GROUP_COMMIT_OVERHEAD);
    int fd = open(g->path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0)
        return false;
    bool ok = (!g->overwrite || group_commit_prepare(g, fd)) && group_commit_serve(g, fd);
    int why = errno;
    close(fd);
    unlink(g->path);
    errno = why;
    return ok;
}
