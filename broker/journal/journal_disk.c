/* journal_disk.c: asks the file system how much is free, as often as it takes. */
#include "broker/journal/journal_disk.h"

#include <sys/statvfs.h>

#include "broker/base/reserve.h"
#include "broker/base/store_write.h"

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
    int64_t ours = (int64_t)(vfs.f_bavail * vfs.f_frsize) + reserve_held();
    d->reserve_bytes = reserve_bytes_of(d->path, d->least_bytes);
    d->free_bytes = ours;
    d->low = ours < 2 * d->reserve_bytes;
    d->full = ours < d->reserve_bytes;
    d->spent = ours < d->reserve_bytes / 2 || store_write_stuck();
}
