/*
 * acl_log.h: what ACL LOG shows: logins, commands and connections that were refused of late.
 *
 *   newest ── ... ── oldest        ACL_LOG_MAX lines; the same refusal within a minute is counted, not added
 *
 * Threads: any; it has a lock.
 */
#ifndef HALFMQ_BROKER_ACL_LOG_H
#define HALFMQ_BROKER_ACL_LOG_H

#include <pthread.h>

#include "protocol/base/buf.h"
#include "protocol/limits.h"

#define ACL_LOG_MAX 128
#define ACL_LOG_SAME_MS 60000
#define ACL_LOG_CLIENT_MAX 256

struct acl_line {
    uint64_t count;
    const char *reason; /* static: auth, command, topic, group, pgroup, protected */
    char object[SYSTEM_NAME_BYTES_MAX + 1], user[NAME_BYTES_MAX + 1], client[ACL_LOG_CLIENT_MAX];
    int64_t first_ms, last_ms; /* monotonic */
};

struct acl_log;

struct acl_log *acl_log_new(void); /* NULL: no memory */
void acl_log_free(struct acl_log *l);

/* Texts are cut where they are too long. */
void acl_log_add(struct acl_log *l, const char *reason, struct slice object, struct slice user, const char *client,
                 int64_t now_ms);
void acl_log_reset(struct acl_log *l);

/* Appends an array of maps, newest first, at most `most` of them, as reply tokens. */
void acl_log_write(struct acl_log *l, uint64_t most, int64_t now_ms, struct buf *reply);

#endif
