/*
 * webhook_shared.h: what the webhooks' thread (webhook.c) and its groups (webhook_group.c) work with: the journal's
 * client, the event base, connections, places. All of it belongs to that thread.
 */
#ifndef HALFMQ_BROKER_WEBHOOK_SHARED_H
#define HALFMQ_BROKER_WEBHOOK_SHARED_H

#include "broker/base/counters.h"
#include "broker/checks/members.h"
#include "broker/journal/journal.h"
#include "broker/settings/settings.h"
#include "broker/webhook/webhook_allow.h"
#include "broker/webhook/webhook_dns.h"
#include "broker/webhook/webhook_pool.h"
#include "broker/webhook/webhook_room.h"

struct webhook_shared {
    struct journal_client client; /* first: the journal's callbacks get this address */
    struct settings *settings;
    struct journal *journal;
    struct members *members;
    struct counters *counters;
    struct webhook_allow *allow;
    struct event_base *base;
    struct resolver *resolver;
    struct pool *pool;
    struct room room;
    uint32_t in_flight; /* entries that the journal has */
    bool again;         /* the journal wants another turn */
    bool stopping;
};

/* Submits a command of ours; arg goes into the entry. False: a bound, or no memory. */
bool webhook_submit(struct webhook_shared *s, const struct command *cmd,
                    void (*done)(struct journal_client *owner, struct entry *e), void *arg) MUST_CHECK;

#endif
