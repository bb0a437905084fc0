/*
 * peers.h: how many connections each address has, for the setting max_connections_per_address.
 *
 * All of TCP are counted, whether the setting is on or not, since CONFIG SET may switch it on. An address that has none is
 * forgotten, so there are never more than connections. (Unlike with failed logins, an IPv6 address is one address.)
 *
 * Threads: any; it has a lock.
 */
#ifndef HALFMQ_BROKER_PEERS_H
#define HALFMQ_BROKER_PEERS_H

#include <pthread.h>

#include "broker/base/address.h"
#include "protocol/base/hash.h"

struct peers {
    pthread_mutex_t lock;
    struct hash by_address;
};

enum peers_state {
    PEER_COUNTED, /* call peers_leave when it is closed */
    PEER_FREE,    /* it need not be counted (a Unix socket), or there is no memory to */
    PEER_FULL,    /* it has `most` connections already; nothing was counted */
};

bool peers_init(struct peers *ps); /* false: no lock */
void peers_fini(struct peers *ps);

/* most 0: any number. */
enum peers_state peers_enter(struct peers *ps, const struct net_address *from, uint64_t most);
void peers_leave(struct peers *ps, const struct net_address *from);

#endif
