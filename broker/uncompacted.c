/* uncompacted.c: the file that says that the store must not be compacted (uncompacted.h). */
#include "broker/uncompacted.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/folder.h"
#include "broker/base/log.h"

static char path[PATH_MAX]; /* "": its name would be too long */

void uncompacted_begin(const char *data)
{
    int n = snprintf(path, sizeof path, "%s/uncompacted", data);
    if (n < 0 || (size_t)n >= sizeof path)
        path[0] = '\0';
}

bool uncompacted_is_set(void)
{
    char quoted[PATH_MAX + 64];
    if (!path[0] || access(path, F_OK) != 0)
        return false;
    log_event(LOG_ERROR, "a file of the store is damaged, so nothing is compacted and the store grows",
              " hint=\"replace it by a replica or a backup; to try again, delete the file\" file=%s",
              log_quote(path, quoted, sizeof quoted));
    return true;
}

bool uncompacted_set(const char *why)
{
    if (!path[0] || !strstr(why, "Corruption"))
        return false;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool there = fsync(fd) == 0;
    there = close(fd) == 0 && there;
    return there && folder_sync_of(path) == 0;
}
