/* handlers.h: one function for each QUERY command; the table is in answer.c. Each fills in the reply. */
#ifndef HALFMQ_STORAGE_QUERY_HANDLERS_H
#define HALFMQ_STORAGE_QUERY_HANDLERS_H

#include "storage/query/base/view.h"

typedef void query_fn(struct view *v, const struct command *cmd, struct buf *reply,
                      struct query_hint *hint);

query_fn query_read, query_get;                            /* query_log.c */
query_fn query_find;                                       /* query_find.c */
query_fn query_delayed_list;                               /* query_delay.c */
query_fn query_topic_info, query_topic_list;               /* query_topic.c */
query_fn query_group_info, query_group_list, query_lag;    /* query_group.c */
query_fn query_group_leases;                               /* query_leases.c */
query_fn query_dlq_list;                                   /* query_dlq.c */
query_fn query_txn_messages;                               /* query_txn_messages.c */
query_fn query_txn_info, query_txn_list;                   /* query_txn.c */
query_fn query_pgroup_info, query_pgroup_list;             /* query_pgroup.c */

#endif
