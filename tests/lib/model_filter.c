/* model_filter.c: filters for the model (model_filter.h). */
#include "tests/lib/model_filter.h"

#include <stdio.h>
#include <string.h>

void model_filter_pick(struct m_filter *f, struct prng *p)
{
    static const char *const shapes[] = {"offset NOT IN (-1%s)", "NOT offset IN (-1%s) AND TRUE", "offset NOT IN (-1%s) OR nosuch = 1"};
    uint64_t out = prng_below(p, 50), queue = prng_below(p, 2 * M_QUEUES);
    char list[300] = "", inner[350];
    size_t len = 0;
    memset(f->wants, 1, sizeof(f->wants));
    for (uint64_t i = 0; i < out; i++) {
        uint64_t offset = prng_below(p, M_OFFSETS);
        len += (size_t)snprintf(list + len, sizeof(list) - len, ",%d", (int)offset);
        for (int q = 0; q < M_QUEUES; q++)
            f->wants[q][offset] = false;
    }
    if (queue < M_QUEUES)
        memset(f->wants[queue], 0, sizeof(f->wants[queue]));
    (void)snprintf(inner, sizeof(inner), shapes[prng_below(p, 3)], list);
    (void)snprintf(f->text, sizeof(f->text), " FILTER WHERE \"(%s) AND queue <> %d\"", inner, queue < M_QUEUES ? (int)queue : -1);
}

void model_filter_set(const struct model *m, struct m_gt *gt, const struct m_filter *f)
{
    gt->born = m->group;
    gt->filtered = true;
    for (int q = 0; q < M_QUEUES; q++) {
        for (int o = 0; o < M_OFFSETS; o++) {
            if (!f->wants[q][o])
                gt->cells[q][o].state = M_DONE;
        }
    }
}
