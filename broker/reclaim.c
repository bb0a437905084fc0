/* reclaim.c: looks twice a second whether something was deleted, or the disk is nearly full (reclaim.h). */
#include "broker/reclaim.h"

#include <stdlib.h>

#include "broker/base/clock.h"
#include "broker/base/process.h"
#include "broker/base/reserve.h"
#include "broker/base/store_write.h"
#include "broker/server_inner.h"

#define LOOK_MS 500
#define LATER_LOOKS 10 /* from a deletion to its round, while there is room */
#define STALE_LOOKS 20 /* from one look for stale rows to the next */
#define AGAIN_LOOKS 2  /* from one round to the next: RocksDB's own compactions go first */

struct reclaim {
    struct server *server;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping; /* under lock */
};

static bool reclaim_waits(struct reclaim *r)
{
    pthread_mutex_lock(&r->lock);
    if (!r->stopping)
        clock_wait(&r->wake, &r->lock, LOOK_MS);
    bool goes_on = !r->stopping;
    pthread_mutex_unlock(&r->lock);
    return goes_on;
}

/* Is less than twice the reserve free? The journal looks only when something is written. */
static bool reclaim_is_urgent(const struct reclaim *r, const char *data)
{
    int64_t reserve = reserve_bytes_of(data, r->server->disk_reserve_bytes);
    return !process_disk_has(data, 2 * reserve - reserve_held());
}

static bool reclaim_round(struct reclaim *r, const char *data, bool urgent)
{
    store_write_lends(urgent);
    bool more = store_give_back(r->server->store, urgent, (uint64_t)(process_disk_free(data) + reserve_held()));
    store_write_lends(false);
    return more;
}

/* Once it was urgent, round follows round until everything is given back. */
static void *reclaim_run(void *arg)
{
    struct reclaim *r = arg;
    const char *data = settings_text(r->server->settings, SET_data);
    bool low = false, urgent = false, more = true; /* what was deleted before the start is looked for once */
    unsigned left = LATER_LOOKS, stale_left = STALE_LOOKS;
    while (reclaim_waits(r)) {
        if (--stale_left == 0)
            stale_left = store_give_back_stale(r->server->store) ? AGAIN_LOOKS : STALE_LOOKS;
        reserve_fill(data, r->server->disk_reserve_bytes);
        bool was_low = low;
        low = reclaim_is_urgent(r, data);
        if (low != was_low)
            store_compact_alone(r->server->store, !low);
        urgent = low || (urgent && more);
        if (!more && (!low || was_low) && !store_freed(r->server->store, low))
            continue;
        left = left > 0 ? left - 1 : 0;
        if (left > 0 && !urgent && !store_freed_much(r->server->store))
            continue;
        more = reclaim_round(r, data, urgent);
        left = more ? AGAIN_LOOKS : LATER_LOOKS;
    }
    return NULL;
}

struct reclaim *reclaim_new(struct server *s)
{
    struct reclaim *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->server = s;
    pthread_mutex_init(&r->lock, NULL);
    bool made = clock_cond_new(&r->wake);
    if (made && pthread_create(&r->thread, NULL, reclaim_run, r) == 0)
        return r;
    if (made)
        pthread_cond_destroy(&r->wake);
    pthread_mutex_destroy(&r->lock);
    free(r);
    return NULL;
}

void reclaim_free(struct reclaim *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
    store_give_back_stop(r->server->store);
    pthread_join(r->thread, NULL);
    pthread_cond_destroy(&r->wake);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
