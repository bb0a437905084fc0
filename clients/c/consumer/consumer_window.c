/*
 * consumer_window.c: follows the speed of a consumer's handlers; see consumer_window.h.
 */
#include "clients/c/consumer/consumer_window.h"

#include "clients/c/wire/clock.h"

#define AVERAGE_BYTES_FIRST 4096
#define WINDOW_FIRST 16
#define WINDOW_LOOK 16 /* messages after which it may be found too large */
#define WINDOW_NO_TIME_MS 0 /* emptied within this time, by a clock of milliseconds, it grows to 64 times as much ... */
#define WINDOW_AT_ONCE_MS 10 /* ... within this time to eight times as much ... */
#define WINDOW_FAST_MS 100 /* ... within this time it doubles ... */
#define WINDOW_SLOW_MS 2000 /* ... and after this time, emptied or not, it halves */
#define PAUSE_FIRST_MS 50
#define PAUSE_MAX_MS 2000

void window_begin(struct hmq_consumer *c)
{
    c->average_bytes = AVERAGE_BYTES_FIRST;
    size_t least = c->batch_handler ? 2 * c->batch_count * c->n_workers : WINDOW_FIRST;
    c->window_least = c->prefetch < least ? c->prefetch : least;
    c->window = c->window_least;
    c->window_ms = c->idle_ms = clock_ms();
    window_ask_worked(c);
}

/* By how much one grows that was emptied in this time. */
static size_t window_growth(int64_t took_ms)
{
    return took_ms <= WINDOW_NO_TIME_MS ? 64 : took_ms <= WINDOW_AT_ONCE_MS ? 8 : 2;
}

/* It was emptied, or a few messages more have left it: is it right? */
static void window_look(struct hmq_consumer *c, bool emptied, int64_t now_ms)
{
    int64_t took_ms = now_ms - c->window_ms;
    if (took_ms > WINDOW_SLOW_MS) {
        c->window = c->window / 2 > c->window_least ? c->window / 2 : c->window_least;
    } else if (!emptied) {
        return;
    } else if (took_ms <= WINDOW_FAST_MS) {
        size_t window = c->window * window_growth(took_ms);
        c->window = window < c->prefetch ? window : c->prefetch;
    }
    c->window_done = 0;
    c->window_ms = now_ms;
}

/* As if they left one by one. */
void window_released(struct hmq_consumer *c, size_t n)
{
    int64_t now_ms = n > 0 ? clock_ms() : 0;
    if (n > 0 && c->n_held == c->n_outside)
        c->idle_ms = now_ms;
    while (n > 0) {
        size_t look = WINDOW_LOOK - c->window_done % WINDOW_LOOK;
        size_t left = c->window > c->window_done ? c->window - c->window_done : 1, step = look < left ? look : left;
        step = step < n ? step : n;
        n -= step;
        c->window_done += step;
        bool emptied = c->window_done >= c->window;
        if (emptied || c->window_done % WINDOW_LOOK == 0)
            window_look(c, emptied, now_ms);
    }
}

/* How many messages more there is memory for, which the client's other roles leave. */
static size_t window_memory(const struct hmq_consumer *c)
{
    size_t left = memory_left(client_memory(c->client)), credit = c->credit * c->average_bytes;
    if (left < SIZE_MAX - c->promised)
        left += c->promised;
    return left > credit ? (left - credit) / c->average_bytes : 0;
}

size_t window_room(const struct hmq_consumer *c)
{
    size_t taken = c->n_held + c->credit, bytes = c->held_bytes + c->credit * c->average_bytes;
    size_t by_window = c->window + c->n_outside > taken ? c->window + c->n_outside - taken : 0;
    size_t by_prefetch = c->prefetch > taken ? c->prefetch - taken : 0;
    size_t by_count = by_window < by_prefetch ? by_window : by_prefetch;
    size_t by_bytes =
        c->prefetch_bytes > bytes ? (c->prefetch_bytes - bytes) / c->average_bytes : 0;
    size_t left = window_memory(c);
    if (taken == 0 && (by_bytes == 0 || left == 0))
        return left > 0 || memory_used(client_memory(c->client)) == 0; /* a first message, whatever its size */
    by_bytes = by_bytes < left ? by_bytes : left;
    return by_count < by_bytes ? by_count : by_bytes;
}

void window_promise(struct hmq_consumer *c)
{
    memory_promise(client_memory(c->client), &c->promised, c->credit * c->average_bytes);
}

void window_starved(struct hmq_consumer *c)
{
    if (c->n_held == 0 && c->credit == 0 && clock_ms() >= c->fetch_after_ms)
        window_ask_failed(c);
}

void window_ask_failed(struct hmq_consumer *c)
{
    c->fetch_after_ms = clock_ms() + c->fetch_pause_ms;
    c->fetch_pause_ms *= 2;
    if (c->fetch_pause_ms > PAUSE_MAX_MS)
        c->fetch_pause_ms = PAUSE_MAX_MS;
    service_at(c->client, &c->service, c->fetch_after_ms);
}

void window_ask_worked(struct hmq_consumer *c)
{
    c->fetch_pause_ms = PAUSE_FIRST_MS;
}
