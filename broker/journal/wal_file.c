/* wal_file.c: reads and writes one segment: its header, its records, and what the file system must know of it. */
#include "broker/journal/wal_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "protocol/base/buf.h"
#include "protocol/limits.h"
#include "protocol/base/text.h"

#define MAGIC "HMQWAL1\n"
#define HEADER_CHECK_AT (WAL_HEADER_BYTES - 4)
#define FILL_STEP KIB(64)
#define NAME_BYTES 32
#define MODE 0640

static size_t wal_file_padded(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

size_t wal_record_size(size_t batch_bytes)
{
    return WAL_RECORD_BYTES + wal_file_padded(batch_bytes);
}

static void wal_file_name_of(uint64_t name, const char *kind, char out[static NAME_BYTES])
{
    int n = snprintf(out, NAME_BYTES, "%08llu.%s", (unsigned long long)name, kind);
    assert(n > 0 && n < NAME_BYTES);
    (void)n;
}

/* A new file is in its folder after a power cut only if the folder was synced. */
struct wal_file *wal_file_open(int folder, uint64_t name, bool make)
{
    char text[NAME_BYTES];
    wal_file_name_of(name, "wal", text);
    struct wal_file *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    struct stat st;
    f->name = name;
    f->fd = openat(folder, text, O_RDWR | O_CLOEXEC | (make ? O_CREAT | O_EXCL : 0), MODE);
    if (f->fd >= 0 && fstat(f->fd, &st) == 0 && (!make || fsync(folder) == 0)) {
        f->size = (size_t)st.st_size;
        return f;
    }
    int why = errno;
    wal_file_free(f);
    errno = why;
    return NULL;
}

void wal_file_free(struct wal_file *f)
{
    if (f && f->fd >= 0)
        close(f->fd);
    free(f);
}

bool wal_file_remove(int folder, struct wal_file *f)
{
    char text[NAME_BYTES];
    wal_file_name_of(f->name, "wal", text);
    wal_file_free(f);
    return unlinkat(folder, text, 0) == 0;
}

bool wal_file_set_aside(int folder, struct wal_file *f)
{
    char from[NAME_BYTES], to[NAME_BYTES];
    wal_file_name_of(f->name, "wal", from);
    wal_file_name_of(f->name, "lost", to);
    wal_file_free(f);
    return renameat(folder, from, folder, to) == 0 && fsync(folder) == 0;
}

/* Writes all of it, in as many calls as it takes. Changes iov. */
static bool wal_file_write_at(int fd, struct iovec *iov, int n, size_t at)
{
    while (n > 0) {
        ssize_t done = pwritev(fd, iov, n, (off_t)at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            errno = done < 0 ? errno : ENOSPC;
            return false;
        }
        at += (size_t)done;
        size_t left = (size_t)done;
        for (; n > 0 && left >= iov->iov_len; iov++, n--)
            left -= iov->iov_len;
        if (n > 0) {
            iov->iov_base = (uint8_t *)iov->iov_base + left;
            iov->iov_len -= left;
        }
    }
    return true;
}

static bool wal_file_write_bytes(struct wal_file *f, const void *bytes, size_t n, size_t at)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
    if (!wal_file_write_at(f->fd, &iov, 1, at))
        return false;
    f->size = f->size > at + n ? f->size : at + n;
    return true;
}

bool wal_file_fill(struct wal_file *f, size_t size)
{
    static const uint8_t zeros[FILL_STEP];
    for (size_t at = f->size; at < size; at = f->size) {
        size_t n = size - at < sizeof zeros ? size - at : sizeof zeros;
        if (!wal_file_write_bytes(f, zeros, n, at) || !wal_file_sync(f))
            return false;
    }
    return true;
}

bool wal_file_cut(struct wal_file *f, size_t size)
{
    if (f->size <= size)
        return true;
    if (ftruncate(f->fd, (off_t)size) != 0)
        return false;
    f->size = size;
    return true;
}

bool wal_file_begin(struct wal_file *f, uint64_t serial, uint64_t before)
{
    uint8_t header[WAL_HEADER_BYTES] = MAGIC;
    ssize_t n = getrandom(&f->salt, sizeof f->salt, 0);
    if (n != sizeof f->salt) {
        errno = n < 0 ? errno : EIO;
        return false;
    }
    le_write(header + 8, serial, 8);
    le_write(header + 16, before, 8);
    le_write(header + 24, f->salt, 8);
    le_write(header + HEADER_CHECK_AT, text_checksum(slice_of(header, HEADER_CHECK_AT)), 4);
    f->serial = serial;
    f->before = f->last = before;
    f->at = WAL_HEADER_BYTES;
    return wal_file_write_bytes(f, header, sizeof header, 0);
}

