/* acl_log.c: a ring of refusals (acl_log.h). */
#include "broker/auth/acl_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/reply.h"

struct acl_log {
    pthread_mutex_t lock;
    uint32_t n; /* lines */
    struct acl_line lines[ACL_LOG_MAX]; /* newest first */
};

struct acl_log *acl_log_new(void)
{
    struct acl_log *l = calloc(1, sizeof *l);
    if (l && pthread_mutex_init(&l->lock, NULL) == 0)
        return l;
    free(l);
    return NULL;
}

void acl_log_free(struct acl_log *l)
{
    if (!l)
        return;
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static void acl_copy(char *out, size_t size, struct slice text)
{
    size_t n = text.len < size ? text.len : size - 1;
    if (n)
        memcpy(out, text.data, n);
    memset(out + n, 0, size - n);
}

static bool acl_is_same(const struct acl_line *a, const struct acl_line *b)
{
    return a->reason == b->reason && b->last_ms - a->last_ms <= ACL_LOG_SAME_MS && strcmp(a->object, b->object) == 0 &&
           strcmp(a->user, b->user) == 0;
}

/* Puts the line first. That of the same refusal is counted in it, and goes; else, where all are taken, the oldest. */
static void acl_put(struct acl_log *l, struct acl_line *line)
{
    uint32_t at = 0;
    while (at < l->n && !acl_is_same(&l->lines[at], line))
        at++;
    if (at < l->n) {
        line->count += l->lines[at].count;
        line->first_ms = l->lines[at].first_ms;
    } else if (l->n < ACL_LOG_MAX) {
        l->n++;
    } else {
        at = ACL_LOG_MAX - 1;
    }
    memmove(&l->lines[1], &l->lines[0], at * sizeof l->lines[0]);
    l->lines[0] = *line;
}

void acl_log_add(struct acl_log *l, const char *reason, struct slice object, struct slice user, const char *client,
                 int64_t now_ms)
{
    struct acl_line line = {.count = 1, .reason = reason, .first_ms = now_ms, .last_ms = now_ms};
    acl_copy(line.object, sizeof line.object, object);
    acl_copy(line.user, sizeof line.user, user);
    acl_copy(line.client, sizeof line.client, slice_str(client));
    pthread_mutex_lock(&l->lock);
    acl_put(l, &line);
    pthread_mutex_unlock(&l->lock);
}

void acl_log_reset(struct acl_log *l)
{
    pthread_mutex_lock(&l->lock);
    l->n = 0;
    pthread_mutex_unlock(&l->lock);
}

static void acl_write_line(const struct acl_line *line, int64_t now_ms, struct buf *reply)
{
    char age[32];
    (void)snprintf(age, sizeof age, "%.3f", (double)(now_ms - line->last_ms) / 1000);
    reply_map(reply, 6);
    reply_bulk_str(reply, "count");
    reply_int(reply, (int64_t)line->count);
    reply_field_bytes(reply, "reason", slice_str(line->reason));
    reply_field_bytes(reply, "object", slice_str(line->object));
    reply_field_bytes(reply, "username", slice_str(line->user));
    reply_field_bytes(reply, "age-seconds", slice_str(age));
    reply_field_bytes(reply, "client-info", slice_str(line->client));
}

void acl_log_write(struct acl_log *l, uint64_t most, int64_t now_ms, struct buf *reply)
{
    pthread_mutex_lock(&l->lock);
    uint32_t n = most < l->n ? (uint32_t)most : l->n;
    reply_array(reply, n);
    for (uint32_t i = 0; i < n; i++)
        acl_write_line(&l->lines[i], now_ms, reply);
    pthread_mutex_unlock(&l->lock);
}
