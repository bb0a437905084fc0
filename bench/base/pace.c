/* pace.c: the schedule is a function of the number of the start, so no error adds up. */
#include "bench/base/pace.h"

#include <assert.h>
#include <math.h>

int64_t pace_due(const struct pace *p)
{
    assert(pace_is_open(p));
    double i = (double)p->next + p->phase;
    double in_ramp = p->per_s * p->ramp_s / 2;
    double t = i < in_ramp ? sqrt(2 * i * p->ramp_s / p->per_s) : p->ramp_s / 2 + i / p->per_s;
    return p->origin_ns + (int64_t)llround(t * 1e9);
}
