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

/* One check on its way. */
struct webhook_posting {
    struct webhook_group *group;
    struct webhook_posting *prev, *next;
    struct ask ask;
    struct webhook_call *call;
    size_t bytes;
};

/* A producer group with a CHECKURL. Its settings never change: another URL or secret is another group,
 * and this one ends (`gone`) when its last request and its last CHECKS have. While nothing is due this is all
 * there is of it: some hundred bytes, no connection. */
struct webhook_group {
    struct hash_node node; /* first, so that a node is its group; the hash is the key of its news */
    struct webhook_shared *shared;
    struct webhook_group *prev, *next; /* of those that are there, or gone */
    struct slice name, url, secret; /* in text */
    size_t size; /* what it counts for against the bound of groups */
    struct webhook_posting *postings;
    uint32_t n_postings;
    uint32_t wanted; /* by the CHECKS that is under way; 0: none is */
    struct room_share share;
    uint64_t seen; /* index of the newest news of it */
    bool listed; /* while settings are read: it is still there */
    bool gone;
    bool down; /* the last connection failed */
    int64_t pause_ms; /* the newest pause */
    int64_t not_before_ms; /* monotonic: the pause's end */
    struct event *again; /* look again */
    int64_t again_ms; /* monotonic: when; INT64_MAX: not set */
    int64_t logged_ms;
    uint32_t unlogged;
    bool redirect_logged;
    uint8_t text[];
};

/* NULL: no memory, or the URL is none (a setting of an older release). */
struct webhook_group *webhook_group_new(struct webhook_shared *s, const struct pgroup_hook *hook);

/* Bytes of memory that it takes. */
size_t webhook_group_size(const struct pgroup_hook *hook);

/* Ends it: now, or with the last thing that is under way. */
void webhook_group_retire(struct webhook_group *g);

/* Asks the store for what is due, if this broker may (journal_in_charge) and there is room for it. */
void webhook_group_pull(struct webhook_group *g);

/* The same, as struct room wants it. */
void webhook_group_on_turn(struct room_share *s);

/* At the stop: requests end, their asks are taken back. */
void webhook_group_take_back(struct webhook_group *g);

/* True: nothing is under way. */
bool webhook_group_idle(const struct webhook_group *g);
void webhook_group_free(struct webhook_group *g);

#endif
