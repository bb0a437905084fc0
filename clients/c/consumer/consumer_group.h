/*
 * consumer_group.h: the source of a consumer with ordered=yes and order_group=yes: before it asks for the first message,
 * it sees to it that its group is ORDERED on each topic. Then the broker keeps the order over all consumers of the group.
 */
#ifndef HALFMQ_CLIENTS_C_CONSUMER_GROUP_H
#define HALFMQ_CLIENTS_C_CONSUMER_GROUP_H

#include "clients/c/consumer/consumer_inner.h"

extern const struct consumer_source group_source;

#endif