static uint32_t wal_file_check_of(const struct wal_file *f, const uint8_t *head, struct slice batch)
{
    uint8_t covered[WAL_RECORD_BYTES - 4 + 8 + 8];
    memcpy(covered, head + 4, WAL_RECORD_BYTES - 4);
    le_write(covered + WAL_RECORD_BYTES - 4, f->serial, 8);
    le_write(covered + WAL_RECORD_BYTES - 4 + 8, f->salt, 8);
    return text_checksum2(slice_of(covered, sizeof covered), batch);
}

bool wal_file_append(struct wal_file *f, uint64_t number, uint64_t before, struct slice batch)
{
    static const uint8_t padding[8];
    uint8_t head[WAL_RECORD_BYTES];
    assert(batch.len <= UINT32_MAX);
    le_write(head + 4, batch.len, 4);
    le_write(head + 8, number, 8);
    le_write(head + 16, before, 8);
    le_write(head, wal_file_check_of(f, head, batch), 4);
    struct iovec iov[3] = {{head, sizeof head},
                           {(void *)(uintptr_t)batch.data, batch.len},
                           {(void *)(uintptr_t)padding, wal_file_padded(batch.len) - batch.len}};
    if (!wal_file_write_at(f->fd, iov, iov[2].iov_len ? 3 : 2, f->at))
        return false;
    f->at += wal_record_size(batch.len);
    f->size = f->size > f->at ? f->size : f->at;
    f->last = number;
    return true;
}

bool wal_file_sync(struct wal_file *f)
{
    return fdatasync(f->fd) == 0;
}

bool wal_file_rewrite(struct wal_file *f, const uint8_t *bytes, size_t n)
{
    return wal_file_write_bytes(f, bytes, n, 0) && wal_file_sync(f);
}

/* Reads n bytes, or less at the end of the file. -1: errno says why. */
static ssize_t wal_file_read_at(int fd, uint8_t *out, size_t n, size_t at)
{
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(fd, out + done, n - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

/* A header lies in one sector, which the disk writes whole or not at all. A file without one begins with zeros; what
 * is neither is damaged. */
bool wal_file_look(struct wal_file *f)
{
    static const uint8_t none[WAL_HEADER_BYTES];
    uint8_t header[WAL_HEADER_BYTES] = {0};
    ssize_t n = wal_file_read_at(f->fd, header, sizeof header, 0);
    if (n < 0)
        return false;
    struct cursor c = cursor_of(slice_of(header + 8, sizeof header - 8));
    uint64_t serial = cursor_u64(&c), before = cursor_u64(&c), salt = cursor_u64(&c);
    c = cursor_of(slice_of(header + HEADER_CHECK_AT, 4));
    bool ours = n == WAL_HEADER_BYTES && memcmp(header, MAGIC, 8) == 0 &&
                cursor_u32(&c) == text_checksum(slice_of(header, HEADER_CHECK_AT));
    f->damaged = !ours && memcmp(header, none, sizeof none) != 0;
    f->serial = ours ? serial : 0;
    f->before = f->last = ours ? before : 0;
    f->salt = ours ? salt : 0;
    f->at = WAL_HEADER_BYTES;
    return true;
}

uint8_t *wal_file_read(struct wal_file *f)
{
    uint8_t *bytes = malloc(f->size ? f->size : 1);
    if (!bytes)
        return NULL;
    ssize_t n = wal_file_read_at(f->fd, bytes, f->size, 0);
    if (n == (ssize_t)f->size)
        return bytes;
    free(bytes);
    errno = n < 0 ? errno : EIO;
    return NULL;
}

bool wal_record_next(const struct wal_file *f, struct slice bytes, size_t *at, struct wal_record *ret_record)
{
    if (*at > bytes.len)
        return false;
    const uint8_t *head = bytes.data + *at;
    struct cursor c = cursor_of(slice_of(head, bytes.len - *at));
    uint32_t check = cursor_u32(&c), length = cursor_u32(&c);
    ret_record->number = cursor_u64(&c);
    ret_record->before = cursor_u64(&c);
    ret_record->batch = cursor_bytes(&c, length);
    if (c.bad || check != wal_file_check_of(f, head, ret_record->batch))
        return false;
    *at += wal_record_size(length);
    return true;
}
