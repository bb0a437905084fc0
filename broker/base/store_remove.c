/* store_remove.c: unlink() in front of the C library's, and the thread that shortens files (store_remove.h). */
#include "broker/base/store_remove.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/store_write.h"

#define FDS_SHARE 16
#define REST_TIMES 4
#define REST_MAX_NS INT64_C(200000000) /* a step that took long hit a busy disk */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work;
    pthread_t thread;
    bool runs;
    int fds[STORE_REMOVE_FILES]; /* of files without a name: a ring */
    uint32_t first, n, most; /* most of them */
} removal = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool remove_ends_with(const char *path, const char *end)
{
    size_t n = strlen(path), most = strlen(end);
    return n > most && strcmp(path + n - most, end) == 0;
}

/* An open file to be shortened, or -1: it is to be removed at once. */
static int remove_open(const char *path)
{
    if (!remove_ends_with(path, ".blob") && !remove_ends_with(path, ".sst"))
        return -1;
    pthread_mutex_lock(&removal.lock);
    bool room = removal.runs && removal.n < removal.most;
    pthread_mutex_unlock(&removal.lock);
    return room ? open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
}

/* Bytes of a file that nobody can open any more; 0 where it has a name still. */
static int64_t remove_size(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 0 ? (int64_t)st.st_size : 0;
}

/* False: there is no room. */
static bool remove_push(int fd)
{
    pthread_mutex_lock(&removal.lock);
    bool room = removal.runs && removal.n < removal.most;
    if (room) {
        removal.fds[(removal.first + removal.n++) % STORE_REMOVE_FILES] = fd;
        pthread_cond_signal(&removal.work);
    }
    pthread_mutex_unlock(&removal.lock);
    return room;
}

/* Asked of the kernel, as write() is (store_write.c). */
int unlink(const char *path)
{
    int fd = remove_open(path), failed = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0), why = errno;
    if (fd >= 0 && (failed || !remove_size(fd) || !remove_push(fd)))
        (void)close(fd);
    errno = why;
    return failed;
}

/* Shortens the file. False: it is done. */
static bool remove_step(int fd)
{
    int64_t size = remove_size(fd);
    return size > STORE_REMOVE_STEP && ftruncate(fd, (off_t)(size - STORE_REMOVE_STEP)) == 0;
}

/* Under the lock, which it gives up meanwhile. */
static void remove_rest(int64_t ns)
{
    int64_t now = clock_mono_ns(), end = now + ns;
    for (; now < end && removal.runs && !store_write_stuck(); now = clock_mono_ns())
        clock_wait(&removal.work, &removal.lock, (end - now) / 1000000 + 1);
}

/* The same. */
static void remove_some(void)
{
    int fd = removal.fds[removal.first];
    pthread_mutex_unlock(&removal.lock);
    int64_t began_ns = clock_mono_ns();
    bool more = remove_step(fd);
    if (!more)
        (void)close(fd);
    int64_t took_ns = clock_mono_ns() - began_ns;
    pthread_mutex_lock(&removal.lock);
    if (!more) {
        removal.first = (removal.first + 1) % STORE_REMOVE_FILES;
        removal.n--;
    }
    remove_rest(took_ns * REST_TIMES < REST_MAX_NS ? took_ns * REST_TIMES : REST_MAX_NS);
}

static void *remove_thread(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&removal.lock);
    while (removal.runs) {
        if (removal.n)
            remove_some();
        else
            pthread_cond_wait(&removal.work, &removal.lock);
    }
    for (; removal.n; removal.n--, removal.first = (removal.first + 1) % STORE_REMOVE_FILES)
        (void)close(removal.fds[removal.first]);
    pthread_mutex_unlock(&removal.lock);
    return NULL;
}

static uint32_t remove_most(void)
{
    struct rlimit open_files;
    rlim_t share = getrlimit(RLIMIT_NOFILE, &open_files) == 0 ? open_files.rlim_cur / FDS_SHARE : 0;
    return share < STORE_REMOVE_FILES ? (uint32_t)share : STORE_REMOVE_FILES;
}

bool store_remove_begin(void)
{
    if (!clock_cond_new(&removal.work))
        return false;
    pthread_mutex_lock(&removal.lock);
    removal.most = remove_most();
    removal.runs = pthread_create(&removal.thread, NULL, remove_thread, NULL) == 0;
    bool runs = removal.runs;
    pthread_mutex_unlock(&removal.lock);
    if (!runs)
        pthread_cond_destroy(&removal.work);
    return runs;
}

void store_remove_end(void)
{
    if (!removal.runs)
        return;
    pthread_mutex_lock(&removal.lock);
    removal.runs = false;
    pthread_cond_signal(&removal.work);
    pthread_mutex_unlock(&removal.lock);
    pthread_join(removal.thread, NULL);
    pthread_cond_destroy(&removal.work);
}
