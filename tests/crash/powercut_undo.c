/* powercut_undo.c: saves bytes before they are overwritten (powercut_undo.h). The slots are shared with
 * powercut.py; everything else here is lost when the process is killed. */
#include "tests/crash/powercut_undo.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FD_PATH_BYTES 32

struct slot {
    uint64_t inode;
    uint64_t number;
    uint64_t offset;
    uint64_t length;
    uint8_t bytes[UNDO_SECTOR];
};

struct area {
    uint64_t given_up;
    struct slot slots[UNDO_SLOTS];
};

struct live {
    struct slot *slot;
    uint64_t written; /* 0: still under way */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct area *area;
static uint64_t now; /* counts writes and syncs */
static struct live live[UNDO_SLOTS]; /* numbers ascend */
static size_t n_live;
static struct slot *spare[UNDO_SLOTS]; /* a stack, so that few pages of the area are used */
static size_t n_spare;

bool undo_map(int fd)
{
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, sizeof *area) != 0)
        return false;
    void *mapped = mmap(NULL, sizeof *area, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED)
        return false;
    area = mapped;
    while (n_spare < UNDO_SLOTS) {
        spare[n_spare] = &area->slots[UNDO_SLOTS - 1 - n_spare];
        n_spare++;
    }
    return true;
}

/* Makes a slot visible to powercut.py, or (0) invisible. The rest of the slot must be written before. */
static void set_inode(struct slot *s, uint64_t inode)
{
    __atomic_store_n(&s->inode, inode, __ATOMIC_RELEASE);
}

static void drop(struct slot *s)
{
    set_inode(s, 0);
    spare[n_spare++] = s;
}

static void give_up_oldest(void)
{
    size_t n = UNDO_SLOTS / 16;
    for (size_t i = 0; i < n; i++)
        drop(live[i].slot);
    n_live -= n;
    memmove(live, live + n, n_live * sizeof *live);
    area->given_up += n;
}

/* Saves up to the end of one sector. Returns the number of bytes, 0 at the end of the file. */
static size_t save_sector(int fd, uint64_t inode, uint64_t offset, size_t n, uint64_t number)
{
    size_t room = UNDO_SECTOR - offset % UNDO_SECTOR;
    if (n_spare == 0)
        give_up_oldest();
    struct slot *s = spare[n_spare - 1];
    ssize_t got = pread(fd, s->bytes, n < room ? n : room, (off_t)offset);
    if (got <= 0)
        return 0;
    s->number = number;
    s->offset = offset;
    s->length = (uint64_t)got;
    set_inode(s, inode);
    n_spare--;
    live[n_live++] = (struct live){.slot = s};
    return (size_t)got;
}

/* Reads through a descriptor of its own: the writer's may be write-only, or may need aligned buffers. */
uint64_t undo_save(int fd, uint64_t inode, uint64_t offset, size_t n)
{
    char path[FD_PATH_BYTES];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int reader = open(path, O_RDONLY | O_CLOEXEC);
    pthread_mutex_lock(&lock);
    uint64_t number = ++now;
    while (n > 0) {
        size_t saved = save_sector(reader, inode, offset, n, number);
        if (saved == 0)
            break;
        offset += saved;
        n -= saved;
    }
    pthread_mutex_unlock(&lock);
    if (reader >= 0)
        close(reader);
    return number;
}

void undo_written(uint64_t number)
{
    pthread_mutex_lock(&lock);
    now++;
    for (size_t i = n_live; i > 0 && live[i - 1].slot->number >= number; i--) {
        if (live[i - 1].slot->number == number)
            live[i - 1].written = now;
    }
    pthread_mutex_unlock(&lock);
}

uint64_t undo_sync_begins(void)
{
    pthread_mutex_lock(&lock);
    uint64_t began = ++now;
    pthread_mutex_unlock(&lock);
    return began;
}

void undo_synced(uint64_t inode, uint64_t began)
{
    size_t kept = 0;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < n_live; i++) {
        struct live l = live[i];
        if (l.slot->inode == inode && l.written != 0 && l.written < began)
            drop(l.slot);
        else
            live[kept++] = l;
    }
    n_live = kept;
    pthread_mutex_unlock(&lock);
}

void undo_ends_at(uint64_t inode, uint64_t length)
{
    size_t kept = 0;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < n_live; i++) {
        struct live l = live[i];
        bool ours = l.slot->inode == inode;
        if (ours && l.slot->offset < length && l.slot->length > length - l.slot->offset)
            l.slot->length = length - l.slot->offset;
        if (ours && l.slot->offset >= length)
            drop(l.slot);
        else
            live[kept++] = l;
    }
    n_live = kept;
    pthread_mutex_unlock(&lock);
}
