/* wal_judge.c: tells the torn end of the log from damage (wal_judge.h). */
#include "broker/wal/wal_judge.h"

#include <stdio.h>

void wal_judge_add(struct wal_judge *j, const struct wal_file *f, struct slice bytes, size_t at)
{
    struct wal_record r;
    size_t first = SIZE_MAX, end = 0;
    while (wal_record_find(&f->use, bytes, &at, &r)) {
        first = at < first ? at : first;
        end = r.size < bytes.len - at ? at + r.size : bytes.len;
        at += r.whole ? r.size : 8;
        j->synced = r.synced > j->synced ? r.synced : j->synced;
        if (r.kind == WAL_END) {
            j->serial = r.number > j->serial ? r.number : j->serial;
        } else if (r.kind == WAL_BATCH && r.number > j->last) {
            j->groups++;
            j->most = r.number > j->most ? r.number : j->most;
        }
    }
    j->bytes += end > first ? end - first : 0;
    j->serial = f->use.serial > j->serial ? f->use.serial : j->serial;
}

bool wal_judge_damaged(const struct wal_judge *j)
{
    return j->cut || j->missing || j->headless || j->synced > j->last;
}

void wal_judge_say(const struct wal_judge *j, const char *path, char *out, size_t out_size)
{
    char what[128];
    uint64_t most = j->most > j->synced ? j->most : j->synced;
    if (j->headless)
        (void)snprintf(what, sizeof what, "none of its files has a sound header");
    else if (j->missing)
        (void)snprintf(what, sizeof what, "its file with serial %llu is missing", (unsigned long long)j->serial);
    else
        (void)snprintf(what, sizeof what, "%08llu.wal %s at byte %zu", (unsigned long long)j->name,
                       j->cut ? "is cut off" : "cannot be read", j->at);
    char lost[128] = "how many groups are lost is not known";
    if (most > j->last)
        (void)snprintf(lost, sizeof lost, "commands %llu to %llu are affected, at least %llu groups",
                       (unsigned long long)j->last + 1, (unsigned long long)most,
                       (unsigned long long)(j->groups ? j->groups : 1));
    (void)snprintf(out, out_size,
                   "the log in %s is damaged: %s. It held what was acknowledged; %s. Start with a replica or a backup of "
                   "the data folder, or go on without it: --salvage. Nothing was changed",
                   path, what, lost);
}
