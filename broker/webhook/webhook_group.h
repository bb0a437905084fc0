/*
 * webhook_group.h: one producer group with a CHECKURL: what is due of it, and the requests under way.
 * Threads: the webhooks' own.
 */
#ifndef HALFMQ_BROKER_WEBHOOK_GROUP_H
#define HALFMQ_BROKER_WEBHOOK_GROUP_H

#include <event2/event.h>

#include "broker/checks/asks.h"
#include "broker/webhook/webhook_call.h"
#include "broker/webhook/webhook_shared.h"
#include "protocol/base/hash.h"
#include "storage/query.h"

struct webhook_group;

/* A check-back that is being POSTed. */
struct webhook_posting {
    struct webhook_group *group;
    struct webhook_posting *prev, *next;
    struct ask ask;
    struct webhook_call *call;
    size_t bytes;
};

/* A producer group with a CHECKURL. URL and secret never change here: where the setting changes, this group is
 * `gone` and a new one is made; a gone group is freed when its last request and its last CHECKS have ended. While
 * nothing is due a group takes some hundred bytes and no connection. */
struct webhook_group {
    struct hash_node node; /* first, so that a node is its group; the hash is the key of its news */
    struct webhook_shared *shared;
    struct webhook_group *prev, *next; /* in the list's groups, or gone */
    struct slice name, url, secret; /* in text */
    size_t size; /* what it counts for against the bound of groups */
    struct webhook_posting *postings;
    uint32_t n_postings;
    uint32_t wanted; /* by the CHECKS that is under way; 0: none is */
    struct room_share share;
    uint64_t seen; /* index of the newest news about it */
    bool listed; /* while the list is read: the store names it */
    bool gone;
    bool down; /* the last connection failed */
    int64_t pause_ms; /* the newest pause */
    int64_t not_before_ms; /* monotonic: when the pause is over */
    struct event *again; /* timer: look for what is due */
    int64_t again_ms; /* monotonic: when it fires; INT64_MAX: not set */
    int64_t logged_ms;
    uint32_t unlogged;
    bool redirect_logged;
    uint8_t text[];
};

/* ST_NOMEM; ST_BAD: the URL cannot be used (it was set by an older release). */
enum status webhook_group_new(struct webhook_shared *s, const struct pgroup_hook *hook, struct webhook_group **ret_group)
    MUST_CHECK;

/* Bytes of memory that such a group takes. */
size_t webhook_group_size(const struct pgroup_hook *hook);

/* Marks it as gone: it begins nothing more. */
void webhook_group_retire(struct webhook_group *g);

/* Asks the store for what is due, if this broker may (journal_in_charge) and there is room for it. */
void webhook_group_pull(struct webhook_group *g);

/* The same, as struct room wants it. */
void webhook_group_on_turn(struct room_share *s);

/* Ends its requests and takes their asks back. */
void webhook_group_take_back(struct webhook_group *g);

/* True: nothing is under way. */
bool webhook_group_idle(const struct webhook_group *g);
void webhook_group_free(struct webhook_group *g);

#endif
