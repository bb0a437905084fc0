/* net.c: all loops together: started, asked and stopped as one. */
#include "broker/net/net.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/net/clients.h"
#include "broker/net/loop_thread.h"

struct net {
    struct net_env env;
    struct net_shared shared;
    struct loop **loops;
    uint32_t n_loops;
};

struct net *net_new(const struct net_env *env)
{
    struct net *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    n->env = *env;
    n->shared.next_client_id = env->last_client;
    if (!peers_init(&n->shared.peers)) {
        free(n);
        return NULL;
    }
    account_init(&n->shared.account, (size_t)settings_num(env->settings, SET_memory));
    return n;
}

bool net_start(struct net *n, uint32_t n_loops)
{
    assert(!n->loops && n_loops > 0);
    n->loops = calloc(n_loops, sizeof *n->loops);
    if (!n->loops)
        return false;
    for (uint32_t i = 0; i < n_loops; i++) {
        n->loops[i] = loop_start(&n->env, &n->shared, n_loops == 1);
        if (!n->loops[i])
            return false;
        n->n_loops = i + 1;
    }
    return true;
}

uint32_t net_loops(const struct net *n)
{
    return n->n_loops;
}

bool net_adopt(struct net *n, uint32_t loop, const struct letter_socket *socket)
{
    atomic_fetch_add(&n->shared.connections, 1);
    if (loop_adopt(n->loops[loop % n->n_loops], socket))
        return true;
    atomic_fetch_sub(&n->shared.connections, 1);
    return false;
}

struct peers *net_peers(struct net *n)
{
    return &n->shared.peers;
}

uint32_t net_connections(const struct net *n)
{
    return atomic_load(&n->shared.connections);
}

void net_tick(struct net *n)
{
    loop_tick(n->loops[0]);
}

void net_nudge(struct net *n)
{
    loop_nudge(n->loops[0]);
}

void net_drain(struct net *n, int64_t timeout_ms)
{
    atomic_store(&n->shared.draining, true);
    for (uint32_t i = 0; i < n->n_loops; i++)
        loop_drain(n->loops[i], timeout_ms);
}

void net_join(struct net *n)
{
    for (uint32_t i = 0; i < n->n_loops; i++)
        loop_join(n->loops[i]);
}

void net_free(struct net *n)
{
    if (!n)
        return;
    for (uint32_t i = 0; i < n->n_loops; i++)
        loop_free(n->loops[i]);
    free(n->loops);
    peers_fini(&n->shared.peers);
    free(n);
}

uint64_t net_memory(const struct net *n)
{
    return account_held(&n->shared.account);
}

uint64_t net_counter(const struct net *n, enum counter_id id)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n->n_loops; i++)
        sum += counters_get(loop_counters(n->loops[i]), id);
    return sum;
}

uint64_t net_errors(const struct net *n, enum status code)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n->n_loops; i++)
        sum += counters_get_error(loop_counters(n->loops[i]), code);
    return sum;
}

bool net_list_clients(struct net *n, const char *user, struct net_clients_at *at, uint32_t most, struct buf *out)
{
    for (; at->loop < n->n_loops; at->loop++, at->slot = 0) {
        if (loop_list_clients(n->loops[at->loop], user, &at->slot, &most, out))
            return true;
    }
    return false;
}

void net_describe_clients(struct net *n, struct net_client *clients, uint32_t count)
{
    for (uint32_t i = 0; i < n->n_loops; i++)
        clients_describe(&n->loops[i]->slots, clients, count);
}

bool net_kill_client(struct net *n, uint64_t id)
{
    for (uint32_t i = 0; i < n->n_loops; i++) {
        if (loop_kill_client(n->loops[i], id))
            return true;
    }
    return false;
}
