/* check.c: opens the store, goes through its passes, and compares the counts (check.h). */
#include "storage/check/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "storage/check/check_base.h"
#include "storage/check/check_group.h"
#include "storage/check/check_rows.h"
#include "storage/check/check_timer.h"
#include "storage/check/check_topic.h"
#include "storage/check/check_txn.h"
#include "storage/check/check_user.h"
#include "storage/disk/kv_apply.h"
#include "storage/disk/meta.h"

#define FILES_MAX 256

/* What the database itself finds while it reads. */
static void check_damaged(void *arg, const char *text)
{
    check_say(arg, "%s", text);
}

static void check_count(struct checking *c, const char *what, uint64_t counted, uint64_t there)
{
    if (counted != there)
        check_say(c, "the store counts %llu %s, and has %llu", (unsigned long long)counted, what, (unsigned long long)there);
}

static void check_counts(struct checking *c)
{
    if (c->blind)
        return;
    check_count(c, "topics", c->meta.topics, c->sums.topics);
    check_count(c, "groups on topics", c->meta.groups, c->sums.groups + c->left_over);
    check_count(c, "pending transactions", c->meta.pending, c->pending);
    check_count(c, "parked transactions", c->meta.parked, c->parked);
    check_count(c, "delayed messages", c->meta.delayed, c->sums.delayed);
    check_count(c, "producer groups with settings", c->meta.pgroups, c->pgroups);
}

static void check_all(struct checking *c)
{
    void (*const passes[])(struct checking *c) = {check_rows_all, check_timer_all, check_topic_all, check_group_all,
                                                 check_txn_all,  check_user_all,  check_counts};
    for (size_t i = 0; i < sizeof passes / sizeof *passes && c->failed == ST_OK; i++)
        passes[i](c);
}

struct check_taking {
    struct kv *kv;
    char *err;
    size_t err_size;
};

static enum status check_take(void *arg, struct slice batch, const struct redo_parts *parts)
{
    struct check_taking *t = arg;
    return kv_apply(t->kv, batch, parts, t->err, t->err_size);
}

/* A store that is damaged so that it cannot be opened is a damage like any other. */
static enum status check_open(struct checking *c, char *err, size_t err_size)
{
    const struct kv_options ko = {.path = c->opt->path, .memory_bytes = c->opt->memory_bytes, .files_max = FILES_MAX,
                                  .read_only = !c->opt->replay, .uncompacted = true, .damaged = check_damaged,
                                  .damaged_arg = c};
    enum status s = kv_open(&ko, &c->kv, err, err_size);
    if (s == ST_OK)
        s = meta_read(c->kv, c->opt->path, &c->meta, err, err_size);
    c->sums.index = c->meta.index;
    if (s == ST_OK && c->opt->replay) {
        struct check_taking t = {.kv = c->kv, .err = err, .err_size = err_size};
        s = c->opt->replay(c->opt->arg, c->meta.index, check_take, &t, err, err_size);
        if (s == ST_OK)
            s = meta_read(c->kv, c->opt->path, &c->meta, err, err_size);
    }
    if (s == ST_DAMAGED)
        check_say(c, "%s", err);
    return s;
}

enum status store_check(const struct check_options *opt, struct check_sums *ret_sums, char *err, size_t err_size)
{
    struct checking c = {.opt = opt};
    buf_init(&c.value, 0);
    enum status s = check_open(&c, err, err_size);
    if (s == ST_OK) {
        check_all(&c);
        s = c.failed;
        if (s != ST_OK)
            snprintf(err, err_size, "the store in %s cannot be read: %s", opt->path,
                     s == ST_NOMEM ? "no memory" : "a file cannot be opened or read");
    }
    kv_close(c.kv);
    buf_free(&c.value);
    free(c.topics.ids);
    *ret_sums = c.sums;
    return s == ST_DAMAGED ? ST_OK : s;
}
