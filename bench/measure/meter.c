/* meter.c: counts and times what one worker does, and adds the meters of workers up. */
#include "bench/measure/meter.h"

#include <string.h>

const char *const latency_names[] = {
#define LATENCY(name, title, what) #name,
#include "bench/measure/latency.def"
#undef LATENCY
};

const char *const latency_titles[] = {
#define LATENCY(name, title, what) title,
#include "bench/measure/latency.def"
#undef LATENCY
};

bool meter_init(struct meter *m, enum latency main)
{
    bool ok = true;
    memset(m, 0, sizeof *m);
    m->main = main;
    for (int i = 0; i < LAT_COUNT; i++)
        ok = hist_init(&m->hist[i]) && ok;
    return hist_init(&m->second_hist) && ok;
}

void meter_fini(struct meter *m)
{
    for (int i = 0; i < LAT_COUNT; i++)
        hist_fini(&m->hist[i]);
    hist_fini(&m->second_hist);
}

void meter_time(struct meter *m, enum latency which, int64_t begin_ns, int64_t end_ns, uint64_t n)
{
    hist_record(&m->hist[which], end_ns - begin_ns, n);
    if (which == m->main)
        hist_record(&m->second_hist, end_ns - begin_ns, n);
    /* The broker decides when a check-back is due, so it does not count towards how long the load took. */
    if (which != LAT_check && end_ns > m->last_ns)
        m->last_ns = end_ns;
}

void meter_next_second(struct meter *m)
{
    hist_reset(&m->second_hist);
    memset(&m->second, 0, sizeof m->second);
}

void tally_add(struct meter_tally *into, const struct meter_tally *from)
{
#define TALLY(name) into->name += from->name;
#include "bench/measure/tally.def"
#undef TALLY
}

void meter_add(struct meter *into, const struct meter *from)
{
    for (int i = 0; i < LAT_COUNT; i++)
        hist_add(&into->hist[i], &from->hist[i]);
    tally_add(&into->total, &from->total);
    into->last_ns = from->last_ns > into->last_ns ? from->last_ns : into->last_ns;
}
