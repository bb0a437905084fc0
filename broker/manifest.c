/* manifest.c: finds and cuts off the torn end of RocksDB's manifest (manifest.h). */
#include "broker/manifest.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/log.h"
#include "protocol/base/buf.h"

#define BLOCK 32768
#define HEAD_BYTES 7
#define MANIFEST_BYTES_MAX (256UL << 20)
#define FILE_MODE 0600

enum manifest_kind { ENTRY_NONE, ENTRY_FULL, ENTRY_FIRST, ENTRY_MIDDLE, ENTRY_LAST };

/* CRC-32C, bit by bit: a manifest is small, and this runs once. */
static uint32_t manifest_crc(const uint8_t *at, size_t n)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (UINT32_C(0x82f63b78) & (0 - (crc & 1)));
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + UINT32_C(0xa282ead8); /* RocksDB stores it so */
}

/* The size of a sound entry at `at`; 0: there is none. */
static size_t manifest_entry(struct slice all, size_t at, uint8_t *ret_kind)
{
    if (at + HEAD_BYTES > all.len || BLOCK - at % BLOCK < HEAD_BYTES)
        return 0;
    struct cursor c = cursor_of(slice_of(all.data + at, HEAD_BYTES));
    uint32_t check = cursor_u32(&c);
    size_t n = (size_t)cursor_u8(&c);
    n |= (size_t)cursor_u8(&c) << 8;
    *ret_kind = cursor_u8(&c);
    bool fits = at + HEAD_BYTES + n <= all.len && HEAD_BYTES + n <= BLOCK - at % BLOCK;
    bool sound = fits && *ret_kind >= ENTRY_FULL && *ret_kind <= ENTRY_LAST &&
                 check == manifest_crc(all.data + at + HEAD_BYTES - 1, n + 1);
    return sound ? HEAD_BYTES + n : 0;
}

/* Where the sound entries end; *ret_whole: behind the last one that is complete. */
static size_t manifest_end(struct slice all, size_t *ret_whole)
{
    size_t at = 0;
    *ret_whole = 0;
    for (;;) {
        uint8_t kind = ENTRY_NONE;
        if (BLOCK - at % BLOCK < HEAD_BYTES)
            at += BLOCK - at % BLOCK; /* too little for an entry */
        size_t n = manifest_entry(all, at, &kind);
        if (n == 0)
            return at;
        at += n;
        if (kind == ENTRY_FULL || kind == ENTRY_LAST)
            *ret_whole = at;
    }
}

/* Is the end torn? Not where it is only cut off or filled with zeros, which RocksDB reads, and not where something sound
 * is behind the bad place. */
static bool manifest_torn(struct slice all, size_t at)
{
    uint8_t kind = ENTRY_NONE;
    bool zeros = true;
    for (size_t i = at; i < all.len; i++) {
        zeros = zeros && all.data[i] == 0;
        if (i > at && manifest_entry(all, i, &kind) > 0)
            return false;
    }
    return at + HEAD_BYTES <= all.len && !zeros;
}

static bool manifest_keep(const char *path, struct slice end)
{
    char beside[PATH_MAX];
    int n = snprintf(beside, sizeof beside, "%s.torn", path);
    int fd = n > 0 && n < PATH_MAX ? open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE) : -1;
    if (fd < 0)
        return false;
    bool kept = write(fd, end.data, end.len) == (ssize_t)end.len && fsync(fd) == 0;
    close(fd);
    return kept;
}

/* Reads up to n bytes. -1: it cannot be read. */
static ssize_t manifest_read(const char *path, void *out, size_t n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, out, n) : -1;
    if (fd >= 0)
        close(fd);
    return got;
}

/* The path that CURRENT names. */
static bool manifest_find(const char *store_path, char out[static PATH_MAX])
{
    char path[PATH_MAX], name[64] = "";
    int n = snprintf(path, sizeof path, "%s/CURRENT", store_path);
    if (n < 0 || n >= PATH_MAX || manifest_read(path, name, sizeof name - 1) <= 0)
        return false;
    name[strcspn(name, "\n")] = '\0';
    n = snprintf(out, PATH_MAX, "%s/%s", store_path, name);
    return strncmp(name, "MANIFEST-", 9) == 0 && !strchr(name, '/') && n > 0 && n < PATH_MAX;
}

void manifest_mend(const char *store_path)
{
    char path[PATH_MAX];
    struct stat st;
    if (!manifest_find(store_path, path) || stat(path, &st) != 0 || (size_t)st.st_size > MANIFEST_BYTES_MAX)
        return;
    size_t size = (size_t)st.st_size, whole = 0;
    uint8_t *bytes = malloc(size ? size : 1);
    if (bytes && manifest_read(path, bytes, size) == st.st_size) {
        struct slice all = slice_of(bytes, size);
        size_t at = manifest_end(all, &whole);
        if (whole > 0 && manifest_torn(all, at) && manifest_keep(path, slice_of(bytes + whole, size - whole)) &&
            truncate(path, (off_t)whole) == 0)
            log_event(LOG_WARN, "the store's last change of its files was not synced, and is dropped",
                      " file=%s bytes=%zu kept=%s.torn", path, size - whole, path);
    }
    free(bytes);
}
