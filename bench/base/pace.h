/*
 * pace.h: when the next request is meant to start. In an open loop at a moment that was fixed before the run began,
 * whatever the broker does; in a closed loop when the request before it has ended.
 *
 * The two differ in what a stall does to the figures. A broker that stops for 200 ms under 1000
 * requests a second makes 200 requests late, by 200 ms, 199 ms, ... 1 ms. An open loop counts each
 * from its intended start and reports them all; a closed loop of one waits as well, sends nothing,
 * and reports one slow request. (`coordinated omission')
 *
 *   due(i)     rate     ____________       i starts are due when the area under the rate reaches i:
 *                      /                   t = sqrt(2 i ramp / rate)     while the rate still rises
 *                    /                     t = ramp / 2 + i / rate       afterwards
 *                  0   ramp     t
 */
#ifndef HALFMQ_BENCH_PACE_H
#define HALFMQ_BENCH_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
    double per_s; /* starts a second; 0: a closed loop */
    double ramp_s; /* from 0 to per_s in this time */
    double phase; /* 0..1: a part of one step, so that connections do not all start at once */
    int64_t origin_ns;
    uint64_t next;
};

static inline bool pace_is_open(const struct pace *p)
{
    return p->per_s > 0;
}

/* When the next start is meant to be; only for an open loop. */
int64_t pace_due(const struct pace *p);

/* Moves on to the next start. */
static inline void pace_step(struct pace *p)
{
    p->next++;
}

#endif
