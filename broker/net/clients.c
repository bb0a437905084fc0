/* clients.c: looks for a client id in the slots, and writes the lines of CLIENT LIST. */
#include "broker/net/clients.h"

#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

#include "broker/net/conn_tls.h"

struct conn *clients_find(const struct slots *ss, uint64_t id)
{
    for (uint32_t i = 0; i < ss->size; i++) {
        if (ss->slot[i].conn && ss->slot[i].conn->id == id)
            return ss->slot[i].conn;
    }
    return NULL;
}

bool clients_have(struct slots *ss, uint64_t id)
{
    pthread_mutex_lock(&ss->lock);
    bool there = clients_find(ss, id) != NULL;
    pthread_mutex_unlock(&ss->lock);
    return there;
}

static void clients_put_address(int fd, struct buf *out)
{
    struct sockaddr_storage a;
    socklen_t size = sizeof a;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    bool known = getpeername(fd, (struct sockaddr *)&a, &size) == 0;
    if (known && a.ss_family == AF_UNIX) {
        buf_put_str(out, "unix");
        return;
    }
    if (!known ||
        getnameinfo((struct sockaddr *)&a, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        buf_put_str(out, "?");
        return;
    }
    buf_printf(out, a.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static const char *clients_user_of(const struct conn *c)
{
    return c->user ? c->user : "default";
}

static void clients_put(struct conn *c, int64_t now_ms, struct buf *out)
{
    const struct command_info *last = atomic_load_explicit(&c->last, memory_order_relaxed);
    const char *dialect = !conn_is_text(c) ? "rpc" : c->proto == 3 ? "resp3" : "resp2";
    buf_printf(out, "id=%" PRIu64 " addr=", c->id);
    clients_put_address(c->fd, out);
    buf_printf(out, " name=%s dialect=%s tls=%s age_s=%" PRId64 " cmd=", c->name ? c->name : "", dialect,
               c->wire == WIRE_PLAIN || c->wire == WIRE_NEW ? "no" : "yes", (now_ms - c->opened_ms) / 1000);
    for (const char *p = last ? last->method : ""; *p; p++)
        buf_put_u8(out, (uint8_t)*p);
    buf_printf(out, " user=%s\n", clients_user_of(c));
}

bool clients_list(struct slots *ss, const char *user, uint32_t *slot, uint32_t *most, struct buf *out)
{
    int64_t now_ms = timers_now();
    pthread_mutex_lock(&ss->lock);
    for (; *slot < ss->size && *most > 0; ++*slot, --*most) {
        struct conn *c = ss->slot[*slot].conn;
        if (c && (!user || strcmp(user, clients_user_of(c)) == 0))
            clients_put(c, now_ms, out);
    }
    bool more = *slot < ss->size;
    pthread_mutex_unlock(&ss->lock);
    return more;
}

void clients_describe(struct slots *ss, struct net_client *clients, uint32_t n)
{
    pthread_mutex_lock(&ss->lock);
    for (uint32_t i = 0; i < ss->size; i++) {
        struct conn *c = ss->slot[i].conn;
        uint32_t k = 0;
        while (c && k < n && clients[k].id != c->id)
            k++;
        if (!c || k == n)
            continue;
        clients[k].there = true;
        clients[k].seen_ms = atomic_load_explicit(&c->seen_ms, memory_order_relaxed);
        snprintf(clients[k].name, sizeof clients[k].name, "%s", c->name ? c->name : "");
    }
    pthread_mutex_unlock(&ss->lock);
}
