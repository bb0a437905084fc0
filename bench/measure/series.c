/* series.c: collects each worker's second, and makes a row of it when all workers have left that second behind. */
#include "bench/measure/series.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void clear(struct series_pending *p)
{
    hist_reset(&p->hist);
    p->row = (struct second){.length_s = 1, .lag = -1, .server = {-1, -1, -1}};
}

bool series_init(struct series *s, unsigned n_workers)
{
    bool ok = true;
    assert(n_workers <= SERIES_WORKERS_MAX);
    memset(s, 0, sizeof *s);
    s->n_workers = n_workers;
    for (int i = 0; i < SERIES_PENDING; i++) {
        ok = hist_init(&s->pending[i].hist) && ok;
        if (ok)
            clear(&s->pending[i]);
    }
    return pthread_mutex_init(&s->lock, NULL) == 0 && ok;
}

void series_fini(struct series *s)
{
    for (int i = 0; i < SERIES_PENDING; i++)
        hist_fini(&s->pending[i].hist);
    free(s->rows);
    pthread_mutex_destroy(&s->lock);
    memset(s, 0, sizeof *s);
}

static void finish_first(struct series *s)
{
    struct series_pending *p = &s->pending[s->n_rows % SERIES_PENDING];
    if (s->n_rows == s->rows_size) {
        size_t size = s->rows_size ? 2 * s->rows_size : 64;
        struct second *rows = realloc(s->rows, size * sizeof *rows);
        if (!rows) {
            s->full = true;
            return;
        }
        s->rows = rows;
        s->rows_size = size;
    }
    struct second *row = &s->rows[s->n_rows++];
    *row = p->row;
    row->count = p->hist.total;
    row->p50 = hist_quantile(&p->hist, 0.5);
    row->p90 = hist_quantile(&p->hist, 0.9);
    row->p99 = hist_quantile(&p->hist, 0.99);
    row->p999 = hist_quantile(&p->hist, 0.999);
    row->max = p->hist.max;
    clear(p);
}

/* The second that the slowest worker is in; workers that have ended do not count. */
static size_t slowest(const struct series *s)
{
    size_t least = SIZE_MAX;
    for (unsigned i = 0; i < s->n_workers; i++)
        least = s->reached[i] < least ? s->reached[i] : least;
    return least;
}

/* Adds a worker's second to row i, or to the oldest row that is not finished. */
static void add(struct series *s, size_t i, struct meter *m)
{
    /* A worker that is far behind must not hold up the others: their oldest row is finished without it. */
    while (!s->full && i >= s->n_rows + SERIES_PENDING)
        finish_first(s);
    struct series_pending *p = &s->pending[(i < s->n_rows ? s->n_rows : i) % SERIES_PENDING];
    hist_add(&p->hist, &m->second_hist);
    tally_add(&p->row.tally, &m->second);
    meter_next_second(m);
}

void series_bring(struct series *s, unsigned worker, struct meter *m)
{
    pthread_mutex_lock(&s->lock);
    add(s, s->reached[worker]++, m);
    while (!s->full && s->n_rows < slowest(s))
        finish_first(s);
    pthread_mutex_unlock(&s->lock);
}

void series_leave(struct series *s, unsigned worker, struct meter *m)
{
    pthread_mutex_lock(&s->lock);
    add(s, s->reached[worker], m);
    s->reached[worker] = SIZE_MAX;
    while (!s->full && slowest(s) != SIZE_MAX && s->n_rows < slowest(s))
        finish_first(s);
    pthread_mutex_unlock(&s->lock);
}

void series_note(struct series *s, size_t i, double lag, const struct server_sample *server)
{
    pthread_mutex_lock(&s->lock);
    struct second *row = NULL;
    if (i < s->n_rows)
        row = &s->rows[i];
    else if (i < s->n_rows + SERIES_PENDING)
        row = &s->pending[i % SERIES_PENDING].row;
    if (row) {
        row->lag = lag;
        row->server = *server;
    }
    pthread_mutex_unlock(&s->lock);
}

bool series_row(struct series *s, size_t i, struct second *ret_row)
{
    pthread_mutex_lock(&s->lock);
    bool there = i < s->n_rows;
    if (there)
        *ret_row = s->rows[i];
    pthread_mutex_unlock(&s->lock);
    return there;
}

void series_end(struct series *s, double last_s)
{
    while (!s->full && (double)s->n_rows < last_s)
        finish_first(s);
    if (s->n_rows == 0)
        return;
    struct second *last = &s->rows[s->n_rows - 1];
    double length = last_s - (double)(s->n_rows - 1);
    if (length < 0.5 && s->n_rows > 1)
        s->n_rows--;
    else if (length < 1)
        last->length_s = length > 1e-6 ? length : 1e-6;
}
