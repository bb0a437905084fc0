/* model_class.c: which messages a group wants, and which go first (model_class.h). */
#include "tests/lib/model_class.h"

#define DEFAULT_PRIORITY 4

static void must(bool holds, const char *what)
{
    if (!holds)
        model_complain(what);
}

static uint32_t serial_at(const struct model *m, int topic, int queue, uint32_t offset)
{
    return m->topics[topic].queues[queue].messages[offset].serial % M_SERIALS;
}

void model_rank(struct model *m, uint32_t serial, uint32_t priority, uint32_t tag)
{
    m->ranks[serial % M_SERIALS] = (uint8_t)(priority + 1);
    m->tags[serial % M_SERIALS] = (uint8_t)tag;
}

uint32_t model_priority(const struct model *m, int topic, int queue, uint32_t offset)
{
    uint8_t rank = m->ranks[serial_at(m, topic, queue, offset)];
    return rank ? rank - 1U : DEFAULT_PRIORITY;
}

bool model_wants(const struct model *m, int group, int topic, int queue, uint32_t offset)
{
    uint32_t tags = m->gts[group][topic].tags, tag = m->tags[serial_at(m, topic, queue, offset)];
    return tags == 0 || (tag > 0 && tags >> tag & 1);
}

uint32_t model_tags_pick(struct prng *p, const char **ret_text)
{
    static const char *const filters[] = {" FILTER TAG tag1", " FILTER TAG tag2||tag3", " FILTER TAG none"};
    static const uint32_t tags[] = {1U << 1, 1U << 2 | 1U << 3, 1U << 31};
    uint64_t i = prng_below(p, 3);
    *ret_text = filters[i];
    return tags[i];
}

void model_class_took(const struct model *m, struct m_pop *p, int queue, uint32_t offset, bool fresh)
{
    uint32_t c = model_priority(m, p->topic, queue, offset), stored = m->topics[p->topic].queues[queue].messages[offset].group;
    p->got[c] += fresh;
    if (fresh && stored > p->newest_of[c])
        p->newest_of[c] = stored;
}

static bool left(const struct model *m, const struct m_pop *p, int queue, uint32_t offset)
{
    const struct m_message *msg = &m->topics[p->topic].queues[queue].messages[offset];
    bool fresh = m->gts[p->group][p->topic].cells[queue][offset].state == M_FRESH;
    return fresh && msg->expires_ms > m->now_ms && model_wants(m, p->group, p->topic, queue, offset);
}

void model_class_left(const struct model *m, const struct m_pop *p)
{
    uint32_t lowest = 0, highest = 0;
    bool took = false;
    for (uint32_t c = M_PRIORITIES; c-- > 0;) {
        highest = p->got[c] && !took ? c : highest;
        lowest = p->got[c] ? c : lowest;
        took = took || p->got[c];
    }
    for (int q = 0; took && q < M_QUEUES; q++) {
        for (uint32_t o = 0; o < m->topics[p->topic].queues[q].end; o++) {
            uint32_t c = model_priority(m, p->topic, q, o), stored = m->topics[p->topic].queues[q].messages[o].group;
            if (!left(m, p, q, o))
                continue;
            must(c <= lowest, "one of higher priority was left behind");
            must(!p->got[c] || stored >= p->newest_of[c], "an older one was left behind");
        }
    }
    must(!took || p->took_waiting == p->waiting || highest > p->lowest_waiting, "a fresh one came before a waiting one of its priority");
}
