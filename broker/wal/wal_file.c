/* wal_file.c: reads and writes one segment: its header, its records, and what the file system must know of it. */
#include "broker/wal/wal_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "broker/base/reserve.h"
#include "protocol/base/buf.h"
#include "protocol/limits.h"
#include "protocol/base/text.h"

#define MAGIC "HMQWAL2\n"
#define FIRST_MAGIC "HMQWAL1\n"
#define HEADER_BYTES 64
#define HEADER_CHECK_AT (HEADER_BYTES - 4)
#define NEVER_USED_BYTES KIB(64) /* zeros up to here: never used */
#define FILL_STEP KIB(64)
#define WRITE_STEP ((size_t)MIB(1)) /* a long record is on its way to the disk while the rest of it is copied */
#define IOV_MOST 4
#define NAME_BYTES 32
#define MODE 0640

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
    if (f->fd < 0 && !make && (errno == EROFS || errno == EACCES))
        f->fd = openat(folder, text, O_RDONLY | O_CLOEXEC); /* to be looked at */
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

static size_t wal_file_left(const struct iovec *iov, int n)
{
    size_t left = 0;
    for (int i = 0; i < n; i++)
        left += iov[i].iov_len;
    return left;
}

/* Writes at most WRITE_STEP bytes, and has the disk begin with them where there are more. What it begins with is not synced. */
static ssize_t wal_file_write_step(int fd, const struct iovec *iov, int n, size_t at)
{
    struct iovec step[IOV_MOST];
    size_t room = WRITE_STEP;
    int k = 0;
    for (; k < n && k < IOV_MOST && room > 0; k++) {
        step[k] = iov[k];
        step[k].iov_len = iov[k].iov_len < room ? iov[k].iov_len : room;
        room -= step[k].iov_len;
    }
    ssize_t done = pwritev(fd, step, k, (off_t)at);
    if (done == (ssize_t)WRITE_STEP)
        (void)sync_file_range(fd, (off_t)at, done, SYNC_FILE_RANGE_WRITE);
    return done;
}

