/*
 * mailbox.c: one mutex, one set of letters, one eventfd. Letters are put in and taken out under the mutex; the loop is
 * woken after it is released.
 */
#include "broker/journal/mailbox.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A key that was news a moment ago is mostly among the last few. Merging it with those keeps the list short while the
 * loop is busy, and looking at a few costs next to nothing. */
#define MERGE_LOOK_BACK 16

enum status letters_init(struct letters *l)
{
    *l = (struct letters){0};
    l->news = calloc(1, sizeof *l->news);
    return l->news ? ST_OK : ST_NOMEM;
}

void letters_fini(struct letters *l)
{
    assert(!l->done.first);
    for (uint32_t i = 0; i < l->n_fds; i++)
        close(l->fds[i].fd);
    free(l->fds);
    free(l->news);
    *l = (struct letters){0};
}

void letters_clear(struct letters *l)
{
    assert(!l->done.first);
    l->n_fds = 0;
    l->n_kills = 0;
    l->orders = 0;
    l->news->index = 0;
    l->news->overflow = false;
    l->news->n = 0;
}

enum status mailbox_init(struct mailbox *m)
{
    *m = (struct mailbox){.event_fd = -1};
    if (letters_init(&m->in) != ST_OK)
        return ST_NOMEM;
    m->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (m->event_fd < 0 || pthread_mutex_init(&m->lock, NULL) != 0) {
        if (m->event_fd >= 0)
            close(m->event_fd);
        letters_fini(&m->in);
        return ST_IO;
    }
    return ST_OK;
}

void mailbox_fini(struct mailbox *m)
{
    letters_fini(&m->in);
    pthread_mutex_destroy(&m->lock);
    close(m->event_fd);
}

static void mailbox_ring(struct mailbox *m)
{
    uint64_t one = 1;
    ssize_t n;
    do {
        n = write(m->event_fd, &one, sizeof one);
    } while (n < 0 && errno == EINTR);
    /* EAGAIN means that the counter is full, so the loop is being woken anyway. */
    assert(n == (ssize_t)sizeof one || errno == EAGAIN);
}

static void mailbox_unlock_and_ring(struct mailbox *m)
{
    bool rings = m->sleeping; /* whoever clears it is the one who rings */
    m->sleeping = false;
    pthread_mutex_unlock(&m->lock);
    if (rings)
        mailbox_ring(m);
}

void mailbox_post_done(struct mailbox *m, struct entry_list *done)
{
    if (!done->first)
        return;
    pthread_mutex_lock(&m->lock);
    entry_append(&m->in.done, done);
    mailbox_unlock_and_ring(m);
}

static bool mailbox_merge_key(struct news *n, uint64_t key, uint32_t count)
{
    uint32_t look = n->n < MERGE_LOOK_BACK ? n->n : MERGE_LOOK_BACK;
    for (uint32_t i = n->n - look; i < n->n; i++) {
        if (n->keys[i] == key) {
            n->counts[i] = count > UINT32_MAX - n->counts[i] ? UINT32_MAX : n->counts[i] + count;
            return true;
        }
    }
    return false;
}

static void mailbox_merge_news(struct news *n, const struct effects *fx)
{
    if (fx->index > n->index)
        n->index = fx->index;
    n->overflow = n->overflow || fx->overflow;
    for (uint32_t i = 0; i < fx->n_keys && !n->overflow; i++) {
        if (mailbox_merge_key(n, fx->keys[i], fx->counts[i]))
            continue;
        if (n->n == NEWS_MAX) {
            n->overflow = true;
            break;
        }
        n->keys[n->n] = fx->keys[i];
        n->counts[n->n] = fx->counts[i];
        n->n++;
    }
}

void mailbox_post_news(struct mailbox *m, const struct effects *fx)
{
    pthread_mutex_lock(&m->lock);
    mailbox_merge_news(m->in.news, fx);
    if (m->wants_news) {
        mailbox_unlock_and_ring(m);
        return;
    }
    pthread_mutex_unlock(&m->lock);
}

void mailbox_order(struct mailbox *m, unsigned orders, int64_t drain_ms)
{
    pthread_mutex_lock(&m->lock);
    m->in.orders |= orders;
    if (orders & ORDER_DRAIN)
        m->in.drain_ms = drain_ms;
    mailbox_unlock_and_ring(m);
}

bool mailbox_post_fd(struct mailbox *m, struct letter_socket socket)
{
    pthread_mutex_lock(&m->lock);
    struct letters *l = &m->in;
    if (l->n_fds == l->fds_size) {
        uint32_t size = l->fds_size ? l->fds_size * 2 : 16;
        struct letter_socket *fds = realloc(l->fds, size * sizeof *fds);
        if (!fds) {
            pthread_mutex_unlock(&m->lock);
            return false;
        }
        l->fds = fds;
        l->fds_size = size;
    }
    l->fds[l->n_fds++] = socket;
    mailbox_unlock_and_ring(m);
    return true;
}

bool mailbox_post_kill(struct mailbox *m, uint64_t id)
{
    pthread_mutex_lock(&m->lock);
    struct letters *l = &m->in;
    if (l->n_kills == KILLS_MAX) {
        pthread_mutex_unlock(&m->lock);
        return false;
    }
    l->kills[l->n_kills++] = id;
    mailbox_unlock_and_ring(m);
    return true;
}

void mailbox_take(struct mailbox *m, struct letters *l)
{
    assert(!l->done.first && l->n_fds == 0 && l->n_kills == 0 && l->news->n == 0);
    pthread_mutex_lock(&m->lock);
    struct letters taken = m->in;
    m->in = *l;
    pthread_mutex_unlock(&m->lock);
    *l = taken;
}

static bool mailbox_is_empty(const struct letters *l)
{
    return !l->done.first && !l->n_fds && !l->n_kills && !l->orders && !l->news->index;
}

bool mailbox_sleep(struct mailbox *m, bool wants_news)
{
    pthread_mutex_lock(&m->lock);
    bool may = mailbox_is_empty(&m->in);
    m->sleeping = may;
    m->wants_news = wants_news;
    pthread_mutex_unlock(&m->lock);
    return may;
}

void mailbox_awake(struct mailbox *m)
{
    pthread_mutex_lock(&m->lock);
    m->sleeping = false;
    pthread_mutex_unlock(&m->lock);
}

void mailbox_drain_event(struct mailbox *m)
{
    uint64_t count;
    ssize_t n = read(m->event_fd, &count, sizeof count);
    assert(n == (ssize_t)sizeof count || errno == EAGAIN || errno == EINTR);
}
