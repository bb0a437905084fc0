/*
 * test_manifest.c: tests that a torn end of RocksDB's manifest is cut off, that the store opens then, and that damage in
 * it is left alone. The manifest is that of a store that has just been closed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <glob.h>
#include <unistd.h>

#include "broker/manifest.h"
#include "tests/lib/shell.h"
#include "tests/lib/wal_rig.h"

static char path[600];
static uint8_t *good;
static size_t size;

static void closed(struct shell *s)
{
    char pattern[600];
    glob_t found;
    shell_expect(s, "t:0:0", "SEND t a QUEUE 0");
    shell_close(s);
    (void)snprintf(pattern, sizeof pattern, "%s/MANIFEST-*", s->path);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    (void)snprintf(path, sizeof path, "%s", found.gl_pathv[0]);
    globfree(&found);
    good = wal_rig_read(path, &size);
}

static void write_all(const uint8_t *bytes, size_t n)
{
    FILE *f = fopen(path, "w");
    assert_true(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

static void torn_is(bool wanted)
{
    char torn[640];
    (void)snprintf(torn, sizeof torn, "%s.torn", path);
    assert_int_equal(unlink(torn) == 0, wanted);
}

/* Makes the file end in n bytes of its last part, and zeros. */
static size_t mended(struct shell *s, size_t n)
{
    uint8_t *bytes = malloc(size);
    size_t now = 0;
    memcpy(bytes, good, n);
    memset(bytes + n, 0, size - n);
    write_all(bytes, size);
    free(bytes);
    manifest_mend(s->path);
    free(wal_rig_read(path, &now));
    return now;
}

static void a_torn_end_is_cut_off(void **state)
{
    struct shell *s = *state;
    closed(s);
    uint32_t cut = 0;
    for (size_t n = size - 40; n < size - 1; n++) {
        if (mended(s, n) == size) /* zeros only, or the whole entry ended in zeros */
            continue;
        torn_is(true);
        cut++;
    }
    assert_true(cut > 5);
    for (int mend = 0; mend < 2; mend++) {
        uint8_t *bytes = malloc(size);
        memcpy(bytes, good, size - 6);
        memset(bytes + size - 6, 0, 6);
        write_all(bytes, size);
        free(bytes);
        if (mend)
            manifest_mend(s->path);
        assert_int_equal(shell_open(s), mend);
        shell_close(s);
    }
    write_all(good, size);
    manifest_mend(s->path);
    free(good);
}

static void a_cut_end_and_damage_are_left_alone(void **state)
{
    struct shell *s = *state;
    size_t now = 0;
    closed(s);
    for (size_t n = size - 30; n < size; n++) {
        write_all(good, n);
        manifest_mend(s->path);
        free(wal_rig_read(path, &now));
        assert_true(now <= n);
        char torn[640];
        (void)snprintf(torn, sizeof torn, "%s.torn", path);
        (void)unlink(torn);
    }
    unlink(path);
    manifest_mend(s->path); /* is not there */
    write_all(good, size);
    wal_rig_flip(path, 20, 1);
    manifest_mend(s->path);
    free(wal_rig_read(path, &now));
    assert_int_equal(now, size);
    torn_is(false);
    write_all(good, size);
    shell_open(s);
    shell_expect(s, "t:0:0=a", "GET t:0:0");
    free(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {SHELL_TEST(a_torn_end_is_cut_off),
                                       SHELL_TEST(a_cut_end_and_damage_are_left_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
