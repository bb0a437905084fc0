/* wal_rig.c: opens, fills, replays and checks a log, and finds its files (wal_rig.h). */
#include "tests/lib/wal_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/limits.h"
#include "tests/lib/tmpdir.h"

int wal_rig_setup(void **state)
{
    static struct wal_rig r;
    r = (struct wal_rig){.path = tmpdir_new(), .bytes_max = MIB(64)};
    int n = snprintf(r.folder, sizeof r.folder, "%s/wal", r.path);
    assert_true(n > 0 && (size_t)n < sizeof r.folder);
    *state = &r;
    return 0;
}

int wal_rig_teardown(void **state)
{
    struct wal_rig *r = *state;
    wal_rig_stop(r);
    tmpdir_remove(r->path);
    return 0;
}

static uint8_t filler(uint64_t number, uint64_t life, size_t at)
{
    return (uint8_t)(number * 31 + life * 7 + at);
}

static enum status take(void *arg, struct slice batch, const struct redo_parts *parts)
{
    (void)parts;
    struct wal_rig *r = arg;
    uint64_t number = 0, life = 0;
    if (r->refuse_at && r->n + 1 == r->refuse_at)
        return ST_BUSY;
    assert_true(r->n < WAL_RIG_GOT_MAX && batch.len >= WAL_RIG_BATCH_MIN);
    memcpy(&number, batch.data, 8);
    memcpy(&life, batch.data + 8, 8);
    for (size_t i = WAL_RIG_BATCH_MIN; i < batch.len; i++)
        r->damaged = r->damaged || batch.data[i] != filler(number, life, i);
    r->got[r->n] = number;
    r->lives[r->n++] = life;
    return ST_OK;
}

enum status wal_rig_try(struct wal_rig *r, uint64_t after)
{
    struct wal_options opt = {.path = r->folder, .segment_bytes = WAL_SEGMENT_MIN, .bytes_max = r->bytes_max,
                              .salvage = r->salvage};
    assert_null(r->w);
    r->n = 0;
    r->damaged = r->long_log = false;
    r->err[0] = 0;
    r->life++;
    r->status = wal_open(&opt, &r->w, r->err, sizeof r->err);
    if (r->status != ST_OK) {
        r->w = NULL;
        return r->status;
    }
    r->redo = wal_redo(r->w);
    r->status = r->redo->replay(r->redo->self, after, take, r, &r->long_log, r->err, sizeof r->err);
    if (r->status != ST_OK)
        wal_rig_stop(r);
    return r->status;
}

void wal_rig_start(struct wal_rig *r, uint64_t after)
{
    if (wal_rig_try(r, after) != ST_OK)
        fail_msg("the log does not open: %s", r->err);
}

void wal_rig_stop(struct wal_rig *r)
{
    wal_close(r->w);
    r->w = NULL;
}

void wal_rig_again(struct wal_rig *r, uint64_t after)
{
    wal_rig_stop(r);
    wal_rig_start(r, after);
}

enum status wal_rig_append(struct wal_rig *r, uint64_t number, size_t bytes, bool sync)
{
    assert_true(bytes >= WAL_RIG_BATCH_MIN);
    uint8_t *batch = malloc(bytes);
    assert_non_null(batch);
    memcpy(batch, &number, 8);
    memcpy(batch + 8, &r->life, 8);
    for (size_t i = WAL_RIG_BATCH_MIN; i < bytes; i++)
        batch[i] = filler(number, r->life, i);
    r->err[0] = 0;
    r->status = r->redo->append(r->redo->self, number, slice_of(batch, bytes), sync, r->err, sizeof r->err);
    free(batch);
    return r->status;
}

void wal_rig_put(struct wal_rig *r, uint64_t number, size_t bytes)
{
    if (wal_rig_append(r, number, bytes, true) != ST_OK)
        fail_msg("append of %llu: %s", (unsigned long long)number, r->err);
}

void wal_rig_put_many(struct wal_rig *r, uint64_t first, uint64_t last, size_t bytes)
{
    for (uint64_t n = first; n <= last; n++)
        wal_rig_put(r, n, bytes);
}

void wal_rig_check(const struct wal_rig *r, uint64_t first, uint64_t last, uint64_t life, const char *file,
                   int line)
{
    _assert_int_equal(r->damaged, false, file, line);
    _assert_int_equal(r->n, last + 1 - first, file, line);
    for (uint32_t i = 0; i < r->n; i++) {
        _assert_int_equal(r->got[i], first + i, file, line);
        if (life)
            _assert_int_equal(r->lives[i], life, file, line);
    }
}

/* ---- files ---- */

const char *wal_rig_file(const struct wal_rig *r, unsigned long long name)
{
    static char path[640];
    int n = snprintf(path, sizeof path, "%s/%08llu.wal", r->folder, name);
    assert_true(n > 0 && (size_t)n < sizeof path);
    return path;
}

unsigned wal_rig_files(const struct wal_rig *r)
{
    unsigned n = 0;
    DIR *dir = opendir(r->folder);
    assert_non_null(dir);
    for (const struct dirent *d = readdir(dir); d; d = readdir(dir))
        n += strstr(d->d_name, ".wal") != NULL;
    closedir(dir);
    return n;
}

uint8_t *wal_rig_read(const char *path, size_t *ret_size)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    uint8_t *bytes = malloc((size_t)st.st_size + 1);
    assert_non_null(bytes);
    assert_true(read(fd, bytes, (size_t)st.st_size) == st.st_size);
    close(fd);
    *ret_size = (size_t)st.st_size;
    return bytes;
}

void wal_rig_write(const char *path, size_t at, const void *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0640);
    assert_true(fd >= 0);
    assert_true(pwrite(fd, bytes, n, (off_t)at) == (ssize_t)n);
    close(fd);
}

void wal_rig_zero(const char *path, size_t at, size_t n)
{
    uint8_t *zeros = calloc(1, n);
    assert_non_null(zeros);
    wal_rig_write(path, at, zeros, n);
    free(zeros);
}

void wal_rig_flip(const char *path, size_t at, unsigned bit)
{
    size_t n = 0;
    uint8_t *bytes = wal_rig_read(path, &n);
    assert_true(at < n && bit < 8);
    bytes[at] ^= (uint8_t)(1u << bit);
    wal_rig_write(path, at, bytes + at, 1);
    free(bytes);
}
