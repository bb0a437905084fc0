/* wal_lost.c: says what a start with --salvage goes on without, and sets it aside (wal_lost.h). */
#include "broker/wal/wal_lost.h"

#include <stdio.h>

#include "broker/base/log.h"
#include "broker/wal/wal_salvage.h"

const struct salvage *wal_lost(const struct wal *w)
{
    return w->salvaging ? &w->salvage_facts : NULL;
}

static void wal_lost_tell(const struct wal *w, uint64_t jump)
{
    const struct salvage *lost = &w->salvage_facts;
    char groups[96] = "which groups are lost is not known", until[48] = "unknown";
    if (lost->index > w->salvaged_to)
        (void)snprintf(groups, sizeof groups, "commands %llu to %llu are lost", (unsigned long long)w->salvaged_to + 1,
                       (unsigned long long)lost->index);
    if (lost->now_ms)
        (void)snprintf(until, sizeof until, "%lld", (long long)lost->now_ms);
    log_event(LOG_WARN, "salvaged: the broker goes on without what its log has lost",
              " lost=\"%s\" groups_read=%llu last_stored_ms=%s offsets_left_out=%llu files=%u aside=%s/*.lost", groups,
              (unsigned long long)lost->groups, until, (unsigned long long)jump, w->lost.n, w->path);
}

enum status wal_lost_set_aside(struct wal *w, uint64_t jump, char *err, size_t err_size)
{
    wal_lost_tell(w, jump);
    for (struct wal_file *f = wal_list_pop(&w->lost); f; f = wal_list_pop(&w->lost)) {
        if (!wal_salvage_set_aside(w, f))
            return wal_set_failed(w, "set aside a file of the log", err, err_size);
    }
    w->salvaging = false;
    return ST_OK;
}
