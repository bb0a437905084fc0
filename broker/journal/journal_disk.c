/* journal_disk.c: asks the file system how much is free, as often as it takes. */
#include "broker/journal/journal_disk.h"

#include <sys/statvfs.h>

#define LOOK_NS INT64_C(500000000)
#define TIGHT 16 /* times the reserve: what half a second of writing cannot use up */

void journal_disk_look(struct journal_disk *d, int64_t now_ns)
{
    bool tight = d->free_bytes < TIGHT * d->reserve_bytes;
    if (!tight && d->looked_ns && now_ns - d->looked_ns < LOOK_NS)
        return;
    d->looked_ns = now_ns;
    struct statvfs vfs;
    if (statvfs(d->path, &vfs) != 0)
        return;
    /* A small file system is given to the last three quarters: there a fixed reserve could be all of it. */
    int64_t quarter = (int64_t)(vfs.f_blocks * vfs.f_frsize) / 4;
    d->reserve_bytes = d->least_bytes < quarter ? d->least_bytes : quarter;
    d->free_bytes = (int64_t)(vfs.f_bavail * vfs.f_frsize);
    d->low = d->free_bytes < 2 * d->reserve_bytes;
    d->full = d->free_bytes < d->reserve_bytes;
    d->spent = d->free_bytes < d->reserve_bytes / 2;
}
