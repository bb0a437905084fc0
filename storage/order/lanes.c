/* lanes.c: reads, moves and writes the cursors of classes (lanes.h). */
#include "storage/order/lanes.h"

#include <stdlib.h>

static enum status lanes_read(struct class_lanes *lanes, struct state *st, uint64_t gt, uint8_t class)
{
    struct key key = key_class_cursor(gt, class);
    struct class_cursor_row row;
    buf_reset(&st->scratch2, KIB(64));
    enum status s = kv_get(st->kv, KV_STATE, NULL, key_slice(&key), &st->scratch2);
    if (s == ST_GONE)
        return ST_OK;
    if (s == ST_OK && class_cursor_decode(buf_slice(&st->scratch2), &row) != ST_OK)
        s = core_bad_row(st, &key);
    for (uint32_t q = 0; s == ST_OK && q < row.n_queues && q < lanes->n_queues; q++)
        lanes->of[class][q] = (struct class_lane){row.next[q], row.next[q]};
    return s;
}

/* Makes room for more queues, which begin at their floors. */
static enum status lanes_grow(struct class_lanes *lanes, uint32_t n_queues)
{
    for (uint8_t c = 0; c < CLASSES_MAX; c++) {
        if (!lanes->of[c])
            continue;
        struct class_lane *of = realloc(lanes->of[c], n_queues * sizeof(*of));
        if (!of)
            return ST_NOMEM;
        memset(of + lanes->n_queues, 0, (n_queues - lanes->n_queues) * sizeof(*of));
        lanes->of[c] = of;
    }
    lanes->n_queues = n_queues;
    return ST_OK;
}

static enum status lanes_add(struct class_lanes *lanes, struct state *st, uint64_t gt, uint8_t class)
{
    lanes->of[class] = calloc(lanes->n_queues, sizeof(*lanes->of[class]));
    if (!lanes->of[class])
        return ST_NOMEM;
    enum status s = lanes_read(lanes, st, gt, class);
    if (s == ST_OK) {
        lanes->classes |= (uint16_t)(1U << class);
        return s;
    }
    free(lanes->of[class]);
    lanes->of[class] = NULL;
    return s;
}

enum status lanes_load(struct class_lanes **lanes, struct state *st, uint64_t gt, uint16_t classes, uint32_t n_queues)
{
    if (!*lanes)
        *lanes = calloc(1, sizeof(**lanes));
    struct class_lanes *l = *lanes;
    if (!l)
        return ST_NOMEM;
    enum status s = l->n_queues < n_queues ? lanes_grow(l, n_queues) : ST_OK;
    for (uint8_t c = 0; c < CLASSES_MAX && s == ST_OK; c++)
        if (classes & ~l->classes & (1U << c))
            s = lanes_add(l, st, gt, c);
    return s;
}

void lanes_flush(struct class_lanes *lanes, struct state *st, uint64_t gt)
{
    for (uint8_t c = 0; c < CLASSES_MAX; c++) {
        if (!(lanes->dirty & (1U << c)))
            continue;
        struct class_cursor_row row = {.n_queues = lanes->n_queues};
        for (uint32_t q = 0; q < lanes->n_queues; q++)
            row.next[q] = lanes->of[c][q].next;
        buf_reset(&st->scratch2, KIB(64));
        class_cursor_encode(&st->scratch2, &row);
        struct key key = key_class_cursor(gt, c);
        core_put(st, &key, core_row(st));
    }
    lanes->dirty = 0;
}

void lanes_erase(struct state *st, uint64_t gt)
{
    struct key from = key_class_cursor(gt, 0), all = key_of_id('C', gt), to = key_after(&all);
    kv_del_range(st->kv, KV_STATE, key_slice(&from), key_slice(&to));
}

void lanes_free(struct class_lanes *lanes)
{
    for (uint8_t c = 0; lanes && c < CLASSES_MAX; c++)
        free(lanes->of[c]);
    free(lanes);
}

size_t lanes_bytes(const struct class_lanes *lanes)
{
    if (!lanes)
        return 0;
    return sizeof(*lanes) + (size_t)__builtin_popcount(lanes->classes) * lanes->n_queues * sizeof(struct class_lane);
}

uint64_t lanes_top(const struct class_lanes *lanes, uint32_t queue)
{
    uint64_t top = 0;
    for (uint8_t c = 0; c < CLASSES_MAX; c++)
        if (lanes->of[c] && lanes->of[c][queue].next > top)
            top = lanes->of[c][queue].next;
    return top;
}

void lanes_move(struct class_lanes *lanes, uint32_t queue, uint64_t offset)
{
    for (uint8_t c = 0; c < CLASSES_MAX; c++)
        if (lanes->of[c])
            lanes->of[c][queue] = (struct class_lane){offset, offset};
    lanes->dirty |= lanes->classes;
}
