/*
 * spawn.c: starts, watches and stops a broker.
 *
 * The broker writes its ports to its log, in one line:
 *
 *   time=... level=info msg="ready" addr=127.0.0.1:40123 http=127.0.0.1:40124 ...
 *
 * To wait, a function checks a condition in a loop until a deadline; the pause in the loop only saves processor time.
 */
#include "tests/lib/spawn.h"

#include "tests/lib/tmpdir.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int64_t spawn_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void spawn_pause(void)
{
    struct timespec pause = {0, 2000000};
    (void)nanosleep(&pause, NULL);
}

static _Noreturn void give_up(struct spawned *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)fprintf(stderr, "spawn: ");
    (void)vfprintf(stderr, fmt, args);
    (void)fprintf(stderr, "\n");
    va_end(args);
    if (s) {
        spawn_dump_log(s);
        spawn_free(s);
    }
    exit(99);
}

static char *join(const char *a, const char *b)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", a, b) < 0)
        give_up(NULL, "no memory");
    return path;
}

char *spawn_read_log(const struct spawned *s)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = fopen(s->log, "r");
    FILE *out = open_memstream(&text, &n);
    if (!out)
        give_up(NULL, "no memory");
    for (int c = f ? getc(f) : EOF; c != EOF; c = getc(f))
        (void)putc(c, out);
    if (f)
        (void)fclose(f);
    (void)fclose(out);
    return text;
}

void spawn_dump_log(const struct spawned *s)
{
    char *text = spawn_read_log(s);
    size_t n = strlen(text);
    const char *from = n > 8192 ? text + n - 8192 : text;
    (void)fprintf(stderr, "--- log of the broker\n%s--- end of the log\n", from);
    free(text);
}

/* Runs the broker in the child process. Never returns. */
static _Noreturn void run(const struct spawned *s, pid_t parent)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(98);
    int log = open(s->log, O_CREAT | O_WRONLY | O_APPEND, 0600);
    int null = open("/dev/null", O_RDONLY);
    if (log < 0 || null < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
        _exit(98);
    const char *program = getenv("HALFMQD");
    program = program ? program : "build/bin/halfmqd";
    char *argv[16 + SPAWN_FLAGS_MAX] = {(char *)program, "--port", "0", "--http_port", "0",
                                        "--data",        s->data};
    int n = 7;
    for (int i = 0; s->flags[i]; i++)
        argv[n++] = s->flags[i];
    (void)execv(program, argv);
    (void)dprintf(2, "cannot run %s: %s\n", program, strerror(errno));
    _exit(97);
}

static uint16_t port_behind(const char *line, const char *key)
{
    const char *at = strstr(line, key);
    if (!at)
        return 0;
    at += strlen(key);
    const char *end = at + strcspn(at, " \n");
    while (end > at && end[-1] != ':')
        end--;
    return (uint16_t)strtoul(end, NULL, 10);
}

/* True if there is a ready line in the log behind `from`; reads the ports from it. */
static bool read_ready(struct spawned *s, size_t from)
{
    char *text = spawn_read_log(s);
    const char *line = strlen(text) > from ? strstr(text + from, "msg=\"ready\"") : NULL;
    if (!line && strlen(text) > from)
        line = strstr(text + from, "msg=ready ");
    bool whole = line && strchr(line, '\n');
    if (whole) {
        s->port = port_behind(line, " addr=");
        s->http_port = port_behind(line, " http=");
    }
    free(text);
    if (whole && !s->port)
        give_up(s, "the ready line names no addr=host:port");
    return whole;
}

static int status_of(int wait_status)
{
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

static void start(struct spawned *s)
{
    pid_t parent = getpid();
    s->pid = fork();
    if (s->pid < 0)
        give_up(s, "cannot fork: %s", strerror(errno));
    if (s->pid == 0)
        run(s, parent);
}

static void wait_ready(struct spawned *s, size_t from)
{
    int64_t deadline = spawn_now_ms() + SPAWN_DEADLINE_MS;
    while (!read_ready(s, from)) {
        if (!spawn_runs(s))
            give_up(s, "the broker ended before it was ready");
        if (spawn_now_ms() > deadline)
            give_up(s, "the broker was not ready within %d ms", SPAWN_DEADLINE_MS);
        spawn_pause();
    }
}

static struct spawned *prepare(const char *const *flags)
{
    struct spawned *s = calloc(1, sizeof(*s));
    if (!s)
        give_up(NULL, "no memory");
    s->folder = tmpdir_new();
    s->data = join(s->folder, "data");
    s->log = join(s->folder, "log");
    for (int i = 0; flags && flags[i]; i++) {
        if (i == SPAWN_FLAGS_MAX)
            give_up(s, "more than %d flags", SPAWN_FLAGS_MAX);
        s->flags[i] = strdup(flags[i]);
        if (!s->flags[i])
            give_up(s, "no memory");
    }
    return s;
}

struct spawned *spawn_broker(const char *const *flags)
{
    struct spawned *s = prepare(flags);
    start(s);
    wait_ready(s, 0);
    return s;
}

int spawn_refused(const char *const *flags, struct spawned **ret_spawned)
{
    struct spawned *s = prepare(flags);
    start(s);
    *ret_spawned = s;
    return spawn_wait(s);
}

void spawn_again(struct spawned *s)
{
    if (s->pid)
        give_up(s, "the broker runs already");
    struct stat st;
    size_t from = stat(s->log, &st) == 0 ? (size_t)st.st_size : 0;
    start(s);
    wait_ready(s, from);
}

bool spawn_runs(struct spawned *s)
{
    siginfo_t info = {0};
    return s->pid && waitid(P_PID, (id_t)s->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
}

int spawn_wait(struct spawned *s)
{
    int64_t deadline = spawn_now_ms() + SPAWN_DEADLINE_MS;
    while (spawn_runs(s)) {
        if (spawn_now_ms() > deadline)
            give_up(s, "the broker did not end within %d ms", SPAWN_DEADLINE_MS);
        spawn_pause();
    }
    int status = 0;
    if (!s->pid || waitpid(s->pid, &status, 0) != s->pid)
        give_up(s, "there is no broker to wait for");
    s->pid = 0;
    return status_of(status);
}

void spawn_kill(struct spawned *s)
{
    (void)kill(s->pid, SIGKILL);
    (void)spawn_wait(s);
}

int spawn_stop(struct spawned *s)
{
    (void)kill(s->pid, SIGTERM);
    return spawn_wait(s);
}

void spawn_free(struct spawned *s)
{
    if (!s)
        return;
    if (s->pid) {
        (void)kill(s->pid, SIGKILL);
        (void)waitpid(s->pid, NULL, 0);
    }
    tmpdir_remove(s->folder);
    free(s->data);
    free(s->log);
    for (int i = 0; s->flags[i]; i++)
        free(s->flags[i]);
    free(s);
}
