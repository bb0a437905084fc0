/*
 * webhook_list.h: the producer groups that have a CHECKURL, as the store names them.
 *
 *   webhook_list_read ──► each group's URL and secret ──┬─ as before ──► stays
 *                                                       ├─ new, or another URL ──► groups
 *                                                       └─ no longer there ──► gone ──(nothing under way)──► freed
 *
 * Every group commit of the broker has news; few of them concern a group in this list. `watched` is a set of bits by
 * the key of the news: it is written by the webhooks' thread and read by whoever leads the journal. A bit is never
 * taken back, so an old one wakes the thread for nothing; a group's bit is set before its first CHECKS is submitted,
 * so no news is missed.
 *
 * Threads: the webhooks' own; webhook_list_concerns by any.
 */
#ifndef HALFMQ_BROKER_WEBHOOK_LIST_H
#define HALFMQ_BROKER_WEBHOOK_LIST_H

#include "broker/journal/mailbox.h"
#include "broker/webhook/webhook_group.h"

#define LIST_WATCH_BITS 65536

struct webhook_list {
    struct webhook_shared *shared;
    struct webhook_group *groups, *gone;
    struct hash by_key; /* groups, not gone, by the key of their news */
    size_t bytes;       /* of memory that groups take, not gone */
    bool incomplete;                        /* the last reading had no memory for a group, ... */
    bool told;                              /* ... or has failed, which was logged */
    uint32_t left_out;                      /* groups that the last reading found no memory for ... */
    char left_out_name[NAME_BYTES_MAX + 1]; /* ... and the first of them */
    /* ---- any thread ---- */
    _Atomic uint64_t watched[LIST_WATCH_BITS / 64];
};

/* Does the news of a group commit concern a group in the list? Any thread. */
bool webhook_list_concerns(struct webhook_list *l, const struct effects *fx);

/* Reads the list from the store, and logs what goes wrong. False: memory ran out, or the store could not be read just
 * now, so it is to be read again. Where not all of it could be read, no group is retired. */
bool webhook_list_read(struct webhook_list *l);

/* Lets every group that the news is about look for what is due. */
void webhook_list_news(struct webhook_list *l, const struct news *news);

/* Ends the requests of all groups and takes their asks back. */
void webhook_list_take_back(struct webhook_list *l);

/* Frees the groups that are gone and have nothing under way. */
void webhook_list_free_gone(struct webhook_list *l);

/* Frees all groups; nothing is under way any more. */
void webhook_list_fini(struct webhook_list *l);

#endif
