/* locate.c: looks positions up in the directory (locate.h). */
#include "storage/query/base/locate.h"

#include "storage/disk/directory.h"

static enum status locate_in(struct view *v, struct directory *d, uint32_t queue, const struct position *p,
                             uint64_t *ret_offset)
{
    struct record_info last;
    uint64_t floor = v->topic.floor[queue], end = floor, n = (uint64_t)p->n;
    enum status s = directory_last(d, queue, &last);
    if (s != ST_OK && s != ST_GONE)
        return s;
    if (s == ST_OK && last.base + last.count > floor)
        end = last.base + last.count;
    if (p->kind == POSITION_TIME)
        return directory_at_time(d, queue, floor, end, p->n, ret_offset);
    *ret_offset = n < end - floor ? end - n : floor;
    return ST_OK;
}

enum status locate_position(struct view *v, uint32_t queue, const struct position *p, uint64_t *ret_offset)
{
    struct directory d;
    uint64_t floor = v->topic.floor[queue], n = (uint64_t)p->n;
    if (p->kind == POSITION_OFFSET) {
        *ret_offset = n > floor ? n : floor;
        return ST_OK;
    }
    if (!directory_open(&d, v->kv, v->snap, v->topic.id, v->topic.compress))
        return ST_NOMEM;
    enum status s = locate_in(v, &d, queue, p, ret_offset);
    directory_close(&d);
    return s;
}
