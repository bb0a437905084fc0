/*
 * fuzz_backup.c: reads any bytes as the manifest of a backup. What is refused comes with a sentence; what is taken names only
 * files in store/ and wal/, and is what a manifest of the same facts and files is written as.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/backup/backup_manifest.h"

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void require_plain(const char *name)
{
    const char *rest = strncmp(name, "store/", 6) == 0 ? name + 6 : strncmp(name, "wal/", 4) == 0 ? name + 4 : NULL;
    require(rest && *rest && *rest != '.' && !strchr(rest, '/'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct backup_facts facts, again;
    struct backup_file f;
    struct cursor at;
    struct buf files, out;
    char err[400] = "";
    if (backup_manifest_open(slice_of(data, size), &facts, &at, err, sizeof err) != ST_OK) {
        require(strnlen(err, sizeof err) > 0 && strnlen(err, sizeof err) < sizeof err);
        return 0;
    }
    require(backup_name_ok(slice_str(facts.name)));
    backup_manifest_begin(&files);
    backup_manifest_begin(&out);
    while (backup_manifest_next(&at, &f)) {
        require_plain(f.name);
        backup_manifest_add(&files, &f);
    }
    again = facts;
    backup_manifest_end(&out, buf_slice(&files), &again);
    require(!out.failed && again.files == facts.files && again.bytes == facts.bytes);
    struct backup_facts read;
    require(backup_manifest_open(buf_slice(&out), &read, &at, err, sizeof err) == ST_OK && read.index == facts.index);
    buf_free(&files);
    buf_free(&out);
    return 0;
}