/* Writes all of it, in as many calls as it takes. Changes iov. needed: where the disk is full, the reserve is used. */
static bool wal_file_write_at(int fd, struct iovec *iov, int n, size_t at, bool needed)
{
    while (n > 0) {
        ssize_t done = wal_file_write_step(fd, iov, n, at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            errno = done < 0 ? errno : ENOSPC;
            if (errno == ENOSPC && needed && reserve_spend(wal_file_left(iov, n)))
                continue;
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

static bool wal_file_write(struct wal_file *f, struct iovec *iov, int n, size_t at, bool needed)
{
    size_t end = at + wal_file_left(iov, n);
    if (!wal_file_write_at(f->fd, iov, n, at, needed))
        return false;
    f->size = f->size > end ? f->size : end;
    return true;
}

bool wal_file_fill(struct wal_file *f, size_t size)
{
    static const uint8_t zeros[FILL_STEP];
    for (size_t at = f->size; at < size; at = f->size) {
        size_t n = size - at < sizeof zeros ? size - at : sizeof zeros;
        struct iovec iov = {.iov_base = (void *)(uintptr_t)zeros, .iov_len = n};
        if (!wal_file_write(f, &iov, 1, at, false) || !wal_file_sync(f))
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

bool wal_file_choose(struct wal_file *f, uint64_t serial, uint64_t before, uint64_t store)
{
    uint64_t salt = 0;
    ssize_t n = getrandom(&salt, sizeof salt, 0);
    if (n != sizeof salt) {
        errno = n < 0 ? errno : EIO;
        return false;
    }
    f->use = (struct wal_use){.serial = serial, .salt = salt};
    f->store = store;
    f->promised = f->size;
    f->before = f->last = before;
    f->at = WAL_HEADER_BYTES;
    f->salvaged = false;
    f->lost = 0;
    return true;
}

bool wal_file_write_headers(struct wal_file *f)
{
    static const uint8_t zeros[WAL_BLOCK_BYTES - HEADER_BYTES];
    uint8_t header[HEADER_BYTES] = MAGIC;
    le_write(header + 8, f->use.serial, 8);
    le_write(header + 16, f->before, 8);
    le_write(header + 24, f->use.salt, 8);
    le_write(header + 32, f->store, 8);
    le_write(header + 40, f->promised, 8);
    le_write(header + 48, f->lost, 8);
    le_write(header + 56, f->salvaged, 4);
    le_write(header + HEADER_CHECK_AT, text_checksum(slice_of(header, HEADER_CHECK_AT)), 4);
    struct iovec iov[4] = {{header, sizeof header}, {(void *)(uintptr_t)zeros, sizeof zeros},
                           {header, sizeof header}, {(void *)(uintptr_t)zeros, sizeof zeros}};
    return wal_file_write(f, iov, 4, 0, true);
}

bool wal_file_begin(struct wal_file *f, uint64_t serial, uint64_t before, uint64_t store)
{
    return wal_file_choose(f, serial, before, store) && wal_file_write_headers(f);
}

bool wal_file_append(struct wal_file *f, const struct wal_record *r, bool to_block)
{
    static const uint8_t padding[WAL_BLOCK_BYTES];
    uint8_t head[WAL_RECORD_BYTES];
    struct wal_record record = *r;
    record.before = f->last;
    wal_record_encode(&f->use, &record, head);
    size_t used = WAL_RECORD_BYTES + r->batch.len, end = f->at + wal_record_size(r->batch.len);
    end = to_block ? wal_block_up(end) : end;
    struct iovec iov[3] = {{head, sizeof head},
                           {(void *)(uintptr_t)r->batch.data, r->batch.len},
                           {(void *)(uintptr_t)padding, end - f->at - used}};
    if (!wal_file_write(f, iov, iov[2].iov_len ? 3 : 2, f->at, true))
        return false;
    f->at = end;
    f->last = r->kind == WAL_BATCH ? r->number : f->last;
    return true;
}

bool wal_file_sync(struct wal_file *f)
{
    return fdatasync(f->fd) == 0;
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

/* Takes the header in front of these bytes, if it is a sound one of a later use than the one that f has. */
static bool wal_file_take_header(struct wal_file *f, struct slice bytes)
{
    struct cursor c = cursor_of(bytes);
    struct slice magic = cursor_bytes(&c, 8);
    uint64_t serial = cursor_u64(&c), before = cursor_u64(&c), salt = cursor_u64(&c);
    uint64_t store = cursor_u64(&c), size = cursor_u64(&c), lost = cursor_u64(&c);
    uint32_t salvaged = cursor_u32(&c), check = cursor_u32(&c);
    if (c.bad || check != text_checksum(slice_of(bytes.data, HEADER_CHECK_AT)))
        return false;
    bool first_format = slice_equal(magic, slice_of(FIRST_MAGIC, 8));
    if ((!first_format && !slice_equal(magic, slice_of(MAGIC, 8))) || serial <= f->use.serial)
        return false;
    f->use = (struct wal_use){.serial = serial, .salt = salt, .first_format = first_format};
    f->before = f->last = before;
    f->store = first_format ? 0 : store;
    f->promised = first_format ? 0 : (size_t)size;
    f->salvaged = !first_format && salvaged == 1;
    f->lost = f->salvaged ? lost : 0;
    f->at = first_format ? HEADER_BYTES : WAL_HEADER_BYTES;
    return true;
}

/* After a power cut one of the headers may be of an earlier use: then the later one counts. A file without a header
 * begins with zeros; what is neither is damaged. */
bool wal_file_look(struct wal_file *f)
{
    uint8_t *bytes = malloc(NEVER_USED_BYTES);
    if (!bytes)
        return false;
    ssize_t n = wal_file_read_at(f->fd, bytes, NEVER_USED_BYTES, 0);
    int why = errno;
    struct slice all = slice_of(bytes, n > 0 ? (size_t)n : 0);
    f->use = (struct wal_use){0};
    f->before = f->last = f->store = f->lost = 0;
    f->salvaged = false;
    f->promised = 0;
    f->at = WAL_HEADER_BYTES;
    (void)wal_file_take_header(f, all);
    if (all.len > WAL_BLOCK_BYTES)
        (void)wal_file_take_header(f, slice_of(bytes + WAL_BLOCK_BYTES, all.len - WAL_BLOCK_BYTES));
    size_t zeros = 0;
    while (f->use.serial == 0 && zeros < all.len && bytes[zeros] == 0)
        zeros++;
    f->damaged = f->use.serial == 0 && zeros < all.len;
    free(bytes);
    errno = why;
    return n >= 0;
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

void wal_file_name(const struct wal_file *f, char out[static WAL_NAME_BYTES])
{
    char text[NAME_BYTES];
    wal_file_name_of(f->name, "wal", text);
    (void)snprintf(out, WAL_NAME_BYTES, "%s", text);
}

/* link says EEXIST, where rename would replace. */
static bool wal_file_rename(int folder, struct wal_file *f, const char *to)
{
    char from[NAME_BYTES];
    wal_file_name_of(f->name, "wal", from);
    return linkat(folder, from, folder, to, 0) == 0 && unlinkat(folder, from, 0) == 0;
}

bool wal_file_set_aside(int folder, struct wal_file *f, char ret_name[static WAL_NAME_BYTES])
{
    char name[NAME_BYTES];
    wal_file_name_of(f->name, "lost", name);
    (void)snprintf(ret_name, WAL_NAME_BYTES, "%s", name);
    bool done = wal_file_rename(folder, f, ret_name);
    for (unsigned n = 1; !done && errno == EEXIST && n > 0; n++) {
        (void)snprintf(ret_name, WAL_NAME_BYTES, "%s.%u", name, n);
        done = wal_file_rename(folder, f, ret_name);
    }
    done = done && fsync(folder) == 0;
    int why = errno;
    wal_file_free(f);
    errno = why;
    return done;
}
