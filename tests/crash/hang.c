/*
 * hang.c: a disk that does not answer: fdatasync does not return while the file $HANG exists, and makes $HANG_SEEN. With
 * $HANG_IN only of files with that in their path. It is loaded into the broker with LD_PRELOAD.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int concerns(int fd)
{
    char link[64], path[PATH_MAX] = "";
    const char *in = getenv("HANG_IN");
    if (!in)
        return 1;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return readlink(link, path, sizeof path - 1) > 0 && strstr(path, in) != NULL;
}

int fdatasync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    const char *path = getenv("HANG");
    for (; path && access(path, F_OK) == 0 && concerns(fd); usleep(1000))
        close(open(getenv("HANG_SEEN"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    return real(fd);
}
