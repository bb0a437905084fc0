/* backup.c: gives each request a thread, and answers it (backup.h). */
#include "broker/backup/backup.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/backup/backup_find.h"
#include "broker/backup/backup_take.h"
#include "broker/base/clock.h"
#include "broker/base/log.h"
#include "broker/base/reserve.h"
#include "broker/journal/journal.h"
#include "protocol/base/reply.h"

#define REQUESTS_MAX 8

struct backup {
    struct backup_options opt;
    char dir[PATH_MAX];
    atomic_bool stop;
    /* ---- under lock ---- */
    pthread_mutex_t lock;
    pthread_cond_t over; /* a thread has ended */
    uint32_t running;    /* threads */
    bool taking;         /* one of them takes a backup */
    struct backup_figures figures;
};

struct backup_request {
    struct backup *backup;
    struct entry *entry;
};

struct backup *backup_new(const struct backup_options *opt)
{
    struct backup *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->opt = *opt;
    int n = opt->dir[0] ? snprintf(b->dir, sizeof b->dir, "%s", opt->dir)
                        : snprintf(b->dir, sizeof b->dir, "%s/backups", opt->data);
    if (n < 0 || (size_t)n >= sizeof b->dir) {
        free(b);
        return NULL;
    }
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->over, NULL);
    backup_find_leftovers(opt->data, b->dir);
    return b;
}

/* On the disk of the data folder as much has to stay free as for any other write of ours. */
static int64_t backup_keep_bytes(const struct backup *b)
{
    struct stat data, dir;
    if (stat(b->opt.data, &data) != 0 || (stat(b->dir, &dir) == 0 && dir.st_dev != data.st_dev))
        return 0;
    return reserve_bytes_of(b->opt.data, b->opt.disk_reserve_bytes) - reserve_held();
}

static void backup_reply_taken(struct buf *r, const struct backup *b, const struct backup_facts *f, int64_t took_ms)
{
    char path[PATH_MAX + BACKUP_NAME_MAX + 2];
    (void)snprintf(path, sizeof path, "%s/%s", b->dir, f->name);
    reply_map(r, 6);
    reply_field_bytes(r, "path", slice_str(path));
    reply_field_int(r, "bytes", (int64_t)f->bytes);
    reply_field_int(r, "files", (int64_t)f->files);
    reply_field_int(r, "linked", (int64_t)f->linked);
    reply_field_int(r, "index", (int64_t)f->index);
    reply_field_int(r, "seconds", (took_ms + 500) / 1000);
}

static void backup_tell(const char *name, enum status s, const struct backup_facts *f, int64_t took_ms, const char *err)
{
    char quoted[600];
    if (s == ST_OK)
        log_event(LOG_INFO, "made a backup", " name=%s bytes=%llu files=%llu linked=%llu index=%llu ms=%lld", name,
                  (unsigned long long)f->bytes, (unsigned long long)f->files, (unsigned long long)f->linked,
                  (unsigned long long)f->index, (long long)took_ms);
    else
        log_event(s == ST_EXISTS ? LOG_INFO : LOG_WARN, "made no backup", " name=%s reason=%s", name,
                  log_quote(err, quoted, sizeof quoted));
}

static enum status backup_run_take(struct backup *b, const char *name, struct buf *r, char *err, size_t err_size)
{
    const struct backup_job job = {.data = b->opt.data,
                                   .dir = b->dir,
                                   .name = name,
                                   .store = b->opt.store,
                                   .wal = b->opt.wal,
                                   .keep_bytes = backup_keep_bytes(b),
                                   .stop = &b->stop};
    struct backup_facts facts = {0};
    int64_t began_ns = clock_mono_ns(), began_ms = clock_wall_ms();
    enum status s = backup_take(&job, &facts, err, err_size);
    int64_t took_ms = (clock_mono_ns() - began_ns) / 1000000;
    backup_tell(name, s, &facts, took_ms, err);
    if (s == ST_OK)
        backup_reply_taken(r, b, &facts, took_ms);
    pthread_mutex_lock(&b->lock);
    if (s != ST_EXISTS) {
        b->figures.last_ms = began_ms;
        b->figures.last_took_ms = took_ms;
        b->figures.last_failed = s != ST_OK;
    }
    pthread_mutex_unlock(&b->lock);
    return s;
}

/* What a client is told: statuses that it cannot meet otherwise are -ERR. */
static enum status backup_status(enum status s)
{
    return s == ST_IO || s == ST_BAD ? ST_ERR : s == ST_NOMEM ? ST_BUSY : s;
}

