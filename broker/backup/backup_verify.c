/* backup_verify.c: compares the files of a backup with its manifest (backup_verify.h). */
#include "broker/backup/backup_verify.h"

#include <stdio.h>
#include <unistd.h>

/* "" where the file is as it was. What cannot be read is damage, too. */
static void backup_verify_one(struct backup_pace *p, int folder, const struct backup_file *f, char *text, size_t text_size)
{
    uint64_t bytes = 0, digest = 0;
    text[0] = '\0';
    if (backup_disk_read(p, folder, f->name, &bytes, &digest, text, text_size) != ST_OK)
        return;
    if (bytes != f->bytes)
        snprintf(text, text_size, "%s has %llu bytes, and had %llu", f->name, (unsigned long long)bytes,
                 (unsigned long long)f->bytes);
    else if (digest != f->digest)
        snprintf(text, text_size, "%s is damaged: its checksum does not match", f->name);
}

enum status backup_verify(struct backup_pace *p, const char *path, struct cursor at,
                          void (*damage)(void *arg, const char *text), void *arg, uint64_t *ret_bad, char *err,
                          size_t err_size)
{
    struct backup_file f;
    char text[400];
    *ret_bad = 0;
    int folder = backup_disk_open(path);
    if (folder < 0)
        return backup_disk_failed("open", path, err, err_size);
    while (backup_manifest_next(&at, &f)) {
        backup_verify_one(p, folder, &f, text, sizeof text);
        if (!text[0])
            continue;
        ++*ret_bad;
        damage(arg, text);
    }
    close(folder);
    return ST_OK;
}
