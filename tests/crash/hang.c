/*
 * hang.c: a disk that does not answer: fdatasync does not return while the file $HANG exists, and makes $HANG_SEEN. It
 * is loaded into the broker with LD_PRELOAD.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int fdatasync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    const char *path = getenv("HANG");
    for (; path && access(path, F_OK) == 0; usleep(1000))
        close(open(getenv("HANG_SEEN"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    return real(fd);
}
