/*
 * webhook_room.h: bounds the requests in flight: who may take a place for one now, and who waits in line for it.
 *
 *   pull ──► room_take ──┬─ n places ──► CHECKS COUNT n ──► POSTs ──► room_give, one by one
 *                        └─ none: a line ──► room_feed pulls for its first, as far as there is room
 *
 * Each group has a *share* of the room. Before it asks, it has to find room in each of these:
 *   - at its URL: webhook_concurrency places, for all groups with that URL together
 *   - for its own bodies: ROOM_GROUP_BYTES
 *   - for all groups: WEBHOOK_POSTS_MAX places, and for bodies a sixteenth of the setting `memory`. When those are used
 *     up, a group with nothing in flight still gets one place, so that services that do not answer hold nobody up.
 *     Those places end at WEBHOOK_CALLS_MAX in all and another sixteenth of `memory`. Half of them are for groups
 *     whose last request was answered (`proven`), so that those are asked however many other services hang.
 *   - ROOM_PULLS_MAX CHECKS at once: their answers take memory, too; the store answers in a moment
 *
 * Who finds no room waits in the line for what was missing: that of the URL, `more` (it has something in flight),
 * `first` or `unproven`. Each line is first in, first out. To add a bound: a test in room_look, a line, and a
 * room_feed_line in room_feed.
 */
#ifndef HALFMQ_BROKER_WEBHOOK_ROOM_H
#define HALFMQ_BROKER_WEBHOOK_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/hash.h"

#define ROOM_GROUP_BYTES ((size_t)1 << 20)
#define ROOM_PULLS_MAX 64

struct settings;
struct room_share;

struct room_line {
    struct room_share *first, *last;
};

/* A URL that some group has, and how many places are taken there. */
struct room_url {
    /* First, so that a node is its URL. Two URLs of one hash would only share their places. */
    struct hash_node node;
    uint32_t groups, taken;
    struct room_line line;
};

struct room {
    const struct settings *settings;
    uint32_t posts_max, calls_max; /* WEBHOOK_POSTS_MAX, WEBHOOK_CALLS_MAX (webhook.h) */
    /* A share's turn: its owner may ask, and calls room_take for that. */
    void (*pull)(struct room_share *s);
    struct hash urls;
    struct room_line more, first, unproven;
    uint32_t taken, pulls;
    uint32_t n_unproven; /* of the places taken */
    size_t bytes; /* of bodies */
};

/* What one group has of the room. */
struct room_share {
    struct room_url *url;
    struct room_line *line;        /* where it waits; NULL: in no line */
    struct room_share *prev, *next; /* in the line */
    uint32_t taken, n_unproven;
    size_t bytes;
    bool hungry; /* the last room_take found no room */
    bool proven; /* the last request was answered */
    bool alone;  /* the last request could not be connected: one place at most */
};

/* Adds a share to its URL. False: no memory. */
bool room_join(struct room *r, struct room_share *s, uint64_t url_key);
void room_leave(struct room *r, struct room_share *s);

/* To be called when all shares have left. */
void room_fini(struct room *r);

/* Takes places for a CHECKS; the CHECKS itself counts until room_pulled. 0: there are none. Then the share waits in a
 * line, or, where its own bodies are what is too much, until one of its own requests ends. */
uint32_t room_take(struct room *r, struct room_share *s);
void room_pulled(struct room *r);

void room_give(struct room *r, struct room_share *s, uint32_t places);
void room_bytes(struct room *r, struct room_share *s, size_t more, size_t less);

/* Notes whether a request was answered. */
void room_judge(struct room *r, struct room_share *s, bool answered);

/* Calls `pull` for those that may go on, after something was given back; s: whose that was. */
void room_feed(struct room *r, struct room_share *s);

#endif
