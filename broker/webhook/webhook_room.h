/*
 * webhook_room.h: who may ask now: the places of requests in flight, and who waits in line for one.
 *
 *   pull ──► room_take ──┬─ n places ──► CHECKS COUNT n ──► POSTs ──► room_give, one by one
 *                        └─ none: a line ──► room_feed pulls for its first, as far as there is room
 *
 * A group that may be in flight has to find room in each of these:
 *   - its URL: webhook_concurrency places, whichever groups it is of
 *   - its own bodies: ROOM_GROUP_BYTES
 *   - all: WEBHOOK_POSTS_MAX places, and of bodies a sixteenth of the setting `memory`. Where those are
 *     used up a group with nothing in flight still has a place of its own, so that nobody is held up by
 *     others that do not answer. Of those there are WEBHOOK_CALLS_MAX places in all and another
 *     sixteenth. Half the places are for groups whose last request was answered (`proven`) alone, so
 *     that however many services hang, those that answer are asked.
 *   - ROOM_PULLS_MAX CHECKS at once: what they bring is memory, too; the store answers in a moment
 *
 * There is a line for each of these: that of the URL, `more` (it has one in flight already), `first` and
 * `unproven`. Each is first in, first out, and costs nothing while nobody ends. To add a bound: a test in
 * room_look, a line, a room_feed_line in room_feed.
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

/* A URL that some group has: how many places are taken there. */
struct room_url {
    struct hash_node node; /* first, so that a node is its URL. Two URLs of one hash would share their places, no more */
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

/* What a group has of it. */
struct room_share {
    struct room_url *url;
    struct room_line *line; /* it stands in; NULL: in none */
    struct room_share *prev, *next; /* in the line */
    uint32_t taken, n_unproven;
    size_t bytes;
    bool hungry; /* found no room */
    bool proven; /* somebody answered the last time */
    bool alone; /* one place at most: nobody could be connected to the last time */
};

/* A share's place at its URL. False: no memory. */
bool room_join(struct room *r, struct room_share *s, uint64_t url_key);
void room_leave(struct room *r, struct room_share *s);

/* All shares have left. */
void room_fini(struct room *r);

/* Takes places for a CHECKS, which counts until room_pulled. 0: there are none; it is in line, or pulls when
 * something of its own ends (hungry). */
uint32_t room_take(struct room *r, struct room_share *s);
void room_pulled(struct room *r);

void room_give(struct room *r, struct room_share *s, uint32_t places);
void room_bytes(struct room *r, struct room_share *s, size_t more, size_t less);

/* What came of a request. */
void room_judge(struct room *r, struct room_share *s, bool answered);

/* Something was given back, of s among others: pulls for those who can go on. */
void room_feed(struct room *r, struct room_share *s);

#endif
