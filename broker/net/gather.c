/* gather.c: polls the sockets a little longer (gather.h says when and why). */
#include "broker/net/gather.h"

#include <event2/event.h>

#include "broker/base/clock.h"

#define GATHER_QUIET_NS INT64_C(40000) /* if nothing came for so long, stop */
#define GATHER_LINGER_NS INT64_C(60000)
#define GATHER_LINGER_GROUP 8 /* with smaller groups there are few clients, and polling costs more than it gains */
#define GATHER_ACKS_NS INT64_C(200000) /* a client looks at a thousand messages in about 100 us */
#define GATHER_MISSES_MAX 7

static bool gather_may_try(struct gather_patience *p)
{
    if (p->skip == 0)
        return true;
    p->skip--;
    return false;
}

static void gather_learn(struct gather_patience *p, bool hit)
{
    p->misses = hit ? 0 : p->misses + (p->misses < GATHER_MISSES_MAX);
    p->skip = hit ? 0 : 1u << p->misses;
}

void gather_came_back(struct gather_state *g, uint32_t n)
{
    g->answered = g->answered || n > 0;
    if (n > g->target)
        g->target = n;
    else if (n)
        g->target -= (g->target - n + 7) / 8;
}

/* Polls until enough has come, nothing more comes, or the time is up. True: enough has come. */
static bool gather_for(const struct gather_state *g, struct event_base *base, const uint32_t *in_flight,
                       int64_t most_ns)
{
    int64_t begin = clock_mono_ns(), last = begin, now = begin;
    uint32_t had = *in_flight, enough = g->target - g->target / 8;
    while (*in_flight < enough && now - begin < most_ns && now - last < GATHER_QUIET_NS) {
        if (event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0)
            return false; /* the next call says so */
        now = clock_mono_ns();
        if (*in_flight != had)
            last = now;
        had = *in_flight;
    }
    return *in_flight >= enough;
}

void gather_more(struct gather_state *g, struct event_base *base, const uint32_t *in_flight, int64_t most_ns)
{
    if (*in_flight == 0 || *in_flight >= g->target || most_ns == 0)
        return;
    if (gather_may_try(&g->more))
        gather_learn(&g->more, gather_for(g, base, in_flight, most_ns));
}

void gather_acks(struct gather_state *g, struct event_base *base, const uint32_t *in_flight, int64_t most_ns)
{
    if (*in_flight == 0 || g->owed == 0 || most_ns == 0 || !gather_may_try(&g->acks))
        return;
    int64_t end = clock_mono_ns() + GATHER_ACKS_NS;
    while (g->owed > 0 && clock_mono_ns() < end) {
        if (event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0)
            return; /* the next call says so */
    }
    gather_learn(&g->acks, g->owed == 0);
}

bool gather_linger(struct gather_state *g, struct event_base *base, const uint32_t *in_flight, int64_t most_ns)
{
    bool worth = g->answered && *in_flight == 0 && g->target >= GATHER_LINGER_GROUP;
    g->answered = false;
    if (!worth || most_ns == 0 || !gather_may_try(&g->linger))
        return false;
    int64_t end = clock_mono_ns() + GATHER_LINGER_NS;
    while (*in_flight == 0 && clock_mono_ns() < end) {
        if (event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0)
            return false; /* the next call says so */
    }
    gather_learn(&g->linger, *in_flight > 0);
    return *in_flight > 0;
}
