/*
 * wal_set.c: the files of the log: lists of them, new ones, and how many bytes they have in all.
 */
#include "broker/wal/wal_set.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void wal_list_push(struct wal_list *l, struct wal_file *f)
{
    f->next = NULL;
    if (l->first)
        l->end->next = f;
    else
        l->first = f;
    l->end = f;
    l->n++;
}

struct wal_file *wal_list_pop(struct wal_list *l)
{
    struct wal_file *f = l->first;
    if (f) {
        l->first = f->next;
        f->next = NULL;
        l->n--;
    }
    return f;
}

struct wal_file *wal_list_pop_end(struct wal_list *l)
{
    struct wal_file *f = l->end, *p = l->first;
    if (p == f) {
        l->first = NULL;
    } else {
        while (p->next != f)
            p = p->next;
        p->next = NULL;
        l->end = p;
    }
    l->n--;
    return f;
}

struct wal_file *wal_set_new_file(struct wal *w)
{
    pthread_mutex_lock(&w->lock);
    uint64_t name = w->next_name++;
    w->n_files++;
    pthread_mutex_unlock(&w->lock);
    struct wal_file *f = wal_file_open(w->folder, name, true);
    if (!f) {
        pthread_mutex_lock(&w->lock);
        w->n_files--;
        pthread_mutex_unlock(&w->lock);
    }
    return f;
}

uint64_t wal_set_live_bytes(const struct wal *w)
{
    uint64_t bytes = 0;
    for (const struct wal_file *f = w->live.first; f; f = f->next)
        bytes += f->size;
    return bytes;
}

void wal_set_resized(struct wal *w, size_t before, size_t after)
{
    if (before == after)
        return;
    pthread_mutex_lock(&w->lock);
    w->bytes += after;
    w->bytes -= before;
    pthread_mutex_unlock(&w->lock);
}

enum status wal_set_failed(const struct wal *w, const char *doing, char *err, size_t err_size)
{
    snprintf(err, err_size, "cannot %s in %s: %s", doing, w->path ? w->path : "", strerror(errno));
    return errno == ENOMEM ? ST_NOMEM : ST_IO;
}
