/* damage.c: a hash table of what was told, without locks (damage.h). */
#include "storage/disk/damage.h"

#include <stddef.h>

#define SLOTS (2 * DAMAGE_IDS_MAX)

/* Puts the id into the table. False: it is there already, or the table is full. */
static bool damage_add(struct damage *d, uint64_t id)
{
    size_t i = id % SLOTS;
    for (uint32_t n = 0; n < SLOTS && atomic_load(&d->count) < DAMAGE_IDS_MAX; n++) {
        uint_fast64_t there = 0;
        if (atomic_compare_exchange_strong(&d->ids[i], &there, id))
            return true;
        if (there == id)
            return false;
        i = (i + 1) % SLOTS;
    }
    if (!atomic_exchange(&d->full, true) && d->tell)
        d->tell(d->arg, "more is damaged than can be remembered: further damage is not logged and not counted");
    return false;
}

bool damage_tell(struct damage *d, uint64_t id, const char *text)
{
    if (!damage_add(d, id ? id : 1))
        return false;
    atomic_fetch_add(&d->count, 1);
    if (d->tell)
        d->tell(d->arg, text);
    return true;
}

void damage_remember(struct damage *d, const struct damage_range *range)
{
    uint64_t n = atomic_fetch_add(&d->n_ranges, 1);
    if (n >= DAMAGE_RANGES_MAX)
        return;
    d->ranges[n].range = *range;
    atomic_store(&d->ranges[n].ready, true);
}

bool damage_range_of(const struct damage *d, uint64_t topic, size_t *at, struct damage_range *ret_range)
{
    for (; *at < DAMAGE_RANGES_MAX && *at < atomic_load(&d->n_ranges); ++*at) {
        const struct damage_slot *slot = &d->ranges[*at];
        if (!atomic_load(&slot->ready) || slot->range.topic != topic)
            continue;
        *ret_range = slot->range;
        ++*at;
        return true;
    }
    return false;
}

uint64_t damage_count(const struct damage *d)
{
    return atomic_load(&d->count);
}
