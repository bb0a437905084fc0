/*
 * children.c: starts, kills and stops child processes (children.h). The kernel kills a child when the demo
 * dies, however it dies (PR_SET_PDEATHSIG).
 */
#include "children.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void pause_ms(int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

/* Runs in the child: redirects its output and replaces it by the program. */
static void become(const struct child *c, pid_t parent)
{
    sigset_t none;
    int log = open(c->log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (log < 0 || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(126);
    execv(c->arguments[0], c->arguments);
    _exit(127);
}

bool child_start(struct child *c)
{
    pid_t parent = getpid();
    c->pid = fork();
    if (c->pid == 0)
        become(c, parent);
    if (c->pid < 0) {
        fprintf(stderr, "demo: cannot start %s: %s\n", c->name, strerror(errno));
        c->pid = 0;
        return false;
    }
    return true;
}

void child_kill(struct child *c)
{
    if (c->pid == 0)
        return;
    kill(c->pid, SIGKILL);
    waitpid(c->pid, NULL, 0);
    c->pid = 0;
}

bool child_stop(struct child *c, int64_t deadline_ms)
{
    int status = 0;
    if (c->pid == 0)
        return true;
    kill(c->pid, SIGTERM);
    while (waitpid(c->pid, &status, WNOHANG) == 0) {
        if (now_ms() >= deadline_ms) {
            fprintf(stderr, "demo: %s does not stop\n", c->name);
            child_kill(c);
            return false;
        }
        pause_ms(5);
    }
    c->pid = 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool child_alive(struct child *c)
{
    int status;
    if (c->pid == 0 || waitpid(c->pid, &status, WNOHANG) == 0)
        return true;
    fprintf(stderr, "demo: %s ended by itself (%s %d); see %s\n", c->name,
            WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), c->log);
    c->pid = 0;
    return false;
}

/* A socket bound to a free port, or -1. */
static int bind_any(int *ret_port)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof any;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof any) == 0 &&
        getsockname(fd, (struct sockaddr *)&any, &size) == 0) {
        *ret_port = ntohs(any.sin_port);
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Keeps the first port open while it looks for the second, as the system might return the same one again. */
bool free_ports(int ret_ports[2])
{
    int first = bind_any(&ret_ports[0]), second = bind_any(&ret_ports[1]);
    if (first >= 0)
        close(first);
    if (second >= 0)
        close(second);
    return first >= 0 && second >= 0;
}
