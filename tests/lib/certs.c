/* certs.c: runs certs.py once, and keeps the paths. */
#include "tests/lib/certs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/tmpdir.h"

#define PATHS_MAX 16

static char *folder;
static struct {
    const char *name;
    char path[256];
} paths[PATHS_MAX];

static void certs_remove(void)
{
    tmpdir_remove(folder);
}

static void certs_make(void)
{
    const char *source = getenv("SOURCE");
    char program[512];
    int status = 0;
    folder = tmpdir_new();
    atexit(certs_remove);
    snprintf(program, sizeof program, "%s/tests/lib/certs.py", source ? source : ".");
    pid_t pid = fork();
    if (pid == 0) {
        execl("/usr/bin/python3", "python3", program, folder, (char *)NULL);
        _exit(127);
    }
    if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0)
        return;
    fprintf(stderr, "certs.py made no certificates\n");
    exit(1);
}

const char *certs_path(const char *name)
{
    if (!folder)
        certs_make();
    for (size_t i = 0; i < PATHS_MAX; i++) {
        if (paths[i].name && strcmp(paths[i].name, name) == 0)
            return paths[i].path;
        if (paths[i].name)
            continue;
        snprintf(paths[i].path, sizeof paths[i].path, "%s/%s", folder, name);
        paths[i].name = name;
        return paths[i].path;
    }
    fprintf(stderr, "too many paths of certificates\n");
    exit(1);
}
