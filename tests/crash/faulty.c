/*
 * faulty.c: lets one allocation or one system call of a broker fail. halfmqd-faulty is halfmqd, linked with --wrap for each
 * function below; so do libevent's, which the broker makes for it, and those of cJSON and OpenSSL. RocksDB's, libjwt's and the
 * C library's own do not.
 *
 *   our code ──► __wrap_malloc ──► fault_due ──► the real malloc
 *                                     └─► NULL, ENOMEM        where the site is the chosen one
 *
 * A site is a function and who called it: the return addresses of the innermost frames, as one number. It is the same in
 * each run of the same program, which the n-th allocation of a program with threads is not.
 *
 *   FAULTY_LIST   a file: each site is appended when it is met for the first time, as "number function address..."
 *   FAULTY_SITE   the number of the site that fails, once
 *   FAULTY_SKIP   how often that site works before
 *   FAULTY_ERRNO  the error of a system call; each has one of its own
 *   FAULTY_KILL   the process is killed there instead ("1")
 *   FAULTY_ON     everything of that kind fails from then on ("1")
 *
 * To add a system call: a line with CALL, and its name in tests/CMakeLists.txt.
 */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#define FRAMES 6
#define UNWOUND 40
#define SITES_MAX 16384 /* a power of 2 */
#define FRAME_BYTES_MAX (1 << 20)

extern char __executable_start, etext; /* the linker's */

static _Atomic uint64_t sites[SITES_MAX];
static uint64_t chosen;
static _Atomic int64_t skip;
static int chosen_errno, list_fd = -1;
static bool goes_on, kills;
static _Atomic bool fired;
static const char *_Atomic fired_kind; /* "alloc" or "call" */
static _Thread_local bool inside;      /* what this file calls is not counted */

ssize_t __real_write(int fd, const void *bytes, size_t n);
int __real_open(const char *path, int flags, ...);

