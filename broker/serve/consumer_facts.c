/* consumer_facts.c: asks the connections of all loops (consumer_facts.h). */
#include "broker/serve/consumer_facts.h"

#include "broker/net/net.h"
#include "broker/serve/session.h"
#include "storage/query.h"

/* The query's list is in the form that broker/net fills in, but for the clock. */
static void consumer_facts_find(void *arg, struct query_client *clients, uint32_t n)
{
    struct loop *l = arg;
    struct net_client found[QUERY_CLIENTS_MAX];
    int64_t now_ms = journal_now_ms(l->env.journal), mono_ms = timers_now();
    for (uint32_t i = 0; i < n; i++)
        found[i] = (struct net_client){.id = clients[i].id};
    net_describe_clients(serve_of(l)->env.net, found, n);
    for (uint32_t i = 0; i < n; i++) {
        if (!found[i].there)
            continue;
        clients[i].there = true;
        memcpy(clients[i].name, found[i].name, sizeof clients[i].name);
        clients[i].seen_ms = now_ms - (mono_ms - found[i].seen_ms);
    }
}

void consumer_facts_offer(struct loop *l, struct view *v)
{
    view_ask_clients(v, consumer_facts_find, l);
}
