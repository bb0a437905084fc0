/*
 * consumer_facts.h: what GROUP INFO says of consumers beyond the store: the names of their connections, and when they were
 * last heard of. Threads: any loop's own.
 */
#ifndef HALFMQ_BROKER_CONSUMER_FACTS_H
#define HALFMQ_BROKER_CONSUMER_FACTS_H

#include "broker/net/conn.h"

struct view;

/* Lets the view ask for them; l is there as long as the view. */
void consumer_facts_offer(struct loop *l, struct view *v);

#endif
