/* throttle.c: the table of addresses with failed logins (throttle.h): sets of eight, by the address's hash. */
#include "broker/auth/throttle.h"

#include <pthread.h>
#include <stdlib.h>

#include "protocol/base/text.h"

#define PLACES 8
#define SETS (THROTTLE_ADDRESSES / PLACES)

struct offender {
    struct net_address network;
    uint32_t n; /* failures that are remembered, THROTTLE_FAILURES at most; 0: nobody's */
    uint32_t at; /* where the next one goes in the ring */
    int64_t hold_ms; /* 0: not held back */
    int64_t last_ms; /* of the last failure */
    int64_t failed_ms[THROTTLE_FAILURES];
};

struct throttle {
    pthread_mutex_t lock;
    struct offender offenders[SETS][PLACES];
};

struct throttle *throttle_new(void)
{
    struct throttle *t = calloc(1, sizeof *t);
    if (t && pthread_mutex_init(&t->lock, NULL) == 0)
        return t;
    free(t);
    return NULL;
}

void throttle_free(struct throttle *t)
{
    if (!t)
        return;
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* Has it been quiet for so long that it is as good as new? */
static bool throttle_is_over(const struct offender *o, int64_t now_ms)
{
    return o->n == 0 || now_ms - o->last_ms > o->hold_ms + THROTTLE_WINDOW_MS;
}

/* The address's place, or the one to use for it; *there: it is its. */
static struct offender *throttle_place(struct throttle *t, const struct net_address *network, bool *there)
{
    uint64_t hash = text_hash(slice_of(network, sizeof *network));
    struct offender *set = t->offenders[hash % SETS], *oldest = set;
    for (unsigned i = 0; i < PLACES; i++) {
        if (set[i].n && address_equal(&set[i].network, network)) {
            *there = true;
            return &set[i];
        }
        if (!set[i].n || (oldest->n && set[i].last_ms < oldest->last_ms))
            oldest = &set[i];
    }
    *there = false;
    return oldest;
}

int64_t throttle_hold_ms(struct throttle *t, const struct net_address *from, int64_t now_ms)
{
    struct net_address network = address_network(from);
    bool there;
    pthread_mutex_lock(&t->lock);
    const struct offender *o = throttle_place(t, &network, &there);
    int64_t hold_ms = there && !throttle_is_over(o, now_ms) ? o->hold_ms : 0;
    pthread_mutex_unlock(&t->lock);
    return hold_ms;
}

/* One more failure: how long is held back from now on? */
static void throttle_count(struct offender *o, int64_t now_ms)
{
    o->failed_ms[o->at] = o->last_ms = now_ms;
    o->at = (o->at + 1) % THROTTLE_FAILURES;
    if (o->n < THROTTLE_FAILURES)
        o->n++;
    if (o->hold_ms)
        o->hold_ms = 2 * o->hold_ms < THROTTLE_LAST_MS ? 2 * o->hold_ms : THROTTLE_LAST_MS;
    else if (o->n == THROTTLE_FAILURES && now_ms - o->failed_ms[o->at] <= THROTTLE_WINDOW_MS)
        o->hold_ms = THROTTLE_FIRST_MS;
}

void throttle_failed(struct throttle *t, const struct net_address *from, int64_t now_ms)
{
    struct net_address network = address_network(from);
    bool there;
    pthread_mutex_lock(&t->lock);
    struct offender *o = throttle_place(t, &network, &there);
    if (!there || (o->hold_ms && throttle_is_over(o, now_ms)))
        *o = (struct offender){.network = network};
    throttle_count(o, now_ms);
    pthread_mutex_unlock(&t->lock);
}