static void backup_do(struct backup *b, struct entry *e)
{
    char name[BACKUP_NAME_MAX + 1] = "", err[700] = "";
    struct buf *r = &e->out.reply;
    enum status s = ST_OK;
    if (e->cmd.n_pos > 0 && !backup_name_ok(e->cmd.pos[0])) {
        reply_error(r, ST_BADNAME, "a backup's name is 1 to 127 of A-Z a-z 0-9 . _ -, begins with no dot, has no two in a row, "
                                   "and is neither LIST nor DELETE");
        return;
    }
    if (e->cmd.n_pos > 0)
        (void)snprintf(name, sizeof name, "%.*s", (int)e->cmd.pos[0].len, (const char *)e->cmd.pos[0].data);
    if (e->cmd.info->id == CMD_BACKUP)
        s = backup_run_take(b, name, r, err, sizeof err);
    else if (e->cmd.info->id == CMD_BACKUP_LIST)
        s = backup_find_all(b->dir, r, err, sizeof err);
    else
        s = backup_find_delete(b->dir, name, err, sizeof err);
    if (s != ST_OK)
        reply_error(r, backup_status(s), "%s", err);
    else if (e->cmd.info->id == CMD_BACKUP_DELETE)
        reply_ok(r);
}

static void *backup_thread(void *arg)
{
    struct backup_request *rq = arg;
    struct backup *b = rq->backup;
    struct entry *e = rq->entry;
    struct entry_list done = {0};
    free(rq);
    bool takes = e->cmd.info->id == CMD_BACKUP;
    backup_do(b, e);
    e->fate = ST_OK;
    pthread_mutex_lock(&b->lock);
    if (takes)
        b->taking = b->figures.under_way = false;
    pthread_mutex_unlock(&b->lock);
    struct journal_client *owner = e->owner;
    entry_push(&done, e);
    owner->post(owner, &done);
    pthread_mutex_lock(&b->lock);
    b->running--;
    pthread_cond_broadcast(&b->over); /* under the lock: b may be freed as soon as nobody runs */
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

/* Counts one more. False: there may not be. */
static bool backup_admit(struct backup *b, bool takes, const char **ret_text)
{
    pthread_mutex_lock(&b->lock);
    *ret_text = takes && b->taking ? "a backup is under way: try again when it is over"
                                   : "too many BACKUP commands are under way, or the broker stops: try again";
    bool may = b->running < REQUESTS_MAX && !(takes && b->taking) && !atomic_load(&b->stop);
    if (may) {
        b->running++;
        b->taking = b->taking || takes;
        b->figures.under_way = b->taking;
    }
    pthread_mutex_unlock(&b->lock);
    return may;
}

static bool backup_begin(struct backup *b, struct entry *e)
{
    pthread_t thread;
    pthread_attr_t attr;
    struct backup_request *rq = malloc(sizeof *rq);
    if (!rq)
        return false;
    *rq = (struct backup_request){.backup = b, .entry = e};
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    bool runs = pthread_create(&thread, &attr, backup_thread, rq) == 0;
    pthread_attr_destroy(&attr);
    if (!runs)
        free(rq);
    return runs;
}

bool backup_submit(struct backup *b, struct entry *e, const char **ret_text)
{
    bool takes = e->cmd.info->id == CMD_BACKUP;
    if (!backup_admit(b, takes, ret_text))
        return false;
    if (backup_begin(b, e))
        return true;
    *ret_text = "no memory or no thread for it: try again";
    pthread_mutex_lock(&b->lock);
    b->running--;
    if (takes)
        b->taking = b->figures.under_way = false;
    pthread_mutex_unlock(&b->lock);
    return false;
}

void backup_stop(struct backup *b)
{
    if (b)
        atomic_store(&b->stop, true);
}

void backup_free(struct backup *b)
{
    if (!b)
        return;
    backup_stop(b);
    pthread_mutex_lock(&b->lock);
    while (b->running > 0)
        pthread_cond_wait(&b->over, &b->lock);
    pthread_mutex_unlock(&b->lock);
    pthread_cond_destroy(&b->over);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

void backup_figures(struct backup *b, struct backup_figures *ret_figures)
{
    *ret_figures = (struct backup_figures){0};
    if (!b)
        return;
    pthread_mutex_lock(&b->lock);
    *ret_figures = b->figures;
    pthread_mutex_unlock(&b->lock);
}
