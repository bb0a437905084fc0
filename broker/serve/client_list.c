/* client_list.c: asks the loops for some lines at a time (client_list.h). */
#include "broker/serve/client_list.h"

#include <stdlib.h>

#include "broker/net/net.h"
#include "broker/serve/session.h"
#include "broker/serve/who/who.h"
#include "protocol/base/reply.h"

#define STEP_CLIENTS 500 /* about a millisecond */

struct client_listing {
    struct conn *conn;
    struct client_listing *prev, *next;
    struct request rq;
    struct net_clients_at at;
    struct buf text;
    size_t kept; /* bytes that its connection is charged with */
};

static void listing_answer(struct conn *c, struct request rq, const struct buf *text)
{
    struct buf *r = loop_reply(c->loop);
    reply_text(r, buf_slice(text));
    if (text->failed)
        reply_error(r, ST_BUSY, "no memory to list all clients");
    conn_answer(c, rq, buf_slice(r));
    buf_reset(r, REPLY_BYTES_KEEP);
}

/* Whose connections it is shown. NULL: all, to who has @admin; else its own. The name is good while the reply is made. */
static const char *listing_user(struct conn *c)
{
    const struct access_user *u = who_is(c);
    bool all = u && (u->row.all_commands || (u->row.categories >> CATEGORY_ADMIN & 1));
    return all ? NULL : c->user ? c->user : "default";
}

/* True: there is more. */
static bool listing_step(struct conn *c, struct net_clients_at *at, struct buf *text)
{
    return net_list_clients(serve_of(c->loop)->env.net, listing_user(c), at, STEP_CLIENTS, text) && !text->failed;
}

static void listing_charge(struct client_listing *g, size_t bytes)
{
    conn_keep(g->conn, bytes);
    conn_keep_no_more(g->conn, g->kept);
    g->kept = bytes;
}

static void listing_link(struct client_listings *all, struct client_listing *g)
{
    g->next = NULL;
    g->prev = all->last;
    *(all->last ? &all->last->next : &all->first) = g;
    all->last = g;
}

static void listing_unlink(struct client_listings *all, struct client_listing *g)
{
    *(g->prev ? &g->prev->next : &all->first) = g->next;
    *(g->next ? &g->next->prev : &all->last) = g->prev;
}

static void listing_free(struct client_listing *g)
{
    struct conn *c = g->conn;
    listing_unlink(&serve_of(c->loop)->client_listings, g);
    listing_charge(g, 0);
    buf_free(&g->text);
    session_of(c)->client_listing = NULL;
    c->stops &= ~(unsigned)STOP_REPLY;
    conn_need(c, CONN_ANSWERS, false);
    free(g);
}

void client_list_drop(struct conn *c)
{
    if (session_of(c)->client_listing)
        listing_free(session_of(c)->client_listing);
}

void client_list_begin(struct conn *c, struct request rq)
{
    struct buf text;
    struct net_clients_at at = {0};
    buf_init(&text, 0);
    bool more = listing_step(c, &at, &text);
    struct client_listing *g = more ? calloc(1, sizeof *g) : NULL;
    if (!g) {
        text.failed = text.failed || more;
        listing_answer(c, rq, &text);
        buf_free(&text);
        return;
    }
    *g = (struct client_listing){.conn = c, .rq = rq, .at = at, .text = text};
    listing_link(&serve_of(c->loop)->client_listings, g);
    session_of(c)->client_listing = g;
    c->stops |= STOP_REPLY;
    conn_need(c, CONN_ANSWERS, true);
    listing_charge(g, text.size);
}

bool client_lists_run(struct loop *l)
{
    struct client_listings *all = &serve_of(l)->client_listings;
    struct client_listing *g = all->first;
    if (!g || all->turn == l->turn)
        return g != NULL;
    all->turn = l->turn;
    listing_unlink(all, g);
    listing_link(all, g);
    bool more = listing_step(g->conn, &g->at, &g->text);
    listing_charge(g, g->text.size);
    if (!more) {
        struct conn *c = g->conn;
        listing_answer(c, g->rq, &g->text);
        listing_free(g);
        conn_touch(c);
    }
    return all->first != NULL;
}