__attribute__((constructor)) static void faulty_begin(void)
{
    const char *list = getenv("FAULTY_LIST"), *site = getenv("FAULTY_SITE"), *times = getenv("FAULTY_SKIP");
    const char *code = getenv("FAULTY_ERRNO");
    chosen = site ? strtoull(site, NULL, 16) : 0;
    atomic_store(&skip, times ? strtoll(times, NULL, 10) : 0);
    chosen_errno = code ? (int)strtol(code, NULL, 10) : 0;
    goes_on = getenv("FAULTY_ON") != NULL;
    kills = getenv("FAULTY_KILL") != NULL;
    if (list)
        list_fd = __real_open(list, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* ---- sites ---- */

struct site {
    uint64_t number;
    uintptr_t at[FRAMES];
    unsigned frames;
};

static bool faulty_is_ours(uintptr_t address)
{
    return address >= (uintptr_t)&__executable_start && address < (uintptr_t)&etext;
}

static void faulty_add(struct site *s, uintptr_t address)
{
    s->at[s->frames++] = address;
    s->number = (s->number ^ address) * 0x9e3779b97f4a7c15u;
    s->number ^= s->number >> 29;
}

/* Follows the frame pointers as long as they lead through our own code. */
__attribute__((no_sanitize("address", "undefined"))) static void faulty_walk(struct site *s, const uintptr_t *frame)
{
    while (s->frames < FRAMES && faulty_is_ours(frame[1])) {
        const uintptr_t *next = (const uintptr_t *)frame[0]; // NOLINT: a frame pointer
        faulty_add(s, frame[1] - (uintptr_t)&__executable_start);
        if (next <= frame || (uintptr_t)next - (uintptr_t)frame > FRAME_BYTES_MAX || (uintptr_t)next % 8 != 0)
            break;
        frame = next;
    }
}

/* Libraries have no frame pointers, and OpenSSL calls itself deeply. */
static void faulty_unwind(struct site *s)
{
    void *at[UNWOUND];
    int n = backtrace(at, UNWOUND);
    for (int i = 3; i < n && s->frames < FRAMES; i++)
        if (faulty_is_ours((uintptr_t)at[i])) /* of the library's own frames there is nothing to be seen without its symbols */
            faulty_add(s, (uintptr_t)at[i] - (uintptr_t)&__executable_start);
}

/* True: it was not there. */
static bool faulty_remember(uint64_t number)
{
    for (size_t i = number % SITES_MAX, tries = 0; tries < SITES_MAX; i = (i + 1) % SITES_MAX, tries++) {
        uint64_t was = 0;
        if (atomic_compare_exchange_strong(&sites[i], &was, number))
            return true;
        if (was == number)
            return false;
    }
    return false;
}

static void faulty_say(int fd, const char *before, const struct site *s, const char *function)
{
    char line[256];
    int n = snprintf(line, sizeof line, "%s%016llx %s", before, (unsigned long long)s->number, function);
    for (unsigned i = 0; i < s->frames; i++)
        n += snprintf(line + n, sizeof line - (size_t)n, " %#llx", (unsigned long long)s->at[i]);
    line[n++] = '\n';
    (void)!__real_write(fd, line, (size_t)n);
}

static bool faulty_decide(struct site *s, const char *function, const char *kind)
{
    if (list_fd >= 0 && faulty_remember(s->number))
        faulty_say(list_fd, "", s, function);
    if (atomic_load(&fired))
        return goes_on && strcmp(kind, atomic_load(&fired_kind)) == 0;
    if (!chosen || s->number != chosen || atomic_fetch_sub(&skip, 1) > 0 || atomic_exchange(&fired, true))
        return false;
    atomic_store(&fired_kind, kind);
    if (kills)
        (void)kill(getpid(), SIGKILL);
    faulty_say(STDERR_FILENO, "level=info msg=\"faulty: fails\" site=", s, function);
    return true;
}

static bool faulty_due(const char *function, const char *kind, const uintptr_t *frame)
{
    struct site s = {0};
    if (inside)
        return false;
    inside = true;
    for (const char *c = function; *c; c++)
        s.number = s.number * 31 + (unsigned char)*c;
    if (frame)
        faulty_walk(&s, frame);
    else
        faulty_unwind(&s);
    bool due = faulty_decide(&s, function, kind);
    inside = false;
    return due;
}

/* ---- allocations ---- */

#define FRAME ((const uintptr_t *)__builtin_frame_address(0))
#define ALLOCATION(name, parameters, arguments)                                                                        \
    void *__real_##name parameters;                                                                                    \
    void *__wrap_##name parameters;                                                                                    \
    void *__wrap_##name parameters                                                                                     \
    {                                                                                                                  \
        if (!faulty_due(#name, "alloc", FRAME))                                                                        \
            return __real_##name arguments;                                                                            \
        errno = ENOMEM;                                                                                                \
        return NULL;                                                                                                   \
    }

ALLOCATION(malloc, (size_t size), (size))
ALLOCATION(calloc, (size_t n, size_t size), (n, size))
ALLOCATION(realloc, (void *old, size_t size), (old, size))
ALLOCATION(aligned_alloc, (size_t alignment, size_t size), (alignment, size))
ALLOCATION(strdup, (const char *text), (text))
ALLOCATION(strndup, (const char *text, size_t n), (text, n))

/* cJSON's. */
static void *faulty_json_malloc(size_t size)
{
    return faulty_due("json_malloc", "alloc", NULL) ? NULL : __real_malloc(size);
}

/* OpenSSL's. */
static void *faulty_crypto_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return faulty_due("crypto_malloc", "alloc", NULL) ? NULL : __real_malloc(size);
}

static void *faulty_crypto_realloc(void *old, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return faulty_due("crypto_realloc", "alloc", NULL) ? NULL : __real_realloc(old, size);
}

static void faulty_crypto_free(void *old, const char *file, int line)
{
    (void)file, (void)line;
    free(old);
}

__attribute__((constructor)) static void faulty_hook(void)
{
    cJSON_Hooks hooks = {.malloc_fn = faulty_json_malloc, .free_fn = free};
    cJSON_InitHooks(&hooks);
    if (!CRYPTO_set_mem_functions(faulty_crypto_malloc, faulty_crypto_realloc, faulty_crypto_free))
        abort(); /* somebody has allocated before */
}

/* ---- system calls ---- */

#define CALL(type, name, parameters, arguments, code, failed)                                                          \
    type __real_##name parameters;                                                                                     \
    type __wrap_##name parameters;                                                                                     \
    type __wrap_##name parameters                                                                                      \
    {                                                                                                                  \
        if (!faulty_due(#name, "call", FRAME))                                                                         \
            return __real_##name arguments;                                                                            \
        errno = chosen_errno ? chosen_errno : (code);                                                                  \
        return failed;                                                                                                 \
    }

CALL(int, accept4, (int fd, struct sockaddr *a, socklen_t *n, int flags), (fd, a, n, flags), EMFILE, -1)
CALL(int, access, (const char *path, int mode), (path, mode), EIO, -1)
CALL(int, bind, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n), EADDRINUSE, -1)
CALL(int, eventfd, (unsigned value, int flags), (value, flags), EMFILE, -1)
CALL(int, fchmod, (int fd, mode_t mode), (fd, mode), EPERM, -1)
CALL(int, fchmodat, (int fd, const char *path, mode_t mode, int flags), (fd, path, mode, flags), EPERM, -1)
CALL(int, fdatasync, (int fd), (fd), EIO, -1)
CALL(DIR *, fdopendir, (int fd), (fd), ENOMEM, NULL)
CALL(int, flock, (int fd, int how), (fd, how), ENOLCK, -1)
CALL(int, fsync, (int fd), (fd), EIO, -1)
CALL(int, fstat, (int fd, struct stat *st), (fd, st), EIO, -1)
CALL(int, fstatat, (int fd, const char *path, struct stat *st, int flags), (fd, path, st, flags), EIO, -1)
CALL(int, ftruncate, (int fd, off_t size), (fd, size), EIO, -1)
CALL(ssize_t, getrandom, (void *bytes, size_t n, unsigned flags), (bytes, n, flags), EIO, -1)
CALL(int, getrlimit, (int what, struct rlimit *r), (what, r), EINVAL, -1)
CALL(int, getpeername, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n), ENOBUFS, -1)
CALL(int, getsockname, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n), ENOBUFS, -1)
CALL(int, linkat, (int f, const char *a, int t, const char *b, int flags), (f, a, t, b, flags), EIO, -1)
CALL(int, listen, (int fd, int most), (fd, most), EADDRINUSE, -1)
CALL(int, mkdir, (const char *path, mode_t mode), (path, mode), EACCES, -1)
CALL(int, mkdirat, (int folder, const char *path, mode_t mode), (folder, path, mode), EACCES, -1)
CALL(int, renameat, (int f, const char *a, int t, const char *b), (f, a, t, b), EIO, -1)
CALL(int, rmdir, (const char *path), (path), EIO, -1)
CALL(int, fstatvfs, (int fd, struct statvfs *st), (fd, st), EIO, -1)
CALL(int, mkostemp, (char *path, int flags), (path, flags), EACCES, -1)
CALL(DIR *, opendir, (const char *path), (path), EMFILE, NULL)
CALL(int, poll, (struct pollfd *fds, nfds_t n, int ms), (fds, n, ms), ENOMEM, -1)
CALL(ssize_t, pread, (int fd, void *bytes, size_t n, off_t at), (fd, bytes, n, at), EIO, -1)
CALL(ssize_t, pwrite, (int fd, const void *bytes, size_t n, off_t at), (fd, bytes, n, at), ENOSPC, -1)
CALL(ssize_t, pwritev, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at), ENOSPC, -1)
CALL(ssize_t, read, (int fd, void *bytes, size_t n), (fd, bytes, n), EIO, -1)
CALL(struct dirent *, readdir, (DIR *dir), (dir), EIO, NULL)
CALL(ssize_t, recv, (int fd, void *bytes, size_t n, int flags), (fd, bytes, n, flags), ECONNRESET, -1)
CALL(int, rename, (const char *from, const char *to), (from, to), EIO, -1)
CALL(ssize_t, send, (int fd, const void *bytes, size_t n, int flags), (fd, bytes, n, flags), ECONNRESET, -1)
CALL(int, setrlimit, (int what, const struct rlimit *r), (what, r), EPERM, -1)
CALL(int, setsockopt, (int fd, int a, int b, const void *v, socklen_t n), (fd, a, b, v, n), ENOBUFS, -1)
CALL(int, shutdown, (int fd, int how), (fd, how), ENOTCONN, -1)
CALL(int, socket, (int domain, int type, int protocol), (domain, type, protocol), EMFILE, -1)
CALL(int, stat, (const char *path, struct stat *st), (path, st), EIO, -1)
CALL(int, statvfs, (const char *path, struct statvfs *st), (path, st), EIO, -1)
CALL(int, truncate, (const char *path, off_t size), (path, size), EIO, -1)
CALL(int, unlink, (const char *path), (path), EIO, -1)
CALL(int, unlinkat, (int fd, const char *path, int flags), (fd, path, flags), EIO, -1)
CALL(int, pthread_create, (pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *arg), (t, a, run, arg),
     EAGAIN, EAGAIN)
CALL(int, pthread_mutex_init, (pthread_mutex_t *m, const pthread_mutexattr_t *a), (m, a), ENOMEM, ENOMEM)
CALL(int, pthread_cond_init, (pthread_cond_t *c, const pthread_condattr_t *a), (c, a), ENOMEM, ENOMEM)
CALL(int, getaddrinfo, (const char *h, const char *p, const struct addrinfo *a, struct addrinfo **r), (h, p, a, r), ENOMEM,
     EAI_MEMORY)

CALL(int, EVP_PBE_scrypt,
     (const char *pass, size_t n, const unsigned char *salt, size_t m, uint64_t cost, uint64_t r, uint64_t p, uint64_t most,
      unsigned char *key, size_t size),
     (pass, n, salt, m, cost, r, p, most, key, size), ENOMEM, 0)
CALL(int, RAND_bytes, (unsigned char *bytes, int n), (bytes, n), EIO, 0)

/* The log's lines are what the test reads. */
ssize_t __wrap_write(int fd, const void *bytes, size_t n);
ssize_t __wrap_write(int fd, const void *bytes, size_t n)
{
    if (fd == STDERR_FILENO || !faulty_due("write", "call", FRAME))
        return __real_write(fd, bytes, n);
    errno = chosen_errno ? chosen_errno : EIO;
    return -1;
}

int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (!faulty_due("open", "call", FRAME))
        return __real_open(path, flags, mode);
    errno = chosen_errno ? chosen_errno : EMFILE;
    return -1;
}

int __real_openat(int fd, const char *path, int flags, ...);
int __wrap_openat(int fd, const char *path, int flags, ...);
int __wrap_openat(int fd, const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (!faulty_due("openat", "call", FRAME))
        return __real_openat(fd, path, flags, mode);
    errno = chosen_errno ? chosen_errno : EMFILE;
    return -1;
}
