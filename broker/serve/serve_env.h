/*
 * serve_env.h: what sessions are given at the start, by the roof.
 */
#ifndef HALFMQ_BROKER_SERVE_ENV_H
#define HALFMQ_BROKER_SERVE_ENV_H

#include "broker/access/roster.h"
#include "broker/auth/auth.h"
#include "broker/checks/members.h"
#include "broker/net/net.h"
#include "broker/webhook/webhook.h"

/* What sessions work with, beyond what net has (net_env.arg; all of it outlives the loops). The functions are
 * called by any loop's thread. */
struct serve_env {
    struct net *net; /* CLIENT LIST and KILL */
    struct roster *roster; /* the users */
    struct auth *auth; /* logins */
    struct acl_log *acl_log; /* what was refused of late */
    struct members *members; /* NULL: members are not counted */
    struct webhook *webhook; /* what may be a CHECKURL */

    void *broker; /* the first argument of what follows */

    /* SHUTDOWN: begins to stop, and returns at once. */
    void (*stop)(void *broker);

    /* CONFIG SET: may the settings have these values, together with all others? False: err is a sentence. */
    bool (*settings_fit)(void *broker, const struct setting_change *changes, size_t n, char *err, size_t err_size);

    /* CONFIG SET: they have them now; applies them to those who keep a copy. */
    void (*settings_changed)(void *broker, const struct setting_change *changes, size_t n);

    /* BACKUP: takes the entry, to hand it back with its answer. False: BUSY, with *ret_text; it stays the caller's. */
    bool (*backup)(void *broker, struct entry *e, const char **ret_text);

    /* INFO [section ...], as text lines; view: of the store, or NULL. */
    void (*write_info)(void *broker, struct view *view, const struct slice *sections, size_t n, struct buf *out);
};

#endif
