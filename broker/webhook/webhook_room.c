/* webhook_room.c: counts the places, and lets those who wait for one go on in their order. */
#include "broker/webhook/webhook_room.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/settings/settings.h"

/* ---- lines ---- */

static void room_line_leave(struct room_share *s)
{
    struct room_line *line = s->line;
    if (!line)
        return;
    *(s->prev ? &s->prev->next : &line->first) = s->next;
    *(s->next ? &s->next->prev : &line->last) = s->prev;
    s->prev = s->next = NULL;
    s->line = NULL;
}

/* Puts s at the end of a line; if it stands in that line already, it keeps its place. line NULL: in none. */
static void room_line_join(struct room_line *line, struct room_share *s)
{
    if (s->line == line)
        return;
    room_line_leave(s);
    if (!line)
        return;
    s->prev = line->last;
    *(line->last ? &line->last->next : &line->first) = s;
    line->last = s;
    s->line = line;
}

static void room_line_join_front(struct room_line *line, struct room_share *s)
{
    room_line_leave(s);
    s->next = line->first;
    *(line->first ? &line->first->prev : &line->last) = s;
    line->first = s;
    s->line = line;
}

/* Lets those in the line pull, until one of them finds no room again. */
static void room_feed_line(struct room *r, struct room_line *line)
{
    struct room_share *s;
    while ((s = line->first)) {
        room_line_leave(s);
        r->pull(s);
        if (s->line == line) {
            room_line_join_front(line, s);
            return;
        }
    }
}

void room_feed(struct room *r, struct room_share *s)
{
    room_feed_line(r, &s->url->line);
    room_feed_line(r, &r->first);
    room_feed_line(r, &r->unproven);
    room_feed_line(r, &r->more);
    if (s->hungry)
        r->pull(s);
}

/* ---- URLs ---- */

bool room_join(struct room *r, struct room_share *s, uint64_t url_key)
{
    struct room_url *url = (struct room_url *)hash_first(&r->urls, url_key);
    if (!url && (url = calloc(1, sizeof *url)))
        hash_add(&r->urls, &url->node, url_key);
    if (!url)
        return false;
    url->groups++;
    s->url = url;
    return true;
}

void room_leave(struct room *r, struct room_share *s)
{
    struct room_url *url = s->url;
    room_line_leave(s);
    s->hungry = false;
    s->url = NULL;
    if (--url->groups > 0)
        return;
    assert(!url->taken && !url->line.first);
    hash_remove(&r->urls, &url->node);
    free(url);
}

void room_fini(struct room *r)
{
    assert(r->urls.n == 0);
    hash_free(&r->urls);
}

/* ---- places ---- */

/* How many places there are for s. 0: *ret_line is the line to wait in, NULL where its own requests have to end
 * first. */
static uint32_t room_look(struct room *r, const struct room_share *s, struct room_line **ret_line)
{
    uint32_t most = (uint32_t)settings_num(r->settings, SET_webhook_concurrency);
    size_t bytes_max = (size_t)settings_num(r->settings, SET_memory) / 16;
    struct room_line *first = s->proven ? &r->first : &r->unproven;
    bool crowded = r->taken >= r->posts_max || r->bytes >= bytes_max;
    *ret_line = &s->url->line;
    if (s->url->taken >= most)
        return 0;
    *ret_line = NULL;
    if (s->bytes >= ROOM_GROUP_BYTES || (s->alone && s->taken > 0))
        return 0;
    *ret_line = s->taken > 0 ? &r->more : first;
    if (r->pulls >= ROOM_PULLS_MAX || (crowded && s->taken > 0))
        return 0;
    bool full = r->taken >= r->calls_max || r->bytes >= 2 * bytes_max ||
                (!s->proven && r->n_unproven >= r->calls_max / 2);
    if (crowded && full)
        return 0;
    if (crowded || s->alone)
        return 1;
    uint32_t left = r->posts_max - r->taken, here = most - s->url->taken;
    return here < left ? here : left;
}

uint32_t room_take(struct room *r, struct room_share *s)
{
    struct room_line *line = NULL;
    uint32_t n = room_look(r, s, &line);
    s->hungry = n == 0;
    room_line_join(n ? NULL : line, s);
    if (n == 0)
        return 0;
    s->taken += n;
    s->url->taken += n;
    r->taken += n;
    r->pulls++;
    if (!s->proven) {
        s->n_unproven += n;
        r->n_unproven += n;
    }
    return n;
}

void room_pulled(struct room *r)
{
    assert(r->pulls > 0);
    r->pulls--;
}

void room_give(struct room *r, struct room_share *s, uint32_t places)
{
    assert(s->taken >= places && s->url->taken >= places && r->taken >= places);
    uint32_t unproven = s->n_unproven < places ? s->n_unproven : places;
    s->taken -= places;
    s->url->taken -= places;
    r->taken -= places;
    s->n_unproven -= unproven;
    r->n_unproven -= unproven;
}

void room_bytes(struct room *r, struct room_share *s, size_t more, size_t less)
{
    s->bytes += more - less;
    r->bytes += more - less;
}

void room_judge(struct room *r, struct room_share *s, bool answered)
{
    if (answered) {
        r->n_unproven -= s->n_unproven;
        s->n_unproven = 0;
    }
    s->proven = answered;
}
