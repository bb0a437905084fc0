/*
 * replay_main.c: runs a fuzz target over its stored corpus, without libFuzzer.
 *
 * Every finding of `make fuzz` becomes a file in tests/fuzz/corpus/<target>/. This program runs the target once
 * with each of these files, and once with an empty input, so that `make test` repeats what fuzzing has found.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Runs the target with one file. False: the file cannot be read. The bytes are in a block of exactly their
 * size, so that the address sanitizer finds a read past their end. */
static bool replay_file(const char *path, size_t size)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    uint8_t *data = malloc(size ? size : 1);
    bool ok = data && fread(data, 1, size, f) == size;
    (void)fclose(f);
    if (ok)
        (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    return ok;
}

static int replay_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    if (!dir) {
        (void)fprintf(stderr, "no corpus at %s: add at least one seed file there\n", folder);
        return 1;
    }
    int ran = 0, failed = 0;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        char path[4096];
        struct stat st;
        int n = snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        if (n < 0 || (size_t)n >= sizeof(path) || stat(path, &st) != 0 || !S_ISREG(st.st_mode))
            continue;
        if (replay_file(path, (size_t)st.st_size)) {
            ran++;
        } else {
            failed++;
            (void)fprintf(stderr, "cannot read %s\n", path);
        }
    }
    (void)closedir(dir);
    (void)printf("%d inputs replayed, %d unreadable\n", ran, failed);
    return failed || ran == 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s <corpus folder>\n", argv[0]);
        return 2;
    }
    static const uint8_t empty[1];
    (void)LLVMFuzzerTestOneInput(empty, 0);
    return replay_folder(argv[1]);
}
