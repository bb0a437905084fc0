/* tmpdir.c: makes and removes temporary folders (tmpdir.h). */
#include "tests/lib/tmpdir.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

char *tmpdir_new(void)
{
    const char *base = getenv("TMPDIR");
    char *path = NULL;
    if (asprintf(&path, "%s/halfmq-test-XXXXXX", base && *base ? base : "/tmp") < 0 ||
        !mkdtemp(path)) {
        perror("cannot make a folder for the test");
        exit(99);
    }
    return path;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    if (remove(path) != 0)
        perror(path);
    return 0;
}

void tmpdir_remove(char *path)
{
    if (path)
        (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
}
