/* model_grants.c: takes grants apart (model_grants.h). */
#include "tests/lib/model_grants.h"

uint32_t model_grants(struct model *m, struct m_pop *pop, const struct outcome *out, int64_t lease_ms)
{
    uint32_t others = 0;
    pop->any = out->n_grants > 0;
    for (uint32_t i = 0; i < out->n_grants; i++) {
        const struct grant *g = &out->grants[i];
        bool ours = g->topic.data[1] == (uint8_t)('0' + pop->topic);
        for (uint32_t k = 0; k < g->count; k++) {
            if (g->bits && !((g->bits[k / 64] >> (k % 64)) & 1))
                continue;
            others += !ours;
            if (ours)
                model_popped(m, pop, (int)g->queue, (uint32_t)(g->base + k), g->attempt, g->lease_until_ms, lease_ms);
        }
    }
    return others;
}
