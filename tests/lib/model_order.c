/* model_order.c: which messages of an ORDERED group may be delivered (model_order.h). */
#include "tests/lib/model_order.h"

#include "tests/lib/model_class.h"

#include <stdio.h>

#include "storage/group/group.h"

static uint32_t key_at(const struct model *m, int topic, int queue, uint32_t offset)
{
    return m->keys[m->topics[topic].queues[queue].messages[offset].serial % M_SERIALS];
}

static bool expired(const struct model *m, int topic, int queue, uint32_t offset)
{
    return m->topics[topic].queues[queue].messages[offset].expires_ms <= m->now_ms;
}

void model_key(struct model *m, uint32_t serial, uint32_t key)
{
    m->keys[serial % M_SERIALS] = (uint8_t)key;
}

bool model_may_go(const struct model *m, int group, int topic, int queue, uint32_t offset)
{
    const struct m_cell *cells = m->gts[group][topic].cells[queue], *c = &cells[offset];
    uint32_t key = key_at(m, topic, queue, offset);
    if (c->state != M_FRESH && !(c->state == M_WAITING && c->due_ms <= m->now_ms))
        return false;
    for (uint32_t o = 0; key && o < m->topics[topic].queues[queue].end; o++) {
        if (o == offset || key_at(m, topic, queue, o) != key)
            continue;
        bool over = expired(m, topic, queue, o);
        if (cells[o].state == M_LEASED || (cells[o].state == M_WAITING && !over))
            return false;
        if (cells[o].state == M_FRESH && o < offset && !over && model_wants(m, group, topic, queue, o))
            return false;
    }
    return true;
}

void model_went(struct model *m, int group, int topic, int queue, uint32_t offset)
{
    struct m_cell *cells = m->gts[group][topic].cells[queue];
    uint32_t key = key_at(m, topic, queue, offset);
    for (uint32_t o = 0; key && o < offset; o++)
        if (key_at(m, topic, queue, o) == key && cells[o].state == M_FRESH)
            cells[o].state = M_DONE;
}

enum m_state model_failed(const struct model *m, int group, int topic, int queue, uint32_t offset)
{
    const struct m_gt *gt = &m->gts[group][topic];
    const struct m_cell *cells = gt->cells[queue];
    uint32_t key = key_at(m, topic, queue, offset);
    for (uint32_t o = 0; gt->ordered && key && o < m->topics[topic].queues[queue].end; o++) {
        if (o == offset || key_at(m, topic, queue, o) != key)
            continue;
        bool fresh = cells[o].state == M_FRESH && model_wants(m, group, topic, queue, o);
        if (cells[o].state == M_LEASED || (o < offset && fresh))
            return M_FRESH;
    }
    return M_WAITING;
}

/* The waiting messages of a key that are not its next one count as fresh. */
static void switch_key(struct model *m, struct m_cell *cells, int topic, int queue, uint32_t key)
{
    uint32_t end = m->topics[topic].queues[queue].end;
    bool held = false;
    for (uint32_t o = 0; o < end; o++)
        held = held || (cells[o].state == M_LEASED && key_at(m, topic, queue, o) == key);
    for (uint32_t o = 0; o < end; o++) {
        if (cells[o].state != M_WAITING || key_at(m, topic, queue, o) != key)
            continue;
        cells[o].state = held ? M_FRESH : M_WAITING;
        held = true;
    }
}

/* What it has passed over waits for a retry that is due. */
static void switch_off(struct model *m, int group, int topic, const uint32_t *cursors)
{
    for (int q = 0; q < M_QUEUES; q++) {
        for (uint32_t o = 0; o < cursors[q]; o++) {
            struct m_cell *c = &m->gts[group][topic].cells[q][o];
            if (c->state == M_FRESH && model_wants(m, group, topic, q, o))
                *c = (struct m_cell){M_WAITING, c->attempt, m->now_ms};
        }
    }
}

void model_switch(struct model *m, int group, int topic, bool on, const uint32_t *cursors)
{
    struct m_gt *gt = &m->gts[group][topic];
    for (int q = 0; on && !gt->ordered && q < M_QUEUES; q++)
        for (uint32_t key = 1; key <= M_KEYS; key++)
            switch_key(m, gt->cells[q], topic, q, key);
    if (!on && gt->ordered)
        switch_off(m, group, topic, cursors);
    gt->loose = gt->loose || gt->ordered != on;
    gt->ordered = on;
}

void model_cursors(struct shell *s, int group, int topic, uint32_t cursors[M_QUEUES])
{
    struct gt *gt = NULL;
    char names[2][8];
    (void)snprintf(names[0], sizeof(names[0]), "g%d", group);
    (void)snprintf(names[1], sizeof(names[1]), "t%d", topic);
    enum status st = group_get(s->st, slice_str(names[0]), slice_str(names[1]), &gt);
    for (uint32_t q = 0; q < M_QUEUES; q++)
        cursors[q] = st == ST_OK && q < gt->n_queues ? (uint32_t)gt->queues[q].next : 0;
}
