/* latency.c: records times and computes percentiles; see latency.h. */
#include "clients/c/wire/latency.h"

#define SUB_BITS 3u
#define SUB (1u << SUB_BITS)

static size_t latency_slot(uint64_t us)
{
    if (us < SUB)
        return (size_t)us;
    unsigned shift = 63u - (unsigned)__builtin_clzll(us) - SUB_BITS;
    size_t slot = (size_t)(shift + 1) * SUB + (size_t)((us >> shift) - SUB);
    return slot < LATENCY_SLOTS ? slot : LATENCY_SLOTS - 1;
}

uint64_t latency_highest(size_t slot)
{
    if (slot < SUB)
        return slot;
    unsigned shift = (unsigned)(slot / SUB) - 1;
    return ((uint64_t)(slot % SUB + SUB + 1) << shift) - 1;
}

void latency_add(struct latencies *l, int64_t us, uint64_t n)
{
    uint64_t v = us > 0 ? (uint64_t)us : 0;
    l->counts[latency_slot(v)] += n;
    l->n += n;
    l->sum_us += v * n;
    if (n > 0 && v > l->max_us)
        l->max_us = v;
}

/* What so many of a thousand are not above. */
static uint64_t latency_quantile(const struct latencies *l, uint64_t thousandths)
{
    uint64_t rank = (l->n * thousandths + 999) / 1000, seen = 0;
    for (size_t i = 0; i < LATENCY_SLOTS; i++) {
        seen += l->counts[i];
        if (seen >= rank && seen > 0)
            return latency_highest(i) < l->max_us ? latency_highest(i) : l->max_us;
    }
    return 0;
}

hmq_latency latency_summary(const struct latencies *l)
{
    return (hmq_latency){.count = l->n,
                         .sum_us = l->sum_us,
                         .max_us = l->max_us,
                         .p50_us = latency_quantile(l, 500),
                         .p90_us = latency_quantile(l, 900),
                         .p99_us = latency_quantile(l, 990),
                         .p999_us = latency_quantile(l, 999)};
}
