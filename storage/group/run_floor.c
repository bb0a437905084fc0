/* run_floor.c: takes out of runs what is below the floor (run_floor.h). */
#include "storage/group/run_floor.h"

enum status run_floor_one(struct runs *rs, struct run *r, uint64_t floor)
{
    if (r->base >= floor)
        return ST_OK;
    if (floor < r->base + r->count)
        return run_drop_before(rs, r, floor);
    run_drop(rs, r);
    return ST_OK;
}

enum status run_floor_leased(struct runs *rs, uint32_t queue, uint64_t floor, bool *ret_changed)
{
    for (struct run *r = run_from_queue(rs, queue); r && r->queue == queue && r->base < floor;
         r = run_from_queue(rs, queue)) {
        enum status s = run_floor_one(rs, r, floor);
        if (s != ST_OK)
            return s;
        *ret_changed = true;
    }
    return ST_OK;
}
